"""Looks at real databases: what is stored, what is not read again, what is said when something is wrong."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from psycopg import sql
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import configuration, environment, project
from tests.conftest import fresh_database
from tests.tools import runs
from tests.tools.written import execute, migration, write_project
from web.answers.environment import read_backups, view
from web.config import Environment, Prelude, Project
from web.observation.observe import observe, pin_identity
from web.observation.records import read_drift, read_records
from web.postgres.connections import connect
from web.postgres.embedded import EmbeddedServer
from web.postgres.identity import TargetIdentity
from web.postgres.scratch import ScratchServers
from web.postgres.urls import libpq_url, parameters
from web.store.tables import (
    DriftRow,
    EnvironmentRow,
    EnvironmentStateRow,
    ExpectedSchemaRow,
    HistoryRow,
    KeptSchemaRow,
    ObservationRow,
    SchemaSnapshotRow,
)
from web.tools.alembic_tool.settings import settings_of

MIGRATIONS = {
    "a": migration("a", None, execute("CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL)")),
    "b": migration("b", "a", execute("CREATE VIEW emails AS SELECT email FROM users")),
    "c": migration("c", "b", execute("CREATE INDEX users_email ON users (email)")),
}


@pytest.fixture(params=["database", "database15"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def written(folder: Path, url: str, **migrations: str) -> tuple[Project, Environment]:
    tool = write_project(folder / "clinic", {**MIGRATIONS, **migrations})
    dev = environment(folder, url)
    return project(folder / "clinic", tool, dev), dev


async def upgrade(clinic: Project, url: str, revision: str = "heads") -> None:
    async def ignore(event: object) -> None: ...

    await runs.upgrade(clinic, url=url, revisions=None if revision is None else [revision], on_event=ignore)


async def count(store: AsyncEngine, table: type) -> int:
    async with store.connect() as connection:
        return await connection.scalar(select(func.count()).select_from(table)) or 0


async def test_a_look_at_a_database_in_sync(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, url: str
) -> None:
    clinic, dev = written(tmp_path, url)
    await upgrade(clinic, url)
    seen = await observe(store, clinic, dev, scratch)
    assert seen.error is None
    assert seen.reachable
    assert seen.revisions == ("c",)
    assert seen.version_table
    assert (seen.drift.state, seen.drift.count) == ("none", 0), seen.drift.reason
    async with store.connect() as connection:
        configured = configuration(tmp_path, clinic)
        shown = await view(connection, configured, "clinic", "dev", tables=True)
        assert shown.verdict.standing == "in sync"
        assert shown.verdict.edits_known
        assert shown.observation == seen
        assert shown.record is not None
        assert shown.record.pinned
        assert shown.facts is not None
        assert {table.name for table in shown.facts.tables} == {"users", "alembic_version"}
        assert set(shown.applied) == {"a", "b", "c"}
        assert await read_drift(connection, seen.drift) == ()
        assert await read_backups(connection, shown.record.environment_id) == ()
        assert shown.to_json()["verdict"] == "in sync"


async def test_one_change_by_hand_is_one_difference(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, url: str
) -> None:
    clinic, dev = written(tmp_path, url)
    await upgrade(clinic, url)
    before = await observe(store, clinic, dev, scratch)
    async with connect(url) as connection:
        await connection.execute("ALTER TABLE users ADD COLUMN hotfix text")
    after = await observe(store, clinic, dev, scratch)
    assert (after.drift.state, after.drift.count) == ("drifted", 1)
    assert after.drift.expected_fingerprint == before.drift.expected_fingerprint
    assert after.id != before.id
    async with store.connect() as connection:
        (found,) = await read_drift(connection, after.drift)
    assert (found.kind, found.object, found.change) == ("column", "public.users.hotfix", "added")


async def test_an_unchanged_database_is_not_read_again(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    await upgrade(clinic, database)
    first = await observe(store, clinic, dev, scratch)
    async with connect(database) as connection:
        await connection.execute("INSERT INTO users VALUES (1, 'a@example.com')")
    second = await observe(store, clinic, dev, scratch)
    assert second.id == first.id
    assert second.since == first.since
    assert second.observed_at > first.observed_at
    assert await count(store, ObservationRow) == 1
    assert await count(store, SchemaSnapshotRow) == 2
    assert await count(store, ExpectedSchemaRow) == 1
    assert await count(store, DriftRow) == 1


async def test_a_full_look_is_taken_once_a_day(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    await upgrade(clinic, database)

    async def schema_read_at() -> datetime:
        async with store.connect() as connection:
            facts = await connection.scalar(select(EnvironmentStateRow.facts))
        assert facts is not None
        return datetime.fromisoformat(facts["schema_at"])

    await observe(store, clinic, dev, scratch)
    first = await schema_read_at()
    await observe(store, clinic, dev, scratch)
    assert await schema_read_at() == first
    old = (datetime.now(UTC) - timedelta(days=1)).isoformat()
    async with store.begin() as connection:
        facts = await connection.scalar(select(EnvironmentStateRow.facts))
        assert facts is not None
        await connection.execute(update(EnvironmentStateRow).values(facts={**facts, "schema_at": old}))
    await observe(store, clinic, dev, scratch)
    assert await schema_read_at() > first
    again = await schema_read_at()
    await observe(store, clinic, dev, scratch, full=True)
    assert await schema_read_at() > again


async def test_only_what_changed_is_read(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, url: str
) -> None:
    clinic, dev = written(tmp_path, url)
    await upgrade(clinic, url)

    async def kept() -> tuple[str, datetime]:
        async with store.connect() as connection:
            facts = await connection.scalar(select(EnvironmentStateRow.facts))
            fingerprint = await connection.scalar(select(KeptSchemaRow.fingerprint))
        assert facts is not None
        assert fingerprint is not None
        return fingerprint, datetime.fromisoformat(facts["schema_at"])

    first = await observe(store, clinic, dev, scratch)
    fingerprint, whole = await kept()
    assert fingerprint == first.fingerprint
    for change in (
        "ALTER TABLE users ADD COLUMN hotfix text",
        "ALTER TABLE users RENAME TO people",
        "DROP VIEW emails; CREATE TABLE other (id int)",
    ):
        async with connect(url) as connection:
            await connection.execute(change.encode())
        seen = await observe(store, clinic, dev, scratch)
        assert await kept() == (seen.fingerprint, whole)
        assert await count(store, KeptSchemaRow) == 1
        # Whoever reads everything sees the same.
        again = await observe(store, clinic, dev, scratch, full=True)
        assert (again.id, again.fingerprint, again.drift) == (seen.id, seen.fingerprint, seen.drift)
        whole = (await kept())[1]


async def test_another_database_is_read_whole(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, server: EmbeddedServer
) -> None:
    """Tokens of one database say nothing in another one."""
    with fresh_database(server) as one, fresh_database(server) as other:
        clinic, dev = written(tmp_path, one)
        for url in (one, other):
            await upgrade(clinic, url)
        await observe(store, clinic, dev, scratch)
        async with store.begin() as connection:
            await connection.execute(update(EnvironmentRow).values(system_identifier=None, database_oid=None))
            before = await connection.scalar(select(KeptSchemaRow.identity))
        seen = await observe(store, clinic, environment(tmp_path, other), scratch)
        assert seen.drift.state == "none"
        async with store.begin() as connection:
            after = await connection.scalar(select(KeptSchemaRow.identity))
        assert before != after
        assert await count(store, KeptSchemaRow) == 1


async def test_expected_schemas_are_shared_by_content(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    other = environment(tmp_path, database, "staging", tier="staging")
    await upgrade(clinic, database)
    await observe(store, clinic, dev, scratch)
    (row,) = [await _computed(store)]
    await observe(store, clinic, other, scratch)
    assert await _computed(store) == row


async def _computed(store: AsyncEngine) -> list[datetime]:
    async with store.connect() as connection:
        return list(await connection.scalars(select(ExpectedSchemaRow.computed_at)))


async def test_pending_and_never_migrated(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    empty = await observe(store, clinic, dev, scratch)
    assert (empty.version_table, empty.revisions, empty.drift.state) == (False, (), "none")
    await upgrade(clinic, database, "b")
    behind = await observe(store, clinic, dev, scratch)
    assert (behind.revisions, behind.drift.state) == (("b",), "none")
    async with store.connect() as connection:
        shown = await view(connection, configuration(tmp_path, clinic), "clinic", "dev")
    assert shown.verdict.words == "1 pending"
    assert "rehearsal" in {each.name for each in shown.gate.closed_by}


async def test_tables_that_no_migration_made_are_drift(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    async with connect(database) as connection:
        await connection.execute("CREATE TABLE started_by_the_application (id int)")
    seen = await observe(store, clinic, dev, scratch)
    assert (seen.drift.state, seen.drift.count) == ("drifted", 1)


async def test_an_unknown_revision_is_not_drift(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    await upgrade(clinic, database)
    async with connect(database) as connection:
        await connection.execute("UPDATE alembic_version SET version_num = 'lost'")
    seen = await observe(store, clinic, dev, scratch)
    assert seen.drift.state == "unknown"
    assert "lost" in (seen.drift.reason or "")
    async with store.connect() as connection:
        shown = await view(connection, configuration(tmp_path, clinic), "clinic", "dev")
    assert shown.verdict.standing == "unknown revision"


async def test_without_a_scratch_server_nothing_is_compared(
    store: AsyncEngine, tmp_path: Path, database15: str
) -> None:
    clinic, dev = written(tmp_path, database15)
    await upgrade(clinic, database15)
    nothing = ScratchServers(tmp_path / "scratch", {}, ())
    seen = await observe(store, clinic, dev, nothing)
    assert seen.reachable
    assert seen.drift.state == "not compared"
    assert "PostgreSQL 15" in (seen.drift.reason or "")


async def test_a_history_that_does_not_run_is_not_compared(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    await upgrade(clinic, database)
    await observe(store, clinic, dev, scratch)
    written(tmp_path, database, b=migration("b", "a", execute("SELECT no_such_function()")))
    seen = await observe(store, clinic, dev, scratch, full=True)
    assert seen.drift.state == "not compared"
    assert "no_such_function" in (seen.drift.reason or "")
    async with store.connect() as connection:
        shown = await view(connection, configuration(tmp_path, clinic), "clinic", "dev")
    assert (shown.verdict.standing, shown.verdict.edited) == ("edited after apply", ("b",))


async def test_a_dead_database_is_an_observation(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    await upgrade(clinic, database)
    alive = await observe(store, clinic, dev, scratch)
    dead_url = libpq_url({**parameters(database), "host": "127.0.0.1", "port": "1", "password": "s3cr3t"})
    dead = environment(tmp_path, dead_url)
    seen = await observe(store, clinic, dead, scratch)
    assert not seen.reachable
    assert seen.error is not None
    assert seen.error["title"] == "The database cannot be reached"
    assert "s3cr3t" not in str(seen.error)
    assert seen.revisions == alive.revisions
    assert seen.fingerprint == alive.fingerprint
    assert seen.drift.state == "unknown"
    async with store.connect() as connection:
        shown = await view(connection, configuration(tmp_path, clinic), "clinic", "dev")
        assert shown.verdict.standing == "unreachable"
        assert shown.facts is not None
    again = await observe(store, clinic, environment(tmp_path, database), scratch)
    assert again.reachable
    assert again.drift.state == "none"


async def test_a_database_that_was_dropped_and_one_that_never_answered(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, server: EmbeddedServer
) -> None:
    clinic, dev = written(tmp_path, server.url("no_such_database"))
    seen = await observe(store, clinic, dev, scratch)
    assert not seen.reachable
    assert seen.error is not None
    assert "no_such_database" in seen.error["message"]
    assert seen.revisions == ()
    unreadable = replace(dev, url=replace(dev.url, reference="file:/nowhere/url"))
    seen = await observe(store, clinic, unreadable, scratch)
    assert not seen.reachable
    assert seen.error is not None
    assert seen.error["title"] == "A secret cannot be read"


async def test_another_database_behind_the_url_is_refused(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str, store_owner_url: str
) -> None:
    clinic, dev = written(tmp_path, database)
    await observe(store, clinic, dev, scratch)
    swapped = environment(tmp_path, store_owner_url)
    seen = await observe(store, clinic, swapped, scratch)
    assert not seen.reachable
    assert seen.error is not None
    assert seen.error["title"] == "This is not the database it was"
    async with store.begin() as connection:
        record = (await read_records(connection))["clinic", "dev"]
        await pin_identity(connection, record.environment_id, TargetIdentity("1", 2))
        record = (await read_records(connection))["clinic", "dev"]
    assert record.identity == "1/2"


async def test_a_role_that_may_not_read_the_version_table(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, _ = written(tmp_path, database)
    await upgrade(clinic, database)
    role = f"low_{uuid.uuid4().hex[:12]}"
    async with connect(database) as owner:
        await owner.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(parameters(database)["password"])
            )
        )
        try:
            low = environment(tmp_path, libpq_url({**parameters(database), "user": role}))
            seen = await observe(store, clinic, low, scratch)
        finally:
            await owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert seen.reachable
    assert seen.version_table is None
    assert seen.drift.state == "unknown"
    async with store.connect() as connection:
        shown = await view(connection, configuration(tmp_path, clinic), "clinic", "dev")
    assert shown.verdict.standing == "not known"
    assert role in (shown.verdict.reason or "")


async def test_who_ran_the_migrations_is_not_drift(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    """The application's role owns everything, has settings of its own, and migrations name a role."""
    role = f"app_{uuid.uuid4().hex[:12]}"
    reader = f"reader_{uuid.uuid4().hex[:12]}"
    clinic, _ = written(
        tmp_path, database, d=migration("d", "c", execute(f"GRANT SELECT ON users TO {reader}"))
    )
    app_url = libpq_url({**parameters(database), "user": role})
    name = parameters(database)["dbname"]
    async with connect(database) as owner:
        await owner.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
                sql.Identifier(role), sql.Literal(parameters(database)["password"])
            )
        )
        await owner.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(reader)))
        await owner.execute(
            sql.SQL("ALTER DATABASE {} OWNER TO {}").format(sql.Identifier(name), sql.Identifier(role))
        )
        await owner.execute(
            sql.SQL("ALTER DATABASE {} SET statement_timeout = '1h'").format(sql.Identifier(name))
        )
        try:
            await upgrade(clinic, app_url)
            seen = await observe(store, clinic, environment(tmp_path, app_url), scratch)
            assert seen.error is None
            assert (seen.drift.state, seen.drift.count) == ("none", 0), seen.drift.reason
            await owner.execute("ALTER TABLE users OWNER TO postgres")
            changed = await observe(store, clinic, environment(tmp_path, app_url), scratch)
            async with store.connect() as connection:
                (found,) = await read_drift(connection, changed.drift)
            assert (found.attribute, found.a, found.b) == ("owner", role, "postgres")
        finally:
            await owner.execute(sql.SQL("REASSIGN OWNED BY {} TO postgres").format(sql.Identifier(role)))
            await owner.execute(
                sql.SQL("DROP OWNED BY {}, {}").format(sql.Identifier(role), sql.Identifier(reader))
            )
            await owner.execute(
                sql.SQL("DROP ROLE {}, {}").format(sql.Identifier(role), sql.Identifier(reader))
            )


