"""A job's stream: what came since the last time, in the parts that its page was made of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from functools import partial
from typing import cast

from web.access.permissions import Principal
from web.dashboard import Dashboard
from web.jobs.events import Event
from web.jobs.patience import patiently
from web.jobs.reading import JobRecord, read_job
from web.pages.job_parts import log_lines, log_swap, read_live_parts
from web.pages.parts import rail_parts, render
from web.pages.shell import seen_by
from web.pages.streams import Message

#: Events that one message holds at most.
BATCH = 200


async def job_messages(board: Dashboard, who: Principal, job_id: int, after: int) -> AsyncGenerator[Message]:
    """What a job's stream sends: all that came since the last time, in one message; at the end the outcome.

    Last come the navigation's marks as `who` sees them, which the job's page has no other stream for.
    """
    events = board.feed.follow(job_id, after=after)
    upcoming: asyncio.Task[Event | None] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(_next(events))
            first = await upcoming
            upcoming = None
            if first is None:
                # Nothing more comes: the server stops, or the reader lost only the word that the job has ended.
                job = await patiently(partial(_read_job, board, job_id))
                if job.finished:
                    yield await _navigation(board, who, job.project)
                    yield Message("", event="job-end")
                return
            batch = [first]
            while len(batch) < BATCH:
                upcoming = asyncio.ensure_future(_next(events))
                # What is in memory already comes at once; what is not is waited for in the next round.
                await asyncio.sleep(0)
                if not upcoming.done() or upcoming.result() is None:
                    break
                batch.append(cast(Event, upcoming.result()))
                upcoming = None
            html, ended = await _render(board, job_id, batch)
            yield Message(html, id=batch[-1].seq)
            if ended is not None:
                yield await _navigation(board, who, ended.project)
                yield Message("", event="job-end")
                return
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
        await events.aclose()


async def _navigation(board: Dashboard, who: Principal, project: str) -> Message:
    read = await patiently(board.overviews.fresh_for_streams)
    return Message("".join(map(render, rail_parts(seen_by(who, read.overview), project))))


async def _next(events: AsyncGenerator[Event]) -> Event | None:
    return await anext(events, None)


async def _render(board: Dashboard, job_id: int, batch: Sequence[Event]) -> tuple[str, JobRecord | None]:
    """The batch as it is sent, made once for all readers that have the same one; and the job once it has ended."""
    key = (job_id, batch[0].seq, batch[-1].seq)
    return await board.shared.once(key, lambda: _render_anew(board, job_id, batch))


async def _render_anew(board: Dashboard, job_id: int, batch: Sequence[Event]) -> tuple[str, JobRecord | None]:
    lines = log_lines(batch)
    if all(event.kind == "log" for event in batch):
        return log_swap(lines), None
    parts = await patiently(partial(read_live_parts, board, job_id))
    finished = parts.job.finished and batch[-1].seq >= parts.job.last_seq
    return parts.swaps(lines), parts.job if finished else None


async def _read_job(board: Dashboard, job_id: int) -> JobRecord:
    async with board.store.connect() as store:
        return await read_job(store, job_id)
