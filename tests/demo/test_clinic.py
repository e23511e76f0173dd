"""The clinic's history: what the demo's story needs of it, on a real server."""

from __future__ import annotations

import asyncio
from typing import LiteralString

import pytest

from demo.checkouts import CLINIC
from tests.demo.clinic import ARGV, TOOL, alembic, dump_schema
from web.errors import CommandFailed
from web.postgres.connections import Connection, connect, sqlalchemy_url, with_database
from web.postgres.embedded import EmbeddedServer
from web.postgres.processes import start
from web.tools.alembic_tool.history_files import read_history


async def count(connection: Connection, query: LiteralString) -> int:
    row = await (await connection.execute(query)).fetchone()
    assert row is not None
    return int(row[0])


def test_the_history_tells_the_story() -> None:
    history = read_history(CLINIC, TOOL)
    assert not history.problems
    assert history.heads == ("1c7f5e8d2a46",)
    assert history.bases == ("3f1c2a9b7d04",)
    assert 15 <= len(history) <= 20
    assert [migration.revision for migration in history.migrations if len(migration.down) == 2] == [
        "d20c74b85e13"
    ]
    dates = [migration.created for migration in history.migrations]
    assert all(dates)
    text = "".join((CLINIC / migration.path).read_text() for migration in history.migrations)
    for told in (
        *(
            "ADD VALUE",
            "CREATE VIEW",
            "MATERIALIZED VIEW",
            "CREATE TRIGGER",
            "CREATE POLICY",
            "CREATE DOMAIN",
        ),
        *("CREATE SEQUENCE", "postgresql_where", "postgresql_concurrently", "autocommit_block"),
    ):
        assert told in text, told


async def test_models_match_head(database: str) -> None:
    await alembic(database, "upgrade", "head")
    await alembic(database, "check")


async def test_models_match_head_on_postgresql_15(database15: str) -> None:
    await alembic(database15, "upgrade", "head")
    await alembic(database15, "check")


async def test_two_upgrades_give_the_same_schema(database: str) -> None:
    await alembic(database, "upgrade", "head")
    first = await dump_schema(database)
    await alembic(database, "downgrade", "base")
    async with connect(database) as connection:
        assert await count(connection, "SELECT count(*) FROM alembic_version") == 0
        assert (
            await count(connection, "SELECT count(*) FROM pg_tables WHERE schemaname !~ '^(pg_|info)'") == 1
        )
    await alembic(database, "upgrade", "head")
    assert await dump_schema(database) == first


@pytest.mark.usefixtures("demo")
async def test_the_long_migration_can_be_stopped_and_goes_on(demo_server: EmbeddedServer) -> None:
    production = with_database(demo_server.url(), "clinic_production")
    copy = with_database(demo_server.url(), "production_copy")
    async with connect(demo_server.url()) as connection:
        await connection.execute("CREATE DATABASE production_copy TEMPLATE clinic_production")
    waiting = "SELECT count(*) FROM appointments WHERE reference IS NULL"
    try:
        await alembic(copy, "upgrade", "f4128cd06b97")
        program = await start((*ARGV, "upgrade", "head"), env={"DATABASE_URL": sqlalchemy_url(copy)})
        async with connect(copy) as connection, asyncio.timeout(60):
            everything = await count(connection, "SELECT count(*) FROM appointments")
            while await count(connection, waiting) == everything:
                assert program.stderr_tail.count("Traceback") == 0
            await program.terminate()
            left = await count(connection, waiting)
            assert 0 < left < everything
            assert await count(connection, "SELECT count(*) FROM alembic_version") == 1
            rows = await connection.execute("SELECT version_num FROM alembic_version")
            assert await rows.fetchall() == [("f4128cd06b97",)]
        await alembic(copy, "upgrade", "head")
        await alembic(copy, "check")
    finally:
        async with connect(production) as connection:
            await connection.execute("DROP DATABASE production_copy WITH (FORCE)")


async def test_the_seed_can_be_run_twice(database: str) -> None:
    await alembic(database, "upgrade", "head")
    seed = (CLINIC / "database" / "seed.sql").read_bytes()
    counts = []
    async with connect(database) as connection:
        for _ in range(2):
            await connection.execute(seed)
            counts.append(await count(connection, "SELECT count(*) FROM appointments"))
    assert counts == [3, 3]


async def test_the_old_reset_script_misses_what_came_later(database: str) -> None:
    """It runs without an error and leaves a database that the migrations cannot be applied to."""
    await alembic(database, "upgrade", "head")
    async with connect(database) as connection:
        await connection.execute((CLINIC / "database" / "reset-database.sql").read_bytes())
        rows = await connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname IN ('public', 'audit')"
        )
        assert {name for (name,) in await rows.fetchall()} == {
            "reminders",
            "tenants",
            "memberships",
            "audit_log",
        }
    with pytest.raises(CommandFailed, match="already exists"):
        await alembic(database, "upgrade", "head")
