"""The sessions that a project's code opened: which waits for which, and ending them for good."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection

from psycopg.rows import TupleRow

from web.errors import OperationFailed
from web.postgres.connections import Connection
from web.postgres.identity import KnownDatabase
from web.tools.events import Connected

#: Sessions are gone after this many seconds, or an error says that they are not.
GONE_WITHIN = 10.0

# Returns pid and blocking pids of those of the given backends that still run; a pid that another backend has
# taken over since is told apart by its start. Any role may run it.
_STILL_THERE = """
SELECT a.pid, pg_blocking_pids(a.pid), left(a.query, 200)
FROM pg_stat_activity a
JOIN unnest(%s::int[], %s::timestamptz[]) AS ours(pid, backend_start)
  ON ours.pid = a.pid AND ours.backend_start = a.backend_start
"""


async def own_waits(database: KnownDatabase, sessions: Collection[Connected]) -> tuple[str, ...]:
    """Sentences on sessions that wait for another one of the same run: that never ends by itself."""
    async with database.connect(application_name="cleanstart/sessions") as connection:
        ours = {pid: (blockers, query) for pid, blockers, query in await _still_there(connection, sessions)}
    return tuple(
        f"Session {pid} waits for session {blocker} of the same run (“{query.strip()}”)."
        for pid, (blockers, query) in ours.items()
        for blocker in blockers
        if blocker in ours
    )


async def end_sessions(database: KnownDatabase, sessions: Collection[Connected]) -> None:
    """End the backends that are still there and see them gone; `OperationFailed` where one survives."""
    if not sessions:
        return
    deadline = time.monotonic() + GONE_WITHIN
    async with database.connect(application_name="cleanstart/sessions") as connection:
        while left := await _still_there(connection, sessions):
            pids = [row[0] for row in left]
            if time.monotonic() > deadline:
                raise OperationFailed(f"Sessions {pids} of the ended program are still there.")
            await connection.execute("SELECT pg_terminate_backend(pid) FROM unnest(%s::int[]) AS pid", [pids])
            await asyncio.sleep(0.05)


async def _still_there(connection: Connection, sessions: Collection[Connected]) -> list[TupleRow]:
    pids, starts = [one.pid for one in sessions], [one.backend_start for one in sessions]
    return await (await connection.execute(_STILL_THERE, [pids, starts])).fetchall()
