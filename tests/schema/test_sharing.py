"""Reading over two connections: the same as over one, in one snapshot, and without the other where it cannot join."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest

from tests.conftest import fresh_database
from tests.schema.nasty import NASTY
from web.postgres.embedded import EmbeddedServer
from web.schema.refresh import read_kept

Connection = psycopg.AsyncConnection[Any]
IDLE = psycopg.pq.TransactionStatus.IDLE


@pytest.fixture
async def two(server_with_roles: EmbeddedServer) -> AsyncIterator[tuple[Connection, Connection]]:
    """Two connections to one fresh database."""
    with fresh_database(server_with_roles) as url:
        async with (
            await psycopg.AsyncConnection.connect(url, autocommit=True) as one,
            await psycopg.AsyncConnection.connect(url, autocommit=True) as other,
        ):
            yield one, other


async def test_it_reads_the_same(two: tuple[Connection, Connection]) -> None:
    one, other = two
    await one.execute(NASTY)
    assert await read_kept(one, (), other) == await read_kept(one)
    assert one.info.transaction_status == other.info.transaction_status == IDLE


async def test_both_see_one_state(two: tuple[Connection, Connection], server: EmbeddedServer) -> None:
    """Each transaction changes what both connections read: a reading sees all of it or nothing."""
    one, other = two
    make = (
        "begin; create table t (id serial primary key, a int); create index i on t (a); "
        "create view v as select * from t; create function f() returns int language sql as 'select 1'; "
        "commit"
    )
    changes = (make, "begin; drop function f; drop table t cascade; commit")
    url = server.url(one.info.dbname)
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as third:
        for turn in range(30):
            kept, _ = await asyncio.gather(read_kept(one, (), other), third.execute(changes[turn % 2]))
            schema = kept.schema
            seen = (len(schema.tables), len(schema.views), len(schema.functions), len(schema.sequences))
            assert seen in {(0, 0, 0, 0), (1, 1, 1, 1)}
            assert all(table.indexes and table.constraints and table.columns for table in schema.tables)


async def test_one_at_another_server_cannot_join(
    two: tuple[Connection, Connection], server15: EmbeddedServer
) -> None:
    """As it happens behind an address that leads to several servers."""
    one, _ = two
    await one.execute(NASTY)
    async with await psycopg.AsyncConnection.connect(server15.url(), autocommit=True) as stranger:
        assert await read_kept(one, (), stranger) == await read_kept(one)
        assert one.info.transaction_status == stranger.info.transaction_status == IDLE


async def test_what_the_role_may_not_read_is_unknown_on_both(two: tuple[Connection, Connection]) -> None:
    one, other = two
    await one.execute(NASTY)
    await one.execute("revoke select on pg_proc, pg_policy from public")
    for connection in two:
        await connection.execute("set role schema_bob")
    kept = await read_kept(one, (), other)
    assert kept.schema.unreadable == ("functions", "policies")
    assert kept.tokens is None
    assert kept == await read_kept(one)
