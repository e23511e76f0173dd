"""Run a repair on a scratch copy of the actual schema, and see what differs afterwards.

How the copy is made is for others; here it is checked first, so that a proof on something else is none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from web.schema.ddl.statement import Statement, transactions
from web.schema.demands.demand import Demand
from web.schema.demands.of import demands
from web.schema.difference import Difference, difference
from web.schema.invalid import invalidate, with_invalid_indexes
from web.schema.model import Schema
from web.schema.snapshot import PINS, read_schema
from web.schema.statements import Left, statements

#: What statements are written for, whatever the role or the database has set.
SESSION: Mapping[str, str] = {
    **{name: PINS[name] for name in ("search_path", "TimeZone", "DateStyle", "IntervalStyle")},
    "standard_conforming_strings": "on",
    "default_tablespace": "",
    "default_table_access_method": "heap",
}
#: A change may bring what only another look shows: rewritten casts, NOT NULL that outlives its key.
ROUNDS = 3


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that the server did not take."""

    statement: str
    message: str
    sqlstate: str | None


@dataclass(frozen=True, slots=True)
class Proof:
    """What was run, and what it led to."""

    #: For the target, in order; what was run on the copy differs in the database's name and in owners written out.
    statements: tuple[Statement, ...]
    #: What is not repaired, with the reasons.
    left: tuple[Left, ...]
    #: What differs afterwards and should not.
    remaining: tuple[Difference, ...] = ()
    refusal: Refusal | None = None
    #: What rows can refuse, of which the copy has none.
    demands: tuple[Demand, ...] = ()
    #: Where the copy was not like the actual schema; then nothing was run.
    copy_differs: tuple[Difference, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the statements lead where they should, and so may be offered."""
        return not self.remaining and not self.copy_differs and self.refusal is None


async def prove(
    connection: psycopg.AsyncConnection[Any],
    expected: Schema,
    actual: Schema,
    *,
    destructive: bool = False,
    role: str | None = None,
    database: str,
    exclude_tables: Collection[str] = (),
) -> Proof:
    """Repair the copy that `connection` is to, and compare it with `expected`.

    The connection is autocommit and its role a superuser; the database is thrown away afterwards. `role` and
    `database` are the target's: the statements that are given back are for them.
    """
    copy = _as_on_target(await read_schema(connection, exclude_tables=exclude_tables), actual)
    # A dump of one database leaves out what belongs to the server, and indexes that are not valid.
    carried = replace(copy, databases=actual.databases, settings=actual.settings)
    carried = with_invalid_indexes(carried, actual)
    await apply(connection, statements(carried, copy, database=connection.info.dbname).statements)
    await invalidate(connection, actual)
    current = _as_on_target(await read_schema(connection, exclude_tables=exclude_tables), actual)
    if differs := difference(actual, current):
        return Proof((), (), copy_differs=differs)
    made: list[Statement] = []
    left: dict[tuple[str, str, str, str], Left] = {}
    for _ in range(ROUNDS):
        here = statements(expected, current, destructive=destructive, database=connection.info.dbname)
        there = statements(expected, current, destructive=destructive, role=role, database=database)
        left |= {each.difference.key: each for each in there.left}
        if not here.statements:
            break
        made += there.statements
        try:
            await apply(connection, here.statements)
        except StatementRefused as refused:
            return Proof(tuple(made), tuple(left.values()), refusal=refused.refusal)
        current = _as_on_target(await read_schema(connection, exclude_tables=exclude_tables), actual)
    found = {each.key: each for each in difference(expected, current)}
    return Proof(
        tuple(made),
        tuple(each for key, each in left.items() if key in found),
        tuple(each for key, each in found.items() if key not in left),
        demands=demands(current, actual) if made else (),
    )


class StatementRefused(Exception):
    """The server did not take a statement; its transaction is rolled back, those before it stay."""

    def __init__(self, refusal: Refusal) -> None:
        self.refusal = refusal
        super().__init__(refusal.message)


async def apply(connection: psycopg.AsyncConnection[Any], statements: Iterable[Statement]) -> None:
    """Run statements on an autocommit connection, each group of `transactions` in one. Raises StatementRefused."""
    for name, value in SESSION.items():
        await connection.execute("SELECT set_config(%s, %s, false)", [name, value])
    for group in transactions(statements):
        if len(group) == 1:
            await _run(connection, group[0])
            continue
        async with connection.transaction():
            for each in group:
                await _run(connection, each)


async def _run(connection: psycopg.AsyncConnection[Any], statement: Statement) -> None:
    try:
        await connection.execute(statement.sql.encode())
    except psycopg.Error as error:
        message = error.diag.message_primary or str(error)
        detail = f" {error.diag.message_detail}" if error.diag.message_detail else ""
        raise StatementRefused(Refusal(statement.sql, f"{message}.{detail}", error.sqlstate)) from error


def _as_on_target(copy: Schema, actual: Schema) -> Schema:
    """CREATE EXTENSION takes the version that the scratch server's packages have."""
    versions = {each.name: each.version for each in actual.extensions}
    return replace(
        copy,
        extensions=tuple(
            replace(each, version=versions.get(each.name, each.version)) for each in copy.extensions
        ),
    )
