"""One change of a schema, and the differences that it makes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.schema.random_objects import quoted
from web.schema.names import qualified


@dataclass(frozen=True, slots=True)
class Change:
    """One change, and the differences that it makes as cases write them."""

    name: str
    sql: str
    expected: tuple[str, ...]


def change(name: str, sql: str, *expected: str) -> Change:
    """Make a change."""
    return Change(name, sql, expected)


def renamed(
    kind: str, schema: str, name: str, new: str, severity: str = "structure", word: str = ""
) -> Iterator[Change]:
    yield change(
        f"{kind} renamed",
        f"alter {word or kind} {quoted(schema)}.{quoted(name)} rename to {quoted(new)}",
        f"{severity} {kind} {qualified(schema, new)}: renamed from {qualified(schema, name)}",
    )
