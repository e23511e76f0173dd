"""Every mutating job keeps what the schema was before and after it; its page and the timeline stand on that."""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select, text

from tests.jobs.conftest import until
from tests.operations.conftest import Site, outcome
from tests.operations.test_pin import made_again
from tests.operations.test_reset import prepare
from tests.tools.written import execute, migration
from web.comparison.snapshots import load_schema
from web.jobs.kind import AnyKind
from web.jobs.reading import JobRecord
from web.jobs.witness import read_schemas_seen
from web.observation.changes import JobChange, read_job_change
from web.observation.records import record_of
from web.observation.timeline import Timeline, read_timeline
from web.operations import KINDS
from web.operations.backup import BACKUP
from web.operations.migrate import MIGRATE
from web.operations.observe import OBSERVE
from web.operations.pin import PIN
from web.operations.reset import RESET
from web.store.tables import SchemaChangeRow, SchemaSnapshotRow
from web.upkeep.forgetting import forget

MUTATING = [kind for kind in KINDS if kind.mutating]


async def change_of(site: Site, job: JobRecord) -> JobChange:
    async with site.store.connect() as connection:
        found = await read_job_change(connection, job)
    assert found is not None
    return found


async def timeline(site: Site, **page: Any) -> Timeline:
    async with site.store.connect() as connection:
        record = await record_of(connection, site.dev)
        return await read_timeline(site.store, connection, record, **page)


async def snapshots(site: Site) -> int:
    async with site.store.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(SchemaSnapshotRow)) or 0


@pytest.mark.parametrize("kind", MUTATING, ids=lambda kind: kind.name)
async def test_every_mutating_kind_has_both_snapshots(site: Site, kind: AnyKind) -> None:
    await prepare(site)
    job = await site.run(kind)
    async with site.store.connect() as connection:
        before, after = await read_schemas_seen(connection, job.id)
        assert before is not None
        assert after is not None
        for each in (before, after):
            assert each.reason is None
            assert each.fingerprint is not None
            assert await load_schema(connection, each.fingerprint) is not None
            assert each.revisions == ("c",)
    assert job.started_at is not None
    assert before.at < after.at


@pytest.mark.parametrize("kind", [kind for kind in KINDS if not kind.mutating], ids=lambda kind: kind.name)
async def test_what_only_reads_has_none(site: Site, kind: AnyKind) -> None:
    await site.observe()
    job = await site.run(kind, **({"backup": "0" * 32} if kind.name == "verify" else {}))
    async with site.store.connect() as connection:
        assert await read_schemas_seen(connection, job.id) == (None, None)
        assert await read_job_change(connection, job) is None


async def test_a_migrate_says_what_it_changed(site: Site) -> None:
    await site.observe()
    job = await site.run(MIGRATE)
    found = await change_of(site, job)
    assert found.change is not None
    assert {(each.kind, each.change, each.object) for each in found.change.differences} >= {
        ("table", "added", "public.users"),
        ("table", "added", "public.tenants"),
    }
    assert found.before is not None
    assert found.after is not None
    assert (found.before.revisions, found.after.revisions) == ((), ("c",))
    newest, first = (await timeline(site)).entries
    assert (first.cause, newest.cause) == ("first seen", "job")
    assert [each.id for each in newest.jobs] == [job.id]
    assert newest.change is not None
    assert newest.change.count == found.change.count


async def test_an_unchanged_schema_is_stored_and_read_once(site: Site) -> None:
    await prepare(site)
    await site.observe()
    before = await snapshots(site)
    job = await site.run(BACKUP)
    assert job.state == "succeeded", outcome(job)
    assert await snapshots(site) == before
    found = await change_of(site, job)
    assert found.words == "nothing changed"
    assert found.before is not None
    assert found.after is not None
    assert found.before.token == found.after.token


async def test_a_failed_job_says_what_it_changed_all_the_same(site: Site) -> None:
    site.write(c=migration("c", "b", execute("CREATE TABLE tenants (id int)", "SELECT 1 / 0")))
    await site.observe()
    # What is before it is committed, where each migration has a transaction of its own; here all is rolled back.
    job = await site.run(MIGRATE)
    assert job.state == "failed"
    assert (await change_of(site, job)).words == "nothing changed"


