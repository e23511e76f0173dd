"""Making a database on which there are rows like a schema, and what is known to be left."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from tests.schema.case import Case, written
from web.schema.difference import difference
from web.schema.model import Schema
from web.schema.proof import StatementRefused, apply
from web.schema.snapshot import read_schema
from web.schema.statements import Repair, statements

Connection = psycopg.AsyncConnection[Any]
#: By how many rounds at most: a change may bring what only another look shows (casts, inherited checks).
ROUNDS = 3

#: Change cases that take more than one: what they bring shows only once the rest is there.
LOOKED_AT_AGAIN = {
    "partition attached",
    "column dropped",
    "one column for another elsewhere is no rename",
    "primary key added makes not null",
    "label taken from an enum of inherited columns",
}

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


@contextmanager
def keeping_plans(connection: Connection) -> Iterator[None]:
    """Prepare what is asked in here from the first time on: of a small schema's reading, planning is four fifths."""
    before, connection.prepare_threshold = connection.prepare_threshold, 0
    try:
        yield
    finally:
        connection.prepare_threshold = before


async def read(connection: Connection) -> Schema:
    """Read the schema, with plans that are kept."""
    with keeping_plans(connection):
        return await read_schema(connection)


async def repair(
    connection: Connection,
    expected: Schema,
    refusal: str | None = None,
    *,
    actual: Schema | None = None,
    rounds: int = ROUNDS,
) -> list[str]:
    """Make the database like `expected` in so many rounds, and give the reasons of what is left. Rows are kept.

    `actual` is what there is, where it is known.
    """
    role, database = connection.info.user, connection.info.dbname
    actual = actual or await read(connection)
    log: list[str] = []
    made = Repair((), ())
    for _ in range(rounds):
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
        actual = await read(connection)
        if not any(each.destructive for each in made.statements):
            now = await count_rows(connection, actual)
            assert {name: now[name] for name in rows if name in now} == {
                name: count for name, count in rows.items() if name in now
            }
    left = {each.difference.key: each.reason for each in made.left}
    found = difference(expected, actual)
    assert [written(each) for each in found if each.key not in left] == [], "\n".join(log)
    return sorted(left.values())


async def fill(connection: Connection, schema: Schema) -> None:
    """Put two rows into every empty table that takes such values."""
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
