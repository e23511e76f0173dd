"""A worker with kinds made for tests: `python -m tests.jobs.program`, the rest by environment variables.

Every act is also written, before it begins, to an append-only table of another database (the witness), so
that a second execution cannot hide.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import replace
from pathlib import Path

import psycopg
from pydantic import BaseModel, ConfigDict
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.interpreter import project_python
from web.config import AlembicSettings, Backups, Configuration, Environment, Project, Secret
from web.errors import OperationFailed
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.kind import AnyKind, JobKind
from web.jobs.resources import Resources
from web.jobs.start import start
from web.jobs.work import Evidence, Work
from web.jobs.worker import run_worker
from web.postgres.processes import start as start_program
from web.postgres.scratch import ScratchServers


class Parameters(BaseModel):
    """What the test kinds take."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    #: Seconds that the act lasts inside PostgreSQL.
    seconds: float = 0.0
    lines: int = 0
    fail: bool = False


ENVIRONMENT = Environment(project="clinic", name="dev", url=Secret("env:TEST_TARGET_URL"), tier="development")


def configuration() -> Configuration:
    """One project with one environment, whose URL is in TEST_TARGET_URL; its name may be in TEST_PROJECT."""
    folder = Path("/nonexistent")
    environment = replace(ENVIRONMENT, project=os.environ.get("TEST_PROJECT", ENVIRONMENT.project))
    return Configuration(
        file=None,
        data_directory=folder,
        backups=Backups(location=str(folder)),
        projects={
            environment.project: Project(
                name=environment.project,
                title=environment.project.title(),
                source=folder,
                tool=AlembicSettings(config=folder / "alembic.ini", python=project_python()),
                environments={environment.name: environment},
            )
        },
    )


def witness(job_id: int) -> None:
    """Note that an act begins."""
    with psycopg.connect(os.environ["TEST_WITNESS_URL"], autocommit=True) as connection:
        connection.execute("INSERT INTO execution (job) VALUES (%s)", (job_id,))


async def change(work: Work[Parameters]) -> Outcome:
    """Insert one row into the target, slowly; the row commits with the act."""
    async with work.target() as connection, work.progress.step("act"):
        for number in range(work.job.parameters.lines):
            await work.progress.log(f"line {number}")
        intent = await work.intend("act", {"table": "mark"})
        witness(work.job.id)
        await connection.execute(
            "INSERT INTO mark (job) SELECT %s FROM pg_sleep(%s)", (work.job.id, work.job.parameters.seconds)
        )
        if work.job.parameters.fail:
            raise OperationFailed("It was told to fail.")
        await work.receive(intent, {"rows": 1})
    return Outcome("One row inserted", data={"rows": 1})


async def look_for_mark(evidence: Evidence[Parameters]) -> Reconciled:
    """Done if the row is there: it committed with the act."""
    async with evidence.target() as connection:
        row = await (
            await connection.execute("SELECT count(*) FROM mark WHERE job = %s", (evidence.job.id,))
        ).fetchone()
    assert row is not None
    state = "done" if row[0] else "not done"
    return Reconciled("done" if row[0] else "not done", f"The row is {state}.", {"rows": row[0]})


async def talk(work: Work[Parameters]) -> Outcome:
    """Say many lines and a measure; touch nothing."""
    total = work.job.parameters.lines
    async with work.progress.step("talk"):
        for number in range(1, total + 1):
            await work.progress.log(f"line {number}")
            await work.progress.at(number, total, "lines")
            if work.job.parameters.seconds:
                await asyncio.sleep(work.job.parameters.seconds / total)
    return Outcome(f"{total} lines said")


async def nothing_to_find(evidence: Evidence[Parameters]) -> Reconciled:
    """For kinds that change nothing."""
    return Reconciled("not done", "It only talked.")


async def child(work: Work[Parameters]) -> Outcome:
    """Run a program that ignores SIGTERM until it is killed."""
    async with work.target(), work.progress.step("act"):
        intent = await work.intend("act", {"program": "sleep"})
        witness(work.job.id)
        program = await start_program(["/bin/sh", "-c", "trap '' TERM; sleep 600 & wait; wait"])
        async with program:
            await work.process_group(program.process_group)
            await work.progress.log(f"group {program.process_group}")
            await program.wait()
        await work.receive(intent, {})
    return Outcome("The program ended")


def _available(environment: Environment) -> str | None:
    return None


CHANGE = JobKind(
    name="change",
    title="Change",
    verb="Change",
    parameters=Parameters,
    permission="migrate",
    mutating=True,
    destructive=False,
    steps=(StepTitle("act", "Insert a row"), StepTitle("after", "Never reached")),
    available=_available,
    run=change,
    reconcile=look_for_mark,
)
CHILD = JobKind(
    name="child",
    title="Child",
    verb="Run",
    parameters=Parameters,
    permission="migrate",
    mutating=True,
    destructive=False,
    steps=(StepTitle("act", "Run a program"),),
    available=_available,
    run=child,
    reconcile=look_for_mark,
)
TALK = JobKind(
    name="talk",
    title="Talk",
    verb="Talk",
    parameters=Parameters,
    permission="observe",
    mutating=False,
    destructive=False,
    steps=(StepTitle("talk", "Talk"),),
    available=_available,
    run=talk,
    reconcile=nothing_to_find,
)
LOOK = JobKind(
    name="look",
    title="Look",
    verb="Look",
    parameters=Parameters,
    permission="observe",
    mutating=False,
    destructive=False,
    steps=(),
    available=_available,
    run=talk,
    reconcile=nothing_to_find,
    joins=True,
)
KINDS: tuple[AnyKind, ...] = (CHANGE, CHILD, TALK, LOOK)


async def schedule(store: AsyncEngine) -> None:
    """Start a look at every turn."""
    async with store.begin() as connection:
        await start(
            connection,
            LOOK,
            environment=ENVIRONMENT,
            parameters=Parameters(lines=1),
            requested_by="the schedule",
        )


async def main() -> None:
    """Work until told to stop."""
    await run_worker(
        configuration(),
        KINDS,
        store_url=os.environ["TEST_STORE_URL"],
        resources=Resources(programs=(), scratch=ScratchServers(Path("/nonexistent"), {}, ())),
        concurrency=2,
        observers=2,
        grace=float(os.environ.get("TEST_GRACE", "0.5")),
        follow_parent=True,
        schedule=schedule if "TEST_SCHEDULE" in os.environ else None,
        schedule_every=0.5,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main())
