"""The token: silent while the schema stays, whatever happens to the data (what it sees: the cases)."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.conftest import fresh_database
from tests.schema.nasty import NASTY
from web.postgres.embedded import EmbeddedServer
from web.schema.refresh import read_kept, refresh
from web.schema.snapshot import query
from web.schema.token import read_token

Connection = psycopg.AsyncConnection[Any]
TABLE = (
    "create table t (id serial primary key, a text, b int); create index on t (a); "
    "alter table t cluster on t_pkey; "
    "create materialized view m as select * from t; create unique index on m (id); "
    "create table p (x int) partition by list (x); create table p1 partition of p default; "
)
SILENT = (
    "insert into t (a) select 'x' from generate_series(1, 1000); update t set b = 1; delete from t",
    "vacuum t",
    "vacuum full t",
    "analyze",
    "truncate t restart identity",
    "truncate p",
    "refresh materialized view m",
    "refresh materialized view concurrently m",
    "reindex table t",
    "cluster t",
    "select nextval('t_id_seq')",
    "create temp table x (id serial primary key, a text); create temp view y as select * from x",
    "create table gone (id serial primary key); drop table gone",
    "begin; alter table t add c int; rollback",
    "checkpoint",
    "select lo_create(0)",
    "comment on role schema_bob is 'x'; comment on role schema_bob is null",
)

#: What no other object's row tells; the rest is in the cases.
SEEN = (
    "alter extension citext add table t",
    "alter type spans rename to reaches",
    "alter type citext set (storage = external)",
    "alter operator class ops using btree rename to other_ops",
    "drop access method heap2",
)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("change", SEEN)
async def test_it_sees_what_is_told_beside_the_object(change: str, case_connection: Connection) -> None:
    await case_connection.execute(
        TABLE
        + "create extension citext; create type span as range (subtype = int4, multirange_type_name = spans); "
        "create operator class ops for type int using btree as function 1 btint4cmp(int, int);"
        "create access method heap2 type table handler heap_tableam_handler"
    )
    token = await read_token(case_connection)
    await case_connection.execute(change)
    later = await read_token(case_connection)
    await case_connection.execute("drop access method if exists heap2")
    assert later != token


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("happening", SILENT)
async def test_it_is_silent(happening: str, case_connection: Connection) -> None:
    await case_connection.execute(TABLE)
    # What the first maintenance settles is not this test's matter.
    await case_connection.execute("insert into t (a) values ('y')")
    token = await read_token(case_connection)
    for statement in happening.split("; "):
        await case_connection.execute(statement)
    assert await read_token(case_connection) == token


@pytest.mark.asyncio(loop_scope="module")
async def test_it_stays_over_time_and_connections(case_connection: Connection) -> None:
    await case_connection.execute(NASTY)
    token = await read_token(case_connection)
    await case_connection.execute("insert into fast values (1); insert into parent (name) values ('x')")
    dsn = case_connection.info.dsn
    password = case_connection.info.password
    async with await psycopg.AsyncConnection.connect(dsn, password=password, autocommit=True) as other:
        await other.execute("set search_path = x; set timezone = 'Asia/Tokyo'; set datestyle = german")
        assert await read_token(other) == token
    for name in ("drop event trigger watch", "drop publication pub"):
        await case_connection.execute(name)
        later = await read_token(case_connection)
        assert later != token
        token = later


def test_both_tokens_stand_on_the_same_catalogs() -> None:
    """What the one sees, the other has to find."""
    one, other = (
        set(re.findall(r"\b(?:from|join) (pg_\w+)", query(name, 17).decode()))
        for name in ("token", "object_tokens")
    )
    assert one == other


async def test_large_objects_are_data(server: EmbeddedServer) -> None:
    """However many there are, with whatever comments: none of them is read."""
    with fresh_database(server) as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("create table t (id int)")
            kept, token = await read_kept(connection), await read_token(connection)
            rows = await comments(connection)
            await connection.execute("select lo_create(0) from generate_series(1, 100000)")
            # As COMMENT ON LARGE OBJECT does it, without a statement each.
            await connection.execute("set allow_system_table_mods = on")
            await connection.execute(
                "insert into pg_description select oid, 'pg_largeobject'::regclass, 0, 'x'"
                "  from pg_largeobject_metadata"
            )
            assert await read_token(connection) == token
            assert await comments(connection) == rows
            assert await refresh(connection, kept) == replace(kept, partial=True)
            assert await read_kept(connection) == kept


async def comments(connection: Connection) -> int:
    return (await connection.execute(query("comments", 17))).rowcount
