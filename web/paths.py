"""Where the files that ship with the package lie: in the wheel's data folder, else in the checkout.

An editable installation has no forced files, so the checkout is the fallback, not the other way round.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).parent
_SHIPPED = _PACKAGE / "_data"
DATA = _SHIPPED if _SHIPPED.is_dir() else _PACKAGE.parent

TEMPLATES = DATA / "templates"
STATIC = DATA / "static"
MIGRATIONS = DATA / "migrations"
DEMO = DATA / "demo"
