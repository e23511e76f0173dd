"""A repair that stops: after each of its transactions, and where rows refuse it, nothing is less than it was before."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.schema.conftest import CaseDatabase
from tests.schema.repairing import Connection, count_rows, repair
from web.schema.ddl.statement import Statement, transactions
from web.schema.model import Schema
from web.schema.proof import StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import statements

#: What somebody's application reads: no moment of a repair may end without one of them.
THERE = """
select format('%s %s', c.relkind, c.oid::regclass) from pg_class c
 where c.relkind in ('r', 'v', 'm', 'p') and c.relnamespace not in
       (select oid from pg_namespace where nspname ~ '^pg_' or nspname = 'information_schema')
union all select format('policy %s', polname) from pg_policy
union all select format('rule %s', rulename) from pg_rewrite where rulename <> '_RETURN'
union all select format('trigger %s', tgname) from pg_trigger where not tgisinternal
union all select format('function %s', proname) from pg_proc where pronamespace = 'public'::regnamespace
union all select format('default of %s.%s', attrelid::regclass, attname) from pg_attribute where atthasdef
union all select format('%s %s', contype, conrelid::regclass) from pg_constraint
           where connamespace = 'public'::regnamespace and contype in ('p', 'u', 'c', 'f', 'x') and convalidated
