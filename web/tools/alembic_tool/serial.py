"""Columns that PostgreSQL numbers by itself, as `serial` writes them: sequence, default and owner in one word."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.quoting import ID, name, names

#: The word for a sequence of each type.
SERIAL: Final[Mapping[str, str]] = {"smallint": "smallserial", "integer": "serial", "bigint": "bigserial"}

_QUALIFIED = re.compile(rf"{ID}\.{ID}")
_SEQUENCE = re.compile(rf"CREATE SEQUENCE (?P<sequence>{ID}\.{ID})(?: AS (?P<type>smallint|integer|bigint))?")
_OWNED = re.compile(
    rf"ALTER SEQUENCE (?P<sequence>{ID}\.{ID}) OWNED BY (?P<table>{ID}\.{ID})\.(?P<column>{ID})"
)
_TABLE = re.compile(rf"CREATE TABLE (?P<table>{ID}\.{ID}) \(\n.*", re.DOTALL)


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A sequence that a column of a new table owns, by the places of its three statements."""

    made: int
    table: int
    owned: int
    old: str
    new: str


def with_serial(statements: Sequence[Statement]) -> list[Statement]:
    """Give the same with `serial` where that makes exactly the sequence, the default and the owner that are asked for.

    Only for a table's own key: SQLAlchemy writes a number of its own for no other column.
    """
    asked = list(statements)
    gone: set[int] = set()
    for each in _numbered(asked):
        table = asked[each.table]
        asked[each.table] = replace(table, sql=table.sql.replace(each.old, each.new, 1))
        gone |= {each.made, each.owned}
    kept: list[Statement] = []
    note: str | None = None
    for number, statement in enumerate(asked):
        if number in gone:
            # The heading of a group goes on to what follows.
            note = note or statement.note
            continue
        kept.append(replace(statement, note=statement.note or note))
        note = None
    return kept


def _numbered(asked: Sequence[Statement]) -> Iterator[_Numbered]:
    owned = {
        match["sequence"]: (number, match["table"], match["column"])
        for number, each in enumerate(asked)
        if (match := _OWNED.fullmatch(each.sql))
    }
    tables = {
        match["table"]: number for number, each in enumerate(asked) if (match := _TABLE.fullmatch(each.sql))
    }
    mentions: dict[str, list[int]] = {}
    for number, each in enumerate(asked):
        for mentioned in _QUALIFIED.findall(each.sql):
            mentions.setdefault(mentioned, []).append(number)
    for number, each in enumerate(asked):
        match = _SEQUENCE.fullmatch(each.sql)
        if match is None or match["sequence"] not in owned:
            continue
        sequence, kind = match["sequence"], match["type"] or "bigint"
        owning, table, column = owned[sequence]
        place = tables.get(table, -1)
        if place < number or sequence != usual_sequence(table, column):
            continue
        quoted = sequence.replace("'", "''")
        old = f"    {column} {kind} DEFAULT nextval('{quoted}'::regclass) NOT NULL"
        text = asked[place].sql
        key = rf"PRIMARY KEY \({re.escape(column)}\)"
        earlier = [at for at in mentions[sequence] if at < place and at != number]
        if old in text and re.search(key, text) and not earlier:
            yield _Numbered(number, place, owning, old, f"    {column} {SERIAL[kind]} NOT NULL")


def usual_sequence(table: str, column: str) -> str:
    """What PostgreSQL calls the sequence of a column, where nothing has to be cut or quoted; empty: something has."""
    schema, _, own = table.rpartition(".")
    usual = f"{own}_{column}_seq"
    plain = [name(each) for each in names(f"{own}, {column}")] == [own, column]
    return f"{schema}.{usual}" if plain and len(usual) < 64 else ""
