"""Rows of look-up tables that a baseline brings along: countries, roles, states. Read, written as inserts, and proven.

A person names the tables. Rows are inserted before keys, triggers and policies are there, as a restore does it, so
that nothing but what was read is in the tables afterwards; that is looked at, and the next row that a sequence numbers
is tried.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any, Final

import psycopg
from psycopg.rows import dict_row

from web import words
from web.errors import Invalid
from web.postgres.connections import Connection
from web.schema.ddl.statement import Statement, literal
from web.schema.model import Schema, Table
from web.schema.names import quote
from web.schema.snapshot import PINS

#: Rows of one table: what holds more is data, not a look-up table.
MOST_ROWS: Final = 10_000
#: Characters of all rows together: what a person can still read as a file.
MOST_TEXT: Final = 8 * 2**20
#: Tables that are offered to be ticked.
MOST_OFFERED: Final = 500
#: As a restore reads: exact values, and an error where a policy would hide rows.
SETTINGS: Final[Mapping[str, str]] = {**PINS, "row_security": "off"}
#: Tables counted by one query.
_BATCH = 100

_NAMES = re.compile(r'(?:[^,\s"]|"(?:[^"]|"")*")+')
#: Values of these types stand in a statement without quotes.
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_NUMBERS = re.compile(r"(smallint|integer|bigint|numeric(\(.*\))?)\Z")
#: What would look at rows, change them, or refuse them for their order; rows come before it.
_AFTER_ROWS = re.compile(
    r"(ALTER TABLE .* ADD CONSTRAINT .* FOREIGN KEY"
    r"|CREATE (CONSTRAINT )?TRIGGER |CREATE RULE |CREATE POLICY |CREATE MATERIALIZED VIEW "
    r"|ALTER TABLE .* (ENABLE|FORCE) ROW LEVEL SECURITY)",
    re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Filled:
    """A column that a sequence fills, and the value that the sequence has to stand at after the rows."""

    column: str
    #: The sequence as SQL finds it after a baseline.
    sequence: str
    value: int


@dataclass(frozen=True, slots=True)
class TableRows:
    """All rows of one table, as literals."""

    #: As PostgreSQL writes it: `public.country`.
    table: str
    #: Without those that are computed.
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    filled: tuple[Filled, ...] = ()

    def inserts(self) -> Iterator[Statement]:
        """One statement, whatever the columns' identities say."""
        if self.rows:
            names = ", ".join(map(quote, self.columns))
            values = ",\n".join(f"    ({', '.join(row)})" for row in self.rows)
            yield Statement(f"INSERT INTO {self.table} ({names}) OVERRIDING SYSTEM VALUE\nVALUES\n{values}")

    def sequences(self) -> Iterator[Statement]:
        """What lets the next row be numbered after these."""
        for each in self.filled:
            yield Statement(f"SELECT pg_catalog.setval({each.sequence}, {each.value})")


def parse_tables(given: object) -> object:
    """Split what a form holds, names with commas or blanks between them; everything else as it is."""
    return tuple(_NAMES.findall(given)) if isinstance(given, str) else given


async def count_lookups(connection: Connection, schema: Schema) -> tuple[tuple[str, int], ...]:
    """The tables that hold rows, and not too many of them, with their numbers. What may not be read is left out."""
    tables = [
        each.identity for each in schema.tables if each.form != "foreign table" and not each.partition_bound
    ]
    found: list[tuple[str, int]] = []
    await _set(connection)
    for begin in range(0, len(tables), _BATCH):
        batch = tables[begin : begin + _BATCH]
        try:
            found += await _count(connection, batch)
        except psycopg.Error:
            for each in batch:
                try:
                    found += await _count(connection, [each])
                except psycopg.Error:
                    continue
        if len(found) >= MOST_OFFERED:
            break
    return tuple(found[:MOST_OFFERED])


