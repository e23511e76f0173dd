"""Statements in the forms that fit into one transaction, as a migration runs them.

A repair takes forms that spare readers of live tables, each committed by itself. Inside of a transaction they spare
nobody, and some are not allowed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.serial import with_serial

_ID = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_TABLE = rf"ALTER (?:FOREIGN )?TABLE {_ID}\.{_ID}"
_PROOF = re.compile(rf"({_TABLE}) ADD CONSTRAINT ({_ID}) CHECK \(({_ID}) IS NOT NULL\) NOT VALID")
_ADDED = re.compile(rf"({_TABLE}) ADD (CONSTRAINT ({_ID}) .*) NOT VALID", re.DOTALL)
_INDEX = re.compile(
    rf"CREATE UNIQUE INDEX CONCURRENTLY (?P<name>{_ID}) ON {_ID}\.{_ID} "
    r"(?P<columns>\(.*?\))(?P<included> INCLUDE \(.*?\))?(?P<nulls> NULLS NOT DISTINCT)?$",
    re.DOTALL,
)
_USING = re.compile(
    rf"(?P<head>{_TABLE}) ADD CONSTRAINT (?P<name>{_ID}) (?P<form>UNIQUE|PRIMARY KEY) USING INDEX {_ID}(?P<rest>.*)$",
    re.DOTALL,
)
_CONCURRENTLY = re.compile(r"^(CREATE (?:UNIQUE )?|DROP |RE)INDEX (INDEX )?CONCURRENTLY ")


def plain(statements: Sequence[Statement]) -> list[Statement]:
    """Give statements that do the same in one transaction; only new enum values stay `alone`."""
    made: list[Statement] = []
    rest = with_serial(statements)
    while rest:
        taken, statement = _first(rest)
        made.append(statement)
        del rest[:taken]
    return made


def _first(rest: Sequence[Statement]) -> tuple[int, Statement]:
    """How many statements the first form takes, and the one that stands for them."""
    sql = rest[0].sql
    following = [each.sql for each in rest[1:4]]
    if (proof := _PROOF.fullmatch(sql)) and len(following) == 3:
        head, name, column = proof.groups()
        set_not_null = f"{head} ALTER COLUMN {column} SET NOT NULL"
        if following == [
            f"{head} VALIDATE CONSTRAINT {name}",
            set_not_null,
            f"{head} DROP CONSTRAINT {name}",
        ]:
            return 4, Statement(set_not_null, note=rest[0].note)
    if (added := _ADDED.fullmatch(sql)) and following:
        head, constraint, name = added.groups()
        if following[0] == f"{head} VALIDATE CONSTRAINT {name}":
            return 2, Statement(f"{head} ADD {constraint}", note=rest[0].note)
    if (index := _INDEX.fullmatch(sql)) and following:
        using = _USING.fullmatch(following[0])
        if using and using["name"] == index["name"]:
            nulls, included = index["nulls"] or "", index["included"] or ""
            key = f"{using['form']}{nulls} {index['columns']}{included}{using['rest']}"
            return 2, Statement(f"{using['head']} ADD CONSTRAINT {using['name']} {key}")
    if _CONCURRENTLY.match(sql):
        return 1, Statement(sql.replace(" CONCURRENTLY", "", 1), rest[0].destructive, note=rest[0].note)
    alone = sql.startswith("ALTER TYPE ") and " ADD VALUE " in sql
    return 1, Statement(sql, rest[0].destructive, alone, rest[0].note)
