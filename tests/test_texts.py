"""What a person is told to do can be done today: by an operation that there is, or by hand with a named tool."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import web

#: What a text may only say (first) where it also says how (second; None: not at all).
WORDS = {
    "a stamp": (r"\bstamp (the database|it|its)\b", r"`cleanstart stamp`"),
    "a restore": (r"\brestore the\b.*\bbackup\b", r"\bpg_restore\b"),
    "a page of activity": (r"\bunder Activity\b", None),
    "a consent": (r"\b[Aa]pprove the\b", None),
}


def sentences() -> Iterator[tuple[str, str]]:
    """All texts of more than a word with their places; those of docstrings too."""
    root = Path(web.__file__).parent
    for file in sorted(root.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            parts = node.values if isinstance(node, ast.JoinedStr) else [node]
            texts = [part.value for part in parts if isinstance(part, ast.Constant)]
            text = " ".join(part for part in texts if isinstance(part, str))
            if " " in text:
                yield f"{file.relative_to(root)}:{getattr(node, 'lineno', 0)}", text


@pytest.mark.parametrize("words", WORDS)
def test_nothing_is_advised_that_cannot_be_done(words: str) -> None:
    said, how = WORDS[words]
    bad = [
        f"{place}: {text}"
        for place, text in sentences()
        if re.search(said, text) and (how is None or not re.search(how, text))
    ]
    assert not bad
