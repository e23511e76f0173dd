"""Fidelity of repairs: whole schemas made and unmade, any made of any other; the cases are in test_cases."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import pytest

from tests.schema.case import MAJORS, written
from tests.schema.cases import CASES
from tests.schema.conftest import CaseDatabase
from tests.schema.nasty import NASTY
from tests.schema.repairing import NOT_POSSIBLE, NOT_WRITTEN, repair
from web.schema.difference import difference
from web.schema.proof import apply
from web.schema.snapshot import read_schema
from web.schema.statements import statements


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case_database", MAJORS, indirect=True)
async def test_a_whole_schema_is_made_and_unmade(case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    nothing = await read_schema(connection)
    await connection.execute(NASTY)
    everything = await read_schema(connection)
    await case_database.empty()
    connection = await case_database.get()
    # Casts, operators, text search and foreign data are not written: what others stand on is there.
    await connection.execute(
        "create foreign data wrapper wrapper; create server remote foreign data wrapper wrapper"
    )
    others = (await read_schema(connection)).others
    assert not await repair(connection, replace(everything, others=others))
    assert not await repair(connection, replace(nothing, others=others))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("destructive", [True, False])
async def test_names_that_a_table_holds_which_goes(destructive: bool, case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    await connection.execute(
        "create table a (id int constraint k primary key, x int constraint u unique, y date unique); "
        "create index i on a (y);"
        "create table c (id int, z date references a (y)); create index j on c (z)"
    )
    expected = await read_schema(connection)
    await case_database.empty()
    connection = await case_database.get()
    await connection.execute(
        "create table b (code text constraint k primary key, m date constraint j unique, n int); "
        "create index i on b (n); create index u on b (m, n); create index k_old on b (m);"
        "create table c (id int, z date references b (m))"
    )
    actual = await read_schema(connection)
    made = statements(expected, actual, destructive=destructive, database=connection.info.dbname)
    await apply(connection, made.statements)
    found = difference(expected, await read_schema(connection))
    assert [written(each) for each in found] == ([] if destructive else ["structure table public.b: added"])


@pytest.mark.asyncio(loop_scope="module")
async def test_a_foreign_key_that_points_elsewhere_from_another_type(case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    await connection.execute(
        "create table a (id bigint primary key); create table c (z bigint constraint f references a)"
    )
    expected = await read_schema(connection)
    await case_database.empty()
    connection = await case_database.get()
    await connection.execute(
        "create table b (code int constraint a_pkey primary key, more text); "
        "create table c (z int constraint f references b)"
    )
    assert not await repair(connection, expected)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("number", range(150))
async def test_any_schema_is_made_of_any_other(number: int, case_database: CaseDatabase) -> None:
    random = Random(number)
    first, second = random.sample([each for each in CASES if each.since <= 17], 2)
    connection = await case_database.get()
    await connection.execute(first.before + ";" + first.change)
    expected = await read_schema(connection)
    await case_database.empty()
    connection = await case_database.get()
    await connection.execute(second.before + ";" + second.change)
    for reason in await repair(connection, expected):
        assert any(reason.startswith(why) for why in {*NOT_WRITTEN.values(), *NOT_POSSIBLE}), reason


@pytest.mark.asyncio(loop_scope="module")
async def test_what_loses_rows_or_values_is_written_only_where_that_is_asked_for(
    case_database: CaseDatabase,
) -> None:
    connection = await case_database.get()
    await connection.execute("create table t (id int)")
    expected = await read_schema(connection)
    await connection.execute(
        "alter table t add more text, add twice int generated always as (id * 2) stored; "
        "create table u (x int); create sequence s; create view v as select 1 as one"
    )
    actual = await read_schema(connection)
    kept = statements(expected, actual, destructive=False, database=connection.info.dbname)
    assert {each.difference.object for each in kept.left} == {"public.t.more", "public.u", "public.s"}
    assert not any(each.destructive for each in kept.statements)
    lost = statements(expected, actual, destructive=True, database=connection.info.dbname)
    assert not lost.left
    assert len([each for each in lost.statements if each.destructive]) == 3
