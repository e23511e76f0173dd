"""docs/walks.md goes through modules and functions that are there, and steps through no door twice."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TEXT = (ROOT / "docs" / "walks.md").read_text(encoding="utf-8")
#: A module, and what the page says of it: the names in backticks up to the next module.
MODULE = re.compile(r"`(web/[\w/]+\.py)`")
NAME = re.compile(r"`(\w+)`")
#: Names in backticks that are no names of the code.
WORDS = {"pg_dump"}


def steps() -> list[tuple[str, tuple[str, ...]]]:
    """Each module with the names that follow it directly."""
    found = []
    for part in re.split(r"(?=`web/[\w/]+\.py`)", TEXT)[1:]:
        module = MODULE.match(part)
        assert module is not None
        rest, names = part[module.end() :], list[str]()
        # Names belong to a module as long as nothing but "and" stands between them.
        while (following := re.match(r"\s+(?:and\s+)?`(\w+)`", rest)) is not None:
            names.append(following[1])
            rest = rest[following.end() :]
        found.append((module[1], tuple(name for name in names if name not in WORDS)))
    return found


@pytest.mark.parametrize(("module", "names"), sorted(set(steps())))
def test_every_step_is_there(module: str, names: tuple[str, ...]) -> None:
    tree = ast.parse((ROOT / module).read_text(encoding="utf-8"))
    defined = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    assert set(names) <= defined


def test_there_are_four_walks_with_steps() -> None:
    walks = [part.split("\n", 1)[0] for part in TEXT.split("\n## ")[1:]]
    assert walks == ["A reset", "A check", "A backup", "`cleanstart diff A B`"]
    assert len(steps()) > 50
