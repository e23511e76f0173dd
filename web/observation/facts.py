"""The volatile facts of a database: version, uptime, size, sessions, tables, extensions.

Four set-based queries, whatever the number of tables. What the role may not see is named in `missing`,
never guessed. The shape of `environment_state.facts` is owned here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

_KINDS: Final[Mapping[str, str]] = {
    "r": "table",
    "p": "partitioned table",
    "m": "materialized view",
    "f": "foreign table",
}


@dataclass(frozen=True, slots=True)
class Table:
    """One table as the server's own bookkeeping describes it; rows are an estimate."""

    schema: str
    name: str
    kind: str
    #: None: never analyzed.
    rows: int | None
    #: With indexes and TOAST.
    size: int | None
    index_size: int | None
    dead_rows: int | None
    last_vacuum: datetime | None
    last_analyze: datetime | None


@dataclass(frozen=True, slots=True)
class Extension:
    """An installed extension."""

    name: str
    version: str
    schema: str


@dataclass(frozen=True, slots=True)
class Sessions:
    """Client sessions of the database, ours left out."""

    by_state: Mapping[str, int] = field(default_factory=dict)
    #: Sessions whose state this role may not see.
    hidden: int = 0
    limit: int | None = None

    @property
    def total(self) -> int:
        return sum(self.by_state.values()) + self.hidden


