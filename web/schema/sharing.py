"""Reading over two connections in one snapshot, so that the server works on two processors."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from web.schema.decode import decode
from web.schema.model import Schema
from web.schema.snapshot import QUERIES, Cursor, Rows, in_snapshot, pin, read_rows, server_major

#: Those that take long come first, so that both connections end at about the same time.
LONG: Final = ("columns", "object_tokens", "indexes", "constraints", "relations")


async def read_schema_beside(
    connection: psycopg.AsyncConnection[Any],
    beside: psycopg.AsyncConnection[Any] | None,
    exclude_tables: Collection[str] = (),
) -> Schema:
    """Read a schema as read_schema does; `beside` is a second idle connection to use."""
    unreadable: set[str] = set()

    async def read(cursor: Cursor) -> Rows:
        return await read_rows_beside(cursor, beside, QUERIES, unreadable)

    rows = await in_snapshot(connection, read, unreadable)
    return decode(rows, server_major(connection), tuple(sorted(unreadable)), exclude_tables)


async def read_rows_beside(
    cursor: Cursor,
    beside: psycopg.AsyncConnection[Any] | None,
    names: Collection[str],
    unreadable: Collection[str],
) -> Rows:
    """Send queries, on both connections where there is another one that can join; errors are those of read_rows.

    The cursor is in a transaction of its own, the other connection is idle.
    """
    if beside is None or beside.closed:
        return await read_rows(cursor, names, unreadable)
    async with _joined(cursor, beside) as other:
        if other is None:
            return await read_rows(cursor, names, unreadable)
        rows: Rows = {}
        waiting = iter(sorted(names, key=lambda name: LONG.index(name) if name in LONG else len(LONG)))
        failures: list[Exception] = []

        async def read(one: Cursor) -> None:
            try:
                rows.update(await read_rows(one, waiting, unreadable))
            except Exception as failure:  # raised below, when the other connection is at rest
                failures.append(failure)
                # Nothing more for the other one.
                deque(waiting, maxlen=0)

        # Not cancelled when one fails: psycopg closes a connection whose query ends otherwise meanwhile.
        await asyncio.gather(read(cursor), read(other))
        if failures:
            raise failures[0]
        return rows


@asynccontextmanager
async def _joined(cursor: Cursor, beside: psycopg.AsyncConnection[Any]) -> AsyncIterator[Cursor | None]:
    """Have the other connection read in this transaction's snapshot; None where it is at another server."""
    await cursor.execute("select pg_export_snapshot()")
    row = await cursor.fetchone()
    assert row is not None
    async with (
        beside.transaction() as transaction,
        beside.cursor(row_factory=tuple_row, binary=True) as other,
    ):
        try:
            await other.execute("set transaction isolation level repeatable read, read only")
            await other.execute(sql.SQL("set transaction snapshot {}").format(row[0]))
            await pin(other)
        except (psycopg.errors.InvalidParameterValue, psycopg.errors.UndefinedObject):
            yield None
            raise psycopg.Rollback(transaction) from None
        yield other
