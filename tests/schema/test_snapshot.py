"""Reading: the same schema by every road, through any role, in a fixed number of queries."""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.conftest import ServerOf, fresh_database
from tests.schema.case import MAJORS
from tests.schema.conftest import CaseDatabase
from tests.schema.nasty import NASTY, ROADS
from web.errors import TargetUnavailable
from web.postgres.embedded import EmbeddedServer
from web.postgres.processes import run
from web.postgres.programs import Programs, client_for
from web.schema.difference import difference, unknown_parts
from web.schema.fingerprint import fingerprint
from web.schema.model import Schema
from web.schema.snapshot import QUERIES, read_schema
from web.schema.token import read_token

Connection = psycopg.AsyncConnection[Any]


async def read(url: str, **options: Any) -> Schema:
    """Read over a connection of its own."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        return await read_schema(connection, **options)


def execute(url: str, statements: str) -> None:
    """Run statements."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statements)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("straight", "roundabout"), ROADS)
async def test_two_roads_give_one_schema(straight: str, roundabout: str, case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    await connection.execute(straight)
    one = await read_schema(connection)
    await case_database.empty()
    again = await case_database.get()
    await again.execute(roundabout)
    other = await read_schema(again)
    assert difference(one, other) == ()
    assert fingerprint(one) == fingerprint(other)


@pytest.mark.parametrize("major", MAJORS)
async def test_dump_and_restore_give_the_same_fingerprint(
    major: int, programs: tuple[Programs, ...], server_with_roles_of: ServerOf
) -> None:
    server = server_with_roles_of(major)
    with (
        fresh_database(server) as source,
        fresh_database(server) as copy,
        tempfile.TemporaryDirectory() as folder,
    ):
        execute(source, NASTY)
        client = client_for(major, programs)
        archive = str(Path(folder) / "archive")
        for argv in (
            [client.path("pg_dump"), "--format=custom", "--file", archive, "--dbname", source],
            [client.path("pg_restore"), "--exit-on-error", "--dbname", copy, archive],
        ):
            await run([str(part) for part in argv], env={})
        one, other = await read(source), await read(copy)
        assert difference(one, other) == ()
        assert fingerprint(one) == fingerprint(other)


async def test_what_the_model_holds(case_url: str) -> None:
    execute(case_url, NASTY)
    schema = await read(case_url)
    assert schema.unreadable == ()
    assert [table.identity for table in schema.tables][:3] == [
        '"odd ""name""; <b>&"."table ""x"""',
        "public.child",
        "public.events",
    ]
    parent = next(table for table in schema.tables if table.name == "parent")
    columns = {column.name: column for column in parent.columns}
    assert columns["at"].default == "'2019-12-31 22:00:00+00'::timestamp with time zone"
    assert columns["id"].identity_generation == "ALWAYS"
    assert columns["twice"].generated == "(amount * (2)::numeric) STORED"
    assert [(item.name, item.form) for item in parent.constraints if item.form != "check"] == [
        ("parent_name_key", "unique"),
        ("parent_pkey", "primary key"),
    ]
    assert {index.name for index in parent.indexes} == {"named", "parent_lower_idx", "partial"}
    assert {function.name for function in schema.functions} == {
        "add",
        "ddl",
        "parsed",
        "proc",
        "total",
        "touch",
    }
    assert {item.name for item in schema.extensions} == {"citext", "pg_trgm", "plpgsql"}
    for collection in ("enums", "domains", "composite_types", "range_types", "views", "materialized_views"):
        assert getattr(schema, collection)
    assert {item.form for item in schema.others} >= {
        "cast",
        "operator",
        "collation",
        "server",
        "user mapping",
    }


async def test_a_role_without_privileges_reads_the_same(case_url: str) -> None:
    execute(case_url, NASTY)
    execute(case_url, "revoke all on schema public from public")
    everything = await read(case_url)
    async with await psycopg.AsyncConnection.connect(case_url, autocommit=True) as connection:
        await connection.execute("set role schema_bob")
        await connection.execute("set default_transaction_read_only = on")
        assert await read_schema(connection) == everything
        assert await read_token(connection)


async def test_what_a_role_may_not_read_is_unknown(case_url: str) -> None:
    execute(case_url, NASTY)
    before = await read(case_url)
    execute(case_url, "revoke select on pg_proc, pg_policy from public; drop procedure proc; drop table fast")
    async with await psycopg.AsyncConnection.connect(case_url, autocommit=True) as connection:
        await connection.execute("set role schema_bob")
        after = await read_schema(connection)
    assert after.unreadable == ("functions", "policies")
    assert unknown_parts(before, after) == ("functions", "policies")
    assert [item.object for item in difference(before, after)] == ["public.fast"]
    assert fingerprint(after) != fingerprint(await read(case_url))


async def test_the_number_of_queries_is_fixed(case_url: str) -> None:
    execute(case_url, "create type mood as enum ('a', 'b')")
    few = await _statements(case_url)
    execute(
        case_url,
        """
        do $$ begin for n in 1..1000 loop
          execute format('create table t%s (id serial primary key, name text not null default ''x'', m mood, '
            'up int references t%s, check (id > 0))', n, greatest(n - 1, 1));
          execute format('create index on t%s (name)', n);
          if n % 10 = 0 then
            execute format('create view v%s as select id, name from t%s', n, n);
          end if;
          commit;
        end loop; end $$
        """,
    )
    assert await _statements(case_url) == few
    schema = await read(case_url)
    assert (len(schema.tables), len(schema.sequences), len(schema.views)) == (1000, 1000, 100)
    assert all(len(table.columns) == 4 and len(table.constraints) == 3 for table in schema.tables)
    # BEGIN, its isolation, the settings, one per query, COMMIT.
    assert few == len(QUERIES) + 4


async def _statements(url: str) -> int:
    """Count what one reading sends, by libpq's own trace."""
    with tempfile.TemporaryFile() as trace:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            connection.pgconn.trace(trace.fileno())
            connection.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
            await read_schema(connection)
            connection.pgconn.untrace()
        trace.seek(0)
        lines = trace.read().decode(errors="replace").splitlines()
    return sum(
        line.split("\t")[:1] == ["F"] and line.split("\t")[2] in ("Query", "Execute") for line in lines
    )


async def test_tables_are_left_out_with_what_belongs_to_them(case_url: str) -> None:
    execute(case_url, 'create table a (id int); create schema "S"; create table "S".a (id int)')
    plain = await read(case_url)
    execute(
        case_url,
        "create table alembic_version (version_num varchar(32) primary key); create table x (i serial)",
    )
    assert await read(case_url, exclude_tables=["alembic_version", "public.x"]) == plain
    left = await read(case_url, exclude_tables=['"S".a'])
    assert [table.identity for table in left.tables] == ["public.a", "public.alembic_version", "public.x"]


@pytest.mark.parametrize("autocommit", [True, False])
async def test_the_connection_is_left_as_it_was(case_url: str, autocommit: bool) -> None:
    async with await psycopg.AsyncConnection.connect(case_url, autocommit=autocommit) as connection:
        await connection.execute(
            "set search_path = x; set timezone = 'Asia/Tokyo'; set client_encoding = latin1"
        )
        await connection.commit()
        await read_schema(connection)
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE
        row = await (
            await connection.execute(
                "select current_setting('search_path'), current_setting('timezone'), "
                "current_setting('client_encoding'), current_setting('transaction_read_only')"
            )
        ).fetchone()
        assert row == ("x", "Asia/Tokyo", "LATIN1", "off")


async def test_temporary_objects_are_nobodys_schema(case_url: str) -> None:
    async with await psycopg.AsyncConnection.connect(case_url, autocommit=True) as connection:
        before = await read_schema(connection)
        await connection.execute(
            "create temp table t (id serial primary key, a text); create temp view v as select * from t; "
            "create type pg_temp.e as enum ('a')"
        )
        assert await read_schema(connection) == before


async def test_concurrent_ddl_gives_a_whole_state(case_url: str) -> None:
    """Each transaction changes several objects at once: a reading sees all of them or none."""
    make = (
        "begin; create table t (id serial primary key, a int); create index i on t (a); "
        "create view v as select * from t; create function f() returns int language sql as 'select 1'; "
        "commit"
    )
    changes = (make, "begin; drop function f; drop table t cascade; commit")
    async with await psycopg.AsyncConnection.connect(case_url, autocommit=True) as connection:
        for turn in range(30):
            schema, _ = await asyncio.gather(read(case_url), connection.execute(changes[turn % 2]))
            seen = (len(schema.tables), len(schema.views), len(schema.functions), len(schema.sequences))
            assert seen in {(0, 0, 0, 0), (1, 1, 1, 1)}
            assert all(table.indexes and table.constraints and table.columns for table in schema.tables)


async def test_a_schema_that_keeps_changing_is_said_to(case_url: str) -> None:
    """A reading that DDL outruns every time ends with an error, not with half a schema."""
    stop = asyncio.Event()

    async def change() -> None:
        async with await psycopg.AsyncConnection.connect(case_url, autocommit=True) as connection:
            while not stop.is_set():
                await connection.execute("create view v as select 1 as a")
                await connection.execute("drop view v")

    changing = asyncio.create_task(change())
    try:
        for _ in range(5):
            with suppress(TargetUnavailable):
                schema = await read(case_url)
                assert all(view.definition for view in schema.views)
    finally:
        stop.set()
        await changing


@pytest.fixture
def case_url(server_with_roles: EmbeddedServer) -> Any:
    """The URL of a fresh database on a server with the cases' roles."""
    with fresh_database(server_with_roles) as url:
        yield url
