"""Counting, in a job, the rows that refuse a repair."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from web.jobs.work import Work
from web.remedies.counting import COUNTING, Counted, count
from web.schema.demands.demand import Demand


async def count_rows(work: Work[Any], demands: Sequence[Demand], seconds: int) -> tuple[Counted, ...]:
    """Count on the target, from a session of its own that only reads, and log what is found."""
    if not demands:
        return ()
    async with work.target(
        lock=False, read_only=True, lock_timeout="2s", statement_timeout=f"{seconds}s", settings=COUNTING
    ) as connection:
        found = await count(connection, demands, seconds)
    for each in found:
        if each.refused or each.count is None:
            await work.progress.log(f"{each.words}.", level="warning")
            if each.demand.query is not None:
                await work.progress.log(each.demand.query, level="warning", data={"sql": True})
    return found
