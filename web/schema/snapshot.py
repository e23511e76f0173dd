"""Read a database's Schema: a fixed number of set-based queries in one repeatable-read transaction."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Sequence
from functools import cache
from importlib.resources import files
from typing import Any

import psycopg
from psycopg import sql
from psycopg.rows import tuple_row

from web.errors import TargetUnavailable
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

_VERSIONED = re.compile(r"--(?: since (?P<since>\d+))?(?: until (?P<until>\d+))?\s*$")


class _Overtaken(Exception):
    """A definition that was gone when it was asked for: the deparsing functions see the present catalogs."""


#: What a catalog function says when DDL of another session took the object away under it.
_CONCURRENT_DDL = (
    psycopg.errors.InternalError,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedObject,
    _Overtaken,
)
#: Or it gives NULL, in the column of this number.
_DEFINITIONS = {"constraints": 5, "indexes": 4, "triggers": 3, "rules": 3, "statistics": 4, "functions": 5}
ATTEMPTS = 10


@cache
def query(name: str, server_major: int) -> bytes:
    """Give a query for a server: lines that end in `-- since N` or `-- until N` are for some majors only."""
    text = files("web.schema").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")
    lines = []
    for line in text.splitlines():
        match = _VERSIONED.search(line)
        if match is not None:
            since, until = match["since"], match["until"]
            if (since and server_major < int(since)) or (until and server_major > int(until)):
                continue
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
    unreadable: list[str] = []
    overtaken = 0
    while True:
        try:
            rows = await _read_rows(connection, unreadable, snapshot)
        except _Unreadable as refused:
            unreadable.append(refused.name)
        except _CONCURRENT_DDL as error:
            overtaken += 1
            if overtaken == ATTEMPTS:
                raise TargetUnavailable(
                    "The schema keeps changing while it is read.",
                    sqlstate=getattr(error, "sqlstate", None),
                    hint="Look again when the running migration has ended.",
                ) from error
            await asyncio.sleep(0.05 * overtaken)
        else:
            return decode(rows, server_major(connection), tuple(sorted(unreadable)), exclude_tables)


def server_major(connection: psycopg.AsyncConnection[Any]) -> int:
    """Give the server's major version."""
    return connection.info.server_version // 10000


class _Unreadable(Exception):
    """A query that the role may not run."""

    def __init__(self, name: str) -> None:
        self.name = name


async def _read_rows(
    connection: psycopg.AsyncConnection[Any], unreadable: Sequence[str], snapshot: str | None
) -> Rows:
    major = server_major(connection)
    rows: Rows = {}
    async with connection.transaction(), connection.cursor(row_factory=tuple_row, binary=True) as cursor:
        await cursor.execute("set transaction isolation level repeatable read, read only")
        if snapshot is not None:
            await cursor.execute(sql.SQL("set transaction snapshot {}").format(snapshot))
        await pin(cursor)
        for name in QUERIES:
            if name in unreadable:
                rows[name] = []
                continue
            try:
                await cursor.execute(query(name, major))
            except psycopg.errors.InsufficientPrivilege as refused:
                raise _Unreadable(name) from refused
            rows[name] = await cursor.fetchall()
            if _overtaken(name, rows[name]):
                raise _Overtaken
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
