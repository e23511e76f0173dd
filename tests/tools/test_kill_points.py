"""Killed at any point, a run's account says what the database says."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.tools.runs import Told, ask, project_of, upgrade
from tests.tools.written import env, execute, migration, write_project
from web.config import AlembicSettings
from web.tools.account import HalfApplied
from web.tools.ending import UpgradeStopped
from web.tools.events import AboutToCommit, Launched, RunnerEvent, StatementFinished, StatementStarted

BLOCK = """
op.execute("CREATE TABLE b1 (id int)")
with op.get_context().autocommit_block():
    op.execute("CREATE TABLE b2 (id int)")
    op.execute("CREATE TABLE b3 (id int)")
op.execute("CREATE TABLE b4 (id int)")
"""
#: What each migration makes, in order.
MADE = {"a": ("a1", "a2"), "b": ("b1", "b2", "b3", "b4"), "c": ("c1",)}


def project(folder: Path) -> AlembicSettings:
    return write_project(
        folder,
        {
            "a": migration("a", upgrade=execute("CREATE TABLE a1 (id int)", "CREATE TABLE a2 (id int)")),
            "b": migration("b", "a", BLOCK),
            "c": migration("c", "b", execute("CREATE TABLE c1 (id int)")),
        },
        env_py=env(transaction_per_migration="True"),
    )


@pytest.mark.parametrize("point", range(36))
async def test_killed_at_a_point(tmp_path: Path, database: str, point: int) -> None:
    told = Told()
    points = 0

    async def kill(event: RunnerEvent) -> None:
        nonlocal points
        await told(event)
        # At these the runner stands still, so that the point is the same in every run.
        if isinstance(event, StatementStarted | StatementFinished | AboutToCommit):
            points += 1
            if points - 1 == point:
                os.killpg(told.of(Launched)[0].process_group, signal.SIGKILL)

    run = upgrade(project_of(tmp_path, project(tmp_path)), url=database, on_event=kill, step_by_step=True)
    try:
        assert (await run).applied == ("c",)
    except UpgradeStopped as stopped:
        assert points > point
        await says_what_is_so(stopped.account, database)
    else:
        # Past the last point of these versions of Alembic and SQLAlchemy.
        assert 25 < points <= point


async def says_what_is_so(account: HalfApplied, database: str) -> None:
    exists = await ask(database, "SELECT to_regclass('alembic_version') IS NOT NULL")
    rows = (
        tuple(map(str, await ask(database, "SELECT version_num FROM alembic_version"))) if exists[0] else ()
    )
    tables = set(await ask(database, "SELECT tablename FROM pg_tables WHERE tablename ~ '^[abc][0-9]$'"))
    recorded = {table for revision in account.recorded for table in MADE[revision]}
    half = {statement.split()[2] for statement in account.committed}
    certain = recorded | half
    if account.in_doubt:
        # Only then may there be more than was seen: what the commit under way held.
        assert certain <= tables
        assert rows in {account.reached or (), (account.revision,)}
        return
    assert rows == (account.reached or ())
    maybe = {account.interrupted.split()[2]} if account.interrupted else set()
    assert certain <= tables <= certain | maybe
