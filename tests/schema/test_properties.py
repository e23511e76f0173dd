"""Any schema, any change: it is reported and nothing else is, and a repair takes it back and makes it again.

Few examples by default, always the same ones; CLEANSTART_PROPERTY_EXAMPLES asks for more, by chance.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.schema.case import MAJORS, mirrored, written
from tests.schema.conftest import CaseDatabase
from tests.schema.random_change import Change
from tests.schema.random_changes import changes
from tests.schema.random_dependents import make_dependents
from tests.schema.random_schemas import World
from tests.schema.repairing import fill, repair
from web.schema.difference import difference
from web.schema.fingerprint import fingerprint
from web.schema.serialize import from_json, to_json
from web.schema.snapshot import read_schema, server_major
from web.schema.token import read_token

#: What no statement brings back.
NOT_WRITTEN = {
    "PostgreSQL cannot move a column: the table would have to be made again.",
    "PostgreSQL cannot move an attribute of a composite type.",
}
#: Changes that rows with NULL in them refuse.
REFUSED_BY_ROWS = {"not null"}
ASKED = os.environ.get("CLEANSTART_PROPERTY_EXAMPLES")


def examples(number: int) -> settings:
    """Take so many examples, or as many as were asked for."""
    return settings(
        max_examples=int(ASKED or number),
        derandomize=ASKED is None,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


@st.composite
def worlds(draw: Callable[[st.SearchStrategy[Any]], Any], major: int) -> World:
    """Make a schema."""
    world = World(draw, major)
    world.make()
    make_dependents(world)
    return world


@st.composite
def changed(draw: Callable[[st.SearchStrategy[Any]], Any], major: int) -> tuple[World, Change]:
    """Make a schema and one change of it."""
    world = draw(worlds(major))
    possible = changes(world)
    # By name first, or the changes of columns would crowd out all others.
    return world, draw(st.sampled_from(possible[draw(st.sampled_from(sorted(possible)))]))


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case_database", MAJORS, indirect=True)
@examples(6)
@given(st.data())
async def test_a_change_is_reported_and_taken_back(case_database: CaseDatabase, data: st.DataObject) -> None:
    await case_database.empty()
    connection = await case_database.get()
    world, change = data.draw(changed(server_major(connection)))
    note(f"{world.ddl};\n--\n{change.sql}")
    await check_change(connection, world, change)


async def check_change(connection: psycopg.AsyncConnection[Any], world: World, change: Change) -> None:
    """Make the schema, change it, and see that the difference is the change and a repair undoes it."""
    await connection.execute(world.ddl.encode())
    a, token = await read_schema(connection), await read_token(connection)
    if change.name not in REFUSED_BY_ROWS:
        await fill(connection, a)
    await connection.execute(change.sql.encode())
    b, later = await read_schema(connection), await read_token(connection)

    found = difference(a, b)
    assert tuple(sorted(map(written, found))) == tuple(sorted(change.expected))
    assert set(map(mirrored, difference(b, a))) == set(found)
    assert token != later
    for schema in (a, b):
        copy = from_json(to_json(schema))
        assert copy == schema
        assert fingerprint(copy) == fingerprint(schema)
        assert not difference(schema, copy)
    assert fingerprint(a) != fingerprint(b)

    assert not [why for why in await repair(connection, a, actual=b) if why not in NOT_WRITTEN]
    assert not [why for why in await repair(connection, b) if why not in NOT_WRITTEN]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("case_database", MAJORS, indirect=True)
@examples(2)
@given(st.data())
async def test_a_schema_is_made_of_nothing_and_unmade(
    case_database: CaseDatabase, data: st.DataObject
) -> None:
    await case_database.empty()
    connection = await case_database.get()
    world = data.draw(worlds(server_major(connection)))
    note(world.ddl)
    await check_whole(connection, world)


async def check_whole(connection: psycopg.AsyncConnection[Any], world: World) -> None:
    """Make the schema, see it unmade by a repair and made again by another."""
    nothing = await read_schema(connection)
    await connection.execute(world.ddl.encode())
    everything = await read_schema(connection)
    assert not await repair(connection, nothing, actual=everything)
    assert not await repair(connection, everything)
