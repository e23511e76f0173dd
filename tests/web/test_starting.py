"""Starting jobs through pages and API: what has to be confirmed, what holds a job back, and what is written down."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from itsdangerous import TimestampSigner
from sqlalchemy import delete, insert, select, update

from tests.pages.test_templates import Markup
from tests.web.filled import BACKUP
from tests.web.site import SWAP, Site, said
from tests.web.stored_jobs import JOBS
from web.access import confirmations
from web.access.audit import verify_chain
from web.jobs.job import FINISHED
from web.pages.views.marks import JOB_MARKS
from web.store.tables import (
    AuditEntryRow,
    BackupRow,
    EnvironmentRow,
    EnvironmentStateRow,
    JobRow,
    JobTargetRow,
    ObservationRow,
)

IDLE = "/projects/clinic/environments/idle/jobs"
STAGING = "/projects/clinic/environments/staging/jobs"
PRODUCTION = "/projects/clinic/environments/production/jobs"
RESET = {"confirmation": "clinic/idle", "seed": "true"}


async def dialog(site: Site, path: str, who: str = "admin") -> dict[str, str]:
    """The fields of a dialog's form as a browser would send them back."""
    markup = Markup((await site.get(path, who)).text)
    hidden = {
        str(field["name"]): str(field["value"])
        for field in markup.all("input")
        if field.get("type") == "hidden" and field.get("name") not in ("csrf_token", "next", "theme")
    }
    return {name: value for name, value in hidden.items() if name != "next"}


async def newest_entry(site: Site) -> Any:
    async with site.store.connect() as store:
        query = select(*AuditEntryRow.__table__.columns).order_by(AuditEntryRow.id.desc()).limit(1)
        return (await store.execute(query)).one()


async def job(site: Site, number: int) -> Any:
    async with site.store.connect() as store:
        return (await store.execute(select(*JobRow.__table__.columns).where(JobRow.id == number))).one()


def number_of(response: httpx.Response) -> int:
    assert response.status_code == 303, said(response)[:1500]
    return int(response.headers["location"].removeprefix("/jobs/"))


async def test_a_confirmed_reset_starts_once(site: Site) -> None:
    fields = await dialog(site, f"{IDLE}/new/reset")
    response = await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET})
    started = await job(site, number_of(response))
    assert (started.kind, started.state, started.mutating) == ("reset", "queued", True)
    assert started.parameters["seed"] is True
    assert started.seen_revisions == ["r5"]
    assert started.seen_fingerprint
    entry = await newest_entry(site)
    assert (entry.actor, entry.action, entry.object) == ("user:admin", "reset", "clinic/idle")
    assert entry.detail["job"] == started.id
    assert await site.count("procrastinate_jobs", f"(args->>'job_id')::bigint = {started.id}") == 1

    # The same form again: the job runs. When it is over: the confirmation is used up.
    again = await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET})
    assert again.status_code == 409
    assert f"Job {started.id} " in said(again)
    async with site.store.begin() as store:
        await store.execute(
            update(JobRow)
            .where(JobRow.id == started.id)
            .values(state="succeeded", finished_at=datetime.now(UTC))
        )
        await store.execute(
            update(JobTargetRow).where(JobTargetRow.job_id == started.id).values(unfinished=False)
        )
    replayed = await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET})
    assert replayed.status_code == 409
    assert "used already" in said(replayed)
    assert await site.count("job", "kind = 'reset'") == 1
    assert (await newest_entry(site)).action == "reset refused"
    assert (await verify_chain(site.store)).problem is None