union all select format('privilege on %s', oid::regclass) from pg_class where relacl::text like '%schema_bob%'
union all select format('comment %s', description) from pg_description where objoid >= 16384
"""


@dataclass(frozen=True, slots=True)
class Half:
    """What shall be, what is, and what is said to it before."""

    name: str
    a: str
    b: str
    since: int = 14


VIEWS = (
    "create view v as select id, n from t; "
    "create view vv as select sum(n) s from v; "
    "grant select on v to schema_bob;"
    "create materialized view m as select n, count(*) from v group by n; create unique index m_n on m (n);"
    "comment on view vv is 'of a view'; "
    "create policy own on t using (n > 0); "
    "alter table t enable row level security;"
    "create function f() returns trigger language plpgsql as 'begin return new; end';"
    "create trigger g before update of n on t for each row when (new.n > 5) execute function f();"
    "create rule r as on delete to t where old.n = 7 do instead nothing;"
)
T = "create table t (id int primary key, n {}, code text, a int default 1); "
ROWS = "insert into t (id, n, code) values (1, 5, 'a'), (2, 6, 'b');"

CASES = (
    Half(
        "view, policy, trigger and rule on a column of another type, and an index",
        T.format("bigint") + VIEWS + "create unique index t_n on t (n); create index t_code on t (code)",
        T.format("int") + ROWS + VIEWS + "create index t_n on t (n); create index by_hand on t (a)",
    ),
    Half(
        "key that a view groups by, of other columns",
        "create table t (id int, n int not null, code text, "
        "constraint k primary key (id, n), constraint u unique (code)); "
        "create index more on t (n); create view v as select id, n, code from t group by id, n",
        "create table t (id int, n int not null, code text, "
        "constraint k primary key (id), constraint u unique (code, n)); "
        "insert into t values (1, 1, 'a'), (2, 2, 'b'); "
        "create view v as select id, n, code from t group by id",
    ),
    Half(
        "key of another name and other columns",
        "create table t (id int, n int not null, constraint t_pk primary key (id, n))",
        "create table t (id int, n int not null, constraint t_pkey primary key (id)); "
        "insert into t values (1, 1), (2, 1)",
    ),
    Half(
        "key that a foreign key refers to",
        "create table t (id int, n int, constraint k primary key (id) include (n)); "
        "create table c (id int constraint f references t); create index c_id on c (id)",
        "create table t (id int, n int, constraint k primary key (id)); "
        "create table c (id int constraint f references t); "
        "insert into t values (1, 1); "
        "insert into c values (1)",
    ),
    Half(
        "enum that loses and gains labels, under a view and a default",
        "create type e as enum ('b', 'c', 'd'); create type s as enum ('x', 'y'); "
        "create table t (id int primary key, x e not null default 'b', y s); "
        "create index t_x on t (x) where x = 'b'; "
        "create view v as select x, y from t where y = 'x'; create unique index t_y on t (y)",
        "create type e as enum ('a', 'b', 'c'); create type s as enum ('x'); "
        "create table t (id int primary key, x e not null default 'b', y s); "
        "create index t_x on t (x) where x = 'b'; "
        "create view v as select x, y from t where y = 'x'; "
        "insert into t values (1, 'b', 'x'), (2, 'c', null)",
    ),
    Half(
        "generated column and a check with a function that is made again",
        "create function f(int) returns bigint language sql immutable as 'select $1::bigint'; "
        "create table t (id int primary key, a bigint, g bigint generated always as (a * 2) stored, "
        "constraint c check (f(id) > 0), constraint d check (a > 1)); create index t_g on t (g); "
        "create index t_f on t (f(id)); create view v as select g from t; create unique index t_a on t (a)",
        "create function f(int) returns int language sql immutable as 'select $1'; "
        "create table t (id int primary key, a int, g bigint generated always as (a * 2) stored, "
        "constraint c check (f(id) > 0), constraint d check (a > 0)); create index t_g on t (g); "
        "create index t_f on t (f(id)); create view v as select g from t; create index by_hand on t (a); "
        "insert into t (id, a) values (1, 5), (2, 6)",
    ),
    Half(
        "foreign key between columns of another type",
        "create table t (id bigint primary key); create table c (id int primary key, t bigint not null "
        "constraint f references t on delete cascade); "
        "create view v as select c.id from c join t on t.id = c.t; "
        "create unique index c_t on c (t)",
        "create table t (id int primary key); "
        "create table c (id int primary key, t int constraint f references t); "
        "create view v as select c.id from c join t on t.id = c.t; "
        "insert into t values (1); "
        "insert into c values (1, 1)",
    ),
    Half(
        "partitions under a view",
        "create table p (id int, at date not null, n bigint) partition by range (at); "
        "create table p1 partition of p for values from ('2024-01-01') to ('2025-01-01'); "
        "create table p2 partition of p for values from ('2025-01-01') to ('2026-01-01'); "
        "create index p_n on p (n); create view v as select n from p; create table t (id int); "
        "create unique index t_id on t (id)",
        "create table p (id int, at date not null, n int) partition by range (at); "
        "create table p1 partition of p for values from ('2024-01-01') to ('2025-01-01'); "
        "create view v as select n from p; create table t (id int); "
        "insert into p values (1, '2024-02-02', 3); insert into t values (1)",
    ),
    Half(
        "domain over another type, under a view, and not null",
        "create domain d as bigint check (value > 0); "
        "create table t (id int primary key, x d, n int not null); "
        "create view v as select x from t; create index t_x on t (x); create unique index t_n on t (n)",
        "create domain d as int check (value > 0); create table t (id int primary key, x d, n int); "
        "create view v as select x from t; insert into t values (1, 1, 1)",
    ),
    Half(
        "key that a view with a rule and a stored view stand on, and an index of that",
        "create table t (id int not null, n int, z int default 1, constraint k primary key (id)); "
        "create view v as select id, n, max(z) as m from t group by id; "
        "create rule r as on insert to v do instead insert into t values (new.id, new.n); "
        "create materialized view s as select * from v; create unique index s_id on s (id) include (n); "
        "cluster s using s_id",
        "create table t (id int not null, n int, z int default 1, constraint k primary key (id, z)); "
        "insert into t values (1, 2); create view v as select id, n, max(z) as m from t group by id, n, z; "
        "create materialized view s as select * from v; create unique index s_id on s (id)",
    ),
    Half(
        "index that identifies rows for replicas",
        "create table t (id int primary key, x int not null); create unique index t_x on t (x); "
        "alter table t replica identity using index t_x",
        "create table t (id int primary key, x int not null); insert into t values (1, 1)",
    ),
    Half(
        "invalid index",
        "create table t (id int primary key, n bigint); "
        "create unique index t_id on t (id); "
        "create view v as select n from t",
        "create table t (id int primary key, n int); "
        "create view v as select n from t; "
        "insert into t values (1, 1), (2, 1); "
        "create index t_n on t (n); create unique index t_id on t (id); "
        "update pg_index set indisvalid = false where indexrelid in ('t_n'::regclass, 't_id'::regclass)",
    ),
)


async def there(connection: Connection) -> list[str]:
    # With an empty path names are qualified, whatever ran before.
    await connection.execute("set search_path to ''")
    rows = await (await connection.execute(THERE.encode())).fetchall()
    await connection.execute("reset search_path")
    return sorted(row[0] for row in rows)


async def planned(
    case: Half, database: CaseDatabase
) -> tuple[Schema, list[str], list[tuple[Statement, ...]]]:
    """What shall be, what of it is looked for, and the transactions that lead there from what is then there."""
    connection = await database.get()
    await connection.execute(case.a.encode())
    expected = await read_schema(connection)
    wanted = await there(connection)
    await database.empty()
    connection = await database.get()
    await connection.execute(case.b.encode())
    actual = await read_schema(connection)
    made = statements(
        expected, actual, destructive=True, role=connection.info.user, database=connection.info.dbname
    )
    assert not made.left
    return expected, wanted, transactions(made.statements)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case_database", "case"),
    [pytest.param(major, each, id=f"{major}-{each.name}") for major in (14, 17, 18) for each in CASES],
    indirect=["case_database"],
)
async def test_a_plan_leads_on_from_after_every_transaction(case: Half, case_database: CaseDatabase) -> None:
    stop, total = 0, 1
    while stop < total:
        expected, wanted, made = await planned(case, case_database)
        total = len(made)
        connection = await case_database.get()
        before, rows = await there(connection), await count_rows(connection, await read_schema(connection))
        steps = [each.sql for group in made for each in group]
        for group in made[:stop]:
            await apply(connection, group)
        # What was there and shall be there is there at any time.
        lost = [each for each in before if each in wanted and each not in await there(connection)]
        assert not lost, "\n".join([*lost, *steps])
        assert await repair(connection, expected) == []
        now = await count_rows(connection, await read_schema(connection))
        assert {name: now[name] for name in rows} == rows
        await case_database.empty()
        stop += 1


@pytest.mark.asyncio(loop_scope="module")
async def test_nothing_is_missing_where_somebody_goes_on_after_an_error(case_database: CaseDatabase) -> None:
    case = Half(
        "rows that refuse a unique index, a check and a key",
        T.format("bigint") + VIEWS + "create unique index t_n on t (n); "
        "alter table t add constraint c check (a > 1), add constraint u unique (code)",
        T.format("int") + VIEWS + "create index t_n on t (n); "
        "alter table t add constraint c check (a > 0), add constraint u unique (code, id); "
        "insert into t (id, n, code) values (1, 5, 'a'), (2, 5, 'a')",
    )
    expected, wanted, made = await planned(case, case_database)
    connection = await case_database.get()
    before = await there(connection)
    refused = 0
    for group in made:
        # As psql does without ON_ERROR_STOP.
        try:
            await apply(connection, group)
        except StatementRefused:
            refused += 1
    assert refused >= 3
    now = await there(connection)
    assert [each for each in before if each in wanted and each not in now] == []
    valid = await connection.execute(
        "select indexrelid::regclass::text from pg_index where indrelid = 't'::regclass and indisvalid order by 1"
    )
    assert [row[0] for row in await valid.fetchall()] == ["t_n", "t_pkey", "u"]
    await connection.execute("update t set a = 2, n = id, code = id::text")
    assert await repair(connection, expected) == []
