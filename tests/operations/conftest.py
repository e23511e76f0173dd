"""Jobs of the real kinds, run by the real engine in this process, on real databases."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import configuration, environment, project
from tests.conftest import STORE_OWNER, copy_database
from tests.tools.written import execute, migration, write_project
from web.config import Configuration, Environment, ResetPolicy, SmokePolicy
from web.jobs.execution import Execution
from web.jobs.kind import AnyKind, Kinds
from web.jobs.loading import Equipment
from web.jobs.queue import withdraw
from web.jobs.reading import JobRecord, read_job
from web.jobs.resources import Resources
from web.jobs.start import start
from web.observation.observe import observe
from web.observation.witness import observe_again, witness
from web.operations import KINDS
from web.operations.backup import BACKUP
from web.operations.migrate import MIGRATE
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.postgres.urls import database_name
from web.starting.operation import AnyOperation

MIGRATIONS = {
    "a": migration(
        "a",
        None,
        execute(
            "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL)",
            "INSERT INTO users SELECT n, n || '@example.com' FROM generate_series(1, 100) n",
        ),
    ),
    "b": migration("b", "a", execute("ALTER TABLE users ADD COLUMN tenant int")),
    "c": migration("c", "b", execute("CREATE TABLE tenants (id int PRIMARY KEY)")),
}


@dataclass
class Site:
    """One project with one environment, a store, and what a worker brings."""

    store: AsyncEngine
    configuration: Configuration
    resources: Resources
    url: str
    folder: Path
    copies: Copies
    kinds: tuple[AnyOperation, ...] = KINDS

    @property
    def dev(self) -> Environment:
        return self.configuration.environment("clinic", "dev")

    def write(self, **migrations: str) -> None:
        """Add or change migrations."""
        write_project(self.folder, migrations)

    def change(self, **values: Any) -> None:
        """Change the environment's configuration."""
        clinic = self.configuration.project("clinic")
        changed = replace(clinic, environments={"dev": replace(self.dev, **values)})
        self.configuration = replace(self.configuration, projects={"clinic": changed})

    def set_tool(self, **values: Any) -> None:
        """Change how the project's Alembic is run."""
        clinic = self.configuration.project("clinic")
        changed = replace(clinic, tool=replace(clinic.tool, **values))
        self.configuration = replace(self.configuration, projects={"clinic": changed})

    def also(self, name: str) -> None:
        """Configure one more environment with the same database."""
        clinic = self.configuration.project("clinic")
        more = {**clinic.environments, name: replace(self.dev, name=name)}
        self.configuration = replace(
            self.configuration, projects={"clinic": replace(clinic, environments=more)}
        )

    async def observe(self, name: str = "dev") -> Any:
        """Look at an environment, which pins it the first time."""
        clinic = self.configuration.project("clinic")
        where = self.configuration.environment("clinic", name)
        return await observe(self.store, clinic, where, self.resources.scratch)

    async def start(self, kind: AnyKind, **values: Any) -> int:
        """Start a job; `seen_revisions` and the like are the form's, the rest are parameters."""
        seen = {key: values.pop(key) for key in list(values) if key.startswith(("seen_", "shown_"))}
        async with self.store.begin() as connection:
            job_id = await start(
                connection,
                kind,
                environment=self.dev if kind.belongs_to == "environment" else None,
                project="clinic",
                parameters=kind.parameters.model_validate(values),
                requested_by="ada",
                **seen,
            )
            # As a worker does that takes it out of the queue.
            await withdraw(connection, job_id)
        return job_id

    def execution(self, job_id: int) -> Execution:
        """What a worker makes of a job that it has taken."""
        return Execution(
            Equipment(
                self.store,
                self.configuration,
                Kinds(self.kinds),
                self.resources,
                "test",
                witness,
                observe_again,
            ),
            job_id,
        )

    async def job(self, job_id: int) -> JobRecord:
        async with self.store.connect() as connection:
            return await read_job(connection, job_id)

    async def run(self, kind: AnyKind, **values: Any) -> JobRecord:
        """Start a job and run it to its end."""
        job_id = await self.start(kind, **values)
        await self.execution(job_id).run()
        return await self.job(job_id)

    async def at_head(self) -> None:
        """Look at the database and apply all migrations; where that was done before, go on from a copy of it."""
        key = content_of(self.folder)
        if key in self.copies.made:
            await self.store.dispose()
            self.copies.put_in_place(key, store=self.store_name, target=self.target_name)
        else:
            await self.observe()
            job = await self.run(MIGRATE)
            assert job.state == "succeeded", outcome(job)
            await self.store.dispose()
            self.copies.keep(key, store=self.store_name, target=self.target_name)
        await self.observe()

    @property
    def store_name(self) -> str:
        return str(self.store.url.database)

    @property
    def target_name(self) -> str:
        return database_name(self.url)

    async def back_up(self) -> UUID:
        """Take a backup and verify it: the one thing that lets a backup be leaned on."""
        job = await self.run(BACKUP, verify=True)
        assert outcome(job)["title"] == "Backed up and verified", outcome(job)
        return UUID(outcome(job)["data"]["backup"])

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Ask the target."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    @property
    def revisions(self) -> list[str]:
        return [row[0] for row in self.query("SELECT version_num FROM alembic_version ORDER BY 1")]