async def test_a_wrong_name_comes_back_in_the_dialog(site: Site) -> None:
    fields = await dialog(site, f"{IDLE}/new/reset")
    before = await site.count("job")
    for typed in ("", "idle", "clinic/dev", "CLINIC/IDLE", "clinic/idle2", "<b>clinic/idle</b>"):
        for headers, status in ((SWAP, 422), ({}, 403)):
            response = await site.post(
                f"{IDLE}/reset", "admin", {**fields, "confirmation": typed}, headers=headers
            )
            assert response.status_code == status
            markup = Markup(response.text)
            assert len(markup.all("dialog")) == (1 if headers else 0)
            typed_again = next(each for each in markup.all("input") if each.get("name") == "confirmation")
            assert typed_again["value"] == typed
            assert "Nothing was started." in said(response)
            # What comes back can be sent again at once.
            fields = {
                **fields,
                "signed": next(str(i["value"]) for i in markup.all("input") if i.get("name") == "signed"),
            }
    assert await site.count("job") == before
    entry = await newest_entry(site)
    assert (entry.action, entry.object) == ("reset refused", "clinic/idle")
    assert "is not “clinic/idle”" in entry.detail["reason"]
    number_of(await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET}))


async def test_confirmations_that_do_not_hold(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    fields = await dialog(site, f"{IDLE}/new/reset")
    good = fields["signed"]
    others = await dialog(site, f"{IDLE}/new/reset", "clinic-admin")
    seen = confirmations.verify(
        site.board.key, good, actor="user:admin", environment="clinic/idle", kind="reset"
    ).seen
    elsewhere = confirmations.sign(
        site.board.key, seen.__class__(**{**_fields(seen), "environment": "clinic/dev"})
    )
    other_kind = confirmations.sign(site.board.key, seen.__class__(**{**_fields(seen), "kind": "restore"}))
    forged = confirmations.sign(b"another key" * 3, seen)
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(datetime.now(UTC).timestamp()) - 901)
    expired = confirmations.sign(site.board.key, seen)
    monkeypatch.undo()
    before = await site.count("job")
    for name, signed, status in (
        ("none", "", 403),
        ("nonsense", "x.y.z", 403),
        ("not ascii", "é\U0001f600", 403),
        ("cut", good[:-1], 403),
        ("forged", forged, 403),
        ("another person's", others["signed"], 403),
        ("another environment's", elsewhere, 403),
        ("another kind's", other_kind, 403),
        ("expired", expired, 409),
    ):
        response = await site.post(f"{IDLE}/reset", "admin", {**RESET, "signed": signed})
        assert response.status_code == status, name
        problem = await site.send(
            "POST",
            f"/api/v1{IDLE}/reset",
            "admin",
            {"typed": "clinic/idle", "confirmation": signed, "parameters": {"seed": False}},
        )
        assert problem.status_code == status, name
        assert problem.json()["type"] == (
            "confirmation-expired" if name == "expired" else "confirmation-invalid"
        )
    assert await site.count("job") == before
    assert await site.count("audit_entry", "action = 'reset refused' AND actor = 'user:admin'") == 18
    number_of(await site.post(f"{IDLE}/reset", "admin", {**RESET, "signed": good}))


async def test_an_expired_dialog_comes_back_fresh(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TimestampSigner, "get_timestamp", lambda _: int(datetime.now(UTC).timestamp()) - 901)
    fields = await dialog(site, f"{IDLE}/new/reset")
    monkeypatch.undo()
    response = await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET}, headers=SWAP)
    assert response.status_code == 422
    assert "open for too long" in said(response)
    fresh = {
        str(i["name"]): str(i["value"])
        for i in Markup(response.text).all("input")
        if i.get("name") == "signed"
    }
    number_of(await site.post(f"{IDLE}/reset", "admin", {**RESET, **fresh}))


def _fields(value: Any) -> dict[str, Any]:
    return {name: getattr(value, name) for name in value.__dataclass_fields__}


