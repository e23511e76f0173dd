"""Partial reading: whatever happened, the result is what a reading of everything gives."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.conftest import fresh_database
from web.postgres.embedded import EmbeddedServer
from web.schema.refresh import Kept, from_bytes, read_kept, refresh, to_bytes

Connection = psycopg.AsyncConnection[Any]

WORLD = """
create schema other;
create domain code as text check (value <> '');
create type mood as enum ('good', 'bad');
create type pair as (a code, b mood);
create type span as range (subtype = int4, multirange_type_name = spans);
create function touch() returns trigger language plpgsql as 'begin return new; end';
create function label(m mood) returns text language sql immutable as $$ select m::text $$;
create table customer (id serial primary key, email code not null, mood mood default 'good', pair pair,
                       unique (email));
create table invoice (id int generated always as identity primary key, customer int references customer (id),
                      amount numeric check (amount > 0), shown text generated always as (label('bad')) stored);
create index invoice_amount on invoice (amount) where amount > 10;
create trigger touch before update on invoice for each row execute function touch();
create view rich as select c.email, i.amount from customer c join invoice i on i.customer = c.id;
create view richer as select * from rich where amount > 1000;
create materialized view summed as select customer, sum(amount) as amount from invoice group by customer;
create unique index on summed (customer);
create function customers() returns setof customer stable begin atomic select * from customer; end;
create view through_function as select f.id, f.email from customers() f;
create table event (at date, mood mood) partition by list (mood);
create table event_good partition of event for values in ('good');
create table event_rest (at date, mood mood);
create table parent (a int); create table child (b int) inherits (parent);
create policy own on customer using (exists (select from invoice where customer = customer.id));
create statistics stats on customer, amount from invoice;
create publication sent for table invoice where (amount > 5), customer;
create sequence free; create table counted (n int default nextval('free'));
comment on table customer is 'c'; comment on column invoice.amount is 'a'; comment on index invoice_amount is 'i';
"""
RETYPE = """
drop view richer; drop view rich; drop function customers cascade;
alter table customer alter column email type text;
create view rich as select c.email, i.amount from customer c join invoice i on i.customer = c.id
"""
SETTING = "do $$ begin execute format('alter database %I set work_mem = 1234', current_database()); end $$"
#: What may happen, and whether a part is enough to read.
HAPPENINGS = (
    ("nothing", "select 1", True),
    ("a table is renamed", "alter table customer rename to client", True),
    ("a column is renamed", "alter table customer rename column id to number", True),
    ("a column that views show is renamed", "alter view rich rename column amount to sum", True),
    ("a table is moved", "alter table customer set schema other", True),
    ("a view is moved", "alter view rich set schema other", True),
    ("a table is dropped with what shows it", "drop table invoice cascade", True),
    (
        "a table is made again",
        "drop table counted; create table counted (n int default nextval('free'))",
        True,
    ),
    ("a sequence is renamed", "alter sequence free rename to freed", True),
    ("a table's sequence is renamed", "alter sequence customer_id_seq rename to numbers", True),
    ("a sequence gets an owner", "alter sequence free owned by counted.n", True),
    ("an enum's label is renamed", "alter type mood rename value 'good' to 'great'", True),
    ("an enum is renamed", "alter type mood rename to humour", True),
    ("a domain is renamed", "alter domain code rename to codes", True),
    ("a domain's check is dropped", "alter domain code drop constraint code_check", True),
    ("a composite type changes", "alter type pair add attribute c int", True),
    ("a composite type is renamed", "alter type pair rename to couple", True),
    ("a multirange type is renamed", "alter type spans rename to spannen", False),
    ("a trigger's function is renamed", "alter function touch rename to touched", True),
    ("a function in an expression is moved", "alter function label set schema other", True),
    ("a table that a function gives gets a column", "alter table customer add column since date", True),
    ("a type changes below views", RETYPE, True),
    ("an owner changes", "alter table customer owner to schema_alice", True),
    (
        "a grant to somebody",
        "grant select on customer to schema_bob; grant update (id) on customer to schema_bob",
        True,
    ),
    ("a partition is attached", "alter table event attach partition event_rest default", True),
    ("a partition is detached", "alter table event detach partition event_good", True),
    ("a partitioned table gets an index", "create index on event (at)", True),
    ("a parent is renamed", "alter table parent rename to ancestor", True),
    ("a child is let go", "alter table child no inherit parent", True),
    ("an index is renamed", "alter index invoice_amount rename to by_amount", True),
    ("a key is renamed", "alter index customer_pkey rename to customer_key", True),
    ("triggers of a referenced table are off", "alter table customer disable trigger all", True),
    (
        "comments change",
        "comment on column invoice.amount is null; comment on constraint invoice_pkey on invoice is 'k'",
        True,
    ),
    ("row security", "alter table customer enable row level security; drop policy own on customer", True),
    ("a publication loses a table", "alter publication sent drop table customer", True),
    (
        "a function is replaced",
        "create or replace function label(m mood) returns text language sql immutable as $$ select 'x' $$",
        True,
    ),
    ("default privileges change", "alter default privileges grant select on tables to schema_bob", True),
    ("the database gets a setting", SETTING, True),
    (
        "tables are written anew",
        "vacuum full customer; cluster customer using customer_pkey; refresh materialized view summed",
        True,
    ),
    ("catalogs are written anew", "vacuum full pg_attribute; vacuum full pg_class", True),
    ("a schema is renamed", "alter schema other rename to another", False),
    (
        "an extension takes a table",
        "create extension citext; alter extension citext add table counted",
        False,
    ),
    ("an operator", "create operator === (leftarg = int, rightarg = int, function = int4eq)", False),
)


async def refreshed(connection: Connection, kept: Kept, exclude_tables: tuple[str, ...] = ()) -> Kept:
    """Refresh what was kept, as the store gives it back, and see that it is as good as new."""
    known = from_bytes(to_bytes(kept), kept.schema)
    assert known == replace(kept, partial=False)
    found = await refresh(connection, known, exclude_tables)
    assert replace(found, partial=False) == await read_kept(connection, exclude_tables)
    return found


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("happening", "partial"),
    [pytest.param(happening, partial, id=name) for name, happening, partial in HAPPENINGS],
)
async def test_what_happens_among_others(happening: str, partial: bool, case_connection: Connection) -> None:
    """In a world of objects that name one another."""
    await case_connection.execute(WORLD)
    kept = await read_kept(case_connection)
    for statement in [happening] if "$$" in happening else happening.split(";"):
        await case_connection.execute(statement)
    found = await refreshed(case_connection, kept)
    assert found.partial is partial


@pytest.mark.asyncio(loop_scope="module")
async def test_one_change_after_the_other(case_connection: Connection) -> None:
    """What was refreshed is refreshed again, over and over."""
    await case_connection.execute(WORLD)
    kept = await read_kept(case_connection)
    for happening in (
        "alter table customer rename to client",
        "create table late (id serial primary key, m mood)",
        "alter type mood add value 'none'",
        "drop table counted",
        "alter table late add column x int default 7",
        "alter table client set schema other",
        "create or replace view richer as select *, 1 as one from rich",
        "drop function customers cascade",
        "alter sequence late_id_seq rename to late_numbers",
    ):
        await case_connection.execute(happening)
        kept = await refreshed(case_connection, kept)
        assert kept.partial


async def test_what_may_not_be_read_any_more_is_unknown(server_with_roles: EmbeddedServer) -> None:
    with fresh_database(server_with_roles) as url:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute(WORLD)
            kept = await read_kept(connection)
            await connection.execute("revoke select on pg_policy from public; alter table customer add x int")
            await connection.execute("set role schema_bob")
            found = await refresh(connection, kept)
            assert found.schema.unreadable == ("policies",)
            assert found == await read_kept(connection)
            # Nothing tells what changes from here on.
            assert found.tokens is None
            assert to_bytes(found) == b""
            assert await refresh(connection, found) == found


@pytest.mark.asyncio(loop_scope="module")
async def test_tables_stay_left_out(case_connection: Connection) -> None:
    await case_connection.execute("create table t (id serial primary key); create table u (id int)")
    kept = await read_kept(case_connection, ["t"])
    await case_connection.execute("alter sequence t_id_seq increment by 2")
    kept = await refreshed(case_connection, kept, ("t",))
    assert kept.partial
    assert kept.schema.sequences == ()
    await case_connection.execute("alter table t rename to v; alter table u rename to t")
    kept = await refreshed(case_connection, kept, ("t",))
    assert kept.partial
    assert [table.name for table in kept.schema.tables] == ["v"]
    # Left out are others now: nothing that was kept tells what to do.
    assert not (await refreshed(case_connection, kept, ("v",))).partial
