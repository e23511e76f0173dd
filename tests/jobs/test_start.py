"""Starting a job: one transaction, one gate, one place in the queue."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import delete, func, select, text

from tests.jobs.conftest import Lab
from tests.jobs.program import CHANGE, ENVIRONMENT, LOOK, TALK, Parameters
from web.config import Environment, Secret
from web.errors import Conflict, JobAlreadyRunning
from web.jobs.cancel import cancel
from web.jobs.reading import list_jobs, read_events, read_steps
from web.jobs.start import start
from web.store.tables import EnvironmentRow, JobRow, JobTargetRow


async def test_a_start_is_one_transaction(lab: Lab) -> None:
    class GoneWrong(Exception):
        pass

    with pytest.raises(GoneWrong):
        async with lab.store.begin() as connection:
            await start(
                connection, CHANGE, environment=ENVIRONMENT, parameters=Parameters(), requested_by="ada"
            )
            raise GoneWrong
    async with lab.store.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(JobRow)) == 0
        assert await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0


async def test_a_started_job_is_queued_with_its_steps(lab: Lab) -> None:
    job_id = await lab.start(CHANGE, seconds=1)
    job = await lab.job(job_id)
    assert (job.state, job.label, job.parameters["seconds"], job.requested_by) == (
        "queued",
        "clinic/dev",
        1,
        "ada",
    )
    async with lab.store.connect() as connection:
        assert [(step.name, step.state) for step in await read_steps(connection, job_id)] == [
            ("act", "queued"),
            ("after", "queued"),
        ]
        events = await read_events(connection, job_id)
        queue = (await connection.execute(text("SELECT queue_name, args FROM procrastinate_jobs"))).one()
    assert [(event.seq, event.kind) for event in events] == [(1, "state")]
    assert tuple(queue) == ("changes/clinic", {"job_id": job_id})


async def test_the_second_start_names_the_first(lab: Lab) -> None:
    first = await lab.start(CHANGE)
    with pytest.raises(JobAlreadyRunning) as raised:
        await lab.start(CHANGE)
    assert raised.value.job_id == first
    assert "clinic/dev" in str(raised.value)


async def test_two_environments_on_one_database_have_one_gate(lab: Lab) -> None:
    twin = Environment("clinic", "twin", Secret("env:TEST_TARGET_URL"), "staging")
    async with lab.store.begin() as connection:
        await connection.execute(
            text(
                "INSERT INTO environment (project, name, system_identifier, database_oid)"
                " SELECT project, 'twin', system_identifier, database_oid FROM environment"
            )
        )
    first = await lab.start(CHANGE)
    with pytest.raises(JobAlreadyRunning) as raised:
        async with lab.store.begin() as connection:
            await start(connection, CHANGE, environment=twin, parameters=Parameters(), requested_by="bob")
    assert raised.value.job_id == first


async def test_a_hundred_starts_at_once_give_one_job(lab: Lab) -> None:
    async def attempt() -> int | JobAlreadyRunning:
        try:
            return await lab.start(CHANGE)
        except JobAlreadyRunning as error:
            return error

    results = await asyncio.gather(*(attempt() for _ in range(100)))
    started = [result for result in results if isinstance(result, int)]
    refused = [result for result in results if isinstance(result, JobAlreadyRunning)]
    assert len(started) == 1
    assert {error.job_id for error in refused} == set(started)
    async with lab.store.connect() as connection:
        assert len(await list_jobs(connection)) == 1
        assert await connection.scalar(select(func.count()).select_from(JobTargetRow)) == 1
        assert await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 1


async def test_looking_is_never_kept_out(lab: Lab) -> None:
    await lab.start(CHANGE)
    assert (await lab.job(await lab.start(TALK))).state == "queued"


async def test_a_kind_that_joins_is_queued_once(lab: Lab) -> None:
    ids = await asyncio.gather(*(lab.start(LOOK) for _ in range(20)))
    assert len(set(ids)) == 1


async def test_an_environment_never_observed_is_not_changed(lab: Lab) -> None:
    async with lab.store.begin() as connection:
        await connection.execute(delete(EnvironmentRow))
    with pytest.raises(Conflict) as raised:
        await lab.start(CHANGE)
    assert "Check it first" in raised.value.hint
    assert (await lab.job(await lab.start(LOOK))).state == "queued"


async def test_a_confirmation_is_used_once(lab: Lab) -> None:
    async def confirmed() -> int:
        async with lab.store.begin() as connection:
            return await start(
                connection,
                CHANGE,
                environment=ENVIRONMENT,
                parameters=Parameters(),
                requested_by="ada",
                confirmation="c1",
            )

    first = await confirmed()
    async with lab.store.begin() as connection:
        await cancel(connection, first, requested_by="ada")
    with pytest.raises(Conflict, match="used already"):
        await confirmed()


async def test_cancelling_a_queued_job_ends_it_at_once(lab: Lab) -> None:
    first = await lab.start(CHANGE)
    async with lab.store.begin() as connection:
        assert await cancel(connection, first, requested_by="bob") == "cancelled"
    job = await lab.job(first)
    assert job.outcome is not None
    assert "bob" in job.outcome["account"]
    async with lab.store.connect() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM procrastinate_jobs")) == 0
    await lab.start(CHANGE)  # the gate is open again
    with pytest.raises(Conflict, match="finished"):
        async with lab.store.begin() as connection:
            await cancel(connection, first, requested_by="bob")
