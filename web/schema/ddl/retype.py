"""A new type in an old one's place: labels cannot be taken from an enum, nor a domain given another base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from web.schema.ddl.statement import Ground, Statement, keyword
from web.schema.model import Column, Domain, Enum, Schema, Table
from web.schema.names import quote


def uses(schema: Schema, item: Enum | Domain) -> list[tuple[Table, Column]]:
    """List the columns of tables that are of this type, or of arrays of it."""
    return [
        (table, column)
        for table in schema.tables
        for column in table.columns
        if column.type.removesuffix("[]") == item.identity
    ]


def retype(a: Enum | Domain, b: Enum | Domain, made: list[Statement], ground: Ground) -> Iterator[Statement]:
    """Move the old type aside, make the new one (`made`), move every column over, drop the old one."""
    old = replace(a, name=f"{a.name[:50]}_before")
    note = None
    if (
        isinstance(a, Enum)
        and isinstance(b, Enum)
        and (gone := [each for each in b.labels if each not in a.labels])
    ):
        note = f"Fails where a row still has {', '.join(gone)}."
    yield Statement(f"ALTER {keyword(a)} {a.identity} RENAME TO {quote(old.name)}")
    yield from made
    for table, column in uses(ground.expected, a):
        if table.parents and table.partition_bound is not None:
            continue
        array = "[]" * (column.type != a.identity)
        head = f"ALTER {keyword(table)} {table.identity} ALTER COLUMN {quote(column.name)}"
        through = f"::text{array}" if isinstance(a, Enum) else ""
        if column.default is not None:
            yield Statement(f"{head} DROP DEFAULT")
        yield Statement(
            f"{head} TYPE {column.type} USING {quote(column.name)}{through}::{column.type}", note=note
        )
        if column.default is not None:
            yield Statement(f"{head} SET DEFAULT {column.default}")
    yield Statement(f"DROP {keyword(a)} {old.identity}")
