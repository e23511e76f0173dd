"""SQL, Python, differences and words between backticks as marked-up code.

Everything that comes in is escaped; only our own tags come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Literal

from markupsafe import Markup, escape
from pygments.lexer import Lexer
from pygments.lexers.python import PythonLexer
from pygments.lexers.sql import PostgresLexer
from pygments.token import Comment, Keyword, Number, String, _TokenType

#: Longer statements are shown without colours: the lexer needs about a second for each megabyte.
COLOURED_CHARACTERS = 40_000

_CLASSES = ((Keyword, "k"), (String, "s"), (Number, "n"), (Comment, "c"))
_LEXER = PostgresLexer(stripnl=False, ensurenl=False)
_PYTHON = PythonLexer(stripnl=False, ensurenl=False)


def prose(text: str) -> Markup:
    """A sentence in which what stands between backticks is code."""
    parts = re.split(r"`([^`]+)`", text)
    marked = (
        Markup("<code>{}</code>").format(part) if odd % 2 else escape(part) for odd, part in enumerate(parts)
    )
    return Markup("").join(marked)


@lru_cache(maxsize=2048)
def sql(text: str) -> Markup:
    """Colour one statement: `.k` keyword, `.s` string, `.n` number, `.c` comment."""
    if len(text) > COLOURED_CHARACTERS:
        return escape(text)
    return Markup("").join(_coloured(text, _LEXER))


@lru_cache(maxsize=256)
def python(text: str) -> Markup:
    """Colour a migration file with the same classes."""
    if len(text) > COLOURED_CHARACTERS:
        return escape(text)
    return Markup("").join(_coloured(text, _PYTHON))


def _coloured(text: str, lexer: Lexer) -> Iterator[Markup]:
    for kind, part in lexer.get_tokens(text):
        name = _class_of(kind)
        yield Markup('<span class="{}">{}</span>').format(name, part) if name else escape(part)


def _class_of(kind: _TokenType) -> str:
    return next((name for family, name in _CLASSES if family in kind.split()), "")


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one side; `gap` stands where only the other side has a line."""

    kind: Literal["same", "removed", "added", "gap"]
    text: str


@lru_cache(maxsize=1024)
def side_by_side(expected: str | None, actual: str | None) -> tuple[tuple[Line, ...], tuple[Line, ...]]:
    """Both sides, line by line, padded to one height. None: that side has no such object."""
    left = expected.splitlines() if expected is not None else []
    right = actual.splitlines() if actual is not None else []
    shown_left: list[Line] = []
    shown_right: list[Line] = []
    for tag, a, b, c, d in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if tag == "equal":
            shown_left += [Line("same", text) for text in left[a:b]]
            shown_right += [Line("same", text) for text in right[c:d]]
            continue
        shown_left += [Line("removed", text) for text in left[a:b]]
        shown_right += [Line("added", text) for text in right[c:d]]
        missing = len(shown_left) - len(shown_right)
        shown_right += [Line("gap", "")] * missing
        shown_left += [Line("gap", "")] * -missing
    return tuple(shown_left), tuple(shown_right)