async def test_a_database_that_changed_since_the_dialog(site: Site) -> None:
    for values in ({"revisions": ["r4"]}, {"fingerprint": "9" * 64}):
        fields = await dialog(site, f"{IDLE}/new/reset")
        async with site.store.begin() as store:
            key = await store.scalar(
                select(EnvironmentStateRow.observation_id)
                .join(EnvironmentRow, EnvironmentRow.id == EnvironmentStateRow.environment_id)
                .where(EnvironmentRow.project == "clinic", EnvironmentRow.name == "idle")
            )
            await store.execute(update(ObservationRow).where(ObservationRow.id == key).values(**values))
        response = await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET})
        assert response.status_code == 409
        assert "has changed since" in said(response)
    fields = await dialog(site, f"{IDLE}/new/reset")
    async with site.store.begin() as store:
        await store.execute(
            update(EnvironmentRow)
            .where(EnvironmentRow.project == "clinic", EnvironmentRow.name == "idle")
            .values(database_oid=777)
        )
    response = await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET})
    assert response.status_code == 409
    assert "another database" in said(response)
    assert await site.count("job", "kind = 'reset'") == 0


async def test_a_hundred_posts_at_once_are_one_job(site: Site) -> None:
    fields = await dialog(site, f"{IDLE}/new/reset")
    responses = await asyncio.gather(
        *(site.post(f"{IDLE}/reset", "admin", {**fields, **RESET}) for _ in range(50)),
        *(site.post(f"{IDLE}/backup", "operator") for _ in range(50)),
    )
    started = [response for response in responses if response.status_code == 303]
    assert len(started) == 1
    number = number_of(started[0])
    for response in responses:
        if response is not started[0]:
            assert response.status_code == 409
            assert f"Job {number} " in said(response)
    assert await site.count("job", "id > 4711") == 1
    assert await site.count("procrastinate_jobs") == 1
    assert await site.count("audit_entry", "action LIKE '% refused' AND id > 3") == 99
    assert (await verify_chain(site.store)).problem is None


async def test_looks_join_the_one_that_waits(site: Site) -> None:
    path = "/projects/clinic/environments/lost/jobs/observe"
    responses = await asyncio.gather(*(site.post(path, "viewer") for _ in range(20)))
    assert {response.status_code for response in responses} == {303}
    assert {response.headers["location"] for response in responses} == {"/projects/clinic/environments/lost"}
    assert await site.count("job", "kind = 'observe' AND id > 4711") == 1
    toast = await site.post(path, "viewer", headers=SWAP)
    assert (toast.status_code, "Checking clinic/lost" in toast.text) == (200, True)
    await site.post("/observations", "viewer")
    environments = len(site.configuration.project("clinic").environments)
    assert await site.count("job", "kind = 'observe' AND state = 'queued'") == environments


async def test_a_hundred_posts_of_verify_are_one_job(site: Site) -> None:
    path = "/projects/clinic/environments/dev/jobs/verify"
    before = await site.count("job", "kind = 'verify'")
    responses = await asyncio.gather(
        *(site.post(path, "operator", {"backup": str(BACKUP)}) for _ in range(100))
    )
    assert {response.status_code for response in responses} == {303}
    assert len({response.headers["location"] for response in responses}) == 1
    assert await site.count("job", "kind = 'verify'") == before + 1


async def test_a_reset_needs_a_verified_backup(site: Site) -> None:
    fields = await dialog(site, f"{IDLE}/new/reset")
    async with site.store.begin() as store:
        await store.execute(
            update(BackupRow)
            .values(created_at=datetime.now(UTC) - timedelta(days=9))
            .where(BackupRow.size == 1)
        )
    shown = await site.get(f"{IDLE}/new/reset")
    assert "Back up, then verify the backup." in said(shown)
    assert not [
        field for field in Markup(shown.text).all("input") if field.get("name") == "signed" and field["value"]
    ]
    response = await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET})
    assert response.status_code == 403
    assert "No verified backup within" in said(response)
    assert (await newest_entry(site)).action == "reset refused"
    async with site.store.begin() as store:
        await store.execute(delete(BackupRow).where(BackupRow.size == 1))
    assert (await site.post(f"{IDLE}/reset", "admin", {**fields, **RESET})).status_code == 403


