"""Differences that are left alone: every change case, each of its differences by itself and all together."""

from __future__ import annotations

from typing import Any

import psycopg
import pytest

from tests.schema.case import MAJORS, Case
from tests.schema.cases import CASES
from web.schema.difference import difference
from web.schema.keeping import CannotKeep, keeping
from web.schema.snapshot import read_schema

#: Renames of what other objects go by by name.
RENAMES = {"table", "column", "schema", "view", "materialized view", "function", "sequence", "enum", "type"}
NEWEST = MAJORS[-1]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case_database", "case"),
    [pytest.param(NEWEST, case, id=case.name) for case in CASES if case.since <= NEWEST],
    indirect=["case_database"],
)
async def test_what_is_kept_is_no_difference_any_more(
    case: Case, case_connection: psycopg.AsyncConnection[Any]
) -> None:
    await case_connection.execute(case.before or "select 1")
    a = await read_schema(case_connection)
    await case_connection.execute(case.change)
    b = await read_schema(case_connection)
    found = difference(a, b)

    assert keeping(a, b, ()) is a
    renamed = any(each.change == "renamed" and each.kind in RENAMES for each in found)
    for kept in [found, *((each,) for each in found if len(found) > 1)]:
        try:
            made = keeping(a, b, [each.key for each in kept])
        except CannotKeep:
            made = None
        if made is None:
            # Refused, and only where names of other objects are at stake.
            assert renamed or len(kept) < len(found), case.name
            continue
        left = {each.key for each in difference(made, b)}
        assert left == {each.key for each in found} - {each.key for each in kept}
