"""Indexes that are not valid: what a broken-off CREATE INDEX CONCURRENTLY leaves, and pg_dump leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, TypeVar

import psycopg

from web.schema.model import Index, MaterializedView, Schema, Table
from web.schema.names import qualified

_Indexed = TypeVar("_Indexed", Table, MaterializedView)


def with_invalid_indexes(copy: Schema, actual: Schema) -> Schema:
    """Give a copy's schema with the invalid indexes that it lacks, valid for the moment: an index is made so."""
    return replace(
        copy,
        tables=tuple(_with(each, actual.tables) for each in copy.tables),
        materialized_views=tuple(_with(each, actual.materialized_views) for each in copy.materialized_views),
    )


async def invalidate(connection: psycopg.AsyncConnection[Any], actual: Schema) -> None:
    """Make the indexes of a copy invalid that are so in `actual`; the role is a superuser."""
    for name in _invalid(actual):
        await connection.execute(
            "UPDATE pg_catalog.pg_index SET indisvalid = false"
            " WHERE indisvalid AND indexrelid = pg_catalog.to_regclass(%s)",
            [name],
        )


def _with(there: _Indexed, actual: tuple[_Indexed, ...]) -> _Indexed:
    other = next((each for each in actual if each.identity == there.identity), None)
    if other is None or all(each.valid for each in other.indexes):
        return there
    known = {each.name for each in there.indexes}
    indexes: list[Index] = [*there.indexes]
    indexes += [
        replace(each, valid=True) for each in other.indexes if not each.valid and each.name not in known
    ]
    return replace(there, indexes=tuple(sorted(indexes, key=lambda each: each.name)))


def _invalid(schema: Schema) -> Iterator[str]:
    for table in schema.tables:
        yield from (qualified(table.schema, each.name) for each in table.indexes if not each.valid)
    for stored in schema.materialized_views:
        yield from (qualified(stored.schema, each.name) for each in stored.indexes if not each.valid)
