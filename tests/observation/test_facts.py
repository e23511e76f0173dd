"""The volatile facts, of real servers."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest
from psycopg import sql

from web.observation.facts import Facts, read_facts
from web.postgres.connections import connect
from web.postgres.urls import libpq_url, parameters

SCHEMA = """
CREATE EXTENSION IF NOT EXISTS plpgsql;
CREATE SCHEMA "Odd ""name"" <b>";
CREATE TABLE "Odd ""name"" <b>"."t 🐘" (id int PRIMARY KEY, note text);
CREATE TABLE visits (id int, at date) PARTITION BY RANGE (at);
CREATE TABLE visits_2026 PARTITION OF visits FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
INSERT INTO "Odd ""name"" <b>"."t 🐘" SELECT n, repeat('x', 1000) FROM generate_series(1, 1000) n;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) FROM "Odd ""name"" <b>"."t 🐘";
ANALYZE;
"""


def low_role(name: str, url: str) -> sql.Composed:
    """Creates a role that may sign in with the password of the URL, and nothing else."""
    return sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(
        sql.Identifier(name), sql.Literal(parameters(url)["password"])
    )


@pytest.fixture(params=["database", "database15"])
def url(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


async def test_facts(url: str) -> None:
    async with connect(url) as connection:
        await connection.execute(SCHEMA)
        facts = await read_facts(connection)
    assert facts.version is not None
    assert facts.version.startswith(("17.", "15."))
    assert facts.started_at is not None
    assert facts.started_at < facts.at
    assert facts.size is not None
    assert facts.size > 1_000_000
    largest = facts.tables[0]
    assert (largest.schema, largest.name, largest.kind) == ('Odd "name" <b>', "t 🐘", "table")
    assert largest.rows == 1000
    assert largest.size is not None
    assert largest.size > 1_000_000
    assert largest.index_size is not None
    assert 0 < largest.index_size < largest.size
    assert largest.last_analyze is not None
    assert {(table.name, table.kind) for table in facts.tables[1:]} == {
        ("visits", "partitioned table"),
        ("visits_2026", "table"),
        ("counts", "materialized view"),
    }
    assert [each.name for each in facts.extensions] == ["plpgsql"]
    assert facts.sizes_exact
    assert facts.sessions.limit is not None
    assert any("last write" in what for what in facts.missing)


async def test_facts_survive_the_store(database: str) -> None:
    async with connect(database) as connection:
        await connection.execute(SCHEMA)
        facts = await read_facts(connection)
    assert Facts.from_json(json.loads(json.dumps(facts.to_json()))) == facts
    assert Facts.from_json({}) is None


async def test_tables_may_be_kept_from_an_earlier_look(database: str) -> None:
    async with connect(database) as connection:
        await connection.execute(SCHEMA)
        earlier = await read_facts(connection)
        await connection.execute("CREATE TABLE later ()")
        again = await read_facts(connection, earlier=earlier)
    assert again.tables == earlier.tables
    assert again.tables_at == earlier.tables_at
    assert again.at > earlier.at


async def test_a_locked_table_does_not_make_the_look_wait(database: str) -> None:
    async with connect(database) as connection, connect(database, autocommit=False) as other:
        await connection.execute(SCHEMA)
        await other.execute('LOCK TABLE "Odd ""name"" <b>"."t 🐘"')
        facts = await asyncio.wait_for(read_facts(connection), 10)
    assert not facts.sizes_exact
    assert facts.tables[0].name == "t 🐘"
    assert facts.tables[0].size is not None
    assert facts.tables[0].size > 1_000_000


async def test_sessions_by_state_and_what_a_low_privilege_role_may_not_see(database: str) -> None:
    role = f"low_{uuid.uuid4().hex[:12]}"
    async with connect(database) as owner:
        await owner.execute(SCHEMA)
        await owner.execute(low_role(role, database))
        try:
            async with connect(database, autocommit=False) as idle:
                await idle.execute("SELECT 1")
                seen = await read_facts(owner)
                assert seen.sessions.by_state == {"idle in transaction": 1}
                assert (seen.sessions.hidden, seen.sessions.total) == (0, 1)
                low_url = libpq_url({**parameters(database), "user": role})
                async with connect(low_url) as low:
                    facts = await read_facts(low)
        finally:
            await owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert facts.sessions.hidden == 2
    assert len(facts.tables) == 4
    assert facts.tables[0].rows == 1000
    assert any("pg_read_all_stats" in what for what in facts.missing)


async def test_a_missing_privilege_is_named(database: str) -> None:
    role = f"low_{uuid.uuid4().hex[:12]}"
    async with connect(database) as owner:
        await owner.execute(low_role(role, database))
        await owner.execute("REVOKE SELECT ON pg_catalog.pg_extension FROM PUBLIC")
        try:
            async with connect(libpq_url({**parameters(database), "user": role})) as low:
                facts = await read_facts(low)
        finally:
            await owner.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(role)))
    assert "extensions (a privilege is missing)" in facts.missing
    assert facts.extensions == ()
