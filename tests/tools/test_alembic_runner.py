"""The runner and its shim as files that foreign interpreters read."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from web.tools import alembic_tool

TOOLS = Path(alembic_tool.__file__).parent / "inside"


@pytest.mark.parametrize(
    "name", ["alembic_runner.py", "models_runner.py", "revision_runner.py", "runner_shim/sitecustomize.py"]
)
def test_old_interpreters_can_read_it(name: str) -> None:
    text = (TOOLS / name).read_text(encoding="utf-8")
    tree = ast.parse(text, feature_version=(3, 7))
    imported = {
        alias.name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    # At the top only the standard library of every version: the rest may be shadowed or missing.
    assert imported <= {
        "argparse",
        "ast",
        "asyncio",
        "atexit",
        "gc",
        "importlib",
        "io",
        "json",
        "os",
        "re",
        "sys",
        "threading",
        "time",
        "tokenize",
        "traceback",
    }


def test_nothing_else_leads_the_import_path_of_a_projects_command() -> None:
    names = [file.name for file in (TOOLS / "runner_shim").iterdir() if file.name != "__pycache__"]
    assert names == ["sitecustomize.py"]
