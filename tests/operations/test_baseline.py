"""A baseline in place of a history: written in the project's own style, proven, and put into a change set."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.conftest import Site, outcome
from tests.tools.written import execute, migration
from web.errors import Invalid, NotFound
from web.jobs.reading import JobRecord
from web.operations.baseline import BASELINE, BaselineParameters
from web.operations.migrate import MIGRATE
from web.pages.job_parts import database_state
from web.remedies.stored_baselines import StoredBaseline, baseline_of
from web.tools.registry import tool_of

MORE = {
    "d": migration(
        "d",
        "c",
        execute(
            "CREATE SCHEMA audit",
            "CREATE TYPE mood AS ENUM ('good', 'bad')",
            "CREATE TABLE feelings (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, mood mood NOT NULL, "
            "user_id int REFERENCES users (id), other int)",
            "CREATE TABLE circles (id int PRIMARY KEY, feeling int REFERENCES feelings (id))",
            "ALTER TABLE feelings ADD FOREIGN KEY (other) REFERENCES circles (id)",
            "CREATE FUNCTION audit.touched() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$",
            "CREATE TRIGGER touch BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION audit.touched()",
            "CREATE VIEW moods AS SELECT mood, count(*) FROM feelings GROUP BY mood",
            "CREATE MATERIALIZED VIEW totals AS SELECT count(*) FROM users",
            "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
            "CREATE POLICY mine ON users USING (email = current_user)",
            "COMMENT ON TABLE users IS 'Who may sign in.'",
            "GRANT SELECT ON users TO PUBLIC",
        ),
    )
}


def git(folder: Path, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", *arguments], cwd=folder, input=given, capture_output=True, check=False)


async def kept(site: Site, job: JobRecord) -> StoredBaseline:
    async with site.store.connect() as connection:
        found = await baseline_of(connection, job.id)
    assert found is not None
    return found


def files(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file() and "__pycache__" not in each.parts and ".git" not in each.parts
    }


async def test_the_head_in_one_migration(site: Site) -> None:
    site.write(**MORE)
    before = files(site.folder)
    job = await site.run(BASELINE, message="first of all")
    assert job.state == "succeeded", outcome(job)
    data = outcome(job)["data"]
    assert (data["replaces"], data["old_head_differences"]) == (4, 0)
    assert "Going down empties the database again, and up again gives the same." in outcome(job)["account"]
    # Nothing is written into the source.
    assert files(site.folder) == before
    stored = await kept(site, job)
    baseline = stored.baseline
    assert (baseline.proven, baseline.no_downgrade, baseline.left, baseline.remaining) == (True, None, (), ())
    for piece in (
        "down_revision = None",
        "CREATE SCHEMA audit",
        "CREATE TYPE public.mood",
        "CREATE VIEW public.moods",
        "CREATE MATERIALIZED VIEW public.totals",
        "CREATE POLICY mine",
        "Who may sign in.",
        "op.create_foreign_key",
    ):
        assert piece in baseline.text, piece
    assert "OWNER TO" not in baseline.text
    assert "Loses rows" not in baseline.text
    assert baseline.text.count("CREATE TYPE public.mood") == 1
    # Keys that form a circle come after both tables.
    assert (
        baseline.text.index("fk") > baseline.text.index("circles") or "feelings_other_fkey" in baseline.text
    )
    manifest = stored.manifest
    assert manifest["heads"] == ["d"]
    assert [each["revision"] for each in manifest["migrations"]] == ["a", "b", "c", "d"]
    assert [each["down"] for each in manifest["migrations"]] == [[], ["a"], ["b"], ["c"]]
    assert manifest["baseline"]["revision"] == baseline.revision
    assert manifest["version_tables"] == ["alembic_version"]


async def test_the_change_set_is_what_the_repository_becomes(site: Site, tmp_path: Path) -> None:
    """Applied by git, it gives a source with one migration, which the dashboard reads and runs."""
    repository = site.folder
    git(repository, "init", "-q")
    job = await site.run(BASELINE)
    assert job.state == "succeeded", outcome(job)
    stored = await kept(site, job)
    old = files(repository)
    applied = git(repository, "apply", given=stored.change_set.patch())
    assert applied.returncode == 0, applied.stderr
    clinic = site.configuration.project("clinic")
    history = await tool_of(clinic).history(clinic)
    assert [each.revision for each in history.migrations] == [stored.baseline.revision]
    now = files(repository)
    for each in stored.manifest["migrations"]:
        assert each["path"] not in now
        assert now[each["kept"]] == old[each["path"]]
    folder = Path(stored.manifest["migrations"][0]["kept"]).parts
    assert "archive" in folder
    # A fresh database is brought there by the one migration.
    await site.observe()
    done = await site.run(MIGRATE)
    assert done.state == "succeeded", outcome(done)
    assert site.revisions == [stored.baseline.revision]
    # A second baseline finds another place for its archive.
    again = await site.run(BASELINE)
    assert again.state == "succeeded", outcome(again)
    assert (await kept(site, again)).manifest["migrations"][0]["kept"] not in now


async def test_a_change_set_for_another_history_does_not_apply(site: Site) -> None:
    git(site.folder, "init", "-q")
    job = await site.run(BASELINE, archive=False)
    stored = await kept(site, job)
    assert all(each["kept"] is None for each in stored.manifest["migrations"])
    site.write(c=migration("c", "b", execute("CREATE TABLE tenants (id bigint PRIMARY KEY)")))
    before = files(site.folder)
    applied = git(site.folder, "apply", given=stored.change_set.patch())
    assert applied.returncode != 0
    assert files(site.folder) == before


async def test_from_what_is_live(site: Site) -> None:
    """What a database has and the migrations have not is said first."""
    await site.at_head()
    site.query("CREATE INDEX by_hand ON users (email)")
    site.query("ALTER TABLE tenants ADD COLUMN name text NOT NULL")
    job = await site.run(BASELINE, source="dev")
    assert job.state == "succeeded", outcome(job)
    stored = await kept(site, job)
    assert stored.source == "clinic/dev"
    assert {(each.kind, each.change) for each in stored.old.differences} == {
        ("index", "added"),
        ("column", "added"),
    }
    assert "by_hand" in stored.baseline.text
    assert "A database at the old head differs from it in 2 places" in outcome(job)["account"]
    # It belongs to a project: there is no database of which anything could be said.
    assert database_state(job) == ""


async def test_sources_that_make_no_baseline(site: Site) -> None:
    async with site.store.connect() as connection:
        clinic = site.configuration.project("clinic")
        for source, error in (
            ("nowhere", NotFound),
            ("other/dev", Invalid),
            ("env:URL", Invalid),
            ("backup:00000000-0000-4000-8000-000000000000", Invalid),
            ("models", Invalid),
        ):
            parameters = BaselineParameters(source=source, rows=("roles",))
            assert BASELINE.require_named is not None
            with pytest.raises(error):
                await BASELINE.require_named(connection, clinic, None, parameters)


async def test_an_empty_schema_and_migrations_that_do_not_run(site: Site) -> None:
    site.write(c=migration("c", "b", execute("SELECT 1 / 0")))
    job = await site.run(BASELINE)
    assert job.state == "failed"
    assert "division by zero" in outcome(job)["account"]
    for name in ("a", "b", "c"):
        site.write(**{name: migration(name, {"a": None, "b": "a", "c": "b"}[name])})
    job = await site.run(BASELINE)
    assert job.state == "failed"
    assert "nothing in this schema" in outcome(job)["account"]


async def test_several_heads_become_one_where_all_are_meant(site: Site) -> None:
    site.write(p1=migration("p1", None, execute("CREATE TABLE plugins (id int)"), branch_labels=("plugin",)))
    job = await site.run(BASELINE)
    assert job.state == "failed"
    assert "say with `follow` which are meant" in str(outcome(job))
    for follow, said in ((("plugin@head",), "leads to no head that is followed"), (("heads",), "")):
        clinic = site.configuration.project("clinic")
        changed = replace(clinic, follow=follow)
        site.configuration = replace(site.configuration, projects={"clinic": changed})
        job = await site.run(BASELINE)
        assert job.state == ("failed" if said else "succeeded"), outcome(job)
        assert said in str(outcome(job))
    stored = await kept(site, job)
    assert stored.manifest["heads"] == ["c", "p1"]
    assert "down_revision = None" in stored.baseline.text
    assert "'plugins'" in stored.baseline.text


LOOKUPS = {
    "d": migration(
        "d",
        "c",
        execute(
            "CREATE TABLE countries (id int GENERATED ALWAYS AS IDENTITY, code text UNIQUE NOT NULL, name text, "
            "shown text GENERATED ALWAYS AS (code || ' ' || name) STORED, PRIMARY KEY (id))",
            "CREATE TABLE roles (id serial PRIMARY KEY, name text UNIQUE, above int REFERENCES roles (id), "
            "home int REFERENCES countries (id))",
            "ALTER TABLE countries ADD COLUMN keeper int REFERENCES roles (id)",
            "INSERT INTO countries (code, name) VALUES "
            "('DE', E'it''s ' || chr(58) || E'one\\\\ %s\\nline'), ('CH', NULL)",
            "INSERT INTO roles (name, above, home) VALUES ('owner', NULL, 2), ('guest', 1, NULL)",
            "UPDATE countries SET keeper = 2",
            "CREATE TABLE log (said text)",
            "CREATE FUNCTION noted() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN INSERT INTO log VALUES (NEW.name); NEW.name := 'changed'; RETURN NEW; END $$",
            "CREATE TRIGGER note BEFORE INSERT ON roles FOR EACH ROW EXECUTE FUNCTION noted()",
            "CREATE MATERIALIZED VIEW known AS SELECT count(*) FROM countries",
            "ALTER TABLE countries ENABLE ROW LEVEL SECURITY",
            "ALTER TABLE countries FORCE ROW LEVEL SECURITY",
        ),
    )
}


async def test_rows_of_look_up_tables_come_along(site: Site) -> None:
    """Identities, keys in a circle, triggers and policies are in the way of none of them."""
    site.write(**LOOKUPS)
    git(site.folder, "init", "-q")
    job = await site.run(BASELINE, rows="countries, public.roles")
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["data"]["rows"] == {"public.countries": 2, "public.roles": 2}
    assert "4 rows of 2 look-up tables came along" in outcome(job)["account"]
    stored = await kept(site, job)
    assert stored.old.offered == (("public.countries", 2), ("public.roles", 2), ("public.users", 100))
    assert stored.old.seconds is not None
    assert "OVERRIDING SYSTEM VALUE" in stored.baseline.text
    git(site.folder, "apply", given=stored.change_set.patch())
    await site.observe()
    done = await site.run(MIGRATE)
    assert done.state == "succeeded", outcome(done)
    assert site.query("SELECT id, code, name, keeper, shown FROM countries ORDER BY id") == [
        (1, "DE", "it's :one\\ %s\nline", 2, "DE it's :one\\ %s\nline"),
        (2, "CH", None, 2, None),
    ]
    assert site.query("SELECT id, name, above, home FROM roles ORDER BY id") == [
        (1, "owner", None, 2),
        (2, "guest", 1, None),
    ]
    assert site.query("SELECT count(*) FROM users, log") == [(0,)]
    assert site.query("SELECT * FROM known") == [(2,)]
    assert site.query("INSERT INTO countries (code) VALUES ('AT') RETURNING id") == [(3,)]
    assert site.query("INSERT INTO roles (name) VALUES ('new') RETURNING id") == [(3,)]


async def test_rows_as_they_are_in_a_database(site: Site) -> None:
    site.write(**LOOKUPS)
    await site.at_head()
    site.query("ALTER TABLE countries NO FORCE ROW LEVEL SECURITY, DISABLE ROW LEVEL SECURITY")
    site.query("INSERT INTO countries OVERRIDING SYSTEM VALUE VALUES (70, 'AT', 'Austria')")
    job = await site.run(BASELINE, source="dev", rows=["countries", "roles"])
    assert job.state == "succeeded", outcome(job)
    stored = await kept(site, job)
    assert dict(stored.baseline.rows) == {"public.countries": 3, "public.roles": 2}
    assert dict(stored.old.offered)["public.users"] == 100
    assert "'id'), 70)" in stored.baseline.text


async def test_rows_that_cannot_come(site: Site) -> None:
    site.write(**LOOKUPS)
    for rows, said in (
        (["roles"], "Rows of public.roles refer to public.countries"),
        (["nowhere"], "There is no table nowhere in the schema."),
    ):
        job = await site.run(BASELINE, rows=rows)
        assert job.state == "failed"
        assert said in outcome(job)["account"], outcome(job)
    site.write(
        e=migration("e", "d", execute("INSERT INTO users SELECT n, n FROM generate_series(101, 10001) n"))
    )
    job = await site.run(BASELINE, rows=["users"])
    assert "public.users holds more than 10,000 rows: it is no look-up table." in outcome(job)["account"]


async def test_from_what_is_live_where_the_migrations_do_not_run(site: Site) -> None:
    await site.at_head()
    site.write(a=migration("a", None, execute("SELECT 1 / 0")))
    job = await site.run(BASELINE, source="dev")
    assert job.state == "succeeded", outcome(job)
    assert "The old migrations cannot be run from nothing" in outcome(job)["account"]
    stored = await kept(site, job)
    assert stored.old.refusal is not None
    assert "division by zero" in stored.old.refusal
    assert stored.baseline.proven
