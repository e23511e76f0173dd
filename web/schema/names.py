"""Names as PostgreSQL writes them: quote_ident's rule, and nothing else about identifiers."""

from __future__ import annotations

import re
from functools import lru_cache

import postgast
from postgast.pg_query_pb2 import KeywordKind, Token

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*\Z", re.ASCII)
_LAST = re.compile(r'\.(?:"(?:[^"]|"")*"|[^".]+)\Z')


def _keywords() -> frozenset[str]:
    """Every keyword that is not unreserved, as the embedded scanner has them: the same whatever the server's major."""
    words = " ".join(name.removesuffix("_P").lower() for name in Token.DESCRIPTOR.values_by_name)
    return frozenset(
        words[token.start : token.end]
        for token in postgast.scan(words).tokens
        if token.keyword_kind not in (KeywordKind.NO_KEYWORD, KeywordKind.UNRESERVED_KEYWORD)
    )


_KEYWORDS = _keywords()


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
