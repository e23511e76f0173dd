"""The question box: it answers about the build that was asked about, however many newer ones there are."""

from __future__ import annotations

import pytest
from sqlalchemy import insert

from tests.web.filled import history
from tests.web.site import SWAP, Site, said
from web.store.tables import BuildRow


@pytest.mark.parametrize(
    ("build", "environment", "answer"),
    [
        ("47", "staging", "Not yet: 1 migration is pending"),
        ("48", "staging", "Not yet: 2 migrations are pending"),
        ("48", "production", "No: edited after apply"),
        ("48", "empty", "Not yet: 5 migrations are pending"),
        ("49", "production", "No: several heads"),
        ("48", "down", "Could not tell: unreachable"),
        ("48", "lost", "Could not tell: unknown revision"),
        ("48", "fresh", "Could not tell: not known"),
        ("47", "dev", "No: 1 ahead"),
    ],
)
async def test_answers(site: Site, build: str, environment: str, answer: str) -> None:
    page = await site.get(f"/question?project=clinic&build={build}&environment={environment}", "viewer")
    assert answer in said(page)
    part = await site.get(
        f"/question?project=clinic&build={build}&environment={environment}", "viewer", headers=SWAP
    )
    assert answer in said(part)
    assert "<html" not in part.text
    problem = await site.get(f"/api/v1/projects/clinic/builds/{build}/environments/{environment}", "viewer")
    assert problem.json()["build"]["number"] == int(build)
    badge = await site.get(f"/projects/clinic/builds/{build}/environments/{environment}/badge.svg", "viewer")
    assert badge.headers["content-type"] == "image/svg+xml"
    assert f"#{build} on {environment}" in badge.text


async def test_an_old_build_is_not_replaced_by_a_newer_one(site: Site) -> None:
    manifest = history(5, hostile=False).to_json()
    async with site.store.begin() as store:
        for number in range(100, 160):
            await store.execute(
                insert(BuildRow).values(
                    project="clinic",
                    number=number,
                    manifest=manifest,
                    manifest_digest="same",
                    registered_by="ci",
                )
            )
    page = await site.get("/question?project=clinic&build=47&environment=staging", "viewer")
    assert '<option value="47" selected' in page.text
    assert "Not yet: 1 migration is pending" in said(page)
    shown = await site.get("/projects/clinic/builds/49", "viewer")
    assert 'href="/projects/clinic/builds/48?' in shown.text
    assert 'href="/projects/clinic/builds/100?' in shown.text
    # Instead of one that was never registered the newest is offered; who changed the project just gets it.
    nine = "/question?project=clinic&build=9&environment=production"
    page = await site.get(nine, "viewer")
    assert page.status_code == 404
    assert "There is no such build." in said(page)
    assert "This is about #159." in said(page)
    part = await site.get(nine, "viewer", headers=SWAP)
    assert part.status_code == 200
    for shown in (page, part):
        assert '<option value="159" selected' in shown.text
