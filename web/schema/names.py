"""Names as PostgreSQL writes them: quote_ident's rule, and nothing else about identifiers."""

from __future__ import annotations

import re
from functools import lru_cache

from pglast.keywords import COL_NAME_KEYWORDS, RESERVED_KEYWORDS, TYPE_FUNC_NAME_KEYWORDS

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z", re.ASCII)
_LAST = re.compile(r'\.(?:"(?:[^"]|"")*"|[^".]+)\Z')
_KEYWORDS = RESERVED_KEYWORDS | TYPE_FUNC_NAME_KEYWORDS | COL_NAME_KEYWORDS


@lru_cache(maxsize=65536)
def quote(name: str) -> str:
    """Quote a name only where it needs it, like quote_ident (every keyword that is not unreserved does)."""
    if _PLAIN.match(name) and name not in _KEYWORDS:
        return name
    return '"' + name.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Write `schema.name`, each part quoted where it needs it."""
    return f"{quote(schema)}.{quote(name)}"


def holder_of(identity: str) -> str:
    """Give `schema.table` of `schema.table.column`: what comes before the last part."""
    last = _LAST.search(identity)
    return identity[: last.start()] if last is not None else identity