async def read_rows(connection: Connection, schema: Schema, names: Sequence[str]) -> tuple[TableRows, ...]:
    """Read the tables that a person named, in one snapshot. Raises Invalid."""
    tables = {each.identity: each for each in (_table(schema, name) for name in names)}
    await _set(connection)
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        await _require_referred(connection, tables)
        found = [await _read(connection, each) for each in tables.values()]
    size = sum(len(value) for each in found for row in each.rows for value in row)
    if size > MOST_TEXT:
        raise Invalid(
            f"The rows of {words.plural(len(found), 'table')} take {words.size(size)}; a baseline holds at most "
            f"{words.size(MOST_TEXT)} of them.",
            hint="Load what is that large after the migration.",
        )
    return tuple(found)


def with_rows(statements: Sequence[Statement], rows: Sequence[TableRows]) -> tuple[Statement, ...]:
    """Put the inserts where the tables are there, and nothing yet that would look at the rows; sequences last of all.

    A column's sequence may be given to it late, and could not be found by its column before.
    """
    inserts = [each for table in rows for each in table.inserts()]
    if not inserts:
        return tuple(statements)
    inserts[0] = replace(inserts[0], note="Rows of look-up tables")
    made = max((_made_at(statements, each.table) for each in rows), default=-1) + 1
    late = next(
        (number for number, each in enumerate(statements) if _AFTER_ROWS.match(each.sql)), len(statements)
    )
    at = max(made, late)
    sequences = [each for table in rows for each in table.sequences()]
    return (*statements[:at], *inserts, *statements[at:], *sequences)


async def difference_of_rows(connection: Connection, schema: Schema, rows: Sequence[TableRows]) -> str | None:
    """Why the tables do not hold exactly these rows, or one more cannot come; None: they do, and it can."""
    there = {each.table: each for each in await read_rows(connection, schema, [each.table for each in rows])}
    for each in rows:
        if (found := there[each.table]) != each:
            if len(found.rows) != len(each.rows):
                return (
                    f"{each.table} holds {words.plural(len(found.rows), 'row')} instead of {len(each.rows)}"
                )
            if found.rows != each.rows:
                return f"{each.table} holds other rows than were read: something changes them as they come"
            return f"{each.table} numbers its rows another way"
    for each in rows:
        if each.rows and each.filled and (refused := await _try_one_more(connection, each)):
            return f"one more row in {each.table} was refused: {refused}"
    return None


async def _set(connection: Connection) -> None:
    for name, value in SETTINGS.items():
        await connection.execute("SELECT set_config(%s, %s, false)", [name, value])


async def _count(connection: Connection, tables: Iterable[str]) -> list[tuple[str, int]]:
    parts = [
        f"SELECT {literal(each)} AS name, (SELECT count(*) FROM (SELECT FROM {each} LIMIT {MOST_ROWS + 1}) l) AS rows"  # noqa: S608 - quoted
        for each in tables
    ]
    cursor = await connection.execute(" UNION ALL ".join(parts).encode())
    return [(name, rows) for name, rows in await cursor.fetchall() if 0 < rows <= MOST_ROWS]


def _table(schema: Schema, name: str) -> Table:
    """The table that a person means. Raises Invalid."""
    named = [each for each in schema.tables if name in (each.identity, f"{each.schema}.{each.name}")]
    named = named or [each for each in schema.tables if name in (each.name, quote(each.name))]
    if len(named) > 1:
        raise Invalid(
            f"There is more than one table {name}.",
            hint=f"Name one: {', '.join(each.identity for each in named)}.",
        )
    if not named:
        raise Invalid(
            f"There is no table {name} in the schema.", hint="Write it with its schema: public.country."
        )
    if named[0].form == "foreign table":
        raise Invalid(f"{name} is a foreign table: its rows are on another server.")
    return named[0]


async def _require_referred(connection: Connection, tables: Mapping[str, Table]) -> None:
    """Refuse rows that refer to rows which would not be there. Raises Invalid."""
    found = await _ask(connection, "referred", {"relations": list(tables)})
    for each in found:
        cursor = await connection.execute(each["question"].encode())
        row = await cursor.fetchone()
        if row is not None and row[0]:
            raise Invalid(
                f"Rows of {each['referring']} refer to {each['referred']} ({each['name']}), whose rows would not be "
                "there.",
                hint=f"Take the rows of {each['referred']} too.",
            )


