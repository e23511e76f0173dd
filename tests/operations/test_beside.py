"""Beside: a fresh database, made like the environment's, proven, taken by a pin. What is half made is told."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql
from pydantic import ValidationError

from tests.configured import secret
from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import page, surfaces
from tests.operations.test_killed import KilledWorkers, killed_workers
from tests.operations.test_restamp import clean_start
from tests.tools.written import execute, migration
from web.config import Prelude
from web.jobs.reading import JobRecord
from web.operations.beside import BESIDE, BesideParameters
from web.operations.pin import PIN
from web.postgres.connections import with_database
from web.postgres.urls import database_name

__all__ = ["killed_workers"]

PASSWORD = "a quiet word"
PLACE = "/projects/clinic/environments/dev"
#: Runs where the database is a fresh one beside another, and nowhere else.
ONLY_THERE = "DO $$ BEGIN IF current_database() LIKE '%_clean' THEN {} END IF; END $$"


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query)
        return cursor.fetchall() if cursor.description else []


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@pytest.fixture
def role(site: Site) -> Iterator[str]:
    """A role that may sign in and nothing else; it owns nothing once the test is over."""
    name = f"app_{uuid.uuid4().hex[:12]}"
    made = sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(sql.Identifier(name), PASSWORD)
    site.query(made.as_string())
    yield name
    for database in (site.target_name, f"{site.target_name}_clean"):
        ask(with_database(site.url, "postgres"), f"DROP DATABASE IF EXISTS {quoted(database)} WITH (FORCE)")
    ask(with_database(site.url, "postgres"), f"DROP ROLE {name}")


def lead_to(site: Site, folder: Path, url: str) -> None:
    site.change(url=secret(folder, "elsewhere", url))


def as_role(site: Site, role: str) -> str:
    host = site.url.rpartition("@")[2]
    return f"postgresql://{role}:{PASSWORD.replace(' ', '%20')}@{host}"


def clean(site: Site) -> str:
    """The URL of what stands beside, by its usual name."""
    return with_database(site.url, f"{site.target_name}_clean")


def exists(site: Site, name: str) -> bool:
    query = sql.SQL("SELECT true FROM pg_database WHERE datname = {}").format(name)
    return bool(site.query(query.as_string()))


async def made(site: Site, **given: Any) -> dict[str, Any]:
    job = await site.run(BESIDE, **given)
    assert job.state == "succeeded", outcome(job)
    return outcome(job)


async def test_made_proven_and_taken(site: Site, tmp_path: Path) -> None:
    await site.at_head()
    site.query("INSERT INTO users SELECT n, 'x', NULL FROM generate_series(1000, 1100) n")
    said = await made(site)
    name = f"{site.target_name}_clean"
    data = said["data"]
    assert (data["name"], data["beside"], data["revisions"]) == (name, site.target_name, ["c"])
    assert data["not_carried_over"] == []
    assert f"The database {name} ({data['identity']}) is beside {site.target_name}" in said["account"]
    assert "3 migrations ran in it" in said["account"]
    assert f"({site.dev.url}) to {name}" in said["next_step"]
    assert f"--identity {data['identity']}" in said["next_step"]
    # The present one is as it was, and no row of it is in the new one.
    assert site.query("SELECT count(*) FROM users") == [(201,)]
    assert ask(clean(site), "SELECT count(*) FROM users") == [(100,)]
    lead_to(site, tmp_path, clean(site))
    seen = await site.observe()
    assert seen.error["found"] == data["identity"]
    pinned = await site.run(PIN, identity=data["identity"])
    assert pinned.state == "succeeded", outcome(pinned)
    async with surfaces(site) as client:
        assert (await client.get(f"/api/v1{PLACE}/verdict")).json()["verdict"] == "in sync"
    assert exists(site, site.target_name)


async def test_after_a_clean_start_the_baseline_alone_runs(site: Site) -> None:
    await site.at_head()
    revision = await clean_start(site)
    async with surfaces(site) as client:
        assert "Fresh database beside…" in await page(client, PLACE)
        shown = await page(client, f"{PLACE}/jobs/new/beside")
        assert "Make a fresh database beside clinic/dev?" in shown
        refused = await client.post(f"/api/v1{PLACE}/jobs/beside", json={"typed": "clinic"})
        assert refused.status_code == 403
        assert "clinic/dev" in json.dumps(refused.json())
    said = await made(site, name="clinic_of_tomorrow_" + site.target_name)
    assert said["data"]["applied"] == 1
    assert said["data"]["revisions"] == [revision]
    assert site.revisions == ["c"]


async def test_what_no_dump_holds_is_carried_over(site: Site, role: str) -> None:
    await site.at_head()
    database = quoted(site.target_name)
    for statement in (
        f"ALTER DATABASE {database} SET search_path TO public, \"a 'quoted' path\"",
        f"ALTER DATABASE {database} SET app.motto TO 'it''s \\ a \"test\" %s {{}}'",
        f"ALTER ROLE {role} IN DATABASE {database} SET work_mem TO '7MB'",
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC",
        f"GRANT CONNECT, CREATE ON DATABASE {database} TO {role} WITH GRANT OPTION",
        f"ALTER DATABASE {database} CONNECTION LIMIT 42",
        f"COMMENT ON DATABASE {database} IS 'it''s \\ ours'",
    ):
        site.query(statement)
    said = await made(site)
    assert said["data"]["not_carried_over"] == []
    own = """
        SELECT datdba, datacl::text, datconnlimit, shobj_description(oid, 'pg_database'), encoding, datcollate,
               datctype, datlocprovider,
               (SELECT array_agg((setrole, each)::text ORDER BY setrole, each)
                  FROM pg_db_role_setting, unnest(setconfig) each WHERE setdatabase = d.oid)
          FROM pg_database d WHERE datname = current_database()
        """
    assert ask(clean(site), own) == ask(site.url, own)


HOSTILE = [
    'A "weird" name; DROP DATABASE postgres; --',
    "ünï'cödé %s {} $x$ \\",
    "host=elsewhere dbname=postgres",
    "-c --file=x",
    "postgresql://ana@elsewhere/x",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_are_names(site: Site, name: str) -> None:
    await site.at_head()
    name = f"{name[:44]} {uuid.uuid4().hex[:8]}"
    said = await made(site, name=name)
    try:
        assert said["data"]["name"] == name
        assert exists(site, name)
        found = ask(with_database(site.url, name), "SELECT current_database(), count(*) FROM users")
        assert found == [(name, 100)]
    finally:
        ask(with_database(site.url, "postgres"), f"DROP DATABASE {quoted(name)} WITH (FORCE)")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("x" * 64, "It takes 64 bytes, and a name of PostgreSQL 63 at most"),
        ("ü" * 32, "It takes 64 bytes"),
        ("two\nlines", "one line of characters that show"),
        ("n\0ul", "one line of characters that show"),
        ("\udcff", "UTF-8"),
    ],
)
def test_what_is_no_name(name: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        BesideParameters(name=name)
    assert BesideParameters(name="ü" * 31).name


async def test_a_usual_name_that_is_too_long_is_not_cut(site: Site, tmp_path: Path) -> None:
    await site.at_head()
    await site.store.dispose()
    long = f"{site.target_name}_{'x' * 60}"[:60]
    ask(
        with_database(site.url, "postgres"),
        f"ALTER DATABASE {quoted(site.target_name)} RENAME TO {quoted(long)}",
    )
    lead_to(site, tmp_path, with_database(site.url, long))
    job = await site.run(BESIDE)
    assert job.state == "failed"
    assert f"{long}_clean cannot be the new database's name: It takes 66 bytes" in outcome(job)["account"]
    assert outcome(job)["next_step"] == "Give another."
    ask(
        with_database(site.url, "postgres"),
        f"ALTER DATABASE {quoted(long)} RENAME TO {quoted(site.target_name)}",
    )


async def test_a_name_that_a_url_cannot_hold(site: Site) -> None:
    await site.at_head()
    job = await site.run(BESIDE, name="clinic password=hunter2")
    assert job.state == "failed"
    assert not exists(site, "clinic password=hunter2")


async def test_a_name_that_is_taken(site: Site) -> None:
    await site.at_head()
    for name in ("postgres", site.target_name):
        job = await site.run(BESIDE, name=name)
        assert job.state == "failed"
        assert f"There is a database {name} on this server already." in outcome(job)["account"]


async def test_without_createdb_nothing_is_begun(site: Site, role: str, tmp_path: Path) -> None:
    site.query(f"ALTER DATABASE {quoted(site.target_name)} OWNER TO {role}")
    lead_to(site, tmp_path, as_role(site, role))
    await site.at_head()
    lead_to(site, tmp_path, as_role(site, role))
    site.query(f"ALTER DATABASE {quoted(site.target_name)} OWNER TO {role}")
    job = await site.run(BESIDE)
    assert job.state == "failed"
    assert f"The role {role} may not create databases on this server." in outcome(job)["account"]
    assert f"ALTER ROLE {role} CREATEDB" in outcome(job)["next_step"]


async def test_as_far_as_the_role_may(site: Site, role: str, tmp_path: Path) -> None:
    """The owner's role, with CREATEDB: what only others may set is named, with no value of it."""
    database = quoted(site.target_name)
    site.query(f"ALTER ROLE {role} CREATEDB")
    site.query(f"ALTER DATABASE {database} OWNER TO {role}")
    site.query(f"ALTER ROLE postgres IN DATABASE {database} SET app.word TO 'hunter2'")
    site.query(f"ALTER DATABASE {database} SET work_mem TO '7MB'")
    lead_to(site, tmp_path, as_role(site, role))
    await site.observe()
    said = await made(site)
    assert said["data"]["not_carried_over"] == ["setting app.word for postgres"]
    assert "Not carried over: setting app.word for postgres." in said["account"]
    assert "hunter2" not in json.dumps(said)
    beside = with_database(as_role(site, role), f"{site.target_name}_clean")
    assert ask(beside, "SHOW work_mem") == [("7MB",)]
    assert ask(beside, "SELECT tableowner FROM pg_tables WHERE tablename = 'users'") == [(role,)]


