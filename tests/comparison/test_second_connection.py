"""The second connection of a look: only for large schemas, and only where there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import environment, project
from tests.conftest import fresh_database
from tests.tools.written import write_project
from web.comparison.second_connection import RELATIONS, second_connection
from web.observation.observe import observe
from web.postgres.connections import connect, database_name
from web.postgres.embedded import EmbeddedServer
from web.postgres.scratch import ScratchServers

ROLE = "looks_twice"
#: In several transactions, which hold fewer locks each.
MANY = (
    f"do $$ begin for n in 1..{RELATIONS} loop execute format('create table t%s (id int)', n); "
    "if n % 100 = 0 then commit; end if; end loop; end $$"
)


@pytest.fixture
def large(server: EmbeddedServer) -> Iterator[str]:
    """The URL of a database that a second connection pays for."""
    with fresh_database(server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(MANY)
        yield url


async def has_second(url: str) -> bool:
    async with (
        connect(url) as first,
        second_connection(first, url, application_name="cleanstart/observe") as second,
    ):
        return second is not None


async def test_only_a_large_schema_has_one(large: str, database: str) -> None:
    assert await has_second(large)
    assert not await has_second(database)


async def test_a_limit_that_is_near_speaks_against_it(large: str, server: EmbeddedServer) -> None:
    url = await server.ensure_role(ROLE)
    name = sql.Identifier(database_name(large))
    as_role = url.replace("/postgres?", f"/{name.as_string().strip(chr(34))}?")
    async with connect(large) as connection:
        try:
            assert await has_second(as_role)
            await connection.execute(f"alter role {ROLE} connection limit 3")
            assert not await has_second(as_role)
            await connection.execute(f"alter role {ROLE} connection limit -1")
            await connection.execute(sql.SQL("alter database {} connection limit 3").format(name))
            assert not await has_second(as_role)
        finally:
            await connection.execute(sql.SQL("alter database {} connection limit -1").format(name))
            await connection.execute(f"drop role {ROLE}")


async def test_a_cancelled_look_leaves_no_session(
    store: AsyncEngine, scratch: ScratchServers, tmp_path: Path, large: str
) -> None:
    """It waits for a view that somebody holds, on the one or the other connection, and is given up."""
    tool = write_project(tmp_path / "clinic", {})
    dev = environment(tmp_path, large)
    clinic = project(tmp_path / "clinic", tool, dev)
    async with connect(large) as holder, connect(large) as watcher:
        await holder.execute("create view held as select 1 as one")
        async with holder.transaction():
            await holder.execute("lock table held in access exclusive mode")
            looking = asyncio.create_task(observe(store, clinic, dev, scratch))
            while not (waiting := await sessions(watcher, "wait_event_type = 'Lock'")):
                assert not looking.done(), looking
                await asyncio.sleep(0.01)
            assert waiting == 1
            assert await sessions(watcher, "true") == 2
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            # While the view is still held: nothing waits for it any more.
            while await sessions(watcher, "true"):  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0.01)


async def sessions(connection: psycopg.AsyncConnection, condition: str) -> int:
    row = await (
        await connection.execute(
            "select count(*) from pg_stat_activity where datname = current_database()"
            f" and application_name = 'cleanstart/observe' and {condition}".encode()
        )
    ).fetchone()
    assert row is not None
    return int(row[0])
