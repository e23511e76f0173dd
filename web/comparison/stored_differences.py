"""The differences of two stored schemas: computed once for each pair, and read here by all who show them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import ColumnElement, select, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import InstrumentedAttribute

from web.comparison.alike import drift
from web.schema.difference import Difference
from web.schema.model import Schema
from web.store.tables import DriftRow

#: Fingerprints of the expected and the actual schema.
Pair = tuple[str | None, str | None]
Digest = str | None | InstrumentedAttribute[str | None]

#: For queries that read the differences beside something else: the table, and the column with its rows.
TABLE = DriftRow
ROWS = DriftRow.differences


def is_pair(expected: Digest, actual: Digest) -> ColumnElement[bool]:
    """Whether a row of the table is the one of this pair."""
    return (DriftRow.expected_fingerprint == expected) & (DriftRow.actual_fingerprint == actual)


async def compare(
    connection: AsyncConnection,
    expected_fingerprint: str,
    expected: Schema,
    actual_fingerprint: str,
    actual: Schema,
) -> tuple[Difference, ...]:
    """The drift between two stored schemas, computed once for each pair."""
    pair = is_pair(expected_fingerprint, actual_fingerprint)
    rows = await connection.scalar(select(ROWS).where(pair))
    if rows is not None:
        return as_differences(rows)
    found = drift(expected, actual)
    await store_differences(connection, expected_fingerprint, actual_fingerprint, found)
    return found


async def store_differences(
    connection: AsyncConnection,
    expected_fingerprint: str,
    actual_fingerprint: str,
    found: Sequence[Difference],
) -> None:
    """Keep what differs between two stored schemas; what is kept already stays."""
    await connection.execute(
        insert(DriftRow)
        .values(
            expected_fingerprint=expected_fingerprint,
            actual_fingerprint=actual_fingerprint,
            differences=[asdict(each) for each in found],
        )
        .on_conflict_do_nothing(index_elements=["expected_fingerprint", "actual_fingerprint"])
    )


async def read_differences(
    connection: AsyncConnection, expected: str | None, actual: str | None
) -> tuple[Difference, ...]:
    """What differs between two stored schemas; nothing where they were not compared."""
    if expected is None or actual is None:
        return ()
    rows = await connection.scalar(select(ROWS).where(is_pair(expected, actual)))
    return as_differences(rows or ())


async def read_all_differences(
    connection: AsyncConnection, pairs: Collection[Pair]
) -> Mapping[Pair, tuple[Difference, ...]]:
    """The same for many pairs, in one query."""
    query = select(DriftRow.expected_fingerprint, DriftRow.actual_fingerprint, ROWS).where(
        tuple_(DriftRow.expected_fingerprint, DriftRow.actual_fingerprint).in_(pairs)
    )
    return {
        (row.expected_fingerprint, row.actual_fingerprint): as_differences(row.differences)
        for row in await connection.execute(query)
    }


def as_differences(rows: Iterable[dict[str, Any]]) -> tuple[Difference, ...]:
    """Stored differences as values."""
    return tuple(Difference(**row) for row in rows)
