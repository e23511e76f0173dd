"""What became of a project since its clean start: who changed revisions, drift, migrations, seconds from empty."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, update

from tests.clean_start.test_run import RUN, Guided, guided, overview
from tests.operations.test_endings import page
from tests.remedies.test_ignoring import add, rule
from tests.tools.written import execute, migration
from web.operations.migrate import MIGRATE
from web.operations.survey import SURVEY
from web.store.tables import EnvironmentRow, IgnoreRuleRow

__all__ = ["guided"]

BY_NOBODY = "had its revision changed by nobody we know"


async def done(guided: Guided) -> str:
    """A clean start that is done; its baseline."""
    await guided.begin(dev="stamp")
    await guided.through("back-up", "baseline", "proof", "rehearsal", "apply", "cut-over")
    told = await guided.ask("POST", f"{RUN}/end", 200, how="done")
    return str(told["after"]["baseline"])


async def since(guided: Guided) -> Any:
    return (await guided.ask("GET", RUN, 200))["since"]


async def test_who_changed_the_revision_since_then(guided: Guided) -> None:
    site = guided.site
    baseline = await done(guided)
    await site.observe()
    found = await since(guided)
    assert (found["migrations"], found["seconds_now"], found["measured_at"]) == (0, None, None)
    assert found["seconds_before"] > 0
    assert found["seconds_then"] > 0
    (dev,) = found["environments"]
    assert (dev["drift"], dev["revision_change"]) == ("none", None)
    assert dev["without_drift_since"] == found["done_at"]
    assert BY_NOBODY not in await overview(guided)

    # By a job of this dashboard.
    site.write(d=migration("d", baseline, execute("CREATE TABLE late (id int)")))
    await site.observe()
    await site.back_up()
    job = await site.run(MIGRATE)
    assert job.state == "succeeded", job.outcome
    await site.observe()
    found = await since(guided)
    assert found["migrations"] == 1
    change = found["environments"][0]["revision_change"]
    assert (change["before"], change["after"], change["cause"]) == ([baseline], ["d"], "job")
    assert [each["id"] for each in change["jobs"]] == [job.id]
    assert BY_NOBODY not in await overview(guided)
    shown = await page(guided.client, "/projects/clinic")
    assert "Since the clean start" in shown
    assert "By ada" in shown
    assert f"job {job.id}, Migration" in shown

    # By hand, past it.
    site.write(e=migration("e", "d", execute("CREATE TABLE later (id int)")))
    site.query("CREATE TABLE later (id int)")
    site.query("UPDATE alembic_version SET version_num = 'e'")
    await site.observe()
    change = (await since(guided))["environments"][0]["revision_change"]
    assert (change["before"], change["after"], change["cause"], change["jobs"]) == (
        ["d"],
        ["e"],
        "nobody",
        [],
    )
    said = await overview(guided)
    assert f"clinic/dev {BY_NOBODY} from d to e; no job of this dashboard did it" in said
    assert "By nobody we know" in await page(guided.client, "/projects/clinic")

    # It is over once a job led on.
    site.write(f=migration("f", "e", execute("CREATE TABLE last (id int)")))
    await site.observe()
    assert (await site.run(MIGRATE)).state == "succeeded"
    await site.observe()
    assert BY_NOBODY not in await overview(guided)


async def test_another_database_is_nobodys_change(guided: Guided) -> None:
    site = guided.site
    await done(guided)
    site.query("UPDATE alembic_version SET version_num = 'another'")
    async with site.store.begin() as store:
        await store.execute(update(EnvironmentRow).values(pinned_at=func.now()))
    await site.observe()
    assert (await since(guided))["environments"][0]["revision_change"]["cause"] == "pinned"
    assert "Another database was pinned" in await page(guided.client, "/projects/clinic")
    assert BY_NOBODY not in await overview(guided)


async def test_days_without_drift_and_seconds_from_empty(guided: Guided) -> None:
    site = guided.site
    await done(guided)
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    await site.observe()
    found = await since(guided)
    assert (found["environments"][0]["drift"], found["environments"][0]["without_drift_since"]) == (
        "drifted",
        None,
    )
    assert "Drifted" in await page(guided.client, "/projects/clinic")
    # What somebody answers for now counts for nothing, then as now.
    await add(site, rule(pattern="public.users.by_hand"))
    await site.observe()
    assert (await since(guided))["environments"][0]["without_drift_since"] == found["done_at"]
    async with site.store.begin() as store:
        await store.execute(update(IgnoreRuleRow).values(removed_at=func.now(), removed_by="ada"))
    site.query("ALTER TABLE users DROP COLUMN by_hand")
    await site.observe()
    again = (await since(guided))["environments"][0]
    assert again["without_drift_since"] > found["done_at"]
    assert (await site.run(SURVEY)).state == "succeeded"
    found = await since(guided)
    assert found["seconds_now"] > 0
    assert found["measured_at"] > found["done_at"]
    assert "as surveyed" in await page(guided.client, "/projects/clinic")
