"""C#: calls that migrate a database. Comments and texts are blanked out first; nothing is compiled."""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Comments, and texts of all forms: raw, verbatim, usual, and single characters.
_ASIDE = re.compile(
    r'//[^\n]*|/\*.*?(?:\*/|\Z)|"""+.*?(?:"""+|\Z)|[$]{0,3}@[$]{0,3}"(?:[^"]|"")*"?|"(?:[^"\\\n]|\\.)*"?|\'(?:[^\'\\\n]|\\.)+\'',
    re.DOTALL,
)
_CALL = re.compile(
    r"(?:\.\s*Database\s*\.\s*(?P<database>Migrate|MigrateAsync|EnsureCreated|EnsureCreatedAsync)"
    r"|(?P<before>[\w>\])?]\s+)?(?P<applies>(?:\b\w{1,100}\s*\.\s*)?ApplyMigrations(?:Async)?))\s*\("
)
_WHAT = {
    "Migrate": "Database.Migrate()",
    "MigrateAsync": "Database.MigrateAsync()",
    "EnsureCreated": "EnsureCreated",
    "EnsureCreatedAsync": "EnsureCreated",
}
#: Words before a call, unlike those before a method that is being declared.
_NOT_A_TYPE = ("await", "return", "else", "do", "yield", "=>", "in")


def is_migration(text: str) -> bool:
    """Whether it is a migration itself, or the model's snapshot beside it."""
    return re.search(r":\s*(?:Migration|ModelSnapshot)\b", text) is not None


def migrating_calls(text: str) -> Iterator[tuple[int, str]]:
    """Each line with what it calls."""
    code = _ASIDE.sub(lambda aside: re.sub(r"[^\n]", " ", aside[0]), text)
    line, counted = 1, 0
    for found in _CALL.finditer(code):
        name = found["database"]
        if name is None and _is_declared(code, found):
            continue
        place = found.start("database") if name else found.start("applies")
        line, counted = line + code.count("\n", counted, place), place
        yield line, _WHAT[name] if name else "ApplyMigrations()"


def _is_declared(code: str, found: re.Match[str]) -> bool:
    """Whether a type stands before the name: then it is no call."""
    if "." in found["applies"] or found["before"] is None:
        return False
    start = found.start("applies")
    word = code[max(0, start - 200) : start].rstrip().rpartition("\n")[2].split()
    return bool(word) and word[-1] not in _NOT_A_TYPE and not word[-1].endswith((";", "{", "}", ")"))
