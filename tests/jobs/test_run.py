"""A worker runs jobs: to their end, to an error, to a cancellation; the final state is the true one."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import replace

import psutil
import psycopg
from sqlalchemy import insert, text

from tests.jobs.conftest import Lab, until
from tests.jobs.program import CHANGE, CHILD, ENVIRONMENT, LOOK, TALK
from web.cli import supervisor
from web.jobs.cancel import cancel
from web.jobs.job import BY_SCHEDULE
from web.jobs.reading import list_jobs, live_workers, read_attempts, read_events, read_intents, read_steps
from web.jobs.worker import ENDING, GRACE
from web.postgres.processes import members
from web.store.tables import EnvironmentRow


async def test_a_job_runs_to_its_end(lab: Lab) -> None:
    lab.workers.start()
    job_id = await lab.start(CHANGE, lines=5)
    job = await lab.until_state(job_id, "succeeded")
    assert job.outcome is not None
    assert job.outcome["title"] == "One row inserted"
    assert job.outcome["data"] == {"rows": 1}
    assert (lab.executions(job_id), lab.marks(job_id), lab.sessions(job_id)) == (1, 1, 0)
    async with lab.store.connect() as connection:
        events = list(await read_events(connection, job_id))
        steps = await read_steps(connection, job_id)
        intents = await read_intents(connection, job_id)
        attempts = await read_attempts(connection, job_id)
    assert [event.seq for event in events] == list(range(1, len(events) + 1))
    assert [event.text for event in events if event.kind == "log"] == [f"line {n}" for n in range(5)]
    assert [event.data["state"] for event in events if event.kind == "state" and event.data] == [
        "queued",
        "running",
        "succeeded",
    ]
    assert [(step.name, step.state) for step in steps] == [("act", "succeeded"), ("after", "skipped")]
    assert [(intent.step, intent.proof) for intent in intents] == [("act", {"rows": 1})]
    assert [(attempt.number, attempt.outcome) for attempt in attempts] == [(1, "succeeded")]

    async def queue_is_empty() -> bool:
        async with lab.store.connect() as connection:
            return not await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs"))

    await until(queue_is_empty)
    await lab.start(CHANGE)  # the gate is open again


async def test_many_lines_keep_their_order_and_the_measure_is_shown(lab: Lab) -> None:
    lab.workers.start()
    job_id = await lab.start(TALK, lines=3000)
    job = await lab.until_state(job_id, "succeeded")
    async with lab.store.connect() as connection:
        events = await read_events(connection, job_id)
    lines = [event.text for event in events if event.kind == "log"]
    assert lines == [f"line {number}" for number in range(1, 3001)]
    measures = [event.data for event in events if event.kind == "progress"]
    assert measures[-1] == {"done": 3000, "total": 3000, "unit": "lines"}
    assert len(measures) < 100
    assert (job.done, job.total, job.unit) == (3000, 3000, "lines")


async def test_a_failed_run_is_judged_by_looking(lab: Lab) -> None:
    lab.workers.start()
    job_id = await lab.start(CHANGE, fail=True)
    # It raised after its act had committed and before the receipt: the row is there, so it is done.
    job = await lab.until_state(job_id, "succeeded", "failed", "unknown")
    assert job.outcome is not None
    assert job.state == "succeeded"
    # What it said then would contradict that, so it is in the log alone.
    assert job.outcome["account"] == "The row is done."
    assert job.outcome["evidence"]["ended_with"] == "The operation failed"
    async with lab.store.connect() as connection:
        said = [event.text for event in await read_events(connection, job_id) if event.level == "warning"]
    assert said == ["After its acts it ended with an error: It was told to fail."]


async def test_a_terminated_backend_ends_in_the_true_state(lab: Lab) -> None:
    lab.workers.start()
    job_id = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(job_id)
    with psycopg.connect(lab.target_url, autocommit=True) as connection:
        connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s",
            (f"cleanstart/{job_id}/1",),
        )
    job = await lab.until_state(job_id, "failed")
    assert lab.marks(job_id) == 0
    assert job.outcome is not None
    assert "The row is not done." in job.outcome["account"]
    await lab.start(CHANGE)


async def test_an_unknown_kind_and_an_unreachable_target_end_at_once(lab: Lab) -> None:
    job_id = await lab.start(CHANGE)
    strange = await lab.start(TALK)
    async with lab.store.begin() as connection:
        await connection.execute(text("UPDATE job SET kind = 'newer' WHERE id = :id"), {"id": strange})
    lab.workers.start(TEST_TARGET_URL="postgresql://nobody@127.0.0.1:1/nothing")
    assert (await lab.until_state(strange, "not done")).outcome is not None
    job = await lab.until_state(job_id, "failed")
    assert job.outcome is not None
    assert job.outcome["error"]["type"] == "TargetUnavailable"


async def test_cancelling_ends_statement_and_session(lab: Lab) -> None:
    lab.workers.start()
    job_id = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(job_id)
    asked = time.monotonic()
    async with lab.store.begin() as connection:
        assert await cancel(connection, job_id, requested_by="bob") == "cancelling"
    job = await lab.until_state(job_id, "cancelled")
    assert time.monotonic() - asked < 10
    assert (lab.marks(job_id), lab.sessions(job_id)) == (0, 0)
    assert job.outcome is not None
    assert "bob asked for it" in job.outcome["account"]
    async with lab.store.connect() as connection:
        assert [(step.name, step.state) for step in await read_steps(connection, job_id)] == [
            ("act", "cancelled"),
            ("after", "skipped"),
        ]
    await lab.start(CHANGE)


async def test_cancelling_ends_a_stubborn_process_group(lab: Lab) -> None:
    lab.workers.start()
    job_id = await lab.start(CHILD)
    group = await the_group(lab, job_id)
    assert members(group)
    asked = time.monotonic()
    async with lab.store.begin() as connection:
        await cancel(connection, job_id, requested_by="bob")
    await lab.until_state(job_id, "cancelled")
    assert time.monotonic() - asked < 10
    assert (members(group), lab.sessions(job_id)) == ([], 0)


async def test_a_stopped_worker_ends_its_jobs_truthfully(lab: Lab) -> None:
    worker = lab.workers.start(TEST_GRACE="0.2")
    job_id = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(job_id)
    worker.send_signal(signal.SIGTERM)
    job = await lab.until_state(job_id, "cancelled")
    assert job.outcome is not None
    assert "worker is stopping" in job.outcome["account"]
    await asyncio.to_thread(worker.wait, 10)
    assert worker.returncode == 0
    async with lab.store.connect() as connection:
        assert await live_workers(connection) == 0


async def test_a_stopped_worker_lets_short_jobs_finish(lab: Lab) -> None:
    worker = lab.workers.start(TEST_GRACE="10")
    job_id = await lab.start(CHANGE, seconds=1)
    await lab.until_acting(job_id)
    worker.send_signal(signal.SIGTERM)
    await lab.until_state(job_id, "succeeded")
    await asyncio.to_thread(worker.wait, 10)


async def test_a_stopped_worker_does_not_wait_for_looks_of_the_schedule(lab: Lab) -> None:
    worker = lab.workers.start(TEST_GRACE="60")
    job_id = await lab.start(TALK, by=BY_SCHEDULE, lines=1, seconds=600)
    await lab.until_state(job_id, "running")
    worker.send_signal(signal.SIGTERM)
    await lab.until_state(job_id, "cancelled")
    await asyncio.to_thread(worker.wait, 20)


def test_a_supervisor_waits_longer_than_a_worker_needs() -> None:
    """Killed before, it could not write down how its jobs ended."""
    assert supervisor.GRACE > GRACE + ENDING + 5


async def test_looking_goes_on_while_changes_fill_their_places(lab: Lab) -> None:
    lab.workers.start()
    talks = [await lab.start(TALK, lines=2, seconds=30) for _ in range(2)]
    busy = await lab.start(CHANGE, seconds=5)
    await lab.until_acting(busy)
    for job_id in talks:
        await lab.until_state(job_id, "running")
    late = await lab.start(LOOK, lines=1)
    assert (await lab.job(late)).state == "queued"  # both places for looking are taken
    async with lab.store.begin() as connection:
        await cancel(connection, talks[0], requested_by="ada")
    await lab.until_state(late, "succeeded")
    await lab.until_state(busy, "succeeded")


async def test_a_worker_takes_the_jobs_of_its_own_projects(lab: Lab) -> None:
    """So the code of two projects can be kept apart by two workers with a configuration each."""
    garden = replace(ENVIRONMENT, project="garden")
    async with lab.store.begin() as connection:
        await connection.execute(insert(EnvironmentRow).values(project="garden", name=garden.name))
    clinics = [await lab.start(CHANGE), await lab.start(TALK, lines=1)]
    lab.workers.start(TEST_PROJECT="garden")
    await lab.until_state(await lab.start(TALK, environment=garden, lines=1), "succeeded")
    assert [(await lab.job(each)).state for each in clinics] == ["queued", "queued"]
    lab.workers.start()
    for each in clinics:
        await lab.until_state(each, "succeeded")


async def test_what_is_due_is_started_by_any_worker(lab: Lab) -> None:
    first = lab.workers.start(TEST_SCHEDULE="1")
    lab.workers.start(TEST_SCHEDULE="1")

    async def looks() -> int:
        async with lab.store.connect() as connection:
            return len(await list_jobs(connection, kinds=["look"], states=["succeeded"]))

    async def two() -> bool:
        return await looks() >= 2

    await until(two)
    first.kill()
    before = await looks()

    async def more() -> bool:
        return await looks() >= before + 2

    await until(more)


async def test_a_worker_goes_with_its_parent(lab: Lab) -> None:
    parent = lab.workers.start_below(
        "-c",
        "import subprocess, sys; subprocess.run([sys.executable, '-m', 'tests.jobs.program'], check=True)",
    )

    async def alive() -> bool:
        async with lab.store.connect() as connection:
            return await live_workers(connection) == 1

    await until(alive)
    (worker,) = psutil.Process(parent.pid).children()
    parent.kill()
    await asyncio.to_thread(worker.wait, 10)
    assert not await alive()


async def the_group(lab: Lab, job_id: int) -> int:
    """The process group that a `child` job told of."""
    found: list[int] = []

    async def told() -> bool:
        async with lab.store.connect() as connection:
            said = [event.text.split() for event in await read_events(connection, job_id)]
        found.extend(int(words[1]) for words in said if words[:1] == ["group"])
        return bool(found)

    await until(told)
    return found[0]
