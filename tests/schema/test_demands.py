"""What rows refuse is counted before, and nothing else: each case is refused by the server until it is put right."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from tests.schema.conftest import CaseDatabase
from tests.schema.repairing import repair
from web.remedies.counting import COUNTING, Counted, count, not_counted, refused
from web.schema.demands.of import demands
from web.schema.demands.reading import bound_condition, read_key, read_reference
from web.schema.model import Schema
from web.schema.proof import StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import statements


@dataclass(frozen=True, slots=True)
class Refusing:
    """What shall be, what is there with rows, what puts them right, and what is counted before."""

    name: str
    a: str
    b: str
    right: str
    #: Object and count; None: the server says it.
    counted: tuple[tuple[str, int | None], ...]
    since: int = 14


CASES = (
    Refusing(
        "unique index on an expression, of some rows",
        "create table t (id int, n text); "
        'create unique index i on t (lower(n) collate "C" desc, id) include (n) where id > 0',
        "create table t (id int, n text); "
        "insert into t values (1, 'a'), (1, 'A'), (0, 'a'), (0, 'a'), (1, null), (1, null)",
        "delete from t where n = 'A'",
        (("public.i", 1),),
    ),
    Refusing(
        "unique index where a plain one is, on a column of another type",
        "create table t (id int, n bigint); create unique index i on t (n)",
        "create table t (id int, n int); create index i on t (n); insert into t values (1, 5), (2, 5), (3, 6)",
        "delete from t where id = 2",
        (("public.i", 1),),
    ),
    Refusing(
        "unique constraint that takes nulls for equal",
        "create table t (a int, b int, constraint u unique nulls not distinct (a, b))",
        "create table t (a int, b int); insert into t values (1, null), (1, null), (2, null)",
        "delete from t where ctid = '(0,1)'",
        (("public.t.u", 1),),
        since=15,
    ),
    Refusing(
        "primary key, of a column that is new",
        "create table t (id int, n int default 7, primary key (n))",
        "create table t (id int); insert into t values (1), (2)",
        "delete from t where id = 2",
        (("public.t.t_pkey", 1),),
    ),
    Refusing(
        "key of values that another type takes for one",
        "create table t (at date unique)",
        "create table t (at timestamp unique); insert into t values ('2024-01-01 10:00'), ('2024-01-01 11:00')",
        "delete from t where at > '2024-01-01 10:30'",
        (("public.t.t_at_key", 1),),
    ),
    Refusing(
        "not null",
        "create table t (id int, n int not null)",
        "create table t (id int, n int); insert into t values (1, null), (2, null), (3, 3)",
        "update t set n = 1 where n is null",
        (("public.t.n", 2),),
    ),
    Refusing(
        "new column that nothing gives a value",
        "create table t (id int, n int not null)",
        "create table t (id int); insert into t values (1)",
        "delete from t",
        (("public.t.n", 1),),
    ),
    Refusing(
        "check, of a table and its children",
        "create table t (n int constraint c check (n > 0)); create table u () inherits (t)",
        "create table t (n int); "
        "create table u () inherits (t); "
        "insert into t values (1), (-1), (null); "
        "insert into u values (-2)",
        "delete from t where n < 0",
        (("public.t.c", 2),),
    ),
    Refusing(
        "foreign key",
        "create table t (id int primary key); create table c (t bigint constraint f references t)",
        "create table t (id int primary key); create table c (t bigint); "
        "insert into t values (1); insert into c values (1), (2), (2), (3), (null)",
        "delete from c where t > 1",
        (("public.c.f", 2),),
    ),
    Refusing(
        "foreign key of two columns, all or none",
        "create table t (a int, b int, primary key (a, b)); "
        "create table c (a int, b int, constraint f foreign key (a, b) references t match full)",
        "create table t (a int, b int, primary key (a, b)); create table c (a int, b int); "
        "insert into t values (1, 1); insert into c values (1, 1), (1, null), (null, null)",
        "delete from c where b is null",
        (("public.c.f", 1),),
    ),
    Refusing(
        "exclusion",
        "create table t (r int4range, constraint x exclude using gist (r with &&))",
        "create table t (r int4range); insert into t values ('[1,5)'), ('[3,9)'), ('[9,10)')",
        "delete from t where r = '[3,9)'",
        (("public.t.x", 1),),
    ),
    Refusing(
        "strings that are too long",
        "create table t (v varchar(3), c char(2), n numeric(4, 1))",
        "create table t (v text, c text, n numeric); "
        "insert into t values ('abc  ', 'ab', 999.94), ('abcd', 'abc', 999.95)",
        "delete from t where v = 'abcd'",
        (("public.t.c", 1), ("public.t.n", 1), ("public.t.v", 1)),
    ),
    Refusing(
        "numbers that are too great",
        "create table t (a smallint, b int)",
        "create table t (a int, b numeric); insert into t values (32767, 2147483647.4), (40000, 2147483647.5)",
        "delete from t where a = 40000",
        (("public.t.a", 1), ("public.t.b", 1)),
    ),
    Refusing(
        "text that is no number",
        "create table t (a int)",
        "create table t (a text); insert into t values ('1'), ('x')",
        "delete from t where a = 'x'",
        (("public.t.a", 1),),
        since=16,
    ),
    Refusing(
        "what only a conversion shows",
        "create table t (a int[], b int, g int generated always as (10 / b) stored)",
        "create table t (a text, b int, g int); insert into t values ('{}', 1, 1), ('{x}', 0, 2)",
        "delete from t where b = 0",
        (("public.t.a", None), ("public.t.g", None)),
    ),
    Refusing(
        "label that a type loses",
        "create type e as enum ('a', 'b'); create table t (x e, y e[])",
        "create type e as enum ('a', 'b', 'c'); create table t (x e, y e[]); "
        "insert into t values ('a', '{a}'), ('c', '{b,c}'), ('b', '{c}')",
        "delete from t where x <> 'a'",
        (("public.t.x", 1), ("public.t.y", 2)),
    ),
    Refusing(
        "column that becomes an enum",
        "create type e as enum ('a', 'b'); create table t (x e)",
        "create table t (x text); insert into t values ('a'), ('c')",
        "delete from t where x = 'c'",
        (("public.t.x", 1),),
    ),
    Refusing(
        "domain",
        "create domain d as int constraint c check (value > 0) not null; create table t (x d)",
        "create domain d as int; create table t (x d); insert into t values (1), (-1), (null)",
        "delete from t where x is null or x < 0",
        (("public.d", 1), ("public.d", 1)),
    ),
    Refusing(
        "partition's bound, and the default one's rows",
        "create table p (a int) partition by range (a); create table p0 partition of p default; "
        "create table p1 partition of p for values from (0) to (10); "
        "create table p2 partition of p for values from (10) to (20)",
        "create table p (a int) partition by range (a); create table p0 partition of p default; "
        "create table p1 (a int); insert into p1 values (1), (11); insert into p values (12), (99)",
        "delete from p1 where a = 11; delete from p where a = 12",
        (("public.p1", 1), ("public.p2", 1)),
    ),
    Refusing(
        "key of a renamed column, in a renamed schema",
        "create schema s; "
        "create table s.t (id int, code text, more int, constraint u unique (code)); "
        "create view s.v as select 1 as x",
        "create schema r; create table r.t (id int, kode text, more int); create view r.v as select 1 as x; "
        "insert into r.t values (1, 'a'), (2, 'a')",
        "delete from s.t where id = 2",
        (("s.t.u", 1),),
    ),
    Refusing(
        "index that is invalid",
        "create table t (id int, n bigint); create unique index i on t (n)",
        "create table t (id int, n int); create index i on t (n); insert into t values (1, 1), (2, 1); "
        "update pg_index set indisvalid = false, indisunique = true where indexrelid = 'i'::regclass",
        "delete from t where id = 2",
        (("public.i", 1),),
    ),
)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case_database", "case"),
    [
        pytest.param(major, each, id=f"{major}-{each.name}")
        for major in (14, 17, 18)
        for each in CASES
        if each.since <= major
    ],
    indirect=["case_database"],
)
async def test_what_the_server_refuses_is_counted_before(case: Refusing, case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    await connection.execute(case.a.encode())
    expected = await read_schema(connection)
    await case_database.empty()
    connection = await case_database.get()
    await connection.execute(case.b.encode())
    found = await counted(expected, case_database)
    assert not not_counted(found)
    assert sorted((each.demand.object, each.count) for each in found if each.refused) == list(case.counted)
    assert case.counted[0][0] in (refused(found) or "")

    actual = await read_schema(connection)
    made = statements(expected, actual, destructive=True, database=connection.info.dbname)
    with pytest.raises(StatementRefused) as stopped:
        await apply(connection, made.statements)
    assert (stopped.value.refusal.sqlstate or "")[:2] in ("22", "23"), stopped.value

    # From there, with the rows put right, it leads on.
    await connection.execute("reset all")
    await connection.execute(case.right.encode())
    assert not refused(await counted(expected, case_database))
    assert await repair(connection, expected) == []


async def counted(expected: Schema, case_database: CaseDatabase) -> tuple[Counted, ...]:
    connection = await case_database.get()
    asked = demands(expected, await read_schema(connection))
    await connection.execute("set default_transaction_read_only = on")
    for name, value in COUNTING.items():
        await connection.execute("select set_config(%s, %s, false)", [name, value])
    found = await count(connection, asked, 30)
    await connection.execute("reset all")
    return found


@pytest.mark.asyncio(loop_scope="module")
async def test_what_cannot_be_counted_is_said(case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    await connection.execute(
        "create function f(int) returns bool language sql immutable as 'select $1 > 0';"
        "create table t (n int constraint c check (f(n)), constraint u unique (n))"
    )
    expected = await read_schema(connection)
    await case_database.empty()
    connection = await case_database.get()
    await connection.execute("create table t (n int); insert into t select generate_series(1, 100000)")
    found = {each.demand.object: each for each in await counted(expected, case_database)}
    assert found["public.t.u"].count == 0
    assert "function public.f(integer) does not exist" in found["public.t.c"].words
    assert not refused(tuple(found.values()))
    assert "public.t.c" in (not_counted(tuple(found.values())) or "")
    asked = [each.demand for each in found.values()]
    late = await count(connection, asked, 0)
    assert all(each.count is None and "were over" in each.words for each in late)
    assert connection.info.transaction_status == 0


@pytest.mark.parametrize(
    ("definition", "expressions", "where"),
    [
        ("PRIMARY KEY (id)", ("id",), None),
        ('UNIQUE ("a, b", c) INCLUDE (d)', ('"a, b"', "c"), None),
        (
            "USING btree (lower(n) text_pattern_ops DESC NULLS LAST, ((a + b)))",
            ("lower(n)", "((a + b))"),
            None,
        ),
        (
            "USING btree (n COLLATE \"C\", s.f(a, ')')) WITH (fillfactor='70') WHERE (n IS NOT NULL)",
            ('n COLLATE "C"', "s.f(a, ')')"),
            "(n IS NOT NULL)",
        ),
        (
            "EXCLUDE USING gist (r WITH &&, n public.ops WITH OPERATOR(public.=)) WHERE ((n > 0))",
            ("r", "n"),
            "((n > 0))",
        ),
    ],
)
def test_keys_are_read(definition: str, expressions: tuple[str, ...], where: str | None) -> None:
    key = read_key(definition)
    assert key is not None
    assert (key.expressions, key.where) == (expressions, where)


def test_references_and_bounds_are_read() -> None:
    read = read_reference('FOREIGN KEY (a, "b)c") REFERENCES s."T x"(x, y) MATCH FULL ON DELETE CASCADE')
    assert read is not None
    assert (read.columns, read.table, read.referred, read.full) == (
        ("a", '"b)c"'),
        's."T x"',
        ("x", "y"),
        True,
    )
    assert bound_condition("LIST (a)", "FOR VALUES IN ('x', NULL)", "p") == "(a IN ('x') OR a IS NULL)"
    assert (
        bound_condition("RANGE (a)", "FOR VALUES FROM (MINVALUE) TO (5)", "p")
        == "(a IS NOT NULL AND (a) < (5))"
    )
    assert bound_condition("RANGE (a, b)", "FOR VALUES FROM (1, MINVALUE) TO (5, 1)", "p") is None