@dataclass(frozen=True, slots=True)
class Facts:
    """What was seen besides revisions and schema, at `at`."""

    at: datetime
    version: str | None = None
    started_at: datetime | None = None
    size: int | None = None
    in_recovery: bool | None = None
    encoding: str | None = None
    collation: str | None = None
    owner: str | None = None
    #: The server's newest commit, where it keeps commit times.
    last_write: datetime | None = None
    sessions: Sessions = field(default_factory=Sessions)
    #: Largest first.
    tables: tuple[Table, ...] = ()
    #: Tables are looked at less often than the rest.
    tables_at: datetime | None = None
    #: False: sizes are added up from page counts, because some table was locked or the server was slow.
    sizes_exact: bool = True
    #: When the schema was last read whole; `observe` sets it.
    schema_at: datetime | None = None
    extensions: tuple[Extension, ...] = ()
    #: What could not be seen and why, in words.
    missing: tuple[str, ...] = ()

    @property
    def stored(self) -> tuple[Table, ...]:
        """The tables that hold data of their own; a materialized view holds a copy, and is counted apart."""
        return tuple(table for table in self.tables if table.kind != "materialized view")

    @property
    def rows(self) -> int:
        """Estimated rows of all tables."""
        return sum(table.rows or 0 for table in self.stored)

    def to_json(self) -> dict[str, Any]:
        """The stored shape; tables are arrays, because there may be thousands."""
        return {
            "at": self.at.isoformat(),
            "version": self.version,
            "started_at": _iso(self.started_at),
            "size": self.size,
            "in_recovery": self.in_recovery,
            "encoding": self.encoding,
            "collation": self.collation,
            "owner": self.owner,
            "last_write": _iso(self.last_write),
            "sessions": {
                "by_state": dict(self.sessions.by_state),
                "hidden": self.sessions.hidden,
                "limit": self.sessions.limit,
            },
            "tables": [
                [
                    table.schema,
                    table.name,
                    table.kind,
                    table.rows,
                    table.size,
                    table.index_size,
                    table.dead_rows,
                    _iso(table.last_vacuum),
                    _iso(table.last_analyze),
                ]
                for table in self.tables
            ],
            "tables_at": _iso(self.tables_at),
            "sizes_exact": self.sizes_exact,
            "schema_at": _iso(self.schema_at),
            "extensions": [[each.name, each.version, each.schema] for each in self.extensions],
            "missing": list(self.missing),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Facts | None:
        """Read the stored shape back; None where nothing has been stored yet."""
        if not value:
            return None
        sessions = value["sessions"]
        return Facts(
            at=datetime.fromisoformat(value["at"]),
            version=value["version"],
            started_at=_time(value["started_at"]),
            size=value["size"],
            in_recovery=value["in_recovery"],
            encoding=value["encoding"],
            collation=value["collation"],
            owner=value["owner"],
            last_write=_time(value["last_write"]),
            sessions=Sessions(sessions["by_state"], sessions["hidden"], sessions["limit"]),
            tables=tuple(_table(*row) for row in value["tables"]),
            tables_at=_time(value["tables_at"]),
            sizes_exact=value["sizes_exact"],
            schema_at=_time(value["schema_at"]),
            extensions=tuple(Extension(*row) for row in value["extensions"]),
            missing=tuple(value["missing"]),
        )


async def read_facts(connection: psycopg.AsyncConnection[Any], *, earlier: Facts | None = None) -> Facts:
    """Read the facts on an autocommit connection. With `earlier`, its tables are kept and not read again.

    Sizes are asked of the file system under a short lock_timeout: a table that somebody holds in
    ACCESS EXCLUSIVE must not make the look wait, so they fall back to page counts.
    """
    missing: list[str] = []
    server = await _rows(connection, "server", "server and size", missing)
    states = await _rows(connection, "sessions", "sessions", missing)
    extensions = await _rows(connection, "extensions", "extensions", missing)
    now = datetime.now(UTC)
    if earlier is None:
        tables, exact = await _read_tables(connection, missing)
        tables_at = now
    else:
        tables, exact, tables_at = earlier.tables, earlier.sizes_exact, earlier.tables_at or now
        missing.extend(what for what in earlier.missing if what.startswith("tables"))
    one: Mapping[str, Any] = server[0] if server else {}
    hidden = sum(row["sessions"] for row in states if row["state"] is None)
    if hidden:
        missing.append(f"the state of {hidden} sessions (needs pg_read_all_stats)")
    if one and not one["commit_times_kept"]:
        missing.append("the time of the last write (the server keeps no commit times)")
    return Facts(
        at=now,
        version=one.get("version"),
        started_at=one.get("started_at"),
        size=one.get("size"),
        in_recovery=one.get("in_recovery"),
        encoding=one.get("encoding"),
        collation=one.get("collation"),
        owner=one.get("owner"),
        last_write=one.get("last_commit"),
        sessions=Sessions(
            {row["state"]: row["sessions"] for row in states if row["state"] is not None},
            hidden,
            one.get("session_limit"),
        ),
        tables=tables,
        tables_at=tables_at,
        sizes_exact=exact,
        extensions=tuple(Extension(row["name"], row["version"], row["schema"]) for row in extensions),
        missing=tuple(missing),
    )


async def _read_tables(
    connection: psycopg.AsyncConnection[Any], missing: list[str]
) -> tuple[tuple[Table, ...], bool]:
    try:
        async with connection.transaction():
            await connection.execute("SET LOCAL lock_timeout = '100ms'")
            await connection.execute("SET LOCAL statement_timeout = '5s'")
            rows = await _query(connection, "tables", {"exact": True})
            return _tables(rows), True
    except (psycopg.errors.LockNotAvailable, psycopg.errors.QueryCanceled):
        pass
    rows = await _rows(connection, "tables", "tables", missing, {"exact": False})
    return _tables(rows), False


def _table(
    schema: str,
    name: str,
    kind: str,
    rows: int | None,
    size: int | None,
    index_size: int | None,
    dead_rows: int | None,
    last_vacuum: str | None,
    last_analyze: str | None,
) -> Table:
    """A table from its stored array."""
    times = _time(last_vacuum), _time(last_analyze)
    return Table(schema, name, kind, rows, size, index_size, dead_rows, *times)


def _tables(rows: Sequence[Mapping[str, Any]]) -> tuple[Table, ...]:
    return tuple(
        Table(
            row["schema"],
            row["name"],
            _KINDS[row["kind"]],
            row["rows"],
            row["size"],
            row["index_size"],
            row["dead_rows"],
            row["last_vacuum"],
            row["last_analyze"],
        )
        for row in rows
    )


async def _rows(
    connection: psycopg.AsyncConnection[Any],
    query: str,
    what: str,
    missing: list[str],
    parameters: Mapping[str, object] | None = None,
) -> list[dict[str, Any]]:
    """The query's rows; where the role lacks a privilege or the server is slow, none and a word about it."""
    try:
        return await _query(connection, query, parameters)
    except psycopg.errors.InsufficientPrivilege:
        missing.append(f"{what} (a privilege is missing)")
    except psycopg.errors.QueryCanceled:
        missing.append(f"{what} (the server took too long)")
    return []


async def _query(
    connection: psycopg.AsyncConnection[Any], query: str, parameters: Mapping[str, object] | None = None
) -> list[dict[str, Any]]:
    text = files("web.observation").joinpath("queries", f"{query}.sql").read_bytes()
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(text, parameters)
        return await cursor.fetchall()


def _iso(time: datetime | None) -> str | None:
    return time.isoformat() if time else None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
