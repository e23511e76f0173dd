"""Migrate: what is applied, what is refused, and the exact account of what stopped half way."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import select

from tests.jobs.conftest import until
from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import surfaces
from tests.tools.written import execute, migration
from web.answers.builds import register_build
from web.config import BackupPolicy
from web.jobs.cancel import cancel
from web.jobs.reading import read_events, read_intents
from web.observation.records import record_of
from web.operations.migrate import MIGRATE
from web.operations.rehearse import REHEARSE
from web.store.tables import JobTargetRow
from web.tools.registry import tool_of


async def events(site: Site, job_id: int, kind: str = "log") -> list[str]:
    async with site.store.connect() as connection:
        return [event.text for event in await read_events(connection, job_id) if event.kind == kind]


async def test_pending_migrations_are_applied(site: Site) -> None:
    seen = await site.observe()
    job = await site.run(MIGRATE, seen_revisions=[], seen_fingerprint=seen.fingerprint)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["title"] == "3 migrations applied"
    assert outcome(job)["data"]["after"] == ["c"]
    assert site.revisions == ["c"]
    statements = [text for text in await events(site, job.id, "statement") if text]
    assert statements[0].startswith("CREATE TABLE users")
    async with site.store.connect() as connection:
        record = await record_of(connection, site.dev)
        intents = await read_intents(connection, job.id)
        gates = (await connection.execute(select(JobTargetRow.unfinished))).scalars().all()
    assert record is not None
    assert record.observation is not None
    assert record.observation.revisions == ("c",)
    assert record.observation.drift.state == "none"
    assert all(intent.proof is not None for intent in intents)
    assert gates == [False]
    again = await site.run(MIGRATE)
    assert outcome(again)["title"] == "Nothing to apply"


async def test_a_target_that_changed_is_refused(site: Site) -> None:
    seen = await site.observe()
    site.query("CREATE TABLE by_hand ()")
    job = await site.run(MIGRATE, seen_fingerprint=seen.fingerprint)
    assert job.state == "failed"
    assert outcome(job)["error"]["type"] == "TargetChanged"
    job = await site.run(MIGRATE, seen_revisions=["a"])
    assert outcome(job)["error"]["type"] == "TargetChanged"
    assert site.query("SELECT to_regclass('users')") == [(None,)]


async def test_a_plan_binds_what_runs(site: Site) -> None:
    await site.observe()
    shown_hash = outcome(await site.run(REHEARSE))["data"]["plan_hash"]
    site.write(b=migration("b", "a", execute("DROP TABLE users")))
    job = await site.run(MIGRATE, shown_hash=shown_hash)
    assert outcome(job)["error"]["type"] == "TargetChanged"
    assert site.query("SELECT to_regclass('users')") == [(None,)]
    shown_hash = outcome(await site.run(REHEARSE))["data"]["plan_hash"]
    job = await site.run(MIGRATE, shown_hash=shown_hash)
    assert job.state == "succeeded"


async def test_several_heads_unknown_and_edited_are_refused(site: Site) -> None:
    await site.at_head()
    await site.observe()
    site.write(d=migration("d", "c"), e=migration("e", "c"))
    job = await site.run(MIGRATE)
    assert outcome(job)["error"]["type"] == "SeveralHeads"
    site.write(e=migration("e", "d"), a=migration("a", None))
    job = await site.run(MIGRATE)
    assert "Migrations were edited after they were applied: a" in outcome(job)["account"]
    site.query("UPDATE alembic_version SET version_num = 'lost'")
    job = await site.run(MIGRATE)
    assert "lost" in outcome(job)["account"]
    assert site.revisions == ["lost"]


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"d.py": "def (:"}, "d.py is not valid Python"),
        ({"d.py": migration("d", "e"), "e.py": migration("e", "d")}, "Revisions go round in a circle: d, e."),
        ({"d.py": migration("d", "d")}, "Revisions go round in a circle: d."),
    ],
)
async def test_a_history_with_problems_is_refused(site: Site, files: dict[str, str], said: str) -> None:
    await site.observe()
    await site.run(MIGRATE)
    for name, text in files.items():
        (site.folder / "migrations" / "versions" / name).write_text(text)
    job = await site.run(MIGRATE)
    assert (job.state, site.revisions) == ("failed", ["c"])
    assert said in outcome(job)["account"]
    seen = await site.observe()
    assert seen.revisions == ("c",)


async def test_production_needs_a_verified_backup_and_a_rehearsal(site: Site) -> None:
    site.change(tier="production", backup=BackupPolicy(max_age=timedelta(hours=24)), reset=None)
    await site.observe()
    job = await site.run(MIGRATE)
    assert outcome(job)["error"]["type"] == "OperationNotAllowed"
    assert site.query("SELECT to_regclass('users')") == [(None,)]
    await site.back_up()
    # What runs on production was rehearsed; elsewhere that is a warning.
    job = await site.run(MIGRATE)
    assert "Not rehearsed in a scratch database" in outcome(job)["account"]
    assert (await site.run(REHEARSE)).state == "succeeded"
    assert (await site.run(MIGRATE)).state == "succeeded"


async def test_a_failure_in_one_transaction_leaves_nothing(site: Site) -> None:
    await site.observe()
    site.write(c=migration("c", "b", execute("CREATE TABLE fine ()", "SELECT 1 / 0")))
    job = await site.run(MIGRATE)
    assert job.state == "failed"
    told = outcome(job)
    assert "division by zero" in told["account"]
    assert "Nothing was applied" in told["account"]
    assert told["evidence"]["rows"] == []
    assert site.query("SELECT to_regclass('users')") == [(None,)]


async def test_a_failure_after_whole_migrations_says_which(site: Site) -> None:
    """One transaction per migration: a and b stay, c does not."""
    env = (site.folder / "migrations" / "env.py").read_text()
    (site.folder / "migrations" / "env.py").write_text(
        env.replace("connection=connection", "connection=connection, transaction_per_migration=True")
    )
    site.write(c=migration("c", "b", execute("SELECT 1 / 0")))
    (site.folder / "migrations" / "env.py").write_text(
        env.replace("connection=connection", "connection=connection, transaction_per_migration=True")
    )
    await site.observe()
    job = await site.run(MIGRATE)
    assert job.state == "failed"
    assert site.revisions == ["b"]
    assert "Not applied: c." in outcome(job)["account"]
    site.write(c=migration("c", "b"))
    assert (await site.run(MIGRATE)).state == "succeeded"


async def test_half_applied_is_told_exactly(site: Site) -> None:
    """A failed concurrent index leaves committed columns, an invalid index and the old revision."""
    body = "\n".join(
        [
            "op.execute('ALTER TABLE users ADD COLUMN extra int')",
            "op.execute('INSERT INTO users SELECT id + 1000, email FROM users')",
            "with op.get_context().autocommit_block():",
            "    op.execute('CREATE UNIQUE INDEX CONCURRENTLY users_email ON users (email)')",
        ]
    )
    await site.at_head()
    site.write(d=migration("d", "c", body))
    job = await site.run(MIGRATE)
    told = outcome(job)
    assert site.revisions == ["c"]
    assert job.state in ("failed", "unknown")
    assert told["evidence"]["invalid_indexes"] == ["public.users_email"]
    assert "ALTER TABLE users ADD COLUMN extra int" in told["evidence"]["half_applied"]
    assert "public.users_email" in told["account"]
    assert "ADD COLUMN extra" in told["account"]
    assert "public.users_email" in told["next_step"]


async def test_a_lock_is_waited_for_and_the_blocker_is_named(site: Site) -> None:
    await site.observe()
    site.write(b=migration("b", "a"), c=migration("c", "b"))
    assert (await site.run(MIGRATE)).state == "succeeded"
    site.write(d=migration("d", "c", execute("ALTER TABLE users ADD COLUMN more int")))
    async with await psycopg.AsyncConnection.connect(site.url) as other:
        await other.execute("SELECT count(*) FROM users")
        pid = other.info.backend_pid
        job_id = await site.start(MIGRATE, lock_timeout=2, lock_attempts=4)
        running = asyncio.ensure_future(site.execution(job_id).run())

        async def said(what: str) -> bool:
            return any(what in text for text in await events(site, job_id))

        await until(lambda: said(f"pid {pid}"), within=60)
        await until(lambda: said("Trying again"), within=60)
        await other.rollback()
        await running
    job = await site.job(job_id)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["d"]


async def test_a_lock_that_is_never_free_ends_the_job(site: Site) -> None:
    await site.at_head()
    site.write(d=migration("d", "c", execute("ALTER TABLE users ADD COLUMN more int")))
    async with await psycopg.AsyncConnection.connect(site.url) as other:
        await other.execute("SELECT count(*) FROM users")
        job = await site.run(MIGRATE, lock_timeout=1, lock_attempts=2)
    assert job.state == "failed"
    assert "Nothing was applied" in outcome(job)["account"]
    assert site.revisions == ["c"]


async def test_cancelling_tells_the_truth(site: Site) -> None:
    await site.observe()
    site.write(c=migration("c", "b", execute("SELECT pg_sleep(600)")))
    job_id = await site.start(MIGRATE)
    execution = site.execution(job_id)
    running = asyncio.ensure_future(execution.run())

    async def sleeping() -> list[tuple[Any, ...]]:
        return site.query(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
        )

    await until(sleeping, within=60)
    async with site.store.begin() as connection:
        await cancel(connection, job_id, requested_by="bob")
    execution.stop("cancelled", "bob")
    async with asyncio.timeout(15):
        await running
    job = await site.job(job_id)
    assert job.state == "cancelled", outcome(job)
    assert "Nothing was applied" in outcome(job)["account"]
    assert not await sleeping()
    assert site.query("SELECT to_regclass('users')") == [(None,)]


async def test_a_terminated_backend_ends_in_the_true_state(site: Site) -> None:
    await site.observe()
    site.write(c=migration("c", "b", execute("SELECT pg_sleep(600)")))
    job_id = await site.start(MIGRATE)
    running = asyncio.ensure_future(site.execution(job_id).run())
    sleeping = "FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"

    async def runs() -> list[tuple[Any, ...]]:
        return site.query(f"SELECT 1 {sleeping}")

    await until(runs, within=60)
    site.query(f"SELECT pg_terminate_backend(pid) {sleeping}")
    await asyncio.wait_for(running, 30)
    job = await site.job(job_id)
    assert job.state == "failed", outcome(job)
    assert "Nothing was applied" in outcome(job)["account"]
    assert site.query("SELECT to_regclass('users')") == [(None,)]


async def registered(site: Site, number: int) -> None:
    """Register the source as a build, as CI does."""
    clinic = site.configuration.project("clinic")
    history = await tool_of(clinic).history(clinic)
    async with site.store.begin() as connection:
        await register_build(connection, clinic, number, history, by="ci")


async def test_only_the_build_that_is_named(site: Site) -> None:
    await registered(site, 47)
    site.write(d=migration("d", "c", execute("CREATE TABLE visits (id int)")))
    await registered(site, 48)
    await site.observe()
    job = await site.run(MIGRATE, build=47)
    assert job.state == "failed"
    error = outcome(job)["error"]
    assert (error["type"], error["message"]) == (
        "SourceIsNotBuild",
        "The source of clinic ends at d, and build #47 at c.",
    )
    assert site.query("SELECT to_regclass('users')") == [(None,)]
    job = await site.run(MIGRATE, build=49)
    assert outcome(job)["error"]["type"] == "NotFound"
    async with surfaces(site) as client:
        place = "/api/v1/projects/clinic/environments/dev/jobs/migrate"
        refused = await client.post(place, json={"parameters": {"build": 47}})
        assert refused.status_code == 409
        assert refused.json()["detail"] == error["message"]
        assert (await client.post(place, json={"parameters": {"build": 49}})).status_code == 404
    job = await site.run(MIGRATE, build=48)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["d"]
    # What is there already is no reason to hold a deployment back.
    job = await site.run(MIGRATE, build=48)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "Nothing to apply")


async def test_a_build_of_several_heads_that_are_followed(site: Site) -> None:
    site.write(x=migration("x", "b", execute("CREATE TABLE x (id int)")))
    await registered(site, 48)
    site.change(follow=("heads",))
    await site.observe()
    job = await site.run(MIGRATE, build=48)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["c", "x"]
