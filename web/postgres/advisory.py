"""One operation at a time on a target: a session advisory lock, held on a connection of its own.

The lock is only worth something where the session is ours alone, so a transaction pooler is refused first.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Literal

import psycopg

from web.errors import Conflict, TransactionPooled
from web.postgres.connections import Connection, connect

#: The two keys of the lock: "clen", "star". Advisory locks are per database, so the target is not in them.
LOCK_KEYS = (0x636C656E, 0x73746172)

Pooling = Literal["none", "session", "transaction"]

# One row per session that holds the lock in this database. Any role may read it, but may see less of others.
_HOLDERS = """
SELECT l.pid, a.application_name, a.usename::text, a.backend_start
  FROM pg_catalog.pg_locks l
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2
   AND l.classid = %s AND l.objid = %s
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""


@asynccontextmanager
async def target_lock(connection: Connection, url: str | None = None) -> AsyncIterator[None]:
    """Hold the lock on this connection's database for the length of a block, without waiting for it.

    Use an autocommit connection that does nothing else that waits: a lock held in a transaction hangs CREATE
    INDEX CONCURRENTLY. With the URL, a transaction pooler on the way is detected and refused. Raises Conflict
    naming the holder, TransactionPooled.
    """
    if url is not None:
        await require_direct(connection, url)
    taken = await (
        await connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s, %s)", LOCK_KEYS)
    ).fetchone()
    if taken is None or not taken[0]:
        raise Conflict(
            f"Another operation holds this database: {await lock_holder(connection) or 'it has just ended'}.",
            hint="Wait for it to end, or cancel it.",
        )
    try:
        yield
    finally:
        # A lost connection has given the lock back by itself.
        with suppress(psycopg.OperationalError):
            await connection.execute("SELECT pg_catalog.pg_advisory_unlock(%s, %s)", LOCK_KEYS)


async def lock_holder(connection: Connection) -> str | None:
    """Say who holds the lock on this connection's database, None when nobody does."""
    row = await (await connection.execute(_HOLDERS, LOCK_KEYS)).fetchone()
    if row is None:
        return None
    pid, application, user, since = row
    who = [f"user {user}"] if user else []
    when = [f"since {since:%Y-%m-%d %H:%M:%S %Z}"] if since else []
    return f"{application or 'a session'} ({', '.join([f'process {pid}', *who, *when])})"


async def detect_pooling(connection: Connection, url: str) -> Pooling:
    """Find out whether a pooler is on the way, and whether it keeps one server session per client.

    A pooler makes up the process id that it gives at sign-in, so that one differs from the server's own. It
    pools by transaction when a second client is given the very server session that the first, still
    connected, has just used. Where that cannot be seen (other clients in between) three tries must all have
    shown separate sessions.
    """
    if await _server_pid(connection) == connection.info.backend_pid:
        return "none"
    for _ in range(3):
        async with connect(url, application_name="cleanstart/pooling") as second:
            # The pooler hands out the session that was used last.
            before = await _server_pid(connection)
            if await _server_pid(second) == before or await _server_pid(connection) != before:
                return "transaction"
    return "session"


async def require_direct(connection: Connection, url: str) -> None:
    """Refuse a connection whose server session is not ours alone. Raises TransactionPooled."""
    if await detect_pooling(connection, url) == "transaction":
        raise TransactionPooled(
            "The URL leads through a pooler in transaction mode, where session locks leak to others."
        )


async def _server_pid(connection: Connection) -> int:
    row = await (await connection.execute("SELECT pg_catalog.pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])
