"""Every change case as a migration: the lines that are written for it are run by Alembic and give what is live."""

from __future__ import annotations

import ast
import asyncio
from typing import Any

import psycopg
import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import create_engine, pool
from sqlalchemy.exc import DBAPIError

from tests.schema.case import MAJORS, Case
from tests.schema.cases import CASES
from tests.schema.repairing import NOT_WRITTEN, REFUSED
from web.postgres.urls import sqlalchemy_url
from web.schema.difference import difference
from web.schema.snapshot import read_schema
from web.schema.statements import statements
from web.tools.alembic_tool.op_calls import Lines, lines

#: The one that the demo and most projects have.
MAJOR = MAJORS[3]
#: Looks once more where a change brings what only another look shows.
ROUNDS = 3
IMPORTS = "import sqlalchemy as sa\nfrom alembic import op\nfrom sqlalchemy.dialects import postgresql\n"


def run(url: str, written: Lines) -> None:
    """Run the lines as Alembic runs an upgrade, in one transaction."""
    code = IMPORTS + "def upgrade():\n    " + written.text
    engine = create_engine(url, poolclass=pool.NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection)
        with context.begin_transaction(), Operations.context(context):
            names: dict[str, Any] = {}
            exec(compile(ast.parse(code), "migration", "exec"), names)  # noqa: S102 - our own lines
            names["upgrade"]()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("case_database", "case"),
    [pytest.param(MAJOR, case, id=case.name) for case in CASES if case.since <= MAJOR],
    indirect=["case_database"],
)
async def test_every_case_is_adopted(case: Case, case_connection: psycopg.AsyncConnection[Any]) -> None:
    connection = case_connection
    await connection.execute(case.before or "select 1")
    before = await read_schema(connection)
    await connection.execute(case.change)
    live = await read_schema(connection)
    url = sqlalchemy_url(dsn_of(connection), "postgresql+psycopg")
    if (case.name, "back") in REFUSED:
        with pytest.raises(DBAPIError, match=REFUSED[case.name, "back"]):
            await led_to(connection, url, live, before)
        return
    # Back to what the migrations give, by their downgrade.
    left = {each.difference.key for each in await led_to(connection, url, live, before)}
    if left or difference(before, await read_schema(connection)):
        assert case.name in NOT_WRITTEN
        return
    left = {each.difference.key for each in await led_to(connection, url, before, live)}
    remaining = [each for each in difference(live, await read_schema(connection)) if each.key not in left]
    assert not remaining


async def led_to(connection: psycopg.AsyncConnection[Any], url: str, a: Any, b: Any) -> list[Any]:
    """Lead from a to b by migrations; what they leave."""
    left: list[Any] = []
    for _ in range(ROUNDS):
        role = connection.info.user
        repair = statements(b, a, destructive=True, role=role, database=connection.info.dbname)
        left = list(repair.left)
        if not repair.statements:
            break
        await asyncio.to_thread(run, url, lines(repair.statements))
        a = await read_schema(connection)
    return left


def dsn_of(connection: psycopg.AsyncConnection[Any]) -> str:
    info = connection.info
    return f"postgresql://{info.user}:{info.password}@/{info.dbname}?host={info.host}&port={info.port}"
