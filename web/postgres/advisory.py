"""One operation at a time on a target: a session advisory lock, held on a connection of its own.

The lock is only worth something where the session is ours alone: `connect` refuses transaction poolers.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg

from web.errors import Conflict
from web.postgres.connections import Connection

#: The two keys of the lock: "clen", "star". Advisory locks are per database, so the target is not in them.
LOCK_KEYS = (0x636C656E, 0x73746172)

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
async def target_lock(connection: Connection) -> AsyncIterator[None]:
    """Hold the lock on this connection's database for the length of a block, without waiting for it.

    Use an autocommit connection that does nothing else that waits: a lock held in a transaction hangs CREATE
    INDEX CONCURRENTLY. Raises Conflict naming the holder.
    """
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
