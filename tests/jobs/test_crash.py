"""Workers die, freeze, and lose the store: jobs end truthfully, nothing is done twice (SAFETY.md, J1 to J5)."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text

from tests.jobs.conftest import Lab, Workers, pin, say_dead, until
from tests.jobs.program import CHANGE, CHILD, TALK
from tests.jobs.test_run import the_group
from web.errors import FencedOff, JobAlreadyRunning
from web.jobs.attempt import open_attempt
from web.jobs.cancel import cancel
from web.jobs.reading import list_workers, read_attempts, read_events, read_steps
from web.postgres.embedded import EmbeddedServer
from web.postgres.processes import members
from web.postgres.programs import Programs
from web.store.database import open_store
from web.store.upgrade import upgrade


async def test_a_killed_worker_is_reaped_by_another(lab: Lab) -> None:
    first = lab.workers.start()
    job_id = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(job_id)
    lab.workers.start()
    killed = time.monotonic()
    first.kill()
    with pytest.raises(JobAlreadyRunning):
        await lab.start(CHANGE)
    job = await lab.until_state(job_id, "not done", within=30)
    assert time.monotonic() - killed < 30
    assert (lab.executions(job_id), lab.marks(job_id), lab.sessions(job_id)) == (1, 0, 0)
    assert job.outcome is not None
    assert "The row is not done." in job.outcome["account"]
    async with lab.store.connect() as connection:
        attempts = await read_attempts(connection, job_id)
        states = [
            event.data["state"]
            for event in await read_events(connection, job_id)
            if event.kind == "state" and event.data
        ]
        steps = await read_steps(connection, job_id)
        workers = await list_workers(connection)
    assert [attempt.outcome for attempt in attempts] == ["worker died", "not done"]
    assert states == ["queued", "running", "interrupted", "not done"]
    assert [step.state for step in steps] == ["unknown", "skipped"]
    assert [worker.alive for worker in workers] == [True, False]
    again = await lab.start(CHANGE)
    await lab.until_state(again, "succeeded")

    async def queue_is_empty() -> bool:
        async with lab.store.connect() as connection:
            return not await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs"))

    await until(queue_is_empty, within=30)


async def test_a_killed_workers_program_is_gone_before_the_gate_opens(lab: Lab) -> None:
    first = lab.workers.start()
    job_id = await lab.start(CHILD)
    group = await the_group(lab, job_id)
    first.kill()
    await say_dead(lab.store)
    lab.workers.start()
    await lab.until_state(job_id, "not done", within=30)
    assert (members(group), lab.executions(job_id)) == ([], 1)


#: How often each crash is repeated; more of them in a long run.
ROUNDS = int(os.environ.get("CLEANSTART_ROUNDS", "2"))

#: Where a worker dies, whether the act was begun and committed, and how the job has to end.
POINTS = [
    ("before-intent", 0, 0, "not done"),
    ("after-intent", 0, 0, "not done"),
    ("before-receipt", 1, 1, "succeeded"),
    ("after-receipt:act", 1, 1, "succeeded"),
    ("before-status", 1, 1, "succeeded"),
    ("after-status", 1, 1, "succeeded"),
]


@pytest.mark.parametrize(("point", "begun", "committed", "state"), POINTS)
async def test_a_worker_that_dies_at_a_point(
    lab: Lab, point: str, begun: int, committed: int, state: str
) -> None:
    for _ in range(ROUNDS):
        dying = lab.workers.start(CLEANSTART_FAILPOINT=point)
        job_id = await lab.start(CHANGE)
        await asyncio.to_thread(dying.wait, 20)
        assert dying.returncode == -signal.SIGKILL
        await say_dead(lab.store)
        reaping = lab.workers.start()
        job = await lab.until_state(job_id, "succeeded", "not done", "unknown", within=30)
        assert (job.state, lab.executions(job_id), lab.marks(job_id)) == (state, begun, committed)
        reaping.kill()
        reaping.wait()


async def test_workers_killed_at_random_instants(lab: Lab) -> None:
    chance = random.Random(0)
    found = []
    for _ in range(3 * ROUNDS):
        victim = lab.workers.start()
        job_id = await lab.start(CHANGE, seconds=0.2, lines=20)
        await lab.until_state(job_id, "running", "succeeded")
        await asyncio.sleep(chance.uniform(0, 0.5))
        victim.kill()
        victim.wait()
        await say_dead(lab.store)
        reaping = lab.workers.start()
        job = await lab.until_state(job_id, "succeeded", "not done", within=30)
        assert lab.executions(job_id) <= 1
        assert lab.marks(job_id) == (job.state == "succeeded")
        found.append(job.state)
        async with lab.store.connect() as connection:
            events = await read_events(connection, job_id)
        assert [event.seq for event in events] == list(range(1, len(events) + 1))
        lines = [event.text for event in events if event.kind == "log"]
        assert lines == [f"line {number}" for number in range(len(lines))]
        reaping.kill()
        reaping.wait()
    assert found


async def test_a_frozen_worker_is_fenced_off(lab: Lab) -> None:
    frozen = lab.workers.start()
    talk = await lab.start(TALK, lines=100_000, seconds=600)
    change = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(change)
    frozen.send_signal(signal.SIGSTOP)
    await say_dead(lab.store)
    lab.workers.start()
    await lab.until_state(change, "not done", within=30)
    await lab.until_state(talk, "not done", within=30)
    before = await events_of(lab, talk)
    frozen.send_signal(signal.SIGCONT)

    async def both_live() -> bool:
        async with lab.store.connect() as connection:
            return sum(worker.alive for worker in await list_workers(connection)) == 2

    await until(both_live)
    # It goes on working: what it takes now runs to its end, what was taken from it stays as it is.
    lab.workers.processes[1].send_signal(signal.SIGTERM)
    await lab.until_state(await lab.start(CHANGE), "succeeded")
    assert await events_of(lab, talk) == before
    assert (lab.executions(change), lab.marks(change)) == (1, 0)
    assert [(await lab.job(job_id)).state for job_id in (change, talk)] == ["not done", "not done"]


async def test_a_job_whose_queue_entry_is_lost_is_ended(lab: Lab) -> None:
    job_id = await lab.start(CHANGE)
    async with lab.store.begin() as connection:
        await connection.execute(text("DELETE FROM procrastinate_jobs"))
    await say_dead(lab.store)
    lab.workers.start()
    job = await lab.until_state(job_id, "not done", within=30)
    assert job.outcome is not None
    assert "nothing was done" in job.outcome["account"]
    await lab.start(CHANGE)


async def test_an_open_attempt_is_fenced_by_a_newer_one(lab: Lab) -> None:
    job_id = await lab.start(CHANGE)
    attempt = await open_attempt(lab.store, job_id, "a")
    assert attempt is not None
    assert await open_attempt(lab.store, job_id, "b") is None
    intent = await attempt.intend("act", {"nul": "a\x00b"})
    async with lab.store.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO job_attempt (job_id, number, fence, worker, host)"
                " VALUES (:id, 2, nextval('fence'), 'b', 'h')"
            ),
            {"id": job_id},
        )
    for write in (
        attempt.receive(intent, {}),
        attempt.intend("act", {}),
        attempt.record("backends", {"pid": 1}),
    ):
        with pytest.raises(FencedOff):
            await write


async def test_a_target_that_is_away_keeps_the_gate_closed_until_given_up(lab: Lab) -> None:
    first = lab.workers.start()
    job_id = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(job_id)
    first.kill()
    await say_dead(lab.store)
    lab.workers.start(TEST_TARGET_URL="postgresql://nobody@127.0.0.1:1/nothing")

    async def waits() -> bool:
        return any("Waiting" in line for line in await events_of(lab, job_id))

    await until(waits, within=30)
    with pytest.raises(JobAlreadyRunning):
        await lab.start(CHANGE)
    async with lab.store.begin() as connection:
        await cancel(connection, job_id, requested_by="ada")
    job = await lab.until_state(job_id, "unknown")
    assert job.outcome is not None
    assert "gave it up" in job.outcome["account"]
    await lab.start(CHANGE)


async def test_the_store_may_be_restarted_in_the_middle(
    target_url: str,
    witness_url: str,
    own_server: EmbeddedServer,
    tmp_path: Path,
) -> None:
    url = own_server.url("postgres")
    await upgrade(url)
    store = open_store(url)
    workers = Workers(
        {"TEST_STORE_URL": url, "TEST_TARGET_URL": target_url, "TEST_WITNESS_URL": witness_url},
        tmp_path / "workers.log",
    )
    lab = Lab(store, target_url, witness_url, await pin(store, target_url), workers, url)
    try:
        workers.start()
        talk = await lab.start(TALK, lines=2000, seconds=8)
        change = await lab.start(CHANGE, seconds=6)
        await lab.until_acting(change)
        await lab.until_state(talk, "running")
        await own_server.stop(immediate=True)

        async def noticed() -> bool:
            return "does not answer" in workers.log.read_text()

        await until(noticed)
        await own_server.start()
        await store.dispose()
        job = await lab.until_state(change, "succeeded", "not done", "unknown", within=60)
        assert (job.state, lab.executions(change), lab.marks(change)) == ("succeeded", 1, 1)
        await lab.until_state(talk, "succeeded", within=60)
        lines = [text for text in await events_of(lab, talk) if text.startswith("line ")]
        assert lines == [f"line {number}" for number in range(1, 2001)]
        after = await lab.start(CHANGE)
        await lab.until_state(after, "succeeded", within=30)
    finally:
        workers.end()
        await store.dispose()


@pytest.fixture
async def own_server(servers_folder: Path, programs: tuple[Programs, ...]) -> AsyncIterator[EmbeddedServer]:
    """A server of this test alone, to be treated badly."""
    server = EmbeddedServer(servers_folder / "own", programs=programs, major=17)
    await server.start()
    yield server
    await server.remove()


async def events_of(lab: Lab, job_id: int) -> list[str]:
    """The texts of a job's log."""
    async with lab.store.connect() as connection:
        return [event.text for event in await read_events(connection, job_id)]
