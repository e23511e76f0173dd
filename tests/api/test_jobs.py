"""Following a job over the API: what came after a number, at once or as soon as there is something."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import Text, cast, func, insert, select

from tests.web.filled import BACKUP
from tests.web.site import Site, until
from tests.web.stored_jobs import JOBS
from web.comparison.snapshots import store_schema
from web.jobs.events import Event, append_events
from web.observation.changes import find_changes
from web.schema.model import Namespace, Schema
from web.store.tables import AuditEntryRow, JobSchemaRow

RUNNING = JOBS["running"]
EVENTS = f"/api/v1/jobs/{RUNNING}/events"


async def say(site: Site, *numbers: int) -> None:
    now = datetime.now(UTC)
    async with site.store.begin() as store:
        await append_events(
            store, RUNNING, [Event(seq, now, "log", "info", f"line {seq}") for seq in numbers]
        )


async def test_events_come_in_order_and_once(site: Site) -> None:
    await say(site, *range(31, 2500))
    seen: list[int] = []
    while True:
        answer = (await site.get(f"{EVENTS}?after={seen[-1] if seen else 0}", "token")).json()
        seen += [event["seq"] for event in answer["events"]]
        if not answer["more"]:
            break
    assert seen == list(range(1, 2500))


async def test_who_waits_gets_the_next_event_and_holds_nothing(site: Site) -> None:
    waiting = [
        asyncio.create_task(site.get(f"{EVENTS}?after=30&wait=20", who)) for who in ("viewer", "token") * 30
    ]
    await until(lambda: site.feed.followers == len(waiting))
    assert site.store.pool.checkedout() == 0  # type: ignore[attr-defined]
    await say(site, 31)
    for each in await asyncio.gather(*waiting):
        assert [event["seq"] for event in each.json()["events"]] == [31]
    assert site.feed.followers == 0


async def test_waiting_ends(site: Site) -> None:
    answer = await site.get(f"{EVENTS}?after=30&wait=0.2", "viewer")
    assert answer.json()["events"] == []
    over = await site.get(f"/api/v1/jobs/{JOBS['failed']}/events?after=30&wait=25", "viewer")
    assert over.json()["job"]["finished"] is True
    assert (await site.get(f"{EVENTS}?wait=26", "viewer")).status_code == 422


async def test_a_reset_by_the_api_needs_what_the_dialog_needs(site: Site) -> None:
    path = "/api/v1/projects/clinic/environments/idle/jobs"
    asked = (await site.get(f"{path}/new/reset", "admin")).json()
    assert asked["closed"] == []
    assert asked["type_to_confirm"] == "clinic/idle"
    assert [table["name"] for table in asked["goes"]["tables"]][1:3] == ["public.table_1", "public.table_2"]
    assert asked["gate"]["open"] is True
    body = {"confirmation": asked["confirmation"], "typed": "clinic/dev"}
    refused = await site.send("POST", f"{path}/reset", "admin", body)
    assert (refused.status_code, refused.json()["type"]) == (403, "confirmation-mismatch")
    started = await site.send("POST", f"{path}/reset", "admin", {**body, "typed": "clinic/idle"})
    assert (started.status_code, started.json()["kind"]) == (201, "reset")
    again = await site.send("POST", f"{path}/reset", "admin", {**body, "typed": "clinic/idle"})
    assert (again.status_code, again.json()["job"]) == (409, started.json()["id"])


async def test_a_job_with_its_steps(site: Site) -> None:
    shown = (await site.get(f"/api/v1/jobs/{JOBS['unknown']}", "token")).json()
    assert shown["state"] == "unknown"
    assert [step["state"] for step in shown["steps"]] == ["succeeded", "failed"]
    assert shown["attempts"][0]["number"] == 1
    listed = (await site.get("/api/v1/jobs?kind=migrate&limit=2", "token")).json()["jobs"]
    assert len(listed) == 2
    older = (await site.get(f"/api/v1/jobs?before={listed[-1]['id']}&limit=200", "token")).json()["jobs"]
    assert all(each["id"] < listed[-1]["id"] for each in older)


async def test_what_a_job_changed_in_the_schema(site: Site) -> None:
    number = JOBS["succeeded"]
    a, b = Schema(17), Schema(17, schemas=(Namespace("more", "ada"),))
    async with site.store.begin() as store:
        before, after = await store_schema(store, a), await store_schema(store, b)
        now = datetime.now(UTC)
        await store.execute(
            insert(JobSchemaRow).values(
                job_id=number, before_at=now, before_fingerprint=before, after_at=now, after_fingerprint=after
            )
        )
    await find_changes(site.store, [(before, after)])
    shown = (await site.get(f"/api/v1/jobs/{number}", "token")).json()
    assert shown["schema"] == {
        "state": "changed",
        "words": "1 difference",
        "count": 1,
        "kinds": [{"kind": "schema", "change": "added", "count": 1}],
        "a": f"snapshot:{before}",
        "b": f"snapshot:{after}",
        "reason": None,
    }
    assert [each["object"] for each in shown["differences"]] == ["more"]
    listed = (await site.get("/api/v1/jobs?kind=migrate", "token")).json()["jobs"]
    said = {each["id"]: each["schema"] for each in listed}
    assert said[number] == shown["schema"]
    assert said[JOBS["failed"]]["words"] == "not known, because no snapshot was kept of it"
    assert said[JOBS["running"]] is None
    page = (await site.get(f"/jobs/{number}", "viewer")).text
    assert "Schema more was added" in page


async def test_backups_are_listed_but_not_removed_ones(site: Site) -> None:
    listed = (await site.get("/api/v1/projects/clinic/environments/dev/backups", "viewer")).json()["backups"]
    assert {each["state"] for each in listed} == {"verified", "unverified", "failed verification"}
    assert str(BACKUP) in {each["id"] for each in listed}
    file = f"{site.configuration.backups.location}/clinic/dev/{BACKUP}.dump"
    assert file in {each["file"] for each in listed}
    # What a person is told to restore by hand is named where they are sent.
    assert file in (await site.get("/projects/clinic/environments/dev/backups", "viewer")).text


@pytest.mark.parametrize(
    "values",
    [
        {"typed": "x" * 20_000},
        {"parameters": {"x" * 20_000: 1}},
        {"seen_fingerprint": "x" * 20_000},
        {"seen_revisions": ["x" * 20_000]},
        {"shown_hash": "x" * 20_000},
    ],
    ids=lambda values: next(iter(values)),
)
async def test_nothing_long_is_written_down(site: Site, values: dict[str, Any]) -> None:
    """Neither into the job's row nor into the audit trail, where it would stay for ever."""
    path = "/api/v1/projects/clinic/environments/idle/jobs"
    for kind in ("backup", "reset"):
        response = await site.send("POST", f"{path}/{kind}", "admin", values)
        assert response.status_code == 422
    async with site.store.connect() as store:
        assert await store.scalar(select(func.max(func.length(cast(AuditEntryRow.detail, Text))))) < 5_000