async def test_of_an_owner_that_the_role_is_no_member_of(site: Site, role: str, tmp_path: Path) -> None:
    site.query(f"ALTER ROLE {role} CREATEDB")
    site.query(f"GRANT CREATE ON SCHEMA public TO {role}")
    lead_to(site, tmp_path, as_role(site, role))
    await site.observe()
    said = await made(site)
    (owner,) = said["data"]["not_carried_over"]
    assert owner == f"the owner postgres, of which {role} is no member (it owns the new one)"
    owners = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = current_database()"
    assert ask(clean(site), owners) == [(role,)]


async def test_on_a_read_only_database(site: Site, tmp_path: Path) -> None:
    await site.at_head()
    site.query(f"ALTER DATABASE {quoted(site.target_name)} SET default_transaction_read_only TO on")
    job = await site.run(BESIDE)
    assert outcome(job)["title"] == "The database is read-only"
    assert not exists(site, f"{site.target_name}_clean")


async def test_with_a_prelude(site: Site) -> None:
    (site.folder / "prelude.sql").write_text("CREATE EXTENSION citext; CREATE TABLE settings (key citext);")
    site.set_tool(prelude=Prelude(sql=site.folder / "prelude.sql"))
    await site.observe()
    await made(site)
    assert ask(clean(site), "SELECT to_regtype('citext') IS NOT NULL, count(*) FROM settings") == [(True, 0)]


