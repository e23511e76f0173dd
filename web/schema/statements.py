"""Write the DDL that leads from an actual schema to the expected one.

ddl/ decides what is done and knows how each kind is made, altered and dropped. The server has the last word: a
repair is offered once proof.py has seen it leave no difference.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from web.schema.ddl.actions import in_order
from web.schema.ddl.planner import Left, Planner
from web.schema.ddl.statement import Ground, Statement
from web.schema.model import Schema
from web.schema.renames import moved, renamed_schemas

__all__ = [
    "CHECKED_AGAIN",
    "UNCHECKED",
    "Left",
    "Repair",
    "Statement",
    "makes_function",
    "statements",
    "with_bodies_checked",
]

#: Functions may be made before what the text of their bodies names: those are not checked meanwhile.
_MAKES_FUNCTION = re.compile(r"CREATE (?:OR REPLACE )?(?:FUNCTION|PROCEDURE) ")
UNCHECKED = Statement("SET check_function_bodies = off")
CHECKED_AGAIN = Statement("RESET check_function_bodies")


@dataclass(frozen=True, slots=True)
class Repair:
    """Statements in the order in which they are run, and what they leave."""

    statements: tuple[Statement, ...]
    left: tuple[Left, ...]


def statements(
    expected: Schema,
    actual: Schema,
    *,
    destructive: bool = False,
    role: str | None = None,
    database: str = "",
) -> Repair:
    """Write what makes `actual` like `expected`, in dependency order.

    What would lose rows or values is left unless `destructive`. `role` runs the statements and so owns what they
    make; where it is None every owner is written out. `database` is the name that settings and grants of the
    database are written for. Names in the statements are qualified: run them with only pg_catalog in search_path.
    """
    there = {new: old for old, new in renamed_schemas(expected, actual).items()}
    planner = Planner(
        Ground.of(expected, moved(actual, there), role, database), there, destructive=destructive
    )
    planner.plan()
    made = [statement for action in in_order(planner.actions) for statement in action.statements]
    if any(map(makes_function, made)):
        made = [UNCHECKED, *made, CHECKED_AGAIN]
    return Repair(tuple(made), tuple(planner.left))


def makes_function(statement: Statement) -> bool:
    """Whether the server checks a body when it runs."""
    return _MAKES_FUNCTION.match(statement.sql) is not None


def with_bodies_checked(statements: Iterable[Statement]) -> tuple[Statement, ...]:
    """The same, with every body checked when it is made, against what is there then."""
    return tuple(each for each in statements if each not in (UNCHECKED, CHECKED_AGAIN))
