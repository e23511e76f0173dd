"""Fidelity: every change case repaired both ways on a real database with rows, and whole schemas made and unmade."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import Any, LiteralString

import psycopg
import pytest
from psycopg import sql

from tests.schema.case import MAJORS, Case, written
from tests.schema.conftest import CaseDatabase
from tests.schema.nasty import NASTY
from tests.schema.test_difference import CASES, EVERYWHERE
from web.schema.difference import difference
from web.schema.model import Schema
from web.schema.proof import StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import Repair, statements

Connection = psycopg.AsyncConnection[Any]
#: By how many rounds at most: a change may bring what only another look shows (casts, inherited checks).
ROUNDS = 3

#: What is not brought back, and what is said of it.
NOT_WRITTEN = {
    "other partition key": "A partition key cannot be changed: the rows have to be moved to a new table.",
    "label added to an enum that rows are partitioned by": "Rows are partitioned by a column of this type",
    "attribute order": "PostgreSQL cannot move an attribute of a composite type.",
    "cast added": "Clean Start does not write a cast.",
    "operator added": "Clean Start does not write an operator.",
    "collation made": "Clean Start does not write a collation.",
    "text search mapping": "Clean Start does not write a text search configuration.",
    "text search dictionary": "Clean Start does not write a text search dictionary.",
    "foreign data": "Clean Start does not write a",
    "column order": "PostgreSQL cannot move a column: the table would have to be made again.",
    "column dropped": "PostgreSQL cannot move a column: the table would have to be made again.",
    "one column for another elsewhere is no rename": "PostgreSQL cannot move a column",
    "invalid index": "An index is invalid after a failure only: nothing makes one so on purpose.",
    "foreign key switched off with all triggers": "What checks this constraint is switched off",
}
#: What else may be said where two schemas have little in common.
NOT_POSSIBLE = (
    "A table cannot become another kind of table",
    "It is on the server s, which Clean Start does not write",
    "The cast (public.c AS integer), which Clean Start does not write, stands on it.",
    "The table public.t, which stays, stands on it.",
)
#: What the server refuses, and what it says.
REFUSED = {
    ("extension of another version", "back"): "has no update path",
}


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("case_database", "case"), EVERYWHERE, indirect=["case_database"])
async def test_every_case_is_brought_back(case: Case, case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    await connection.execute(case.before or "select 1")
    before = await read_schema(connection)
    await fill(connection)
    await connection.execute(case.change)
    after = await read_schema(connection)

    left = await repair(connection, before, REFUSED.get((case.name, "back")))
    if left or REFUSED.get((case.name, "back")):
        assert_said(case, left)
        await case_database.empty()
        connection = await case_database.get()
        await connection.execute(case.before or "select 1")
    await fill(connection)
    assert_said(case, await repair(connection, after, REFUSED.get((case.name, "forth"))))


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


async def repair(connection: Connection, expected: Schema, refusal: str | None = None) -> list[str]:
    """Make the database like `expected`, and give the reasons of what is left. Rows are kept."""
    role, database = connection.info.user, connection.info.dbname
    log: list[str] = []
    made = Repair((), ())
    for _ in range(ROUNDS):
        actual = await read_schema(connection)
        made = statements(expected, actual, destructive=True, role=role, database=database)
        if not made.statements:
            break
        log += [each.sql for each in made.statements]
        rows = await count_rows(connection, actual)
        try:
            await apply(connection, made.statements)
        except StatementRefused as error:
            if refusal is not None and refusal in str(error):
                return []
            raise AssertionError("\n".join([str(error), *log])) from error
        if not any(each.destructive for each in made.statements):
            now = await count_rows(connection, await read_schema(connection))
            assert {name: now[name] for name in rows if name in now} == {
                name: count for name, count in rows.items() if name in now
            }
    found = difference(expected, await read_schema(connection))
    left = {each.difference.key: each.reason for each in made.left}
    assert [written(each) for each in found if each.key not in left] == [], "\n".join(log)
    return sorted(left.values())


async def fill(connection: Connection) -> None:
    """Put two rows into every empty table that takes such values."""
    schema = await read_schema(connection)
    counts = await count_rows(connection, schema, only="")
    labels = {each.identity: each.labels[0] for each in schema.enums}
    for table in schema.tables:
        columns = [
            each for each in table.columns if each.generated is None and each.identity_generation is None
        ]
        if not columns or table.partition_bound is not None or counts.get(table.identity, 1):
            continue
        names = sql.SQL(", ").join(sql.Identifier(each.name) for each in columns)
        for number in (1, 2):
            values = sql.SQL(", ").join(sql.SQL(value_for(each.type, number, labels)) for each in columns)
            text = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
                sql.Identifier(table.schema, table.name), names, values
            )
            try:
                await connection.execute(text)
            except psycopg.Error:
                break


def value_for(type_: str, number: int, labels: dict[str, str]) -> str:
    """A value of a type, as SQL."""
    if type_ in labels:
        return f"'{labels[type_]}'"
    if type_ in ("integer", "bigint", "smallint", "numeric"):
        return str(number + 10)
    if type_ == "text" or type_.startswith("character varying"):
        return f"'x{number}'"
    if type_ == "date":
        return f"'202{number - 1}-06-01'"
    return "NULL"


async def count_rows(connection: Connection, schema: Schema, only: LiteralString = "ONLY ") -> dict[str, int]:
    """Rows by table; with ONLY those of its partitions and children are theirs."""
    counts = {}
    for table in schema.tables:
        if table.form != "foreign table":
            query = sql.SQL("SELECT count(*) FROM " + only + "{}").format(
                sql.Identifier(table.schema, table.name)
            )
            row = await (await connection.execute(query)).fetchone()
            assert row is not None
            counts[table.identity] = row[0]
    return counts


def assert_said(case: Case, left: list[str]) -> None:
    """What is left is what is known to be left, with its reason."""
    if left:
        reason = NOT_WRITTEN.get(case.name)
        assert reason is not None, (case.name, left)
        assert all(each.startswith(reason) for each in left)
