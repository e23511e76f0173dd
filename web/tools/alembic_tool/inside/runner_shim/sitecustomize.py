"""Brings the runner's hooks into a project's own command; its folder is put on PYTHONPATH for that.

Nothing else may live in this folder: it leads the import path of foreign programs. Python 3.7 syntax.
"""

import importlib.machinery
import importlib.util
import os
import sys
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))


def _load(name: str, path: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or os.curdir) != _HERE]
_own = importlib.machinery.PathFinder.find_spec("sitecustomize", sys.path)
if _own is not None and _own.origin:
    # The interpreter's own sitecustomize, which this one stands in front of.
    _load("_own_sitecustomize", _own.origin)
if "CLEANSTART_RUNNER" in os.environ:
    _load("_cleanstart_runner", os.path.join(os.path.dirname(_HERE), "alembic_runner.py")).inject()