@dataclass
class Copies:
    """Stores and targets as some tests left them, kept as databases, for the others to begin with."""

    server: EmbeddedServer
    #: By the content of the project: the names of the kept store and target.
    made: dict[str, tuple[str, str]] = field(default_factory=dict)

    def keep(self, key: str, *, store: str, target: str) -> None:
        unique = uuid.uuid4().hex
        kept = f"kept_store_{unique}", f"kept_target_{unique}"
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            for name, copy in zip((store, target), kept, strict=True):
                copy_database(connection, copy, name, _owner(copy))
        self.made[key] = kept

    def put_in_place(self, key: str, *, store: str, target: str) -> None:
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            for name, copy in zip((store, target), self.made[key], strict=True):
                connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
                copy_database(connection, name, copy, _owner(copy))
            (oid,) = connection.execute(
                "SELECT oid FROM pg_database WHERE datname = %s", [target]
            ).fetchone() or (0,)
        with psycopg.connect(self.server.url(store)) as connection:
            connection.execute("UPDATE environment SET database_oid = %s", [oid])


def _owner(copy: str) -> str:
    return STORE_OWNER if copy.startswith("kept_store") else "postgres"


def content_of(folder: Path) -> str:
    """A hash of every file below."""
    files = sorted(each for each in folder.rglob("*") if each.is_file() and each.suffix != ".pyc")
    content = b"".join(str(each).encode() + each.read_bytes() for each in files)
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="session")
def copies(server: EmbeddedServer) -> Copies:
    return Copies(server)


def outcome(job: JobRecord) -> dict[str, Any]:
    """How a job ended; the test fails with it where it was not expected."""
    assert job.outcome is not None
    return dict(job.outcome)


@pytest.fixture
async def site(
    store: AsyncEngine,
    server: EmbeddedServer,
    programs: tuple[Programs, ...],
    database: str,
    tmp_path: Path,
    project_folder: Path,
    replays: None,
    copies: Copies,
    application: str,
) -> AsyncIterator[Site]:
    tool = write_project(project_folder, MIGRATIONS)
    dev = environment(tmp_path, database, reset=ResetPolicy(), smoke=SmokePolicy(application))
    scratch = ScratchServers(tmp_path / "scratch", {17: server.url()}, ())
    yield Site(
        store,
        configuration(tmp_path, project(project_folder, tool, dev)),
        Resources(programs, scratch),
        database,
        project_folder,
        copies,
    )
    await scratch.stop()
