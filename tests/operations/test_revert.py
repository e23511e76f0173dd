"""Revert: out-of-band changes planned, proven and taken back on a real database."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import insert

from tests.jobs.conftest import until
from tests.operations.conftest import Site, outcome
from tests.tools.written import execute, migration
from web.answers.gate import repair_gate
from web.errors import JobAlreadyRunning
from web.observation.records import record_of
from web.operations.plan_revert import PLAN_REVERT
from web.operations.revert import REVERT
from web.remedies.repair import Repair, read_repair
from web.store.tables import IgnoreRuleRow

#: What somebody did behind the migrations' back.
BY_HAND = (
    "ALTER TABLE users ADD COLUMN note text DEFAULT 'x'",
    "ALTER TABLE users ALTER COLUMN email DROP NOT NULL",
    "CREATE INDEX by_email ON users (email)",
    "ALTER TABLE tenants ADD CONSTRAINT positive CHECK (id > 0)",
)


async def drifted(site: Site, *changes: str) -> None:
    await site.at_head()
    for each in changes or BY_HAND:
        site.query(each)
    assert (await site.observe()).drift.count == len(changes or BY_HAND)


async def planned(site: Site, **parameters: bool | str) -> Repair:
    job = await site.run(PLAN_REVERT, **parameters)
    assert job.state == "succeeded", outcome(job)
    async with site.store.connect() as store:
        record = await record_of(store, site.dev)
        assert record is not None
        repair = await read_repair(store, record.environment_id, record.observation)
    assert repair is not None
    return repair


async def test_what_keeps_data_is_reverted_and_the_rest_is_left(site: Site) -> None:
    await drifted(site)
    repair = await planned(site)
    assert not repair.loses
    assert repair.refusal is None
    assert [each.difference.object for each in repair.left] == ["public.users.note"]

    job = await site.run(REVERT, shown_hash=repair.hash)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["account"].endswith("Drift afterwards: 1 difference.")
    assert site.query("SELECT count(note), count(*) FROM users") == [(100, 100)]
    assert site.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_email'") == [(0,)]


async def test_with_loss_everything_is_reverted_and_needs_a_backup(site: Site) -> None:
    await drifted(site)
    repair = await planned(site, with_loss=True)
    assert repair.loses
    assert not repair.left
    async with site.store.connect() as store:
        record = await record_of(store, site.dev)
    gate = repair_gate(site.dev, record, repair)
    assert [each.name for each in gate.closed_by] == ["verified backup"]

    refused = await site.run(REVERT, shown_hash=repair.hash)
    assert refused.state == "failed"
    assert "Nothing was run" in outcome(refused)["account"]
    assert site.query("SELECT count(note) FROM users") == [(100,)]


async def test_only_what_was_seen_runs(site: Site) -> None:
    await drifted(site)
    assert "Nobody has seen" in outcome(await site.run(REVERT))["account"]
    repair = await planned(site)
    site.query("CREATE TABLE another (id int)")
    changed = await site.run(REVERT, shown_hash=repair.hash)
    assert changed.state == "failed"
    assert "not the one that the repair was made for" in outcome(changed)["account"]
    assert site.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_email'") == [(1,)]


async def test_two_clicks_revert_once(site: Site) -> None:
    await drifted(site, "CREATE INDEX by_email ON users (email)")
    repair = await planned(site)
    first = await site.start(REVERT, shown_hash=repair.hash)
    with pytest.raises(JobAlreadyRunning):
        await site.start(REVERT, shown_hash=repair.hash)
    await site.execution(first).run()
    assert (await site.job(first)).state == "succeeded"
    again = await site.run(REVERT, shown_hash=repair.hash)
    assert again.state == "failed"
    assert "not the one that the repair was made for" in outcome(again)["account"]


async def test_what_is_ignored_is_left_alone(site: Site) -> None:
    await drifted(site)
    async with site.store.begin() as store:
        await store.execute(
            insert(IgnoreRuleRow).values(
                project="clinic",
                object_pattern="public.by_*",
                reason="The report needs it until March.",
                owner="ada",
                created_by="ada",
                expires_at=datetime(2999, 1, 1, tzinfo=UTC),
            )
        )
    seen = await site.observe()
    assert (seen.drift.state, seen.drift.count, seen.drift.ignored) == ("drifted", 3, 1)
    repair = await planned(site)
    assert [each.object for each in repair.kept] == ["public.by_email"]
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["account"].endswith("Drift afterwards: 1 difference, 1 ignored.")
    assert site.query("SELECT count(*) FROM pg_indexes WHERE indexname = 'by_email'") == [(1,)]


async def test_only_what_is_asked_for_is_reverted(site: Site) -> None:
    await drifted(site)
    repair = await planned(site, only="public.*email")
    assert {each.object for each in repair.kept} == {"public.users.note", "public.tenants.positive"}
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert job.state == "succeeded", outcome(job)
    assert (await site.observe()).drift.count == 2
    nothing = await site.run(PLAN_REVERT, only="public.nobody")
    assert "No difference is one of public.nobody" in outcome(nothing)["account"]


async def test_a_lock_that_is_not_had_rolls_back_and_tells(site: Site) -> None:
    await drifted(site, "ALTER TABLE users ALTER COLUMN email DROP NOT NULL")
    repair = await planned(site)
    with psycopg.connect(site.url) as other:
        other.execute("SELECT * FROM users LIMIT 1")
        job = await site.run(REVERT, shown_hash=repair.hash, lock_timeout=1, lock_attempts=1)
    assert job.state == "failed", outcome(job)
    assert "Nothing took effect" in outcome(job)["account"]
    assert (await site.run(REVERT, shown_hash=repair.hash)).state == "succeeded"
    assert (await site.observe()).drift.state == "none"


async def test_what_the_role_has_set_changes_nothing(site: Site) -> None:
    await drifted(
        site,
        "COMMENT ON TABLE users IS 'by hand'",
        "ALTER TABLE users ALTER COLUMN email SET DEFAULT 'C:\\new'",
    )
    repair = await planned(site)
    database, role = site.query("SELECT current_database(), current_user")[0]
    site.query(f'ALTER ROLE "{role}" IN DATABASE "{database}" SET standard_conforming_strings = off')
    site.query(f'ALTER ROLE "{role}" IN DATABASE "{database}" SET "DateStyle" = \'German\'')
    # A setting of a role in the database is part of its schema.
    repair = await planned(site, only="public.*")
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert job.state == "succeeded", outcome(job)
    seen = await site.observe()
    assert seen.drift.state == "none", seen.drift


async def test_nothing_to_revert(site: Site) -> None:
    await site.at_head()
    job = await site.run(PLAN_REVERT)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "Nothing to revert")


#: A view, a policy and what stands on a column that somebody gave another type, with rows that a unique index refuses.
STANDS_ON_IT = (
    "CREATE TABLE d (id int PRIMARY KEY, n bigint)",
    "CREATE VIEW v AS SELECT id, n FROM d",
    "CREATE UNIQUE INDEX d_n ON d (n)",
    "ALTER TABLE d ENABLE ROW LEVEL SECURITY",
    "CREATE POLICY own ON d USING (n > 0)",
)
DISTURBED = (
    "DROP VIEW v",
    "DROP POLICY own ON d",
    "ALTER TABLE d ALTER COLUMN n TYPE int",
    "CREATE VIEW v AS SELECT id, n FROM d",
    "CREATE POLICY own ON d USING (n > 0)",
    "DROP INDEX d_n",
    "CREATE INDEX d_n ON d (n)",
)
THERE = (
    "SELECT (SELECT count(*) FROM pg_views WHERE viewname = 'v'), (SELECT count(*) FROM pg_policies), "
    "(SELECT count(*) FROM pg_index WHERE indrelid = 'd'::regclass AND indisvalid), (SELECT count(*) FROM d)"
)


async def disturbed(site: Site) -> None:
    """Somebody gave a column another type by hand, and the rows are not what the migrations want."""
    site.write(d=migration("d", "c", execute(*STANDS_ON_IT)))
    await site.at_head()
    for each in DISTURBED:
        site.query(each)
    site.query("INSERT INTO d VALUES (1, 5), (2, 5), (3, 6)")


async def test_rows_that_refuse_it_are_counted_before_anything_is_touched(site: Site) -> None:
    await disturbed(site)
    job = await site.run(PLAN_REVERT, with_loss=True)
    assert job.state == "succeeded", outcome(job)
    assert "public.d_n: 1 of values of (n) in public.d that occur more than once" in outcome(job)["account"]
    repair = await planned(site)
    assert [each.count for each in repair.counted if each.refused] == [1]
    async with site.store.connect() as store:
        gate = repair_gate(site.dev, await record_of(store, site.dev), repair)
    assert [each.name for each in gate.closed_by] == ["rows"]

    job = await site.run(REVERT, shown_hash=repair.hash)
    assert (job.state, outcome(job)["title"]) == ("failed", "Rows refuse it")
    assert "Nothing was run." in outcome(job)["account"]
    assert "They are: SELECT n, count(*) FROM" in outcome(job)["account"]
    assert site.query(THERE) == [(1, 1, 2, 3)]
    # The rows are put right: it is counted anew, and the same plan runs.
    site.query("DELETE FROM d WHERE id = 2")
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert job.state == "succeeded", outcome(job)
    assert (await site.observe()).drift.state == "none"
    assert site.query(THERE) == [(1, 1, 2, 2)]


async def test_rows_that_come_after_counting_take_nothing_away(site: Site) -> None:
    await disturbed(site)
    site.query("DELETE FROM d WHERE id = 2")
    repair = await planned(site)
    with psycopg.connect(site.url) as other:
        # Nobody sees this row yet, and the first transaction waits for it.
        other.execute("INSERT INTO d VALUES (2, 5)")
        reverting = asyncio.create_task(site.run(REVERT, shown_hash=repair.hash, lock_timeout=60))

        async def waits() -> bool:
            return bool(site.query("SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"))

        await until(waits, within=60)
    job = await reverting
    assert job.state in ("failed", "not done"), outcome(job)
    assert "after 1 of" in outcome(job)["account"].lower(), outcome(job)
    # The type is what it shall be, with all that stands on it; the index is the one that was there.
    assert site.query(THERE) == [(1, 1, 2, 3)]
    assert site.query(
        "SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'd'::regclass AND attnum = 2"
    ) == [("bigint",)]
    # What broke off left an invalid index, which is listed and in nobody's way.
    repair = await planned(site)
    assert any("_instead" in each.sql for each in repair.statements)
    assert (await site.run(REVERT, shown_hash=repair.hash)).state == "failed"
    site.query("DELETE FROM d WHERE id = 2")
    job = await site.run(REVERT, shown_hash=(await planned(site)).hash)
    assert job.state == "succeeded", outcome(job)
    assert (await site.observe()).drift.state == "none"
    assert site.query(THERE) == [(1, 1, 2, 2)]


async def test_an_invalid_index_is_listed_and_repaired_and_blocks_nothing(site: Site) -> None:
    await disturbed(site)
    with pytest.raises(psycopg.errors.UniqueViolation):
        site.query("CREATE UNIQUE INDEX CONCURRENTLY by_hand ON d (n)")
    site.query("DELETE FROM d WHERE id = 2")
    site.query("DROP INDEX d_n")
    site.query("INSERT INTO d VALUES (2, 5)")
    with pytest.raises(psycopg.errors.UniqueViolation):
        site.query("CREATE UNIQUE INDEX CONCURRENTLY d_n ON d (n)")
    seen = await site.observe()
    assert seen.drift.state == "drifted"
    repair = await planned(site)
    assert repair.refusal is None
    assert not repair.left
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert (job.state, outcome(job)["title"]) == ("failed", "Rows refuse it")
    site.query("DELETE FROM d WHERE id = 2")
    job = await site.run(REVERT, shown_hash=(await planned(site)).hash)
    assert job.state == "succeeded", outcome(job)
    assert (await site.observe()).drift.state == "none"
    assert site.query(THERE) == [(1, 1, 2, 2)]


async def test_rows_that_could_not_be_counted_are_asked_about(site: Site) -> None:
    await drifted(site, "ALTER TABLE users ALTER COLUMN email DROP NOT NULL")
    repair = await planned(site)
    with psycopg.connect(site.url) as other:
        other.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
        job = await site.run(REVERT, shown_hash=repair.hash, lock_attempts=1, lock_timeout=1, count_timeout=1)
        assert (job.state, outcome(job)["title"]) == ("failed", "Not counted")
        assert "Nothing was run." in outcome(job)["account"]
    assert (await site.run(REVERT, shown_hash=repair.hash)).state == "succeeded"
