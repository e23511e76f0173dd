"""The words that a difference's kind can be; which of them an object has is said in compare.py."""

from __future__ import annotations

from collections.abc import Iterator

from web.schema.model import OtherObject, Schema, shape_of

#: The forms that queries/others.sql gives.
_OTHER = {
    "cast",
    "operator",
    "operator class",
    "collation",
    "text search configuration",
    "text search dictionary",
    "foreign data wrapper",
    "server",
    "user mapping",
    "language",
}


def _kinds_in(cls: type) -> Iterator[str]:
    for _, child in shape_of(cls).children:
        if child is not OtherObject:
            yield child.kind
        yield from _kinds_in(child)


#: A function's form is its kind where it is a procedure or an aggregate.
KINDS = frozenset({*_kinds_in(Schema), *_OTHER, "procedure", "aggregate"})