async def test_a_prelude_of_its_own_is_told_before(site: Site) -> None:
    """The environment's database has all migrations; the new one has none, so that the prelude runs there."""
    await site.at_head()
    site.set_tool(prelude=Prelude(command=("make", "extensions")))
    async with surfaces(site) as client:
        for kind, told in (("beside", True), ("stamp", False)):
            asked_for = (await client.get(f"/api/v1{PLACE}/jobs/new/{kind}")).json()
            assert any("make extensions" in each for each in asked_for["warnings"]) == told


async def test_what_scratch_refuses_is_not_begun(site: Site) -> None:
    await site.at_head()
    site.write(d=migration("d", "c", execute("SELECT 1 / 0")))
    job = await site.run(BESIDE)
    assert job.state == "failed"
    assert "division by zero" in outcome(job)["account"]
    assert not exists(site, f"{site.target_name}_clean")


async def half_made(site: Site, act: str) -> JobRecord:
    site.write(d=migration("d", "c", execute(ONLY_THERE.format(act))))
    await site.observe()
    job = await site.run(BESIDE)
    assert job.state == "failed", outcome(job)
    assert exists(site, f"{site.target_name}_clean")
    return job


async def test_what_is_half_made_stays_and_is_told(site: Site) -> None:
    await site.at_head()
    job = await half_made(site, "RAISE 'not here';")
    said, name = outcome(job), f"{site.target_name}_clean"
    assert "not here" in said["account"]
    # All migrations of one run are one transaction here, so none is recorded.
    assert f"The new database {name} is there, at no revision, and was not proven." in said["account"]
    assert f"DROP DATABASE {name};" in said["next_step"]
    assert said["evidence"]["database"] == name
    async with surfaces(site) as client:
        assert "The new database" in await page(client, f"/jobs/{job.id}")
        assert (await client.get(f"/api/v1{PLACE}")).json()["doubts"] == []
    assert site.revisions == ["c"]
    again = await site.run(BESIDE)
    assert f"There is a database {name} on this server already." in outcome(again)["account"]
    assert "drop that one by hand" in outcome(again)["next_step"]


