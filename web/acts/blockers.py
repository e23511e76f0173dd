"""Says, while a job works, who holds the locks that it waits for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from web.jobs.work import Work
from web.postgres.connections import Connection

#: How often it is looked, in seconds.
ASK_EVERY = 1.0

# Who blocks the given backends: process id, role, application, state, statement, age of its transaction.
# Any role may read it, but may see less of others' sessions. PostgreSQL 9.6 and later.
_BLOCKERS = """
SELECT DISTINCT b.pid, b.usename::text, b.application_name, b.state, left(b.query, 200),
       extract(epoch FROM pg_catalog.clock_timestamp() - b.xact_start)::int
  FROM pg_catalog.pg_stat_activity w
 CROSS JOIN LATERAL unnest(pg_catalog.pg_blocking_pids(w.pid)) AS blocker (pid)
  JOIN pg_catalog.pg_stat_activity b ON b.pid = blocker.pid
 WHERE w.pid = ANY (%s) AND w.wait_event_type = 'Lock'
 ORDER BY 1
"""


@asynccontextmanager
async def blockers_told(work: Work[Any], pids: Sequence[int]) -> AsyncIterator[None]:
    """Log who blocks these backends while the block runs; `pids` may grow meanwhile.

    It looks from a session of its own, because those that wait can say nothing.
    """
    async with work.target(lock=False, read_only=True) as connection:
        watching = asyncio.create_task(_watch(work, connection, pids))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.wait([watching])


async def _watch(work: Work[Any], connection: Connection, pids: Sequence[int]) -> None:
    told: list[int] = []
    while True:
        await asyncio.sleep(ASK_EVERY)
        if not pids:
            continue
        rows = await (await connection.execute(_BLOCKERS, [list(pids)])).fetchall()
        blockers = [
            {
                "pid": pid,
                "user": user,
                "application": application,
                "state": state,
                "query": query,
                "seconds": seconds,
            }
            for pid, user, application, state, query, seconds in rows
        ]
        found = [row[0] for row in rows]
        if found and found != told:
            await work.progress.log(
                f"Waiting for a lock that is held by {'; '.join(_described(each) for each in blockers)}",
                level="warning",
                data={"blockers": blockers},
            )
        told = found


def _described(blocker: Mapping[str, Any]) -> str:
    query = f", “{' '.join(blocker['query'].split())}”" if blocker["query"] else ""
    age = f", for {blocker['seconds']} s" if blocker["seconds"] is not None else ""
    who, state = blocker["user"] or "role not visible", blocker["state"] or "state not visible"
    return f"pid {blocker['pid']} ({who}, {state}{age}{query})"
