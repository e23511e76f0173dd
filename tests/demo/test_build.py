"""Making the demo: what it holds, that it is made once, and that a torn attempt leaves nothing behind."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest
from psycopg import sql

from demo.build import DATABASES, ROLES, Demo, DemoDatabase, create
from tests.demo.clinic import alembic, dump_schema
from web.config import load
from web.errors import CommandFailed
from web.postgres.connections import connect, parameters
from web.postgres.embedded import EmbeddedServer
from web.tools.alembic_tool.settings import as_ours


def url_of(demo: Demo, environment: str) -> str:
    return load(demo.configuration).environment("clinic", environment).url.read()


def test_the_configuration_is_read(demo: Demo, demo_directory: Path) -> None:
    configuration = load(demo.configuration)
    assert configuration.data_directory == demo_directory
    environments = configuration.project("clinic").environments
    assert [(name, environment.tier) for name, environment in environments.items()] == [
        ("dev", "development"),
        ("staging", "staging"),
        ("production", "production"),
    ]
    reset = environments["dev"].reset
    assert reset is not None
    assert reset.seed is not None
    assert reset.seed.is_file()
    assert configuration.scratch == {17: "embedded"}
    assert as_ours(configuration.project("clinic").tool).config.is_file()


def test_secrets_are_only_in_files_of_this_user(demo: Demo, demo_directory: Path) -> None:
    for role in ROLES:
        password = (demo_directory / "secrets" / f"{role}_password").read_text()
        assert password not in demo.configuration.read_text()
    for file in (demo_directory / "secrets").iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    assert stat.S_IMODE((demo_directory / "secrets").stat().st_mode) == 0o700


@pytest.mark.parametrize("wanted", DATABASES, ids=lambda wanted: wanted.environment)
async def test_rows_revision_and_owner(demo: Demo, wanted: DemoDatabase) -> None:
    async with connect(url_of(demo, wanted.environment)) as connection:
        revision = await (await connection.execute("SELECT version_num FROM alembic_version")).fetchall()
        assert revision == [(wanted.revision,)]
        counts = await (
            await connection.execute(
                """
                SELECT (SELECT count(*) FROM patients), (SELECT count(*) FROM appointments),
                       (SELECT count(*) FROM invoices), (SELECT count(*) FROM audit.audit_log),
                       (SELECT count(*) FROM monthly_revenue), (SELECT count(*) FROM memberships)
                """
            )
        ).fetchone()
        assert counts is not None
        assert counts[:2] == (wanted.patients, 4 * wanted.patients)
        assert min(counts) > 10
        row = await (
            await connection.execute(
                """
                SELECT rolsuper, rolcreatedb, rolcreaterole, pg_get_userbyid(datdba) = %s,
                       (SELECT count(*) FROM pg_class WHERE relowner <> r.oid AND relnamespace >= 2200
                           AND relnamespace::regnamespace::text !~ '^(pg_|information_schema)'),
                       (SELECT count(*) FROM pg_stat_user_tables WHERE last_analyze IS NULL)
                  FROM pg_roles r, pg_database
                 WHERE rolname = %s AND datname = current_database()
                """,
                (wanted.owner, wanted.owner),
            )
        ).fetchone()
        # Staging's may make no database beside it.
        assert row == (False, wanted.environment != "staging", False, True, 0, 0)


@pytest.mark.parametrize("environment", ["dev", "staging", "production"])
async def test_the_rows_keep_every_constraint(demo: Demo, environment: str) -> None:
    """They were loaded with constraints switched off."""
    async with connect(url_of(demo, environment), autocommit=False) as connection:
        rows = await connection.execute(
            """
            SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
              FROM pg_constraint
             WHERE contype IN ('c', 'f') AND conrelid >= 16384
            """
        )
        constraints = await rows.fetchall()
        assert len(constraints) > 20
        for table, name, definition in constraints:
            await connection.execute(
                sql.SQL("ALTER TABLE {} ADD CONSTRAINT {} {}").format(
                    sql.SQL(table), sql.Identifier(f"again {name}"[:60]), sql.SQL(definition)
                )
            )
        unbalanced = await connection.execute(
            """
            SELECT count(*) FROM invoices i
             WHERE total <> (SELECT sum(quantity * unit_price) FROM invoice_lines WHERE invoice_id = i.id)
            """
        )
        assert await unbalanced.fetchone() == (0,)
        await connection.rollback()


async def test_only_staging_differs_from_its_migrations(demo: Demo, database: str) -> None:
    differing = set()
    for one in sorted(DATABASES, key=lambda one: -one.patients):
        await alembic(database, "upgrade", one.revision)
        expected = await dump_schema(database)
        actual = await dump_schema(url_of(demo, one.environment))
        added = set(actual.splitlines()) - set(expected.splitlines())
        if added or len(actual) != len(expected):
            differing.add(one.environment)
            assert any("ix_appointments_checked_in_at" in line for line in added)
    assert differing == {"staging"}


async def test_a_second_call_keeps_the_data(
    demo: Demo, demo_server: EmbeddedServer, demo_directory: Path
) -> None:
    async with connect(url_of(demo, "dev")) as connection:
        await connection.execute("INSERT INTO roles (name) VALUES ('kept') ON CONFLICT DO NOTHING")
    again = await create(demo_server.url(), demo_directory, Path(sys.executable))
    assert again == Demo(demo.configuration, ())
    async with connect(url_of(demo, "dev")) as connection:
        found = await connection.execute("SELECT name FROM roles WHERE name = 'kept'")
        assert await found.fetchall() == [("kept",)]


async def test_only_what_is_missing_is_made(
    demo: Demo, demo_server: EmbeddedServer, demo_directory: Path
) -> None:
    """As after a crash in the middle: one database is missing and a torn one lies about."""
    async with connect(demo_server.url()) as connection:
        await connection.execute("DROP DATABASE clinic_staging WITH (FORCE)")
        await connection.execute("CREATE DATABASE clinic_staging_unfinished")
    again = await create(demo_server.url(), demo_directory, Path(sys.executable))
    assert again.created == ("clinic_staging",)
    async with connect(demo_server.url()) as connection:
        rows = await connection.execute(
            "SELECT datname FROM pg_database WHERE datname LIKE 'clinic%' ORDER BY 1"
        )
        assert [name for (name,) in await rows.fetchall()] == [
            "clinic_dev",
            "clinic_production",
            "clinic_staging",
        ]


async def test_a_broken_interpreter_leaves_no_database_of_the_right_name(
    demo: Demo, demo_server: EmbeddedServer, demo_directory: Path, tmp_path: Path
) -> None:
    async with connect(demo_server.url()) as connection:
        await connection.execute("DROP DATABASE clinic_staging WITH (FORCE)")
    with pytest.raises(CommandFailed):
        await create(demo_server.url(), demo_directory, Path("/bin/false"))
    async with connect(demo_server.url()) as connection:
        rows = await connection.execute("SELECT FROM pg_database WHERE datname = 'clinic_staging'")
        assert await rows.fetchall() == []
    await create(demo_server.url(), demo_directory, Path(sys.executable))


async def test_one_that_an_older_demo_made_is_reached_as_its_owner(
    demo: Demo, demo_server: EmbeddedServer, demo_directory: Path
) -> None:
    async with connect(demo_server.url()) as connection:
        await connection.execute("ALTER DATABASE clinic_staging OWNER TO clinic_app")
        again = await create(demo_server.url(), demo_directory, Path(sys.executable))
        assert parameters(url_of(again, "staging"))["user"] == "clinic_app"
        # By a role that no demo makes any more, whose password is kept all the same.
        await connection.execute("CREATE ROLE clinic_old_app LOGIN PASSWORD 'a quiet word'")
        (demo_directory / "secrets" / "clinic_old_app_password").write_text("a quiet word")
        await connection.execute("ALTER DATABASE clinic_staging OWNER TO clinic_old_app")
        again = await create(demo_server.url(), demo_directory, Path(sys.executable))
        assert parameters(url_of(again, "staging"))["password"] == "a quiet word"
        await connection.execute("ALTER DATABASE clinic_staging OWNER TO clinic_staging_app")
        await connection.execute("DROP ROLE clinic_old_app")
    again = await create(demo_server.url(), demo_directory, Path(sys.executable))
    assert parameters(url_of(again, "staging"))["user"] == "clinic_staging_app"
