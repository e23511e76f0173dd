"""SQL, Python and words between backticks as marked-up code.

Everything that comes in is escaped; only our own tags come out.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

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
