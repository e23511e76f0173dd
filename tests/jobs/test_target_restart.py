"""The target's server restarts while a job is at work on it: the worker lives, and the job says what happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import psycopg
import pytest

from tests.jobs.conftest import Lab, until
from tests.jobs.program import CHANGE
from web.jobs.cancel import cancel
from web.jobs.reading import read_attempts, read_events
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs


@pytest.fixture
async def own_server(servers_folder: Path, programs: tuple[Programs, ...]) -> AsyncIterator[EmbeddedServer]:
    """A server of this test alone, to be restarted."""
    server = EmbeddedServer(servers_folder / "restarted", programs=programs, major=17, durable=False)
    await server.start()
    yield server
    await server.remove()


@pytest.fixture
async def target_url(own_server: EmbeddedServer) -> str:
    url = own_server.url()
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE mark (job bigint NOT NULL)")
    return url


async def lines_of(lab: Lab, job_id: int) -> list[str]:
    async with lab.store.connect() as connection:
        return [event.text for event in await read_events(connection, job_id)]


@pytest.mark.parametrize("immediate", [False, True], ids=["stopped", "crashed"])
async def test_a_restart_of_the_target_is_told_as_one(
    lab: Lab, own_server: EmbeddedServer, immediate: bool
) -> None:
    worker = lab.workers.start()
    job_id = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(job_id)
    # It stays away for longer than its own worker waits: the reaper goes on with the job.
    await own_server.stop(immediate=immediate)
    await lab.until_state(job_id, "interrupted", "failed", within=40)

    async def waits() -> bool:
        return any("Waiting until" in line for line in await lines_of(lab, job_id))

    await until(waits, within=30)
    await own_server.start()
    job = await lab.until_state(job_id, "failed", "not done", "unknown", "succeeded", within=60)
    assert job.outcome is not None
    assert (job.state, job.outcome["error"]["type"]) == ("failed", "TargetUnavailable"), job.outcome
    assert "The row is not done." in job.outcome["account"]
    assert worker.poll() is None
    told = await lines_of(lab, job_id)
    async with lab.store.connect() as connection:
        attempts = await read_attempts(connection, job_id)
    assert not [each for each in (*told, str(job.outcome)) if "died" in each or "is gone." in each]
    assert [each.outcome for each in attempts] == ["left behind", "failed"]
    assert (lab.executions(job_id), lab.marks(job_id)) == (1, 0)
    # The gate is open again.
    await lab.until_state(await lab.start(CHANGE), "succeeded")


async def test_cancelled_while_the_target_is_away(lab: Lab, own_server: EmbeddedServer) -> None:
    lab.workers.start()
    job_id = await lab.start(CHANGE, seconds=600)
    await lab.until_acting(job_id)
    async with lab.store.begin() as connection:
        await cancel(connection, job_id, requested_by="ada")
    await own_server.stop(immediate=True)
    await own_server.start()
    job = await lab.until_state(job_id, "failed", "not done", "unknown", "cancelled", within=60)
    assert job.outcome is not None
    assert job.state == "cancelled", job.outcome
    assert "ada asked for it" in job.outcome["account"]