async def test_a_database_that_is_away_breaks_no_promise(site: Site) -> None:
    await prepare(site)
    database = site.query("SELECT current_database()")[0][0]
    other = site.url.replace(f"/{database}", "/postgres")
    with psycopg.connect(other, autocommit=True) as connection:
        connection.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS false')
        try:
            job = await site.run(BACKUP)
        finally:
            connection.execute(f'ALTER DATABASE "{database}" ALLOW_CONNECTIONS true')
    # The kind's own words, not the look's.
    assert job.state == "failed"
    found = await change_of(site, job)
    assert found.change is None
    assert found.words.startswith("not known, because the schema could not be read before it.")
    # Who changed it meanwhile is not made up.
    site.query("ALTER TABLE users ADD COLUMN note text")
    await site.observe()
    newest = (await timeline(site)).entries[0]
    assert (newest.cause, [each.id for each in newest.jobs]) == ("not known", [job.id])


async def test_what_nobody_we_know_changed_is_an_entry_of_its_own(site: Site) -> None:
    await prepare(site)
    site.query("ALTER TABLE users ADD COLUMN note text")
    job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    site.query("CREATE INDEX by_hand ON users (email)")
    await site.observe()
    told = (await timeline(site)).entries
    assert [each.cause for each in told] == ["nobody", "job", "nobody", "job", "first seen"]
    assert [each.change.count for each in told if each.change] == [
        1,
        1,
        1,
        told[3].change and told[3].change.count,
    ]
    page = await timeline(site, limit=2)
    assert [each.at for each in page.entries] == [each.at for each in told[:2]]
    rest = await timeline(site, limit=10, before=page.older)
    assert ([each.at for each in rest.entries], rest.older) == ([each.at for each in told[2:]], None)


async def test_a_database_pinned_anew_is_an_entry(site: Site) -> None:
    await prepare(site)
    identity = await made_again(site)
    await site.observe()
    job = await site.run(PIN, identity=identity)
    assert job.state == "succeeded", outcome(job)
    told = (await timeline(site)).entries
    assert [each.cause for each in told] == ["pinned", "job", "first seen"]
    assert told[0].jobs[0].id == job.id


async def test_snapshots_stay_as_long_as_their_job(site: Site) -> None:
    await site.observe()
    job = await site.run(MIGRATE)
    async with site.store.begin() as connection:
        # A year later, all looks of that time forgotten.
        await connection.execute(text("UPDATE job SET finished_at = finished_at - interval '1 year'"))
        await connection.execute(text("UPDATE observation SET last_observed_at = now() - interval '1 year'"))
    assert (await forget(site.store))["observations"] > 0
    found = await change_of(site, job)
    assert found.change is not None
    assert found.change.count
    assert found.before is not None
    assert found.before.fingerprint is not None
    async with site.store.connect() as connection:
        assert await load_schema(connection, found.before.fingerprint) is not None
    with pytest.raises(Exception, match="job_schema_before_fingerprint_fkey"):
        async with site.store.begin() as connection:
            for table in ("schema_change", "expected_schema"):
                await connection.execute(text(f"DELETE FROM {table}"))
            await connection.execute(
                text("DELETE FROM schema_snapshot WHERE fingerprint = :it"), {"it": found.before.fingerprint}
            )


async def test_a_cancelled_job_has_an_after_too(site: Site) -> None:
    await site.observe()
    site.write(c=migration("c", "b", execute("SELECT pg_sleep(600)")))
    job_id = await site.start(MIGRATE)
    execution = site.execution(job_id)
    running = asyncio.create_task(execution.run())

    async def sleeps() -> bool:
        asked = (
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
        )
        return bool(site.query(asked))

    await until(sleeps, within=60)
    execution.stop("cancelled", "ada")
    await running
    job = await site.job(job_id)
    assert job.state == "cancelled", outcome(job)
    assert (await change_of(site, job)).words == "nothing changed"


async def test_a_look_compares_what_it_found(site: Site) -> None:
    await prepare(site)
    site.query("ALTER TABLE users ADD COLUMN note text")
    assert (await site.run(OBSERVE)).state == "succeeded"
    async with site.store.connect() as connection:
        counts = (await connection.scalars(select(SchemaChangeRow.count))).all()
    assert min(count or 0 for count in counts) == 1


async def test_a_job_of_another_environment_with_the_same_database_answers_for_it(site: Site) -> None:
    await site.observe()
    site.also("twin")
    await site.observe("twin")
    job = await site.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    await site.observe("twin")
    async with site.store.connect() as connection:
        record = await record_of(connection, site.configuration.environment("clinic", "twin"))
        told = (await read_timeline(site.store, connection, record)).entries
    assert [each.cause for each in told] == ["job", "first seen"]
    assert told[0].jobs[0].environment == "clinic/dev"
