"""A worker SIGKILLed at named points of real operations: the outcome is true, nothing is run twice."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests import forked
from tests.acts.test_opening import edit
from tests.jobs.conftest import ROOT, say_dead, until
from tests.operations.conftest import MIGRATIONS, Site, outcome
from tests.operations.test_revert import THERE, disturbed, drifted, planned
from tests.tools.written import execute, migration
from web.jobs.job import FINISHED
from web.jobs.kind import AnyKind
from web.jobs.reading import JobRecord
from web.jobs.start import start
from web.observation.changes import read_job_change
from web.operations.backup import BACKUP
from web.operations.migrate import MIGRATE
from web.operations.reset import RESET
from web.operations.revert import REVERT
from web.operations.stamp import STAMP
from web.postgres.embedded import EmbeddedServer
from web.store.tables import BackupRow


@dataclass
class KilledWorkers:
    """Worker processes for one site; the first dies where it is told to."""

    site: Site
    arguments: list[str]
    log: Path
    processes: list[forked.Forked] = field(default_factory=list)

    def work(self, failpoint: str = "") -> forked.Forked:
        process = forked.start(
            "tests.operations.program",
            self.arguments,
            log=self.log,
            environment={"PATH": "/usr/bin:/bin", "CLEANSTART_FAILPOINT": failpoint},
            folder=ROOT,
        )
        self.processes.append(process)
        return process

    async def start(self, kind: AnyKind, *, shown_hash: str | None = None, **values: Any) -> int:
        async with self.site.store.begin() as connection:
            return await start(
                connection,
                kind,
                environment=self.site.dev if kind.belongs_to == "environment" else None,
                project="clinic",
                parameters=kind.parameters.model_validate(values),
                requested_by="ada",
                shown_hash=shown_hash,
            )

    async def finished(self, job_id: int) -> JobRecord:
        async def fact() -> bool:
            return (await self.site.job(job_id)).state in FINISHED

        try:
            await until(fact, within=90)
        except AssertionError:
            pytest.fail(f"{await self.site.job(job_id)}\n{self.log.read_text()[-4000:]}")
        return await self.site.job(job_id)

    async def killed(self, kind: AnyKind, failpoint: str, *, shown_hash: str | None = None) -> JobRecord:
        """Run a job whose worker dies at the point, then let another worker find out."""
        job_id = await self.start(kind, shown_hash=shown_hash)
        process = self.work(failpoint)

        async def dead() -> bool:
            return process.poll() is not None

        await until(dead, within=60, what=self.log.read_text()[-3000:])
        assert process.returncode == -signal.SIGKILL, self.log.read_text()[-3000:]
        return await self.found_out(job_id)

    async def found_out(self, job_id: int) -> JobRecord:
        """Let another worker find out how a job ended. It goes again: jobs of this process would be abandoned to it."""
        await say_dead(self.site.store)
        reaping = self.work()
        job = await self.finished(job_id)
        reaping.kill()
        reaping.wait()
        return job


@pytest.fixture
def killed_workers(
    site: Site, store_url: str, server: EmbeddedServer, tmp_path: Path
) -> Iterator[KilledWorkers]:
    # As in the site's own configuration, for a process that reads it from a file.
    tool = site.configuration.project("clinic").tool
    assert site.dev.smoke is not None
    config = tmp_path / "cleanstart.toml"
    config.write_text(
        f"""
        data_directory = "{site.configuration.data_directory}"
        [backups]
        location = "{site.configuration.backups.location}"
        [projects.clinic]
        title = "Clinic"
        source = "{site.folder}"
        without_wall = true
        clean_start = {{ write = true }}
        [projects.clinic.alembic]
        config = "alembic.ini"
        python = "{tool.program}"
        url_variable = "DATABASE_URL"
        url_driver = "postgresql+psycopg"
        [projects.clinic.environments.dev]
        url = "{site.dev.url.reference}"
        tier = "development"
        reset = {{ }}
        smoke = {{ url = "{site.dev.smoke.url}" }}
        """
    )
    arguments = [str(config), store_url, server.url(), str(tmp_path / "scratch")]
    killed_workers = KilledWorkers(site, arguments, tmp_path / "workers.log")
    killed_workers.log.touch()
    yield killed_workers
    for process in killed_workers.processes:
        process.send_signal(signal.SIGKILL)
        process.wait()


async def prepare(site: Site) -> None:
    await site.at_head()
    await site.back_up()


@pytest.mark.parametrize(
    ("failpoint", "state", "revisions"),
    [
        ("before-intent:upgrade", "not done", []),
        ("after-intent:upgrade", "not done", []),
        ("after-intent:commit", "not done", []),
        ("before-receipt:upgrade", "succeeded", ["c"]),
        ("before-status", "succeeded", ["c"]),
    ],
)
async def test_migrate(
    killed_workers: KilledWorkers, failpoint: str, state: str, revisions: list[str]
) -> None:
    await killed_workers.site.observe()
    job = await killed_workers.killed(MIGRATE, failpoint)
    assert job.state == state, outcome(job)
    # Whoever found out how it ended has looked, too.
    async with killed_workers.site.store.connect() as connection:
        change = await read_job_change(connection, job)
    assert change is not None
    assert change.change is not None, change.words
    assert bool(change.change.count) == bool(revisions)
    exists = killed_workers.site.query("SELECT to_regclass('alembic_version')") != [(None,)]
    assert (killed_workers.site.revisions if exists else []) == revisions
    again = await killed_workers.site.run(MIGRATE)
    assert again.state == "succeeded", outcome(again)
    assert killed_workers.site.revisions == ["c"]


async def test_migrate_while_a_statement_runs(killed_workers: KilledWorkers) -> None:
    await killed_workers.site.observe()
    killed_workers.site.write(c=migration("c", "b", execute("SELECT pg_sleep(600)")))
    job_id = await killed_workers.start(MIGRATE)
    process = killed_workers.work()
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"

    async def runs() -> bool:
        return bool(killed_workers.site.query(sleeping))

    await until(runs, within=60, what=killed_workers.log.read_text()[-3000:])
    process.send_signal(signal.SIGKILL)
    process.wait()
    job = await killed_workers.found_out(job_id)
    assert job.state == "not done", outcome(job)
    assert not await runs()
    killed_workers.site.write(c=MIGRATIONS["c"])
    assert (await killed_workers.site.run(MIGRATE)).state == "succeeded"


@pytest.mark.parametrize(
    ("failpoint", "state", "gone"),
    [
        ("before-drop", "not done", False),
        ("after-intent:drop", "not done", False),
        ("after-drop", "unknown", True),
        ("after-receipt:drop", "unknown", True),
        ("after-intent:commit", "unknown", True),
        ("before-receipt:upgrade", "succeeded", True),
        ("before-status", "succeeded", True),
    ],
)
async def test_reset(killed_workers: KilledWorkers, failpoint: str, state: str, gone: bool) -> None:
    await prepare(killed_workers.site)
    killed_workers.site.query("INSERT INTO tenants VALUES (4711)")
    job = await killed_workers.killed(RESET, failpoint)
    assert job.state == state, outcome(job)
    kept = killed_workers.site.query("SELECT to_regclass('tenants')") != [
        (None,)
    ] and killed_workers.site.query("SELECT count(*) FROM tenants") == [(1,)]
    assert kept != gone
    # A person decides: the environment is usable again.
    again = await killed_workers.site.run(RESET)
    assert again.state == "succeeded", outcome(again)


@pytest.mark.parametrize(
    ("failpoint", "state", "left"),
    [
        ("before-intent:revert", "not done", 3),
        ("after-intent:revert", "not done", 3),
        # The first of several transactions is committed: the check that proves the NOT NULL to come.
        ("before-receipt:revert", "unknown", 4),
        ("after-receipt:revert", "unknown", 4),
        ("before-status", "succeeded", 0),
    ],
)
async def test_revert(killed_workers: KilledWorkers, failpoint: str, state: str, left: int) -> None:
    site = killed_workers.site
    await drifted(
        site,
        "CREATE INDEX by_email ON users (email)",
        "CREATE INDEX by_tenant ON users (tenant)",
        "ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
    )
    job = await killed_workers.killed(REVERT, failpoint, shown_hash=(await planned(site)).hash)
    assert job.state == state, outcome(job)
    seen = await site.observe()
    assert (seen.drift.count or 0) == left
    if left:
        # What is there now is planned anew: nothing is run again by a machine.
        again = await site.run(REVERT, shown_hash=(await planned(site)).hash)
        assert again.state == "succeeded", outcome(again)
    assert (await site.observe()).drift.state == "none"


@pytest.mark.parametrize("transaction", [1, 2, 3, 4])
async def test_revert_between_two_transactions(killed_workers: KilledWorkers, transaction: int) -> None:
    site = killed_workers.site
    await disturbed(site)
    site.query("DELETE FROM d WHERE id = 2")
    job = await killed_workers.killed(
        REVERT, f"after-transaction:{transaction}", shown_hash=(await planned(site)).hash
    )
    # What was there, and shall be, is there; the last one is the drop of what is replaced.
    assert site.query(THERE)[0][:2] == (1, 1)
    assert site.query(THERE)[0][3] == 2
    assert job.state == ("succeeded" if transaction == 4 else "unknown"), outcome(job)
    if transaction < 4:
        again = await site.run(REVERT, shown_hash=(await planned(site)).hash)
        assert again.state == "succeeded", outcome(again)
    assert (await site.observe()).drift.state == "none"
    assert site.query(THERE) == [(1, 1, 2, 2)]


@pytest.mark.parametrize(
    ("failpoint", "state"),
    [
        ("before-intent:stamp", "not done"),
        ("after-intent:stamp", "not done"),
        ("before-receipt:stamp", "succeeded"),
    ],
)
async def test_stamp(killed_workers: KilledWorkers, failpoint: str, state: str) -> None:
    await killed_workers.site.at_head()
    # The schema is what head gives, and the version table says something else.
    killed_workers.site.query("UPDATE alembic_version SET version_num = 'b'")
    job = await killed_workers.killed(STAMP, failpoint)
    assert job.state == state, outcome(job)
    assert killed_workers.site.revisions == (["c"] if state == "succeeded" else ["b"])
    assert (await killed_workers.site.run(STAMP)).state == "succeeded"
    assert killed_workers.site.revisions == ["c"]


@pytest.mark.parametrize(
    ("failpoint", "state"),
    [("after-intent:dump", "not done"), ("before-receipt:dump", "succeeded"), ("before-status", "succeeded")],
)
async def test_backup(killed_workers: KilledWorkers, failpoint: str, state: str) -> None:
    await killed_workers.site.observe()
    job = await killed_workers.killed(BACKUP, failpoint)
    assert job.state == state, outcome(job)
    async with killed_workers.site.store.connect() as connection:
        rows = (await connection.execute(select(BackupRow.state))).scalars().all()
    assert list(rows) == (["unverified"] if state == "succeeded" else [])
    again = await killed_workers.site.run(BACKUP)
    assert again.state == "succeeded", outcome(again)


async def test_a_manifest_that_was_altered_before_the_store_had_a_copy(killed_workers: KilledWorkers) -> None:
    await killed_workers.site.observe()
    job_id = await killed_workers.start(BACKUP)
    process = killed_workers.work("before-receipt:dump")
    await asyncio.to_thread(process.wait, 60)
    (manifest,) = Path(killed_workers.site.configuration.backups.location).rglob("*.manifest.json")
    edit(manifest, roles=["somebody"])
    job = await killed_workers.found_out(job_id)
    assert job.state == "unknown", outcome(job)
    assert "not the one that this job was about to write" in outcome(job)["account"]
    async with killed_workers.site.store.connect() as connection:
        assert (await connection.execute(select(BackupRow.state))).all() == []
