"""Reset by the project's own script: what it leaves is listed, and rows that tell of what is gone are a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.operations.conftest import Site, outcome
from tests.operations.test_reset import NASTY, prepare
from tests.tools.written import execute, migration
from web.config import ResetPolicy
from web.jobs.reading import read_events
from web.operations.migrate import MIGRATE
from web.operations.reset import RESET
from web.postgres.urls import parameters


@pytest.fixture
def script(site: Site, tmp_path: Path) -> Path:
    file = tmp_path / "reset-database.sql"
    site.change(reset=ResetPolicy(script=file))
    return file


async def lines_of(site: Site, job_id: int) -> list[str]:
    async with site.store.connect() as store:
        return [event.text for event in await read_events(store, job_id) if event.kind == "log"]


async def test_tables_gone_and_revisions_kept_is_a_failure(site: Site, script: Path) -> None:
    site.write(
        c=migration("c", "b", execute("CREATE TABLE tenants (id int)", "CREATE VIEW v AS SELECT 1 AS one"))
    )
    await prepare(site)
    for statements, gone in (
        ("DROP TABLE tenants, users", "table public.tenants, table public.users"),
        ("DROP VIEW v", "view public.v"),
    ):
        script.write_text(statements)
        job = await site.run(RESET)
        told = outcome(job)
        assert (job.state, told["error"]["type"]) == ("failed", "VersionRowsKept"), told
        assert f"reset-database.sql dropped {gone}, and the version table still says c" in told["account"]
        assert "The migrations were not run" in told["account"]
        assert "drop or empty the version table as well" in told["next_step"]
        assert site.revisions == ["c"]
        seen = await site.observe()
        assert seen.drift.state == "drifted"

        script.write_text("DROP TABLE IF EXISTS tenants, users, alembic_version; DROP VIEW IF EXISTS v")
        job = await site.run(RESET)
        assert (job.state, outcome(job)["title"]) == ("succeeded", "Reset"), outcome(job)
        assert outcome(job)["data"]["left_behind"] == []
        assert (await site.observe()).drift.state == "none"


async def test_what_no_migration_makes_may_go_without_the_rows(site: Site, script: Path) -> None:
    script.write_text("TRUNCATE users, tenants; DROP TABLE imported")
    await prepare(site)
    site.query("CREATE TABLE imported (id int)")
    job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    assert site.query("SELECT count(*) FROM users") == [(0,)]
    assert (await site.observe()).drift.state == "none"


@pytest.mark.parametrize("others", ["", "; DROP TABLE tenants, alembic_version"])
async def test_a_name_without_its_quotes_drops_nothing(site: Site, script: Path, others: str) -> None:
    site.write(
        a=migration("a", None, execute('CREATE TABLE "Users" (id int)', 'INSERT INTO "Users" VALUES (1)')),
        b=migration("b", "a"),
    )
    await prepare(site)
    script.write_text(f"DROP TABLE IF EXISTS Users{others}")
    job = await site.run(RESET)
    told = outcome(job)
    assert (job.state, told["error"]["type"]) == ("failed", "NameFolded"), told
    assert 'names users, which is not there (table "users" does not exist, skipping)' in told["account"]
    assert 'table public."Users" is, and the script left it' in told["account"]
    assert 'Statement 1: table "users" does not exist, skipping' in await lines_of(site, job.id)
    assert site.query('SELECT count(*) FROM "Users"') == [(1,)]
    script.write_text('DROP TABLE IF EXISTS "Users", tenants, alembic_version')
    assert outcome(await site.run(RESET))["title"] == "Reset"


async def test_a_table_that_was_added_later_is_named_where_the_migrations_meet_it(
    site: Site, script: Path
) -> None:
    site.write(d=migration("d", "c", execute("CREATE TABLE added_later (id int)")))
    await prepare(site)
    script.write_text("DROP TABLE users, tenants, alembic_version")
    job = await site.run(RESET)
    told = outcome(job)
    assert job.state == "failed", told
    assert '"added_later" already exists' in told["account"]
    assert (
        "reset-database.sql ran. The script left 1 object that was there before, without rows: table "
        "public.added_later." in told["account"]
    )
    assert "The old objects are gone" not in told["account"]
    assert told["evidence"]["left_behind"] == [{"kind": "table", "name": "public.added_later", "rows": False}]


async def test_everything_that_it_leaves_is_listed(site: Site, script: Path) -> None:
    await prepare(site)
    site.query(NASTY.replace("{database}", parameters(site.url)["dbname"]))
    site.query("CREATE CAST (mood AS int) WITH INOUT")
    script.write_text("DROP TABLE users, tenants, alembic_version")
    job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    left = outcome(job)["data"]["left_behind"]
    assert {each["kind"] for each in left} == {
        "schema", "table", "partitioned table", "view", "materialized view", "sequence", "enum", "domain",
        "composite type", "range type", "function", "procedure", "aggregate", "publication", "collation",
        "text search configuration", "cast", "large objects",
    }  # fmt: skip
    names = {each["name"] for each in left}
    assert {"public.docs", "public.dependent", "public.visits_2026", '"Odd ""name"" <b>"."t 🐘"'} <= names
    assert not {"public.users", "public.tenants"} & names
    (log,) = [line for line in await lines_of(site, job.id) if line.startswith("The script left")]
    assert f"The script left {len(left)} objects that were there before, without rows" in log


async def test_a_transaction_that_is_not_committed_is_no_reset(site: Site, script: Path) -> None:
    await prepare(site)
    script.write_text("BEGIN; DROP TABLE users, tenants, alembic_version")
    job = await site.run(RESET)
    assert outcome(job)["error"]["type"] == "TransactionLeftOpen", outcome(job)
    assert site.query("SELECT count(*) FROM users") == [(100,)]
    script.write_text("BEGIN; DROP TABLE users, tenants, alembic_version; COMMIT")
    assert outcome(await site.run(RESET))["title"] == "Reset"


async def test_a_script_that_drops_all_of_it(site: Site, script: Path) -> None:
    await prepare(site)
    site.query("CREATE TABLE more (id int)")
    script.write_text("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    job = await site.run(RESET)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "Reset"), outcome(job)
    assert site.query("SELECT to_regclass('more')") == [(None,)]
    assert (await site.run(MIGRATE)).state == "succeeded"