async def _read(connection: Connection, table: Table) -> TableRows:
    columns = [each for each in table.columns if each.generated is None]
    if not columns:
        raise Invalid(f"{table.identity} has no columns that hold anything.")
    texts = ", ".join(f"{quote(each.name)}::pg_catalog.text" for each in columns)
    key = next((each for each in table.constraints if each.definition.startswith("PRIMARY KEY")), None)
    order = (
        key.definition.removeprefix("PRIMARY KEY ").partition(")")[0].removeprefix("(")
        if key is not None
        else ", ".join(str(number) for number in range(1, len(columns) + 1))
    )
    only = "" if table.form == "partitioned table" else "ONLY "
    cursor = await connection.execute(
        f"SELECT {texts} FROM {only}{table.identity} ORDER BY {order} LIMIT {MOST_ROWS + 1}".encode()  # noqa: S608 - quoted
    )
    rows = await cursor.fetchall()
    if len(rows) > MOST_ROWS:
        raise Invalid(
            f"{table.identity} holds more than {MOST_ROWS:,} rows: it is no look-up table.",
            hint="Load what is that large after the migration.",
        )
    plain = [_NUMBERS.match(each.type) is not None for each in columns]
    return TableRows(
        table.identity,
        tuple(each.name for each in columns),
        tuple(tuple(map(_literal, row, plain)) for row in rows),
        tuple(await _filled(connection, table, [each.name for each in columns], rows)),
    )


def _literal(value: str | None, number: bool) -> str:
    if value is None:
        return "NULL"
    return value if number and _NUMBER.fullmatch(value) else literal(value)


async def _filled(
    connection: Connection, table: Table, columns: Sequence[str], rows: Sequence[Sequence[Any]]
) -> list[Filled]:
    found = []
    for each in await _ask(connection, "filled_columns", {"relation": table.identity}):
        place = columns.index(each["column_name"])
        values = [int(row[place]) for row in rows if row[place] is not None]
        if not values:
            continue
        value = max(values) if each["rises"] else min(values)
        if not each["least"] <= value <= each["most"]:
            # The sequence never comes there: it begins as it would without the rows.
            continue
        column = literal(each["column_name"])
        sequence = (
            f"pg_catalog.pg_get_serial_sequence({literal(table.identity)}, {column})"
            if each["owned"]
            else literal(each["sequence"])
        )
        found.append(Filled(each["column_name"], sequence, value))
    return found


def _made_at(statements: Sequence[Statement], table: str) -> int:
    """Where the last statement is that makes a table, or a partition of it."""
    makes = re.compile(
        rf"(CREATE (UNLOGGED )?TABLE {re.escape(table)} "
        rf"|CREATE (UNLOGGED )?TABLE .* PARTITION OF {re.escape(table)} "
        rf"|ALTER TABLE {re.escape(table)} (ATTACH PARTITION|ADD COLUMN|ADD CONSTRAINT .* PRIMARY KEY))",
        re.DOTALL,
    )
    return max((number for number, each in enumerate(statements) if makes.match(each.sql)), default=-1)


async def _try_one_more(connection: Connection, table: TableRows) -> str | None:
    """Insert a copy of a row that a sequence numbers, and take everything back; why that was refused, or None."""
    filled = [each.column for each in table.filled]
    others = ", ".join(quote(each) for each in table.columns if each not in filled)
    statements = [
        f"ALTER TABLE {table.table} DISABLE TRIGGER USER",
        *(
            each["statement"]
            for each in await _ask(connection, "other_unique", {"relation": table.table, "columns": filled})
        ),
        f"INSERT INTO {table.table} ({others}) SELECT {others} FROM {table.table} LIMIT 1"  # noqa: S608 - quoted
        if others
        else f"INSERT INTO {table.table} DEFAULT VALUES",
    ]
    try:
        async with connection.transaction(force_rollback=True):
            for each in statements:
                await connection.execute(each.encode())
    except psycopg.Error as error:
        return error.diag.message_primary or str(error)
    return None


async def _ask(connection: Connection, query: str, parameters: Mapping[str, object]) -> list[dict[str, Any]]:
    text = files("web.remedies").joinpath("queries", f"{query}.sql").read_bytes()
    async with connection.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(text, parameters)
        return await cursor.fetchall()
