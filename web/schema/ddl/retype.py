"""A new type in an old one's place: labels cannot be taken from an enum, nor a domain given another base."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from web.schema.ddl.references import names_column
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


def is_partitioned_by(schema: Schema, item: Enum | Domain) -> bool:
    """Tell whether a partition key has a column of this type: that keeps its type."""
    return any(
        table.partition_key is not None and names_column(table.partition_key, column.name)
        for table, column in uses(schema, item)
    )


def retype(a: Enum | Domain, b: Enum | Domain, made: list[Statement], ground: Ground) -> Iterator[Statement]:
    """Move the old type aside, make the new one (`made`), move every column over, drop the old one."""
    old = replace(a, name=ground.unused(a.schema, a.name, "_before"))
    note = None
    if (
        isinstance(a, Enum)
        and isinstance(b, Enum)
        and (gone := [each for each in b.labels if each not in a.labels])
    ):
        note = f"Fails where a row still has {', '.join(gone)}."
    yield Statement(f"ALTER {keyword(a)} {a.identity} RENAME TO {quote(old.name)}")
    yield from made
    columns = uses(ground.expected, a)
    heads = [
        f"ALTER {keyword(table)} {table.identity} ALTER COLUMN {quote(column.name)}"
        for table, column in columns
    ]
    for head, (_, column) in zip(heads, columns, strict=True):
        if column.default is not None:
            yield Statement(f"{head} DROP DEFAULT")
    for head, (table, column) in zip(heads, columns, strict=True):
        # What a table inherits changes with its parent's.
        if not any(True for _ in _inherited(table, column, ground)):
            array = "[]" * (column.type != a.identity)
            through = f"::text{array}" if isinstance(a, Enum) else ""
            using = f"USING {quote(column.name)}{through}::{column.type}"
            yield Statement(f"{head} TYPE {column.type} {using}", note=note)
    yield from _set_defaults(columns, ground)
    yield Statement(f"DROP {keyword(a)} {old.identity}")


def _set_defaults(columns: list[tuple[Table, Column]], ground: Ground) -> Iterator[Statement]:
    """Parents before their children, which get their parents' and may have others, or none."""
    for table, column in sorted(columns, key=lambda each: _depth(each[0], ground)):
        head = f"ALTER {keyword(table)} {table.identity} ALTER COLUMN {quote(column.name)}"
        if column.default is not None:
            yield Statement(f"{head} SET DEFAULT {column.default}")
        elif any(each.default is not None for each in _inherited(table, column, ground)):
            yield Statement(f"{head} DROP DEFAULT")


def _inherited(table: Table, column: Column, ground: Ground) -> Iterator[Column]:
    """Give the column as the table's parents have it."""
    for name in table.parents:
        if (parent := ground.expected_tables.get(name)) is not None:
            yield from (each for each in parent.columns if each.name == column.name)


def _depth(table: Table, ground: Ground) -> int:
    parents = (ground.expected_tables.get(name) for name in table.parents)
    return 1 + max((_depth(each, ground) for each in parents if each is not None), default=0)
