"""Read a database's Schema: a fixed number of set-based queries in one repeatable-read transaction."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from web.errors import TargetUnavailable
from web.schema.collecting import collecting_later
from web.schema.decode import decode
from web.schema.model import Schema

#: Fixes whatever changes how the server writes names, constants and expressions, for this transaction only.
PINS = {
    "client_encoding": "UTF8",
    "search_path": "pg_catalog, pg_temp",
    "jit": "off",
    "quote_all_identifiers": "off",
    "TimeZone": "UTC",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "standard_conforming_strings": "on",
}

#: One file of queries/ each, in the order in which they are sent.
QUERIES = (
    "schemas",
    "extensions",
    "relations",
    "columns",
    "constraints",
    "indexes",
    "triggers",
    "rules",
    "policies",
    "statistics",
    "sequences",
    "types",
    "functions",
    "event_triggers",
    "publications",
    "default_privileges",
    "settings",
    "database",
    "others",
    "comments",
)

Rows = dict[str, list[tuple[Any, ...]]]
Cursor = psycopg.AsyncCursor[tuple[Any, ...]]
T = TypeVar("T")

_VERSIONED = re.compile(r"--(?: since (?P<since>\d+))?(?: until (?P<until>\d+))?\s*$")
_PARTIAL = re.compile(r"--\s*partial\s*$")


class _Overtaken(Exception):
    """A definition that was gone when it was asked for: the deparsing functions see the present catalogs."""


#: What a catalog function says when DDL of another session took the object away under it, and a standby where
#: replaying that DDL does not wait for readers.
_CONCURRENT_DDL = (
    psycopg.errors.SerializationFailure,
    psycopg.errors.InternalError,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedObject,
    _Overtaken,
)
#: Or it gives NULL, in the column of this number.
_DEFINITIONS = {"constraints": 5, "indexes": 4, "triggers": 3, "rules": 3, "statistics": 4, "functions": 5}
ATTEMPTS = 10


@cache
def query(name: str, server_major: int, *, partial: bool = False) -> bytes:
    """Give a query for a server: lines that end in `-- since N` or `-- until N` are for some majors only.

    Those that end in `-- partial` are for reading some objects only; their oids are parameters then.
    """
    text = files("web.schema").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
    lines = []
    for line in text.splitlines():
        match = _VERSIONED.search(line)
        if match is not None:
            since, until = match["since"], match["until"]
            if (since and server_major < int(since)) or (until and server_major > int(until)):
                continue
        if partial or not _PARTIAL.search(line):
            lines.append(line)
    return "\n".join(lines).encode()


async def read_schema(
    connection: psycopg.AsyncConnection[Any],
    *,
    exclude_tables: Collection[str] = (),
    snapshot: str | None = None,
) -> Schema:
    """Read everything that DESIGN.md calls a schema.

    Opens and ends its own read-only transaction; the connection must be idle. Tables in `exclude_tables`
    (bare or `schema.name`) are left out with all that belongs to them. What the role may not read is named in
    `Schema.unreadable`. Views are locked in ACCESS SHARE mode while they are deparsed: the connection's
    lock_timeout bounds the wait. Concurrent DDL is met by reading again, with TargetUnavailable where that
    does not end. `snapshot` names an exported snapshot to read in, as a dump does.
    """
    unreadable: set[str] = set()

    async def read(cursor: Cursor) -> Rows:
        return await read_rows(cursor, QUERIES, unreadable)

    rows = await in_snapshot(connection, read, unreadable, snapshot)
    return decode(rows, server_major(connection), tuple(sorted(unreadable)), exclude_tables)


def server_major(connection: psycopg.AsyncConnection[Any]) -> int:
    """Give the server's major version."""
    return connection.info.server_version // 10000


class Unreadable(Exception):
    """A query that the role may not run."""

    def __init__(self, name: str) -> None:
        self.name = name


async def in_snapshot(
    connection: psycopg.AsyncConnection[Any],
    read: Callable[[Cursor], Awaitable[T]],
    unreadable: set[str],
    snapshot: str | None = None,
) -> T:
    """Read in one transaction with PINS; again where DDL was quicker, and without what turns out unreadable."""
    overtaken = 0
    while True:
        try:
            async with (
                connection.transaction(),
                connection.cursor(row_factory=tuple_row, binary=True) as cursor,
            ):
                await cursor.execute("set transaction isolation level repeatable read, read only")
                if snapshot is not None:
                    await cursor.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
                await pin(cursor)
                return await read(cursor)
        except Unreadable as refused:
            unreadable.add(refused.name)
        except _CONCURRENT_DDL as error:
            overtaken += 1
            if overtaken == ATTEMPTS:
                raise TargetUnavailable(
                    "The schema keeps changing while it is read.",
                    sqlstate=getattr(error, "sqlstate", None),
                    hint="Look again when the running migration has ended.",
                ) from error
            await asyncio.sleep(0.05 * overtaken)


async def read_rows(
    cursor: Cursor,
    names: Iterable[str],
    unreadable: Collection[str],
    parameters: Mapping[str, str] | None = None,
) -> Rows:
    """Send queries, those for some objects where there are parameters. Raises Unreadable.

    While the rows of one become Python's the server works on the next: a name is taken when it is sent.
    """
    connection = cursor.connection
    waiting, rows = iter(names), Rows()

    async def ask(name: str) -> tuple[str, Cursor]:
        answer = connection.cursor(row_factory=tuple_row, binary=True)
        text = query(name, server_major(connection), partial=parameters is not None)
        try:
            await answer.execute(text, parameters)
        except psycopg.errors.InsufficientPrivilege as refused:
            raise Unreadable(name) from refused
        return name, answer

    def ask_next() -> asyncio.Task[tuple[str, Cursor]] | None:
        for name in waiting:
            if name not in unreadable:
                return asyncio.create_task(ask(name))
            rows[name] = []
        return None

    asked = ask_next()
    try:
        while asked is not None:
            name, answer = await asked
            asked = ask_next()
            # The next one is on its way before anything else is done.
            await asyncio.sleep(0)
            with collecting_later():
                # They have been received already: nothing else runs meanwhile.
                rows[name] = await answer.fetchall()
            if _overtaken(name, rows[name]):
                raise _Overtaken
    except asyncio.CancelledError:
        if asked is not None:
            asked.cancel()
        raise
    finally:
        if asked is not None:
            # Ended in peace: psycopg closes a connection whose transaction ends under a query.
            await asyncio.gather(asked, return_exceptions=True)
    return rows


def _overtaken(name: str, rows: list[tuple[Any, ...]]) -> bool:
    if name == "relations":
        return any(row[15] is None for row in rows if row[3] in ("v", "m"))
    place = _DEFINITIONS.get(name)
    return place is not None and any(row[place] is None for row in rows)


async def pin(cursor: psycopg.AsyncCursor[Any]) -> None:
    """Set PINS for the transaction that is open."""
    await cursor.execute(
        "select " + ", ".join(["set_config(%s, %s, true)"] * len(PINS)),
        [value for pair in PINS.items() for value in pair],
    )
