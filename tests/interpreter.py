"""The interpreter of the projects that tests write: an environment of its own, with what such a project depends on.

Ours has a hundred packages more, and Alembic looks through all that there are whenever it starts.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
import sysconfig
import venv
from functools import cache
from importlib.metadata import distribution
from pathlib import Path

from filelock import FileLock

# Where it really is: copies of the product have a link to this folder.
PLACE = (Path(__file__).parents[1] / ".cache").resolve() / "interpreter"
PACKAGES = (
    *("alembic", "mako", "markupsafe", "typing-extensions"),
    *("sqlalchemy", "greenlet"),
    *("psycopg", "psycopg-binary"),
)


@cache
def project_python() -> Path:
    """The interpreter's path; it is made where it is missing or our own packages are others now."""
    python, made = PLACE / "bin" / "python", PLACE / "made"
    versions = [distribution(package).version for package in PACKAGES]
    stamp = json.dumps([sys.version, str(PLACE), PACKAGES, versions])
    digest = hashlib.sha256(stamp.encode()).hexdigest()
    PLACE.parent.mkdir(exist_ok=True)
    # Test processes run side by side; one makes it, the others wait.
    with FileLock(PLACE.with_suffix(".lock")):
        if not (made.is_file() and made.read_text() == digest):
            shutil.rmtree(PLACE, ignore_errors=True)
            venv.create(PLACE, symlinks=True)
            for package in PACKAGES:
                _copy(package, python)
            made.write_text(digest)
    return python


def _copy(package: str, python: Path) -> None:
    """Its modules with what is compiled, known by the time of its source; its commands for this interpreter."""
    base = {"base": str(PLACE), "platbase": str(PLACE)}
    modules = Path(sysconfig.get_path("purelib", vars=base))
    for file in distribution(package).files or ():
        source = Path(str(file.locate()))
        if file.parent.name == "bin":
            place = python.with_name(file.name)
            place.write_text(source.read_text().replace(sys.executable, str(python)))
            place.chmod(0o755)
        elif ".." not in file.parts:
            place = modules / file
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place)
