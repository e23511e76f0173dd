"""Histories that are meant to have several heads: each operation goes by what is followed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operations.conftest import Site, outcome
from tests.tools.written import execute, migration
from web.answers.environment import view
from web.answers.verdict import Verdict
from web.config import ResetPolicy
from web.operations.adopt import ADOPT
from web.operations.migrate import MIGRATE
from web.operations.rehearse import REHEARSE
from web.operations.reset import RESET
from web.operations.stamp import STAMP
from web.remedies.adoption import adoption_of

PLUGIN = {
    "p1": migration("p1", None, execute("CREATE TABLE plugins (id int)"), branch_labels=("plugin",)),
    "p2": migration("p2", "p1", execute("ALTER TABLE plugins ADD COLUMN tenant int"), depends_on=("b",)),
}


async def seen(site: Site) -> Verdict:
    await site.observe()
    async with site.store.connect() as store:
        return (await view(store, site.configuration, "clinic", "dev")).verdict


def tables(site: Site) -> list[Any]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    return [row[0] for row in site.query(query)]


@pytest.fixture
def two(site: Site) -> Site:
    """`a`, `b`, `c`, and beside them the branch `plugin` with `p1` and `p2`, which depends on `b`."""
    site.write(**PLUGIN)
    return site


async def test_nothing_is_guessed(two: Site) -> None:
    found = await seen(two)
    assert (found.standing, found.separate) == ("several heads", True)
    job = await two.run(MIGRATE)
    assert job.state == "failed"
    assert "say with `follow` which are meant" in str(outcome(job))
    assert "Merge" not in str(outcome(job))


async def test_every_head(two: Site) -> None:
    two.change(follow=("heads",))
    assert (await seen(two)).standing == "pending"
    assert (await two.run(REHEARSE)).state == "succeeded"
    job = await two.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    # One row may stand for what another one depends on.
    assert two.revisions == ["c", "p2"]
    found = await seen(two)
    assert (found.standing, found.heads) == ("in sync", ("c", "p2"))
    async with two.store.connect() as store:
        condition = (await view(store, two.configuration, "clinic", "dev")).gate.conditions[2]
    assert (condition.title, condition.state) == ("The heads are as configured", "met")


async def test_one_branch_and_then_the_other_too(two: Site) -> None:
    two.change(follow=("plugin@head",))
    found = await seen(two)
    assert [each.revision for each in found.pending] == ["a", "b", "p1", "p2"]
    assert (await two.run(REHEARSE)).state == "succeeded"
    job = await two.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert tables(two) == ["alembic_version", "plugins", "users"]
    found = await seen(two)
    assert (found.standing, found.heads, found.pending) == ("in sync", ("p2",), ())
    assert outcome(await two.run(MIGRATE))["title"] == "Nothing to apply"
    two.change(follow=("plugin@head", "c@head"))
    found = await seen(two)
    assert [each.revision for each in found.pending] == ["c"]
    assert (await two.run(REHEARSE)).state == "succeeded"
    assert (await two.run(MIGRATE)).state == "succeeded"
    assert tables(two) == ["alembic_version", "plugins", "tenants", "users"]
    assert (await seen(two)).standing == "in sync"


async def test_what_is_not_followed_stays(two: Site) -> None:
    two.change(follow=("heads",))
    await two.observe()
    assert (await two.run(MIGRATE)).state == "succeeded"
    two.change(follow=("plugin@head",))
    two.write(p3=migration("p3", "p2", execute("CREATE TABLE settings (id int)")))
    assert [each.revision for each in (await seen(two)).pending] == ["p3"]
    job = await two.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert two.revisions == ["c", "p3"]
    found = await seen(two)
    assert (found.standing, found.beyond) == ("in sync", ())


async def test_reset_and_stamp_go_there_too(two: Site) -> None:
    two.change(follow=("c@head", "plugin@head"), reset=ResetPolicy())
    await two.observe()
    assert (await two.run(MIGRATE)).state == "succeeded"
    await two.back_up()
    await two.observe()
    job = await two.run(RESET)
    assert job.state == "succeeded", outcome(job)
    assert two.revisions == ["c", "p2"]
    two.query("DELETE FROM alembic_version")
    assert (await seen(two)).standing == "pending"
    job = await two.run(STAMP, revision="head")
    assert job.state == "succeeded", outcome(job)
    assert two.revisions == ["c", "p2"]
    # One branch alone is recorded, and the other one stays.
    two.query("DELETE FROM alembic_version WHERE version_num = 'p2'")
    two.change(follow=("plugin@head",))
    await two.observe()
    job = await two.run(STAMP, revision="head")
    assert job.state == "succeeded", outcome(job)
    assert two.revisions == ["c", "p2"]


async def test_what_is_followed_and_not_there_is_told(two: Site) -> None:
    two.change(follow=("plug-in@head",))
    found = await seen(two)
    assert (found.standing, found.pending) == ("not known", ())
    assert "no branch or revision is called that" in (found.reason or "")
    job = await two.run(MIGRATE)
    assert job.state == "failed"
    assert "no branch or revision is called that" in str(outcome(job))


async def test_a_drift_is_adopted_into_the_branch_that_it_belongs_to(two: Site) -> None:
    two.change(follow=("heads",))
    await two.observe()
    assert (await two.run(MIGRATE)).state == "succeeded"
    two.query("ALTER TABLE plugins ADD COLUMN name text")
    await two.observe()
    job = await two.run(ADOPT)
    assert job.state == "failed"
    assert "Say with `branch` which of them" in str(outcome(job))
    job = await two.run(ADOPT, branch="nothing")
    assert "No branch or revision of the history is called" in outcome(job)["account"]
    job = await two.run(ADOPT, branch="plugin")
    assert job.state == "succeeded", outcome(job)
    async with two.store.connect() as store:
        found = await adoption_of(store, job.id)
    assert found is not None
    adoption = found[0]
    assert (adoption.down, adoption.proven, adoption.no_downgrade) == ("p2", True, None)
    # Followed alone, there is nothing to ask; the other branch stays where it is.
    two.change(follow=("plugin@head",))
    await two.observe()
    job = await two.run(ADOPT)
    assert job.state == "succeeded", outcome(job)
