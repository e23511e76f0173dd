"""Real workers on a real store: each test gets a target, a witness and the worker processes it starts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import insert, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests import forked
from tests.conftest import fresh_database
from tests.jobs.program import ENVIRONMENT, Parameters
from web.config import Environment
from web.jobs.kind import AnyKind
from web.jobs.reading import JobRecord, read_job
from web.jobs.start import start
from web.postgres.connections import connect
from web.postgres.embedded import EmbeddedServer
from web.postgres.identity import TargetIdentity, read_identity
from web.store.tables import EnvironmentRow

ROOT = Path(__file__).parent.parent.parent


async def until(fact: Callable[[], Awaitable[object]], *, within: float = 60.0, what: str = "") -> None:
    """Wait for a fact; fail when it is not one by then."""
    deadline = time.monotonic() + within
    while not await fact():
        assert time.monotonic() < deadline, f"not within {within} s: {what or fact}"
        await asyncio.sleep(0.05)


@dataclass
class Workers:
    """Worker processes of one test."""

    variables: dict[str, str]
    log: Path
    processes: list[forked.Process] = field(default_factory=list)

    def start(self, **variables: str) -> forked.Forked:
        """Start one more."""
        process = forked.start(
            "tests.jobs.program",
            (),
            log=self.log,
            environment={**os.environ, **self.variables, **variables},
            folder=ROOT,
        )
        self.processes.append(process)
        return process

    def start_below(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start an interpreter with these arguments, which is to start a worker."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, *arguments], cwd=ROOT, env={**os.environ, **self.variables}, stderr=log
            )
        self.processes.append(process)
        return process

    def end(self) -> None:
        """Kill what is left."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()


@dataclass
class Lab:
    """A store with one pinned environment, its target, and a witness of every act."""

    store: AsyncEngine
    target_url: str
    witness_url: str
    identity: TargetIdentity
    workers: Workers
    #: For what only an administrator of the store's server may do.
    store_as_superuser: str

    async def start(
        self, kind: AnyKind, *, by: str = "ada", environment: Environment = ENVIRONMENT, **parameters: object
    ) -> int:
        """Start a job in a transaction of its own."""
        async with self.store.begin() as connection:
            return await start(
                connection,
                kind,
                environment=environment,
                parameters=Parameters.model_validate(parameters),
                requested_by=by,
            )

    async def job(self, job_id: int) -> JobRecord:
        """Read a job."""
        async with self.store.connect() as connection:
            return await read_job(connection, job_id)

    async def until_state(self, job_id: int, *states: str, within: float = 60.0) -> JobRecord:
        """Wait until a job is in one of these states."""

        async def fact() -> bool:
            return (await self.job(job_id)).state in states

        try:
            await until(fact, within=within)
        except AssertionError:
            record = await self.job(job_id)
            log = self.workers.log.read_text()[-6000:]
            pytest.fail(f"job {job_id} is {record.state}, not {states}: {record.outcome}\n{log}")
        return await self.job(job_id)

    def executions(self, job_id: int) -> int:
        """How often the act of a job was begun."""
        with psycopg.connect(self.witness_url) as connection:
            row = connection.execute("SELECT count(*) FROM execution WHERE job = %s", (job_id,)).fetchone()
        assert row is not None
        return int(row[0])

    async def until_acting(self, job_id: int) -> None:
        """Wait until the act of a job has begun."""

        async def fact() -> bool:
            return self.executions(job_id) > 0

        await until(fact, what=self.workers.log.read_text()[-3000:])

    def marks(self, job_id: int) -> int:
        """How many rows a job has committed."""
        with psycopg.connect(self.target_url) as connection:
            row = connection.execute("SELECT count(*) FROM mark WHERE job = %s", (job_id,)).fetchone()
        assert row is not None
        return int(row[0])

    def sessions(self, job_id: int) -> int:
        """How many sessions on the target bear the job's name."""
        with psycopg.connect(self.target_url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE %s",
                (f"cleanstart/{job_id}/%",),
            ).fetchone()
        assert row is not None
        return int(row[0])


@pytest.fixture
def target_url(database: str) -> str:
    """A target with the table that the test kinds write to."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE mark (job bigint NOT NULL)")
    return database


@pytest.fixture
def witness_url(server: EmbeddedServer) -> Iterator[str]:
    """Another database, with the append-only table of acts begun."""
    with fresh_database(server) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE execution (job bigint NOT NULL, at timestamptz DEFAULT now())")
        yield url


@pytest.fixture
async def lab(
    server: EmbeddedServer,
    store: AsyncEngine,
    store_url: str,
    target_url: str,
    witness_url: str,
    tmp_path: Path,
) -> AsyncIterator[Lab]:
    """Everything that a job needs but a worker; start those with `lab.workers.start()`."""
    identity = await pin(store, target_url)
    workers = Workers(
        {
            "TEST_STORE_URL": store_url,
            "TEST_TARGET_URL": target_url,
            "TEST_WITNESS_URL": witness_url,
        },
        tmp_path / "workers.log",
    )
    workers.log.touch()
    superuser = server.url(str(conninfo_to_dict(store_url)["dbname"]))
    yield Lab(store, target_url, witness_url, identity, workers, superuser)
    workers.end()


async def say_dead(store: AsyncEngine) -> None:
    """Let the store believe that the last sign of life of every worker so far is a minute old."""
    async with store.begin() as connection:
        for statement in (
            "UPDATE worker SET heartbeat_at = heartbeat_at - interval '1 minute'",
            "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - interval '1 minute'",
            "UPDATE job SET requested_at = requested_at - interval '1 minute'",
        ):
            await connection.execute(text(statement))


async def pin(store: AsyncEngine, target_url: str) -> TargetIdentity:
    """Pin the target for the test environment, as a first observation does."""
    async with connect(target_url) as connection:
        identity = (await read_identity(connection)).identity
    async with store.begin() as connection:
        await connection.execute(
            insert(EnvironmentRow).values(
                project=ENVIRONMENT.project,
                name=ENVIRONMENT.name,
                system_identifier=identity.system_identifier,
                database_oid=identity.database_oid,
            )
        )
    return identity
