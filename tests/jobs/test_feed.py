"""Following jobs live: no gap, nothing twice, whatever connections do (SAFETY.md, J8)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing

import psycopg
import pytest
from sqlalchemy import text

from tests.jobs.conftest import Lab, until
from tests.jobs.program import CHANGE, TALK
from web.jobs.attempt import Attempt, open_attempt
from web.jobs.cancel import cancel
from web.jobs.conclusion import Ending, finish
from web.jobs.events import Event, announce_change
from web.jobs.feed import Feed
from web.jobs.progress import Progress


@pytest.fixture
async def feed(lab: Lab) -> AsyncIterator[Feed]:
    """A feed that listens."""
    async with Feed(lab.store) as feed:
        await feed.wait_until_listening()
        yield feed


async def speaking(lab: Lab) -> tuple[Attempt, Progress]:
    """A job that this test speaks for."""
    job_id = await lab.start(TALK)
    attempt = await open_attempt(lab.store, job_id, "test")
    assert attempt is not None
    return attempt, Progress(attempt, {})


async def end(attempt: Attempt, progress: Progress) -> None:
    """End such a job."""
    await progress.close()
    await finish(attempt, Ending("succeeded", "Done"))


async def test_readers_that_reconnect_miss_nothing_and_get_nothing_twice(lab: Lab, feed: Feed) -> None:
    attempt, progress = await speaking(lab)
    total = 10_000
    cut = 0

    async def read(seed: int) -> list[int]:
        nonlocal cut
        chance = random.Random(seed)
        got: list[int] = []
        while True:
            left = chance.randint(1, 2000)
            async with aclosing(feed.follow(attempt.job_id, after=got[-1] if got else 0)) as events:
                async for event in events:
                    got.append(event.seq)
                    if event.data is not None and event.data.get("state") == "succeeded":
                        return got
                    left -= 1
                    if left == 0:
                        cut += 1
                        break

    readers = [asyncio.create_task(read(seed)) for seed in range(6)]
    for number in range(total):
        await progress.log(f"line {number}")
        if number in {2000, 5000}:
            await hang_up(lab)
    await end(attempt, progress)
    for got in await asyncio.gather(*readers):
        assert got == list(range(1, total + 4))
    assert cut >= 30
    assert feed.followers == 0


async def test_a_slow_reader_reads_from_the_store(lab: Lab, feed: Feed) -> None:
    attempt, progress = await speaking(lab)
    got: list[int] = []
    async with aclosing(feed.follow(attempt.job_id)) as events:
        got.append((await anext(events)).seq)
        for number in range(5000):
            await progress.log(f"line {number}")
        await end(attempt, progress)
        got += [event.seq async for event in events]
    assert got == list(range(1, 5004))


async def test_an_event_is_rendered_once_for_all_readers(lab: Lab, feed: Feed) -> None:
    attempt, progress = await speaking(lab)
    rendered: list[int] = []

    def render(event: Event) -> str:
        rendered.append(event.seq)
        return f"<li>{event.text}"

    async def read() -> list[str]:
        return [line async for line in feed.follow_rendered(attempt.job_id, after=2, render=render)]

    readers = [asyncio.create_task(read()) for _ in range(20)]

    async def all_follow() -> bool:
        return feed.followers == 20

    await until(all_follow)
    for number in range(50):
        await progress.log(f"line {number}")
    await end(attempt, progress)
    for got in await asyncio.gather(*readers):
        assert got == [*(f"<li>line {number}" for number in range(50)), "<li>Done"]
    assert rendered == list(range(3, 54))


async def test_a_finished_job_is_read_to_its_end(lab: Lab, feed: Feed) -> None:
    attempt, progress = await speaking(lab)
    await end(attempt, progress)
    assert [event.seq async for event in feed.follow(attempt.job_id)] == [1, 2, 3]
    assert [event.seq async for event in feed.follow(attempt.job_id, after=3)] == []
    assert [event.seq async for event in feed.follow(attempt.job_id, after=99)] == []
    assert [event.seq async for event in feed.follow(12345)] == []


async def test_streams_end_when_the_server_stops(lab: Lab, feed: Feed) -> None:
    job_id = await lab.start(TALK)

    async def read() -> list[int]:
        return [event.seq async for event in feed.follow(job_id)]

    async def watch() -> int:
        return len([changed async for changed in feed.changes()])

    readers = [asyncio.create_task(read()) for _ in range(5)]
    watcher = asyncio.create_task(watch())

    async def all_follow() -> bool:
        return feed.followers == 6

    await until(all_follow)
    feed.end_streams()
    async with asyncio.timeout(5):
        for got in await asyncio.gather(*readers):
            assert got in ([1], [])
        await watcher


async def test_changes_are_told_and_survive_a_lost_connection(lab: Lab, feed: Feed) -> None:
    async with aclosing(feed.changes()) as changes, asyncio.timeout(20):
        waiting = asyncio.ensure_future(anext(changes))
        await asyncio.sleep(0)
        async with lab.store.begin() as connection:
            environment = await connection.scalar(text("SELECT id FROM environment"))
            assert environment is not None
            await announce_change(connection, environment)
        assert await waiting == frozenset({environment})
        waiting = asyncio.ensure_future(anext(changes))
        await hang_up(lab)
        assert await waiting is None  # anything may have happened meanwhile
        waiting = asyncio.ensure_future(anext(changes))
        job_id = await lab.start(CHANGE)
        assert await waiting == frozenset({environment})
        waiting = asyncio.ensure_future(anext(changes))
        async with lab.store.begin() as connection:
            await cancel(connection, job_id, requested_by="ada")
        assert await waiting == frozenset({environment})


async def hang_up(lab: Lab) -> None:
    """Terminate the feed's listening connection."""
    with psycopg.connect(lab.store_as_superuser, autocommit=True) as connection:
        done = connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND query LIKE 'LISTEN cleanstart%'"
        ).fetchall()
    assert done
