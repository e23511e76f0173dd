"""Tables dropped in an order in which no foreign key has to go before: the shortest way down from a baseline."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from heapq import heapify, heappop, heappush

from web.schema.ddl.statement import Statement

_ID = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_DROPPED_TABLE = re.compile(rf"DROP TABLE (?P<table>{_ID}\.{_ID})")
_DROPPED_KEY = re.compile(rf"ALTER TABLE (?P<table>{_ID}\.{_ID}) DROP CONSTRAINT (?P<name>{_ID})")
_KEY = re.compile(
    rf"ALTER TABLE (?P<table>{_ID}\.{_ID}) ADD CONSTRAINT (?P<name>{_ID}) FOREIGN KEY .*? REFERENCES "
    rf"(?P<referred>{_ID}\.{_ID})\(.*",
    re.DOTALL,
)


def tables_in_order(back: Sequence[Statement], forth: Sequence[Statement]) -> tuple[Statement, ...]:
    """Statements that take away what `forth` makes, without those that drop a key before its own table goes.

    Keys in a circle are dropped as they were. Whether all else is possible in this order, running it shows.
    """
    keys = {(match["table"], match["name"]): match["referred"] for match in map(_key, forth) if match}
    drops = {match["table"]: each for each in back if (match := _DROPPED_TABLE.fullmatch(each.sql))}
    needs: dict[str, set[str]] = {table: set() for table in drops}
    for (table, _), referred in keys.items():
        if table in drops and referred in drops and table != referred:
            # What is referred to goes after what refers to it.
            needs[referred].add(table)
    order = _sorted(needs)
    place = {table: number for number, table in enumerate(order)}
    before: list[Statement] = []
    after: list[Statement] = []
    first = next(
        (number for number, each in enumerate(back) if _DROPPED_TABLE.fullmatch(each.sql)), len(back)
    )
    for number, each in enumerate(back):
        if _DROPPED_TABLE.fullmatch(each.sql):
            continue
        key = _DROPPED_KEY.fullmatch(each.sql)
        referred = keys.get((key["table"], key["name"])) if key is not None else None
        if key is not None and referred is not None and key["table"] in place:
            table = key["table"]
            if referred in place and place[table] > place[referred]:
                before.append(each)
        elif number < first:
            before.append(each)
        else:
            after.append(each)
    return (*before, *(drops[table] for table in order), *after)


def _key(statement: Statement) -> re.Match[str] | None:
    return _KEY.fullmatch(statement.sql)


def _sorted(needs: Mapping[str, set[str]]) -> list[str]:
    """Every table after those it needs, else in the order given; where all that is left is a circle, its first one."""
    number = {table: place for place, table in enumerate(needs)}
    missing = {table: len(needed) for table, needed in needs.items()}
    waiting: dict[str, list[str]] = {}
    for table, needed in needs.items():
        for each in needed:
            waiting.setdefault(each, []).append(table)
    free = [number[table] for table, count in missing.items() if count == 0]
    heapify(free)
    tables = list(needs)
    order: dict[str, None] = {}
    rest = iter(tables)
    while len(order) < len(tables):
        table = tables[heappop(free)] if free else next(each for each in rest if each not in order)
        if table in order:
            continue
        order[table] = None
        for each in waiting.get(table, ()):
            missing[each] -= 1
            if missing[each] == 0 and each not in order:
                heappush(free, number[each])
    return list(order)
