"""The list of jobs: searched on the server, honest about what it leaves out, and told when it is old."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import update

from tests.web.site import Site, said
from tests.web.stored_jobs import JOBS, LEDGER_JOB
from web.store.tables import JobRow


def numbers(html: str) -> set[int]:
    return {int(number) for number in re.findall(r'href="/jobs/(\d+)"', html)}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (f"q={JOBS['failed']}", {JOBS["failed"]}),
        (f"q=%23{JOBS['failed']}", {JOBS["failed"]}),
        ("q=Ana+R", {JOBS["failed"]}),
        ("q=clinic/stag", {JOBS["interrupted"]}),
        ("q=BACKUP", {JOBS["cancelling"]}),
        ("q=Verif", {JOBS["interrupted"]}),
        ("q=ledger", {LEDGER_JOB}),
        (f"q={JOBS['queued']}", set()),
        (f"q={JOBS['queued']}&kind=*", {JOBS["queued"]}),
        ("q=%25", set()),
        ("q=nobody+knows+this", set()),
    ],
)
async def test_the_search_finds_number_kind_environment_and_person(
    site: Site, query: str, found: set[int]
) -> None:
    async with site.store.begin() as store:
        await store.execute(update(JobRow).values(requested_by="Somebody else"))
        await store.execute(update(JobRow).where(JobRow.id == JOBS["failed"]).values(requested_by="Ana Ruiz"))
    page = await site.get(f"/jobs?{query}")
    table = page.text[page.text.index('id="jobs"') :]
    assert numbers(table) == found
    if not found:
        assert "No job fits" in page.text


async def test_the_list_says_that_checks_are_left_out(site: Site) -> None:
    page = await site.get("/jobs")
    assert "All kinds but checks" in said(page)
    assert 'hx-sse:connect="/jobs/stream"' in page.text


async def test_a_look_that_has_ended_says_what_it_found(site: Site) -> None:
    assert (await site.get(f"/jobs/{JOBS['running']}/toast")).status_code == 204
    async with site.store.begin() as store:
        await store.execute(
            update(JobRow)
            .where(JobRow.id == JOBS["succeeded"])
            .values(kind="observe", outcome={"title": "In sync", "account": "Nothing is pending."})
        )
    toast = await site.get(f"/jobs/{JOBS['succeeded']}/toast")
    assert "Checked clinic/dev" in toast.text
    assert "Nothing is pending." in toast.text
