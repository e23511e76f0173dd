"""In sync with differences is green nowhere: every page, the badge, the API and the command line."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from sqlalchemy import update

from tests.web.filled import look
from tests.web.site import Site, said
from web.cli.checking import _write
from web.cli.invocation import where_of
from web.cli.questions import _environment, _overview
from web.cli.writing import Writer
from web.pages.badge import COLOURS
from web.store.tables import ObservationRow

PLACE = "/projects/clinic/environments/fresh"
WORDS = "In sync, 3 differences"


@pytest.fixture
async def drifted(site: Site) -> Site:
    """An environment at head whose schema is something else."""
    async with site.store.begin() as store:
        await look(store, site.environment("clinic/fresh"), 1003, "r5", drift_state="drifted", drift_count=3)
    return site


def around(page: str, what: str) -> list[str]:
    """The statuses of the elements right around each place where something is said."""
    return [
        re.findall(r'data-status="([\w-]+)"', page[max(0, found.start() - 700) : found.start()])[-1]
        for found in re.finditer(re.escape(what), page)
    ]


async def test_pages(drifted: Site) -> None:
    for path in ("/", "/projects/clinic", PLACE, f"{PLACE}/drift", f"{PLACE}/migrations", f"{PLACE}/jobs"):
        page = said(await drifted.get(path))
        if path in ("/", "/projects/clinic") or path.startswith(PLACE):
            assert WORDS in page, path
        for status in around(page, WORDS):
            assert status == "drift", path
    build = said(await drifted.get("/projects/clinic/builds/48?environment=fresh"))
    assert re.search(r"(In sync|\d+ pending|\d+ ahead), 3 differences", build)
    answer = said(await drifted.get("/question?project=clinic&environment=fresh"))
    box = answer[answer.index('id="answer"') : answer.index("</output>")]
    assert 'data-status="ok"' not in box


async def test_badge_and_api(drifted: Site) -> None:
    builds = (await drifted.get("/api/v1/projects/clinic/builds")).json()["builds"]
    for build in builds:
        number = build["number"]
        badge = (await drifted.get(f"/projects/clinic/builds/{number}/environments/fresh/badge.svg")).text
        assert COLOURS["ok"] not in badge
        assert "3 differences" in badge
        told = (await drifted.get(f"/api/v1/projects/clinic/builds/{number}")).json()["environments"]["fresh"]
        one = (await drifted.get(f"/api/v1/projects/clinic/builds/{number}/environments/fresh")).json()
        assert told["words"] == one["words"]
        assert "ok" not in (told["status"], one["status"])
    seen = (await drifted.get(f"/api/v1{PLACE}")).json()
    assert (seen["words"], seen["status"], seen["exit_code"]) == (WORDS, "drift", 0)
    verdict = (await drifted.get(f"/api/v1{PLACE}/verdict")).json()
    assert (verdict["words"], verdict["exit_code"], verdict["gate_exit_code"]) == (WORDS, 0, 1)


async def test_command_line(drifted: Site) -> None:
    where = where_of("clinic/fresh")
    every = (await drifted.get("/api/v1/projects")).json()
    one = (await drifted.get(f"/api/v1{PLACE}")).json()
    verdict = (await drifted.get(f"/api/v1{PLACE}/verdict")).json()
    shows: list[Callable[[Writer], None]] = [
        lambda writer: _overview(writer, every),
        lambda writer: _environment(writer, where, one),
        lambda writer: _write(writer, where, verdict, gate=False),
        lambda writer: _write(writer, where, verdict, gate=True),
    ]
    for show in shows:
        writer = Writer(as_json=False)
        writer.out.record = writer.err.record = True
        show(writer)
        spoken = writer.out.export_text(styles=True)
        lines = [line for line in spoken.splitlines() if "3 differences" in line]
        assert lines
        for line in lines:
            assert not re.search(r"\x1b\[[0-9;]*32m[^\x1b]*(In sync|3 differences)", line), line


async def test_a_job_that_no_look_has_seen_the_end_of(site: Site) -> None:
    """The observation of before is nowhere told as what is there."""
    async with site.store.begin() as store:
        key = await look(store, site.environment("clinic/fresh"), 1, "r3")
        await store.execute(
            update(ObservationRow).where(ObservationRow.environment_id == key).values(drift_state="none")
        )
    # Its database is dev's, on which a job has ended that only dev has looked after.
    for path in ("/", PLACE, f"{PLACE}/migrations"):
        page = said(await site.get(path))
        assert "Being checked" in page, path
    head = said(await site.get(PLACE))
    assert "the database is being checked" in head
    assert "Last known from" in head
    seen = (await site.get(f"/api/v1{PLACE}")).json()
    assert (seen["verdict"], seen["exit_code"]) == ("not known", 3)
    assert seen["observation"]["drift"]["state"] == "unknown"
    verdict = (await site.get(f"/api/v1{PLACE}/verdict")).json()
    assert (verdict["observation_age"], verdict["gate"]["open"]) == (None, False)
    badge = (await site.get("/projects/clinic/builds/48/environments/fresh/badge.svg")).text
    assert "Being checked" in badge


async def test_a_doubt_is_told_everywhere(site: Site) -> None:
    place = "/projects/clinic/environments/dev"
    for tab in ("", "/migrations", "/drift", "/timeline", "/backups", "/jobs"):
        page = said(await site.get(place + tab))
        assert "How job 9 (migrate) ended is not known." in page, tab
        assert "/doubts/9/settlement" in page, tab
        assert "/doubts/9/settlement" not in said(await site.get(place + tab, "operator"))
    for kind in ("backup", "migrate", "reset", "stamp", "verify", "observe", "plan-revert", "adopt", "pin"):
        dialog = said(await site.get(f"{place}/jobs/new/{kind}"))
        assert "How job 9 (migrate) ended is not known." in dialog, kind
        prepared = (await site.get(f"/api/v1{place}/jobs/new/{kind}")).json()
        assert [each["job"] for each in prepared["doubts"]] == [9]
    assert "in doubt" in said(await site.get("/"))
    settled = await site.post(f"{place}/doubts/9/settlement", data={"reason": " "})
    assert settled.status_code == 422
    assert "There is no reason" in said(settled)
    settled = await site.post(f"{place}/doubts/9/settlement", data={"reason": "Counted twice."})
    assert settled.status_code == 303
    assert "ended is not known" not in said(await site.get(place))
    assert await site.count("audit_entry", "action = 'doubt settled'") == 1
    assert (await site.get(f"{place}/doubts/9/settlement")).status_code == 404
