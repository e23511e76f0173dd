"""Builds: registering, deploying, and the answer for each environment."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.answers.test_verdict import steps
from tests.configured import configuration, environment, project
from tests.stored import store_backup, store_history, store_observation
from web.answers.builds import (
    answer,
    answers_of,
    load_build,
    newest_number,
    read_builds,
    record_deployment,
    register_build,
)
from web.config import AlembicSettings, BackupPolicy, Configuration, Project
from web.errors import Conflict, Invalid, NotFound
from web.observation.records import read_records
from web.observation.stored_history import load_history

OLD = steps("a:", "b: a")
NEW = steps("a:", "b: a", "c: b")


@pytest.fixture
def clinic(tmp_path: Path) -> Project:
    tool = AlembicSettings(config=tmp_path / "alembic.ini", python=tmp_path / "python")
    url = "postgresql://nobody@127.0.0.1:1/none"
    return project(
        tmp_path,
        tool,
        environment(tmp_path, url),
        environment(tmp_path, url, "staging", tier="staging"),
        environment(
            tmp_path, url, "production", tier="production", backup=BackupPolicy(max_age=timedelta(hours=24))
        ),
    )


@pytest.fixture
def configured(tmp_path: Path, clinic: Project) -> Configuration:
    return configuration(tmp_path, clinic)


@pytest.fixture
async def connection(store: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    async with store.begin() as connection:
        yield connection


async def test_a_build_is_its_manifest(connection: AsyncConnection, clinic: Project) -> None:
    build = await register_build(connection, clinic, 48, NEW, by="ci", commit="9d41f0e")
    assert build.history == NEW
    assert build.label == "#48"
    assert await register_build(connection, clinic, 48, NEW, by="someone else", commit="9d41f0e") == build
    assert await newest_number(connection, "clinic") == 48
    assert [each.number for each in await read_builds(connection, "clinic")] == [48]


async def test_a_number_is_never_used_twice(connection: AsyncConnection, clinic: Project) -> None:
    await register_build(connection, clinic, 48, NEW, by="ci", commit="9d41f0e")
    with pytest.raises(Conflict, match="other migrations"):
        await register_build(connection, clinic, 48, OLD, by="ci")
    with pytest.raises(Conflict, match="commit 9d41f0e"):
        await register_build(connection, clinic, 48, NEW, by="ci", commit="other")


@pytest.mark.parametrize("number", [0, -1, 2**63])
async def test_a_number_is_a_number(connection: AsyncConnection, clinic: Project, number: int) -> None:
    with pytest.raises(Invalid):
        await register_build(connection, clinic, number, NEW, by="ci")


async def test_an_incomplete_history_is_no_manifest(connection: AsyncConnection, clinic: Project) -> None:
    with pytest.raises(Invalid, match="project's own code"):
        await register_build(connection, clinic, 48, replace(NEW, complete=False), by="ci")


async def test_deployment(connection: AsyncConnection, clinic: Project) -> None:
    await register_build(connection, clinic, 47, OLD, by="ci", commit="abc")
    production = clinic.environments["production"]
    await record_deployment(connection, production, 47, by="ci")
    await record_deployment(connection, production, 47, by="ci")
    record = (await read_records(connection, "clinic", "production"))["clinic", "production"]
    assert record.build is not None
    assert (record.build.number, record.build.commit) == (47, "abc")
    with pytest.raises(NotFound, match="#46"):
        await record_deployment(connection, production, 46, by="ci")


async def test_the_answer_for_a_build(
    connection: AsyncConnection, clinic: Project, configured: Configuration
) -> None:
    await store_history(connection, "clinic", NEW)
    await register_build(connection, clinic, 47, OLD, by="ci")
    await register_build(connection, clinic, 48, NEW, by="ci")
    await store_observation(connection, clinic.environments["staging"], "c")
    await store_observation(connection, clinic.environments["production"], "b")

    pending = await answer(connection, configured, "clinic", "production", 48)
    assert pending.verdict.standing == "pending"
    assert [step.revision for step in pending.verdict.pending] == ["c"]
    assert pending.observation is not None
    assert (pending.exit_code, pending.gate_exit_code) == (1, 1)
    assert {each.name for each in pending.gate.closed_by} == {
        "verified backup",
        "rehearsal",
        "nothing pending",
    }

    in_sync = await answer(connection, configured, "clinic", "production", 47)
    assert in_sync.verdict.standing == "in sync"
    assert (in_sync.exit_code, in_sync.gate_exit_code) == (0, 1)

    ahead = await answer(connection, configured, "clinic", "staging", 47)
    assert (ahead.verdict.standing, ahead.verdict.beyond) == ("ahead", ("c",))
    assert (ahead.exit_code, ahead.gate_exit_code) == (2, 2)

    never = await answer(connection, configured, "clinic", "dev", 48)
    assert never.verdict.standing == "not known"
    assert (never.exit_code, never.gate_exit_code) == (3, 3)
    assert never.to_json()["observation"] is None

    source = await answer(connection, configured, "clinic", "staging")
    assert (source.build, source.verdict.standing) == (None, "in sync")

    with pytest.raises(NotFound, match="#49"):
        await answer(connection, configured, "clinic", "production", 49)
    with pytest.raises(NotFound):
        await answer(connection, configured, "clinic", "nowhere", 48)


async def test_the_gate_opens(
    connection: AsyncConnection, clinic: Project, configured: Configuration
) -> None:
    await register_build(connection, clinic, 47, OLD, by="ci")
    environment_id = await store_observation(connection, clinic.environments["production"], "b")
    await store_backup(connection, environment_id, age=timedelta(hours=1), state="unverified")
    assert (await answer(connection, configured, "clinic", "production", 47)).gate_exit_code == 1
    await store_backup(connection, environment_id, age=timedelta(hours=25))
    assert (await answer(connection, configured, "clinic", "production", 47)).gate_exit_code == 1
    await store_backup(connection, environment_id, age=timedelta(hours=23))
    assert (await answer(connection, configured, "clinic", "production", 47)).gate_exit_code == 0


async def test_a_revision_that_only_a_build_has_is_ahead_of_the_source(
    connection: AsyncConnection, clinic: Project, configured: Configuration
) -> None:
    await store_history(connection, "clinic", OLD)
    await store_observation(connection, clinic.environments["dev"], "c")
    assert (await answer(connection, configured, "clinic", "dev")).verdict.standing == "unknown revision"
    await register_build(connection, clinic, 48, NEW, by="ci")
    assert (await answer(connection, configured, "clinic", "dev")).verdict.standing == "ahead"


async def test_one_build_against_all_environments(
    connection: AsyncConnection, clinic: Project, configured: Configuration
) -> None:
    await store_history(connection, "clinic", NEW)
    await register_build(connection, clinic, 48, NEW, by="ci")
    await store_observation(connection, clinic.environments["staging"], "c")
    await store_observation(
        connection,
        clinic.environments["production"],
        "b",
        reachable=False,
        error={"title": "The database cannot be reached", "message": "connection refused", "hint": ""},
    )
    build = await load_build(connection, "clinic", 48)
    records = await read_records(connection, "clinic")
    source = await load_history(connection, "clinic")
    found = await answers_of(connection, configured, build, records, source)
    assert {name: each.standing for name, each in found.items()} == {
        "dev": "not known",
        "staging": "in sync",
        "production": "unreachable",
    }
