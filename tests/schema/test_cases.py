"""The table of change cases: every cause gives exactly what it should and is brought back, both ways, with its rows."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.schema.case import Case, mirrored, written
from tests.schema.cases import CASES, EVERYWHERE
from tests.schema.conftest import CaseDatabase
from tests.schema.repairing import LOOKED_AT_AGAIN, REFUSED, ROUNDS, assert_said, fill, keeping_plans, repair
from tests.schema.test_refresh import refreshed
from web.schema.difference import difference
from web.schema.fingerprint import fingerprint
from web.schema.model import Schema
from web.schema.refresh import read_kept
from web.schema.serialize import from_json, to_json
from web.schema.token import read_token


def test_case_names_are_unique() -> None:
    assert [name for name, times in Counter(case.name for case in CASES).items() if times > 1] == []


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("case_database", "case"), EVERYWHERE, indirect=["case_database"])
async def test_change(case: Case, case_database: CaseDatabase) -> None:
    connection = await case_database.get()
    await connection.execute(case.before or "select 1")
    with keeping_plans(connection):
        kept, token = await read_kept(connection), await read_token(connection)
    before = kept.schema
    await fill(connection, before)
    await connection.execute(case.change)

    # What changed is read as if everything were, and nothing else is found.
    with keeping_plans(connection):
        after = (await refreshed(connection, kept)).schema
        now_token = await read_token(connection)
    assert_found(case, before, after)
    if case.expected:
        assert now_token != token

    # There and back.
    rounds = ROUNDS if case.name in LOOKED_AT_AGAIN else 1
    refusal = REFUSED.get((case.name, "back"))
    left = await repair(connection, before, refusal, actual=after, rounds=rounds)
    now: Schema | None = before
    if left or refusal:
        assert_said(case, left)
        await case_database.empty()
        connection = await case_database.get()
        await connection.execute(case.before or "select 1")
        now = None
    await fill(connection, before)
    refusal = REFUSED.get((case.name, "forth"))
    assert_said(case, await repair(connection, after, refusal, actual=now, rounds=rounds))


def assert_found(case: Case, a: Schema, b: Schema) -> None:
    """Exactly what the case expects, from either side, and from what was written down."""
    found = difference(a, b)
    assert tuple(sorted(map(written, found))) == case.expected
    assert set(map(mirrored, difference(b, a))) == set(found)
    assert not difference(a, a)
    assert not difference(b, from_json(to_json(b)))
    assert (fingerprint(a) == fingerprint(b)) == (not case.expected)