async def test_a_prelude_is_part_of_what_is_expected(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    prelude = "CREATE TABLE legacy (id int)"
    clinic, dev = written(
        tmp_path, database, a=migration("a", None, execute("ALTER TABLE legacy ADD note text"))
    )
    (tmp_path / "clinic" / "prelude.sql").write_text(prelude)
    clinic = replace(clinic, tool=replace(clinic.tool, prelude=Prelude(sql=Path("prelude.sql"))))
    written(
        tmp_path,
        database,
        a=migration("a", None, execute("ALTER TABLE legacy ADD note text")),
        b=migration("b", "a"),
        c=migration("c", "b"),
    )
    async with connect(database) as connection:
        await connection.execute(prelude)
    await upgrade(clinic, database)
    seen = await observe(store, clinic, dev, scratch)
    assert (seen.drift.state, seen.drift.count) == ("none", 0), seen.drift.reason


async def test_a_prelude_that_makes_the_head_and_stamps_it(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    """As jupyterhub does it: at the head it can be compared; before it there is nothing to compare with."""
    migrations = {
        "a": migration("a", None, execute("CREATE TABLE users (id int)")),
        "b": migration("b", "a", execute("ALTER TABLE users ADD note text")),
        "c": migration("c", "b"),
    }
    clinic, dev = written(tmp_path, database, **migrations)
    await upgrade(clinic, database, revision="a")
    (tmp_path / "clinic" / "prelude.sql").write_text(
        "CREATE TABLE users (id int, note text); CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('c')"
    )
    clinic = replace(clinic, tool=replace(clinic.tool, prelude=Prelude(sql=Path("prelude.sql"))))
    seen = await observe(store, clinic, dev, scratch)
    assert seen.drift.state == "not compared"
    assert seen.drift.reason == "Could not compare: a replay up to a came to c."
    await upgrade(clinic, database)
    seen = await observe(store, clinic, dev, scratch)
    assert (seen.drift.state, seen.drift.count) == ("none", 0), seen.drift.reason
    # Nor is the prelude what a database without any revision should look like.
    async with connect(database) as connection:
        await connection.execute("DELETE FROM alembic_version")
    seen = await observe(store, clinic, dev, scratch)
    assert seen.drift.state == "not compared"
    assert seen.drift.reason == "Could not compare: a replay up to no revision came to c."


async def test_one_version_row_may_stand_for_two_heads(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    """What is asked for and what is reached are compared as Alembic keeps its rows."""
    clinic, dev = written(
        tmp_path,
        database,
        a=migration("a", None, execute("CREATE TABLE a ()"), branch_labels=["main"]),
        x=migration("x", None, execute("CREATE TABLE x ()"), branch_labels=["other"]),
        b=migration("b", "a", execute("CREATE TABLE b ()"), depends_on="x"),
        c=migration("c", "b"),
    )
    await upgrade(clinic, database)
    seen = await observe(store, clinic, dev, scratch)
    assert (seen.drift.state, seen.drift.count) == ("none", 0), seen.drift.reason
    # Both rows, as a stamp by hand leaves them, say the same.
    async with connect(database) as connection:
        await connection.execute("DELETE FROM alembic_version")
        await connection.execute("INSERT INTO alembic_version VALUES ('c'), ('x')")
    seen = await observe(store, clinic, dev, scratch)
    assert (seen.drift.state, seen.drift.count) == ("none", 0), seen.drift.reason


async def test_a_source_without_migrations(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    clinic, dev = written(tmp_path, database)
    for file in (tmp_path / "clinic" / "migrations" / "versions").iterdir():
        file.unlink()
    seen = await observe(store, clinic, dev, scratch)
    assert seen.reachable
    assert seen.drift.state == "not compared"
    async with store.connect() as connection:
        shown = await view(connection, configuration(tmp_path, clinic), "clinic", "dev")
        row = (await connection.execute(select(HistoryRow.error))).scalar_one()
    assert row is not None
    assert shown.verdict.standing == "not known"
    assert "no migrations" in (shown.verdict.reason or "")


async def test_what_the_files_compute_is_asked_once(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, database: str
) -> None:
    computed = migration("c", "b").replace("revision = 'c'", "revision = 'c'.lower()")
    clinic, dev = written(tmp_path, database, c=computed)
    await upgrade(clinic, database)
    seen = await observe(store, clinic, dev, scratch)
    assert (seen.revisions, seen.drift.state) == (("c",), "none"), seen.drift.reason
    # The interpreter is gone; what it said is still known, because the files say the same.
    gone = replace(clinic, tool=replace(settings_of(clinic), python=tmp_path / "python"))
    await observe(store, gone, dev, scratch, full=True)
    async with store.connect() as connection:
        shown = await view(connection, configuration(tmp_path, clinic), "clinic", "dev")
    assert shown.verdict.standing == "in sync"