@pytest.mark.parametrize(
    ("act", "said"),
    [
        ("INSERT INTO users VALUES (1000, 'x', NULL);", "public.users holds 101 rows instead of 100"),
        ("CREATE TABLE only_here (id int);", "table public.only_here"),
    ],
)
async def test_what_is_not_what_the_migrations_give(site: Site, act: str, said: str) -> None:
    await site.at_head()
    job = await half_made(site, act)
    assert outcome(job)["title"] == "The new database is not what the migrations give"
    assert said in outcome(job)["account"]
    assert f"{site.target_name}_clean is there, at d, and was not proven" in outcome(job)["account"]


@pytest.mark.parametrize(
    ("failpoint", "state", "said"),
    [
        ("after-intent:create", "not done", "No database was made"),
        ("after-create", "unknown", "whether this job made it cannot be proven"),
        ("after-receipt:create", "unknown", "is there, at no revision, and was not proven"),
        ("before-receipt:prove", "unknown", "is there, at c, and was not proven"),
        ("after-receipt:prove", "succeeded", "is made and proven. It is at c."),
    ],
)
async def test_killed(killed_workers: KilledWorkers, failpoint: str, state: str, said: str) -> None:
    site = killed_workers.site
    await site.at_head()
    job = await killed_workers.killed(BESIDE, failpoint)
    assert job.state == state, outcome(job)
    assert said in outcome(job)["account"]
    there = failpoint != "after-intent:create"
    assert exists(site, f"{database_name(site.url)}_clean") == there
    if state == "unknown":
        assert f"DROP DATABASE {site.target_name}_clean;" in outcome(job)["next_step"]
    async with surfaces(site) as client:
        # Nobody has touched the environment's own database.
        assert (await client.get(f"/api/v1{PLACE}")).json()["doubts"] == []


async def test_somebody_made_it_again(killed_workers: KilledWorkers) -> None:
    site = killed_workers.site
    await site.at_head()
    job_id = await killed_workers.start(BESIDE)
    process = killed_workers.work("after-receipt:create")
    process.wait()
    name = quoted(f"{site.target_name}_clean")
    postgres = with_database(site.url, "postgres")
    ask(postgres, f"DROP DATABASE {name} WITH (FORCE)")
    ask(postgres, f"CREATE DATABASE {name}")
    job = await killed_workers.found_out(job_id)
    assert job.state == "unknown"
    assert "is another one than this job made" in outcome(job)["account"]