async def test_what_holds_a_migrate_back(site: Site) -> None:
    # Staging drifts and was edited; that is shown and does not hold back there.
    fields = await dialog(site, f"{STAGING}/new/migrate", "operator")
    assert fields["seen_revisions"] == "r3"
    started = await job(site, number_of(await site.post(f"{STAGING}/migrate", "operator", fields)))
    assert (started.kind, started.seen_revisions, started.shown_hash) == (
        "migrate",
        ["r3"],
        fields["shown_hash"],
    )
    # Production needs its name, and then everything.
    missing = await site.post(f"{PRODUCTION}/migrate", "operator")
    assert missing.status_code == 403
    assert "Type clinic/production" in said(missing) or "is not “clinic/production”" in said(missing)
    held = await site.post(f"{PRODUCTION}/migrate", "operator", {"confirmation": "clinic/production"})
    assert held.status_code == 403
    for word in ("No verified backup within", "Not approved", "edited after they were applied"):
        assert word in said(held)
    for name in ("down", "lost", "fresh"):
        path = f"/projects/clinic/environments/{name}/jobs/migrate"
        assert (await site.post(path, "operator")).status_code in (403, 409), name
    forked = await site.post("/projects/forked/environments/dev/jobs/migrate")
    assert forked.status_code in (403, 409)
    assert await site.count("job", "id > 4711") == 1


async def test_parameters_that_are_not_the_kinds(site: Site) -> None:
    bad = {"lock_timeout": "a week", "lock_attempts": "3"}
    response = await site.post(f"{STAGING}/migrate", "operator", bad, headers=SWAP)
    assert response.status_code == 422
    assert "lock_timeout" in said(response)
    assert 'value="a week"' in response.text
    page = await site.post(f"{STAGING}/migrate", "operator", bad)
    assert page.status_code == 422
    verify = await site.post(f"{IDLE}/verify", "operator", {"backup": "not a backup"})
    assert verify.status_code in (404, 422)


async def test_cancelling(site: Site) -> None:
    queued, running = JOBS["queued"], JOBS["running"]
    response = await site.post(f"/jobs/{queued}/cancellation", "operator")
    assert response.headers["location"] == f"/jobs/{queued}"
    assert (await job(site, queued)).state == "cancelled"
    assert (await site.post(f"/jobs/{running}/cancellation", "operator", headers=SWAP)).headers[
        "hx-redirect"
    ] == f"/jobs/{running}"
    assert (await job(site, running)).state == "cancelling"
    entry = await newest_entry(site)
    assert (entry.action, entry.object, entry.detail["job"]) == ("cancel", "clinic/dev", running)
    over = await site.post(f"/jobs/{JOBS['failed']}/cancellation", "operator")
    assert over.status_code == 409
    assert "nothing to cancel" in said(over)


@pytest.mark.parametrize(("state", "told"), [(each, JOB_MARKS[each].words) for each in sorted(FINISHED)])
async def test_a_job_that_has_ended_is_not_asked_about(site: Site, state: str, told: str) -> None:
    """There is no button that could only be refused: the state, and the way back."""
    number = JOBS[state]
    for headers in ({}, SWAP):
        asked = await site.get(f"/jobs/{number}/cancellation", "operator", headers=headers)
        assert asked.status_code == 200
        shown = said(asked)
        dialog = shown[shown.index('id="dialog-h"') :].partition("</footer>")[0]
        assert f"Job {number} has ended" in dialog
        assert told in dialog
        assert f'href="/jobs/{number}"' in dialog
        assert "<button" not in dialog
        assert "Let it run" not in shown


async def test_with_no_name_for_the_database_nothing_changes_it(site: Site) -> None:
    """An environment that was never checked: it is not known which database it is."""
    base = "/projects/clinic/environments/fresh/jobs"
    for kind in ("backup", "migrate"):
        response = await site.post(f"{base}/{kind}", "operator")
        assert response.status_code in (403, 409), kind
        assert (await newest_entry(site)).action == f"{kind} refused"
    async with site.store.begin() as store:
        await store.execute(insert(EnvironmentRow).values(project="clinic", name="fresh"))
    assert (await site.post(f"{base}/backup", "operator")).status_code == 409
