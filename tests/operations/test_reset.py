"""Reset in place: what has to hold before the first drop, what goes, what stays, what a failure says."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.configured import environment
from tests.jobs.conftest import until
from tests.operations.conftest import Site, outcome
from tests.tools.written import execute, migration
from web.acts.emptying import BATCH, read_contents
from web.config import BackupPolicy, Prelude, ResetPolicy
from web.errors import OperationNotAllowed
from web.jobs.reading import read_events
from web.operations.backup import BACKUP
from web.operations.migrate import MIGRATE
from web.operations.reset import RESET
from web.operations.verify import VERIFY
from web.postgres.connections import connect
from web.postgres.urls import libpq_url, parameters

#: A database with something of everything in it.
NASTY = """
CREATE EXTENSION IF NOT EXISTS btree_gist;
CREATE SCHEMA "Odd ""name"" <b>";
CREATE TABLE "Odd ""name"" <b>"."t 🐘" (id serial PRIMARY KEY);
CREATE TYPE mood AS ENUM ('good', 'bad');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE TYPE pair AS (a int, b positive);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE visits (id bigint GENERATED ALWAYS AS IDENTITY, at date, m mood) PARTITION BY RANGE (at);
CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
CREATE VIEW v AS SELECT * FROM visits;
CREATE MATERIALIZED VIEW mv AS SELECT count(*) FROM v;
CREATE SEQUENCE loose;
CREATE FUNCTION f(a int, b positive DEFAULT 1) RETURNS int LANGUAGE sql AS 'SELECT 1';
CREATE PROCEDURE p() LANGUAGE sql AS 'SELECT 1';
CREATE AGGREGATE total(int) (SFUNC = int4pl, STYPE = int);
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TABLE docs (id int PRIMARY KEY, span span, EXCLUDE USING gist (id WITH =));
CREATE TRIGGER t BEFORE INSERT ON docs FOR EACH ROW EXECUTE FUNCTION touched();
CREATE TABLE dependent (id int REFERENCES docs);
CREATE PUBLICATION everything FOR ALL TABLES;
CREATE COLLATION plain FROM "C";
CREATE TEXT SEARCH CONFIGURATION mine (COPY = simple);
SELECT lo_create(0);
ALTER DATABASE {database} SET work_mem = '5MB';
"""


async def prepare(site: Site, *, backup: bool = True) -> None:
    """Look, migrate, and have a verified backup."""
    await site.at_head()
    if backup:
        await site.back_up()


def leftovers(site: Site) -> list[tuple[str, str]]:
    """Names of everything in user schemas that belongs to no extension."""
    rows = site.query(
        """
        SELECT 'class', relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
         UNION SELECT 'proc', proname::text FROM pg_proc p WHERE pronamespace = 'public'::regnamespace
               AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')
         UNION SELECT 'schema', nspname::text FROM pg_namespace
               WHERE nspname !~ '^pg_' AND nspname NOT IN ('public', 'information_schema')
         UNION SELECT 'publication', pubname::text FROM pg_publication
         UNION SELECT 'large object', oid::text FROM pg_largeobject_metadata
         UNION SELECT 'config', cfgname::text FROM pg_ts_config WHERE cfgnamespace = 'public'::regnamespace
         UNION SELECT 'collation', collname::text FROM pg_collation WHERE collnamespace = 'public'::regnamespace
        """
    )
    return [(kind, name) for kind, name in rows]


async def test_everything_goes_and_the_migrations_run_from_nothing(site: Site) -> None:
    await prepare(site)
    database = parameters(site.url)["dbname"]
    site.query(NASTY.replace("{database}", database))
    site.query("INSERT INTO users VALUES (1000, 'added later')")
    seen = await site.observe()
    job = await site.run(RESET, seen_fingerprint=seen.fingerprint, seen_revisions=["c"])
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["data"]["applied"] == ["a", "b", "c"]
    assert {name for kind, name in leftovers(site) if kind == "class"} == {
        "alembic_version",
        "alembic_version_pkc",
        "users",
        "users_pkey",
        "tenants",
        "tenants_pkey",
    }
    assert [kind for kind, _ in leftovers(site) if kind != "class"] == []
    assert site.query("SELECT count(*) FROM users") == [(100,)]
    assert site.query("SELECT extname FROM pg_extension WHERE extname = 'btree_gist'") == [("btree_gist",)]
    assert site.query("SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase "
                      "WHERE d.datname = current_database()") == [(1,)]  # fmt: skip


async def test_the_seed_runs_last(site: Site, tmp_path: Path) -> None:
    seed = tmp_path / "seed.sql"
    seed.write_text(
        "INSERT INTO tenants VALUES (1);\n-- a comment; with a semicolon\nINSERT INTO tenants VALUES (2);"
    )
    site.change(reset=ResetPolicy(seed=seed))
    await prepare(site)
    assert (await site.run(RESET)).state == "succeeded"
    assert site.query("SELECT id FROM tenants ORDER BY 1") == [(1,), (2,)]
    assert (await site.run(RESET, seed=False)).state == "succeeded"
    assert site.query("SELECT id FROM tenants ORDER BY 1") == []
    seed.write_text(
        "INSERT INTO tenants VALUES (1); INSERT INTO tenants VALUES (1); INSERT INTO tenants VALUES (2)"
    )
    job = await site.run(RESET)
    assert job.state == "failed"
    assert "statement 2 of 3" in outcome(job)["account"]
    assert "the seed was cut off" in outcome(job)["account"]
    assert site.query("SELECT id FROM tenants ORDER BY 1") == [(1,)]


async def test_without_a_young_verified_backup_nothing_is_dropped(site: Site) -> None:
    await prepare(site, backup=False)
    job = await site.run(RESET)
    assert outcome(job)["error"]["type"] == "OperationNotAllowed"
    assert "verified backup" in outcome(job)["account"]
    assert (await site.run(BACKUP)).state == "succeeded"
    assert "there is none" in outcome(await site.run(RESET))["account"]
    assert (await site.run(VERIFY)).state == "succeeded"
    site.change(backup=BackupPolicy(max_age=timedelta(microseconds=1)))
    assert "the newest was taken" in outcome(await site.run(RESET))["account"]
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_a_target_that_changed_or_moved_is_refused(
    site: Site, store_owner_url: str, tmp_path: Path
) -> None:
    await prepare(site)
    seen = await site.observe()
    site.query("ALTER TABLE users ADD COLUMN meanwhile int")
    job = await site.run(RESET, seen_fingerprint=seen.fingerprint)
    assert outcome(job)["error"]["type"] == "TargetChanged"
    original = site.dev.url
    site.change(url=environment(tmp_path, store_owner_url, "elsewhere").url)
    job = await site.run(RESET)
    assert outcome(job)["error"]["type"] == "IdentityMismatch"
    site.change(url=original)
    assert site.query("SELECT count(*) FROM users") == [(100,)]
    with psycopg.connect(store_owner_url) as connection:
        assert connection.execute("SELECT count(*) FROM environment").fetchone() == (1,)


async def test_production_and_unconfigured_environments_have_no_reset(site: Site) -> None:
    await site.observe()
    site.change(tier="production")
    with pytest.raises(OperationNotAllowed, match="production"):
        await site.start(RESET)
    site.change(tier="staging", reset=None)
    with pytest.raises(OperationNotAllowed, match="not configured"):
        await site.start(RESET)


async def test_a_policy_that_was_taken_away_meanwhile_counts(site: Site) -> None:
    await prepare(site)
    job_id = await site.start(RESET)
    site.change(reset=None)
    await site.execution(job_id).run()
    job = await site.job(job_id)
    assert outcome(job)["error"]["type"] == "OperationNotAllowed"
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_several_heads_are_refused_before_anything_is_dropped(site: Site) -> None:
    await prepare(site)
    site.write(d=migration("d", "c"), e=migration("e", "c"))
    job = await site.run(RESET)
    assert outcome(job)["error"]["type"] == "SeveralHeads"
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_a_role_that_may_not_drop_everything_drops_nothing(site: Site, tmp_path: Path) -> None:
    await prepare(site)
    role = f"low_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(site.url, autocommit=True) as owner:
        owner.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(parameters(site.url)["password"])
            )
        )
        owner.execute(sql.SQL("GRANT SELECT ON alembic_version TO {}").format(sql.Identifier(role)))
        try:
            low = environment(tmp_path, libpq_url({**parameters(site.url), "user": role}), "low")
            site.change(url=low.url)
            job = await site.run(RESET)
        finally:
            owner.execute(sql.SQL("DROP OWNED BY {}").format(sql.Identifier(role)))
            owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert outcome(job)["error"]["type"] == "PrivilegeMissing"
    assert "users" in outcome(job)["account"]
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_a_locked_table_keeps_everything(site: Site) -> None:
    await prepare(site)
    async with await psycopg.AsyncConnection.connect(site.url) as other:
        await other.execute("SELECT count(*) FROM users")
        pid = other.info.backend_pid
        job = await site.run(RESET, lock_timeout=3)
    assert job.state == "failed"
    async with site.store.connect() as store:
        lines = [event.text for event in await read_events(store, job.id) if event.kind == "log"]
    assert any(f"held by pid {pid}" in line for line in lines)
    assert "Nothing was dropped" in outcome(job)["account"]
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_cancelling_after_the_drop_tells_the_truth(site: Site) -> None:
    await prepare(site)
    site.write(c=migration("c", "b", execute("SELECT pg_sleep(600)")))
    job_id = await site.start(RESET)
    execution = site.execution(job_id)
    running = asyncio.ensure_future(execution.run())

    async def sleeping() -> list[tuple[object, ...]]:
        return site.query(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
        )

    await until(sleeping, within=60)
    execution.stop("cancelled", "bob")
    async with asyncio.timeout(15):
        await running
    job = await site.job(job_id)
    assert job.state == "cancelled", outcome(job)
    assert "The old objects are gone" in outcome(job)["account"]
    assert not await sleeping()


async def test_a_migration_that_fails_after_the_drop(site: Site) -> None:
    await prepare(site)
    site.write(c=migration("c", "b", execute("SELECT 1 / 0")))
    job = await site.run(RESET)
    told = outcome(job)
    assert job.state == "failed"
    assert "division by zero" in told["account"]
    assert "The old objects are gone" in told["account"]
    assert told["evidence"]["rows"] == []
    assert site.query("SELECT to_regclass('users')") == [(None,)]
    site.write(c=migration("c", "b"))
    assert (await site.run(MIGRATE)).state == "succeeded"


async def test_the_prelude_runs_again(site: Site) -> None:
    (site.folder / "prelude.sql").write_text("CREATE TABLE legacy (id int)")
    clinic = site.configuration.project("clinic")
    changed = replace(clinic, tool=replace(clinic.tool, prelude=Prelude(sql=Path("prelude.sql"))))
    site.configuration = replace(site.configuration, projects={"clinic": changed})
    site.write(c=migration("c", "b", execute("ALTER TABLE legacy ADD COLUMN note text")))
    site.query("CREATE TABLE legacy (id int)")
    await prepare(site)
    job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    assert site.query("SELECT count(*) FROM information_schema.columns WHERE table_name = 'legacy'") == [(2,)]


async def test_the_projects_own_script(site: Site, tmp_path: Path) -> None:
    """A script that names some tables and so misses every table that was added later."""
    script = tmp_path / "reset-database.sql"
    script.write_text("BEGIN; TRUNCATE tenants; DELETE FROM users; COMMIT;")
    site.change(reset=ResetPolicy(script=script))
    site.write(d=migration("d", "c", execute("CREATE TABLE added_later (id int)")))
    await prepare(site)
    site.query("INSERT INTO added_later VALUES (1)")
    job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    left = [(each["kind"], each["name"], each["rows"]) for each in outcome(job)["data"]["left_behind"]]
    assert left == [
        ("table", "public.added_later", True),
        ("table", "public.alembic_version", True),
        ("table", "public.tenants", False),
        ("table", "public.users", False),
    ]
    assert outcome(job)["title"] == "Reset, but for 4 objects that the script left"
    assert "2 of them with rows: table public.added_later (with rows)" in outcome(job)["account"]
    assert site.query("SELECT count(*) FROM users") == [(0,)]
    script.write_text("DELETE FROM users; SELECT * FROM no_such_table; DELETE FROM added_later")
    job = await site.run(RESET)
    assert job.state == "unknown"
    assert "statement 2 of 3" in outcome(job)["account"]
    assert site.query("SELECT count(*) FROM added_later") == [(1,)]
    script.write_text("\\! rm -rf /")
    job = await site.run(RESET)
    assert outcome(job)["error"]["type"] == "ScriptInvalid"


async def test_more_tables_than_the_lock_table_holds_go_in_batches(site: Site) -> None:
    await prepare(site)
    count = 5000
    for start in range(0, count, 500):
        site.query("; ".join(f"CREATE TABLE big.t{n} (id int PRIMARY KEY)" if start or n else
                             f"CREATE SCHEMA big; CREATE TABLE big.t{n} (id int PRIMARY KEY)"
                             for n in range(start, start + 500)))  # fmt: skip
    async with connect(site.url) as connection:
        contents = await read_contents(connection)
        small = replace(contents, room=3000)
    assert len(contents.tables) == count + 3
    assert not small.in_one_transaction
    assert max(len(batch) for batch in small.batches()) <= BATCH
    assert sum(len(batch) for batch in small.batches()) == len(contents.objects) + count
    async with asyncio.timeout(200):
        job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    async with site.store.connect() as store:
        lines = [event.text for event in await read_events(store, job.id) if event.kind == "log"]
    assert any(line.startswith("Dropping") for line in lines)
    assert site.query("SELECT count(*) FROM pg_namespace WHERE nspname = 'big'") == [(0,)]
