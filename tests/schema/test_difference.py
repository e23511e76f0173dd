"""The table of change cases: every cause gives exactly what it should, and the token sees it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import psycopg
import pytest

from tests.schema import (
    cases_access,
    cases_columns,
    cases_dependents,
    cases_objects,
    cases_parts,
    cases_tables,
)
from tests.schema.case import MAJORS, Case, written
from web.schema.difference import Difference, difference
from web.schema.fingerprint import fingerprint
from web.schema.serialize import from_json, to_json
from web.schema.snapshot import read_schema
from web.schema.token import read_token

CASES = (
    *cases_tables.CASES,
    *cases_columns.CASES,
    *cases_parts.CASES,
    *cases_objects.CASES,
    *cases_access.CASES,
    *cases_dependents.CASES,
)


#: Every case on every server that knows what it uses.
EVERYWHERE = [
    pytest.param(major, case, id=f"{major}-{case.name}")
    for major in MAJORS
    for case in CASES
    if case.since <= major
]


def _names(cases: tuple[Case, ...]) -> list[str]:
    return [case.name for case in cases]


def test_case_names_are_unique() -> None:
    assert len(set(_names(CASES))) == len(CASES)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case_database", "case"),
    EVERYWHERE,
    indirect=["case_database"],
)
async def test_change(case: Case, case_connection: psycopg.AsyncConnection[Any]) -> None:
    connection = case_connection
    await connection.execute(case.before or "select 1")
    a, token = await read_schema(connection), await read_token(connection)
    await connection.execute(case.change)
    b, later = await read_schema(connection), await read_token(connection)

    found = difference(a, b)
    assert tuple(sorted(map(written, found))) == case.expected
    assert set(map(mirrored, difference(b, a))) == set(found)
    assert not difference(a, a)
    assert not difference(b, from_json(to_json(b)))
    assert (fingerprint(a) == fingerprint(b)) == (not case.expected)
    if case.expected:
        assert token != later


def mirrored(item: Difference) -> Difference:
    """Give the difference as it has to be found the other way round."""
    opposite = {"added": "removed", "removed": "added"}.get(item.change, item.change)
    mirrored = replace(item, change=opposite, a=item.b, b=item.a)  # type: ignore[arg-type]
    if item.change == "renamed" and item.attribute == "name" and item.a is not None:
        group = item.a if item.group == item.object else item.group
        mirrored = replace(mirrored, object=item.a, group=group)
    return mirrored
