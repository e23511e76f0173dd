"""How many statements a page sends to the store: few, and no more where there is more to show."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import insert

from tests.web.filled import history, look
from tests.web.routes import ENVIRONMENTS
from tests.web.site import Site
from web.answers import recent
from web.store.tables import BuildRow

#: Besides the look-up of the session; what surrounds the page was read within the last two seconds.
MOST = {
    "/jobs": 1,
    "/builds": 2,
    "/projects/clinic/builds": 2,
    "/settings": 2,
    # And whether a clean start that goes on has started it.
    "/jobs/2": 5,
    # What it changed in the schema.
    "/jobs/6": 6,
    # The trail is walked on a connection of its own.
    "/audit": 2,
    **{
        f"/projects/clinic/environments/{name}{tab}": 4
        for name in ENVIRONMENTS
        # At a revision that its source lacks, the builds are asked about it.
        if name != "lost"
        for tab in ("", "/migrations", "/drift", "/backups", "/jobs")
    },
    # Looks, jobs, and what lies between what they saw.
    **{f"/projects/clinic/environments/{name}/timeline": 6 if name != "lost" else 7 for name in ENVIRONMENTS},
    **{f"/projects/clinic/environments/lost{tab}": 5 for tab in ("", "/migrations", "/drift", "/backups")},
    **{
        f"/projects/clinic/environments/{name}/jobs/new/{kind}": 5
        for name in ("idle", "staging", "production")
        for kind in ("backup", "verify", "migrate", "rehearse")
    },
    # Whether others were asked to approve it.
    "/projects/clinic/environments/production/jobs/new/migrate": 6,
    "/approvals": 9,
    "/approvals/1": 14,
    "/projects/clinic/environments/idle/jobs/new/reset": 5,
    # These read the overview, or the part of it that they are about, themselves.
    # Here with a database ahead of its source, and a question about a build that ends elsewhere than the source.
    # Two are about clean starts: those that go on or are recommended, and who changed revisions since one was done.
    "/": 13,
    # And whether one is done.
    "/projects/clinic": 11,
    "/question?project=clinic&build=48&environment=production": 6,
    "/projects/clinic/builds/48?environment=production": 8,
    "/api/v1/projects": 8,
    "/api/v1/projects/clinic/environments/staging": 3,
    "/api/v1/projects/clinic/builds/48/environments/production": 5,
}


async def counts(site: Site) -> dict[str, int]:
    """Statements of each page; what takes none of the store's data is not counted."""
    found = {}
    for address in MOST:
        await site.get(address)
        async with site.statements() as seen:
            response = await site.get(address)
        assert response.status_code == 200, address
        found[address] = sum("FROM session" not in each and "UPDATE session" not in each for each in seen)
    return found


async def test_pages_ask_the_store_little(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "OLD", 3600.0)
    before = await counts(site)
    too_many = {address: count for address, count in before.items() if count > MOST[address]}
    assert not too_many
    async with site.store.begin() as store:
        for number in range(100, 160):
            manifest = history(20 + number, hostile=False).to_json()
            await store.execute(
                insert(BuildRow).values(
                    project="clinic",
                    number=number,
                    manifest=manifest,
                    manifest_digest=f"more-{number}",
                    registered_by="ci",
                )
            )
        broken, forked = (site.environment(f"{name}/dev") for name in ("broken", "forked"))
        await look(store, broken, 1001, "r1", tables=500)
        await look(store, forked, 1002, "r2", tables=500)
    assert await counts(site) == before


async def test_the_surroundings_are_read_once_for_many(site: Site) -> None:
    async with site.statements() as seen:
        responses = await asyncio.gather(*(site.get("/jobs") for _ in range(20)))
    assert {response.status_code for response in responses} == {200}
    assert sum("history.digest" in each for each in seen) == 1


async def test_a_page_shows_what_was_done_before_it(site: Site) -> None:
    """The navigation may be two seconds old, but never older than what this process has done."""
    quiet = await site.get("/jobs")
    started = await site.post("/projects/clinic/environments/empty/jobs/backup")
    after = await site.get(started.headers["location"])
    rail = after.text[after.text.index('id="rail"') : after.text.index("</nav>")]
    before = quiet.text[quiet.text.index('id="rail"') : quiet.text.index("</nav>")]
    assert _running(rail) == _running(before) + 1


def _running(rail: str) -> int:
    said = rail.partition('id="rail-running">')[2].partition("running</span>")[0]
    return int(said.rpartition("</span>")[2] or 0)


async def test_an_environments_navigation_says_what_its_page_says(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recent, "OLD", 3600.0)
    address = "/projects/clinic/environments/fresh"
    first = await site.get(address)
    assert "Not checked" in first.text
    async with site.store.begin() as store:
        await look(store, site.environment("clinic/fresh"), 1003, "r5")
    second = await site.get(address)
    rail = second.text[second.text.index('id="rail"') : second.text.index("</nav>")]
    here = rail[rail.index(f'href="{address}"') :][:700]
    assert 'data-status="ok"' in here.partition("</a>")[0]
