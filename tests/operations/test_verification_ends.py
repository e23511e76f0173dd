"""A verification that ends for another reason than the backup's soundness changes nothing; many starts are one job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psutil
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select

from tests.jobs.conftest import until
from tests.operations.conftest import Site, outcome
from tests.operations.test_killed import KilledWorkers, killed_workers  # noqa: F401  (a fixture)
from web.jobs.job import FINISHED
from web.operations.backup import BACKUP
from web.operations.verify import VERIFY
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.store.tables import BackupRow

#: A check that naps, or meets a full disk, in scratch databases of servers that have a role of that name.
MOODY = """
CREATE FUNCTION moody(i int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF pg_catalog.current_database() NOT LIKE 'cleanstart_scratch%' THEN
        RETURN true;
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{nap}') THEN
        PERFORM pg_catalog.pg_sleep(600);
    END IF;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = '{full}') THEN
        RAISE EXCEPTION 'could not extend file "base/5/16384": No space left on device' USING ERRCODE = '53100';
    END IF;
    RETURN true;
END $$;
CREATE TABLE moods (i int CHECK (moody(i)));
INSERT INTO moods VALUES (1);
"""
NAPPING = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'COPY public.moods%' AND wait_event = 'PgSleep'"


@dataclass
class Scratch:
    """The scratch server as the tests change it."""

    url: str
    nap: str
    full: str

    def execute(self, query: sql.Composed | str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(query.encode() if isinstance(query, str) else query)
            return cursor.fetchall() if cursor.description else []

    def set(self, role: str) -> None:
        self.clear()
        self.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))

    def clear(self) -> None:
        for role in (self.nap, self.full):
            self.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(role)))

    async def napping(self) -> bool:
        return bool(self.execute(NAPPING))


async def prepare(site: Site, url: str) -> tuple[Scratch, UUID]:
    """A migrated database that is moody in scratch, backed up and not verified."""
    scratch = Scratch(url, f"nap_{uuid4().hex[:8]}", f"full_{uuid4().hex[:8]}")
    await site.at_head()
    site.query(MOODY.replace("{nap}", scratch.nap).replace("{full}", scratch.full))
    job = await site.run(BACKUP)
    assert job.state == "succeeded", outcome(job)
    return scratch, UUID(outcome(job)["data"]["backup"])


async def stored(site: Site, backup_id: UUID) -> tuple[Any, ...]:
    async with site.store.connect() as connection:
        query = select(BackupRow.state, BackupRow.verified_at, BackupRow.verification)
        return tuple((await connection.execute(query.where(BackupRow.id == backup_id))).one())


@pytest.fixture
async def own_scratch(servers_folder: Path, programs: tuple[Programs, ...]) -> AsyncIterator[EmbeddedServer]:
    """A scratch server of this test alone, to be lost."""
    server = EmbeddedServer(servers_folder / "lost", programs=programs, major=17, durable=False)
    await server.start()
    yield server
    await server.remove()


async def test_what_was_known_stays(site: Site, own_scratch: EmbeddedServer, tmp_path: Path) -> None:
    """Never verified stays so, and an earlier proof keeps its time, whatever ends a verification."""
    own = ScratchServers(tmp_path / "own", {17: own_scratch.url()}, ())
    site.resources = replace(site.resources, scratch=own)
    scratch, backup_id = await prepare(site, own_scratch.url())

    async def meanwhile(act: Callable[[Any], Awaitable[None]]) -> dict[str, Any]:
        """Run a verification that naps, and do something to it."""
        scratch.set(scratch.nap)
        job_id = await site.start(VERIFY, backup=backup_id)
        execution = site.execution(job_id)
        running = asyncio.ensure_future(execution.run())
        await until(scratch.napping, within=60)
        await act(execution)
        async with asyncio.timeout(60):
            await running
        return {"state": (await site.job(job_id)).state, **outcome(await site.job(job_id))}

    async def cancel(execution: Any) -> None:
        execution.stop("cancelled", "bob")

    async def kill(_: Any) -> None:
        for child in psutil.Process().children(recursive=True):
            if child.name() == "pg_restore":
                child.kill()

    async def lose(_: Any) -> None:
        await own_scratch.stop(immediate=True)

    for known in ("unverified", "verified"):
        before = await stored(site, backup_id)
        assert before[0] == known

        said = await meanwhile(cancel)
        assert said["state"] == "cancelled"
        assert await stored(site, backup_id) == before

        said = await meanwhile(kill)
        assert (said["state"], said["error"]["type"]) == ("failed", "VerificationStopped"), said
        assert "Nothing was found out about the backup. pg_restore was ended by signal 9" in said["account"]
        assert await stored(site, backup_id) == before

        said = await meanwhile(lose)
        assert (said["state"], said["error"]["type"]) == ("failed", "VerificationStopped"), said
        assert await stored(site, backup_id) == before
        await own_scratch.start()

        scratch.set(scratch.full)
        said = outcome(await site.run(VERIFY, backup=backup_id))
        assert said["error"]["type"] == "VerificationStopped", said
        assert "No space left on device" in said["account"]
        assert await stored(site, backup_id) == before

        site.resources = replace(site.resources, scratch=ScratchServers(tmp_path / "none", {}, ()))
        said = outcome(await site.run(VERIFY, backup=backup_id))
        assert said["error"]["type"] == "ScratchUnavailable", said
        assert await stored(site, backup_id) == before

        site.resources = replace(site.resources, scratch=own)
        scratch.clear()
        job = await site.run(VERIFY, backup=backup_id)
        assert job.state == "succeeded", outcome(job)
    assert (await stored(site, backup_id))[1] > before[1]


async def test_a_worker_that_dies_has_found_nothing(
    killed_workers: KilledWorkers,  # noqa: F811
    server: EmbeddedServer,
) -> None:
    site = killed_workers.site
    scratch, backup_id = await prepare(site, server.url())
    try:
        for known in ("unverified", "verified"):
            before = await stored(site, backup_id)
            assert before[0] == known
            scratch.set(scratch.nap)
            job_id = await killed_workers.start(VERIFY, backup=backup_id)
            process = killed_workers.work()
            await until(scratch.napping, within=60, what=killed_workers.log.read_text()[-3000:])
            process.kill()
            process.wait()
            job = await killed_workers.found_out(job_id)
            assert job.state == "not done", outcome(job)
            assert await stored(site, backup_id) == before
            scratch.clear()
            assert (await site.run(VERIFY, backup=backup_id)).state == "succeeded"
    finally:
        scratch.clear()


async def test_a_hundred_starts_for_one_backup_are_one_job(site: Site, server: EmbeddedServer) -> None:
    scratch, first = await prepare(site, server.url())
    second = UUID(outcome(await site.run(BACKUP))["data"]["backup"])
    scratch.set(scratch.nap)
    try:
        ids = await asyncio.gather(*(site.start(VERIFY, backup=first) for _ in range(100)))
        assert len(set(ids)) == 1
        execution = site.execution(ids[0])
        running = asyncio.ensure_future(execution.run())
        await until(scratch.napping, within=60)
        # While it runs, too; and another backup is another job, which is the newest where none is named.
        assert set(await asyncio.gather(*(site.start(VERIFY, backup=first) for _ in range(100)))) == {ids[0]}
        other = await site.start(VERIFY, backup=second)
        assert other != ids[0]
        assert await site.start(VERIFY) == other
        execution.stop("cancelled", "bob")
        async with asyncio.timeout(30):
            await running
        assert (await site.job(ids[0])).state in FINISHED
        # What has ended tells nothing new.
        assert await site.start(VERIFY, backup=first) not in (ids[0], other)
    finally:
        scratch.clear()
