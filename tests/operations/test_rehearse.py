"""Rehearsals as jobs: two words for two things, who repeats what, and what a failed one holds back."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, update

from tests.operations.conftest import Site, outcome
from tests.tools.written import execute, migration
from web.access.permissions import Principal
from web.answers.environment import view
from web.config import Prelude
from web.errors import OperationNotAllowed, TargetChanged
from web.jobs.job import BY_SCHEDULE
from web.jobs.queue import withdraw
from web.operations import KINDS
from web.operations.migrate import MIGRATE
from web.operations.rehearse import REHEARSE
from web.starting.operation import Operations
from web.starting.preparation import prepare
from web.starting.start import Wish, start_job
from web.store.tables import AuditEntryRow, JobRow
from web.upkeep.schedule import RETRY, Inputs, start_due_rehearsals

ANA = Principal("user:ana", "Ana", "session", {"clinic": "admin"})
FAILS = migration("c", "b", execute("SELECT 1 / 0"))


def break_env(site: Site) -> None:
    env_py = site.folder / "migrations" / "env.py"
    env_py.write_text("import a_driver\n" + env_py.read_text())


async def press(site: Site, **wish: Any) -> Any:
    """As a person starts a migrate, and a worker runs it."""
    number = await start_job(
        site.store,
        site.configuration,
        Operations(KINDS),
        site.dev,
        ANA,
        Wish("migrate", **wish),
        key=b"k" * 32,
    )
    async with site.store.begin() as connection:
        await withdraw(connection, number)
    await site.execution(number).run()
    return await site.job(number)


async def prepared(site: Site) -> Any:
    async with site.store.connect() as store:
        return await prepare(store, site.configuration, MIGRATE, site.dev, ANA, key=b"k" * 32)


async def test_could_not_and_failed_are_two_words(site: Site) -> None:
    await site.observe()
    break_env(site)
    job = await site.run(REHEARSE)
    assert (job.state, outcome(job)["title"]) == ("failed", "Could not rehearse")
    assert "a_driver" in outcome(job)["account"]
    async with site.store.connect() as store:
        seen = await view(store, site.configuration, "clinic", "dev")
    (condition,) = [each for each in seen.gate.conditions if each.name == "rehearsal"]
    assert (condition.title, condition.state) == ("Could not rehearse in a scratch database", "not known")
    assert (await prepared(site)).to_json()["rehearsal"]["outcome"] == "not held"
    (site.folder / "a_driver.py").write_text("")
    site.write(c=FAILS)
    await site.observe()
    job = await site.run(REHEARSE)
    assert (job.state, outcome(job)["title"]) == ("failed", "The rehearsal failed")
    assert "division by zero" in outcome(job)["account"]
    async with site.store.connect() as store:
        seen = await view(store, site.configuration, "clinic", "dev")
    (condition,) = [each for each in seen.gate.conditions if each.name == "rehearsal"]
    assert (condition.title, condition.state) == ("The rehearsal failed", "not met")
    assert condition.excusable


async def test_a_migrate_whose_rehearsal_failed_stops_there(site: Site) -> None:
    await site.observe()
    site.write(c=FAILS)
    await site.observe()
    await site.run(REHEARSE)
    question = await prepared(site)
    assert question.closed == ()
    assert question.before.excuse is not None
    with pytest.raises(OperationNotAllowed, match="The rehearsal failed"):
        await press(site)
    reason = {"despite_failed_rehearsal": "it needs rows, and dev has them"}
    with pytest.raises(OperationNotAllowed):
        await press(
            site, parameters={"despite_failed_rehearsal": "  "}, shown_hash=question.before.shown_hash
        )
    # It is for exactly the failure that was shown.
    with pytest.raises(TargetChanged):
        await press(site, parameters=reason, shown_hash="another")
    job = await press(site, parameters=reason, shown_hash=question.before.shown_hash)
    assert "division by zero" in outcome(job)["account"]
    assert site.query("SELECT to_regclass('users')") == [(None,)]
    async with site.store.connect() as store:
        query = select(AuditEntryRow.detail).where(AuditEntryRow.action == "migrate")
        (entry,) = (await store.execute(query)).scalars()
    assert entry["parameters"]["despite_failed_rehearsal"] == reason["despite_failed_rehearsal"]
    assert entry["plan"] == question.before.shown_hash
    # A job that was started before somebody saw the failure stops as well.
    job = await site.run(MIGRATE)
    assert (job.state, outcome(job)["error"]["type"]) == ("failed", "Conflict")
    assert "The rehearsal failed" in outcome(job)["account"]
    # Corrected, the failure is of other files.
    site.write(c=migration("c", "b"))
    assert (await site.run(MIGRATE)).state == "succeeded"


async def test_on_production_no_reason_leads_on(site: Site) -> None:
    site.change(tier="production", reset=None)
    await site.observe()
    site.write(c=FAILS)
    await site.observe()
    await site.run(REHEARSE)
    question = await prepared(site)
    assert question.before.excuse is None
    assert any("approval of exactly this failure" in each for each in question.closed)
    with pytest.raises(OperationNotAllowed, match="The rehearsal failed"):
        await press(
            site,
            parameters={"despite_failed_rehearsal": "never mind"},
            shown_hash=question.before.shown_hash,
            typed="clinic/dev",
        )
    job = await site.run(
        MIGRATE, despite_failed_rehearsal="never mind", shown_hash=question.before.shown_hash
    )
    assert job.state == "failed"
    assert site.query("SELECT to_regclass('users')") == [(None,)]


async def due(site: Site, later: timedelta = RETRY) -> bool:
    """Whether the schedule starts a rehearsal, so long after the last one; it is run."""
    async with site.store.begin() as connection:
        await connection.execute(update(JobRow).values(requested_at=JobRow.requested_at - later))
    await start_due_rehearsals(site.store, site.configuration, Inputs())
    async with site.store.begin() as connection:
        query = select(JobRow.id).where(JobRow.state == "queued", JobRow.requested_by == BY_SCHEDULE)
        numbers = (await connection.execute(query)).scalars().all()
        for number in numbers:
            await withdraw(connection, number)
    for number in numbers:
        await site.execution(number).run()
    return bool(numbers)


async def test_the_schedule_repeats_a_failure_once_something_changed(site: Site) -> None:
    await site.observe()
    assert await due(site)
    assert not await due(site)
    site.write(c=migration("c", "b", execute("SELECT 1")))
    break_env(site)
    await site.observe()
    assert await due(site)
    assert not await due(site, timedelta(days=2))
    # The driver is installed.
    (site.folder / "a_driver.py").write_text("")
    assert await due(site)
    assert not await due(site, timedelta(days=2))
    assert (await prepared(site)).view.rehearsed.succeeded
    site.write(c=FAILS)
    await site.observe()
    assert await due(site)
    assert not await due(site, timedelta(days=2))
    # Another schema, another answer perhaps.
    site.query("CREATE TABLE by_hand ()")
    await site.observe()
    assert await due(site)
    assert not await due(site, timedelta(days=2))


async def test_what_may_pass_is_tried_again_after_ever_longer_pauses(site: Site) -> None:
    await site.observe()
    site.write(c=migration("c", "b", "import os\nos.kill(os.getpid(), 9)"))
    await site.observe()
    assert await due(site)
    assert await due(site)
    assert not await due(site)
    assert await due(site)


async def test_a_prelude_that_stamps_leaves_nothing_to_rehearse_or_to_apply(site: Site) -> None:
    """What is said to have run was seen to run: here the prelude alone."""
    (site.folder / "prelude.sql").write_text(
        "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL, tenant int);"
        "CREATE TABLE tenants (id int PRIMARY KEY);"
        "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY);"
        "INSERT INTO alembic_version VALUES ('c')"
    )
    site.set_tool(prelude=Prelude(sql=site.folder / "prelude.sql"))
    await site.observe()
    job = await site.run(REHEARSE)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "The prelude left nothing to rehearse")
    job = await site.run(MIGRATE)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "The prelude left nothing to apply")
    assert site.revisions == ["c"]
