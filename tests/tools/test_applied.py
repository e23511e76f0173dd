"""What is applied, read from real version tables."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.tools.written import tool_of
from web.config import AlembicSettings
from web.errors import Conflict, TargetUnavailable
from web.tools.alembic_tool.applied import read_applied
from web.tools.protocol import Applied


@pytest.fixture
def tool(tmp_path: Path) -> AlembicSettings:
    return tool_of(tmp_path)


@pytest.fixture
async def connection(database: str) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        yield connection


async def test_no_table(connection: psycopg.AsyncConnection, tool: AlembicSettings) -> None:
    assert await read_applied(connection, tool) == Applied(table_exists=False)


async def test_empty_one_and_several_rows(connection: psycopg.AsyncConnection, tool: AlembicSettings) -> None:
    await connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
    assert await read_applied(connection, tool) == Applied(table_exists=True)
    await connection.execute("INSERT INTO alembic_version VALUES ('b'), ('a')")
    assert (await read_applied(connection, tool)).revisions == ("a", "b")


@pytest.mark.parametrize(
    "schema, table", [('Meta "data"', "My; versions"), ("public", "versions"), (None, "v")]
)
async def test_a_table_of_another_name(
    connection: psycopg.AsyncConnection, tool: AlembicSettings, schema: str | None, table: str
) -> None:
    tool = replace(tool, version_table=table, version_table_schema=schema)
    assert not (await read_applied(connection, tool)).table_exists
    place = psycopg.sql.Identifier(*filter(None, [schema, table]))
    if schema:
        await connection.execute(
            psycopg.sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(psycopg.sql.Identifier(schema))
        )
    await connection.execute(psycopg.sql.SQL("CREATE TABLE {} AS SELECT 'x' AS version_num").format(place))
    assert await read_applied(connection, tool) == Applied(table_exists=True, revisions=("x",))


async def test_missing_privileges_say_what_to_grant(
    connection: psycopg.AsyncConnection, tool: AlembicSettings
) -> None:
    tool = replace(tool, version_table_schema="hidden")
    await connection.execute("CREATE SCHEMA hidden")
    await connection.execute("CREATE TABLE hidden.alembic_version (version_num text)")
    await connection.execute("SET ROLE pg_monitor")
    with pytest.raises(TargetUnavailable, match="may not read") as schema_refused:
        await read_applied(connection, tool)
    assert (schema_refused.value.sqlstate, "USAGE" in schema_refused.value.hint) == ("42501", True)
    await connection.execute("RESET ROLE")
    await connection.execute("GRANT USAGE ON SCHEMA hidden TO pg_monitor")
    await connection.execute("SET ROLE pg_monitor")
    with pytest.raises(TargetUnavailable, match=r"hidden.*alembic_version"):
        await read_applied(connection, tool)


async def test_a_table_that_is_not_alembics(
    connection: psycopg.AsyncConnection, tool: AlembicSettings
) -> None:
    await connection.execute("CREATE TABLE alembic_version (number int)")
    with pytest.raises(Conflict, match="no column version_num"):
        await read_applied(connection, tool)
