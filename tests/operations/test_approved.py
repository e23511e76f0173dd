"""Consent of a second person: asked for, given, bound to exactly one thing, used once. Real jobs, real databases."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update

from tests.operations.conftest import Site, outcome
from tests.tools.written import execute, migration
from web.access import approvals
from web.access.approval_requests import Request, given, read_request
from web.access.permissions import Principal
from web.config import ResetPolicy
from web.errors import CleanStartError, Conflict, Invalid, OperationNotAllowed
from web.jobs.queue import withdraw
from web.operations import KINDS
from web.operations.migrate import MIGRATE
from web.operations.plan_revert import PLAN_REVERT
from web.operations.rehearse import REHEARSE
from web.operations.reset import RESET
from web.operations.revert import REVERT
from web.operations.stamp import STAMP
from web.starting.asking import ask, read_true_request, true_open_requests
from web.starting.operation import AnyOperation, Operations
from web.starting.preparation import prepare
from web.starting.start import Wish, parameters_of, start_job
from web.store.tables import ApprovalRequestRow, AuditEntryRow, JobRow
from web.upkeep.schedule import end_void_requests

KEY = b"k" * 32
ANA = Principal("user:ana", "ana", "session", {"clinic": "admin"})
BOB = Principal("user:bob", "bob", "session", {"clinic": "operator"})
CAT = Principal("user:cat", "cat", "session", {"*": "admin"})
EVE = Principal("user:eve", "eve", "session", {"clinic": "viewer"})
CI = Principal("token:ci", "ci", "token", {"clinic": "admin"}, token_id=1)
KINDS_ = Operations(KINDS)


async def asked(
    site: Site,
    kind: AnyOperation,
    who: Principal = ANA,
    *,
    reason: str = "",
    shown_hash: str | None = None,
    **values: Any,
) -> int:
    """Ask for approval, as a form does."""
    async with site.store.begin() as store:
        return await ask(
            store,
            site.configuration,
            kind,
            site.dev,
            who,
            parameters_of(kind, values),
            reason=reason,
            shown_hash=shown_hash,
            key=KEY,
        )


async def decided(
    site: Site, number: int, who: Principal, *, approves: bool = True, note: str = ""
) -> Request:
    """Decide, as a form does."""
    async with site.store.begin() as store:
        return await approvals.decide(store, who, number, approves=approves, note=note)


async def true(site: Site, number: int) -> Request:
    async with site.store.begin() as store:
        return await read_true_request(store, site.configuration, KINDS_, number)


async def press(site: Site, kind: AnyOperation, who: Principal = ANA, **wish: Any) -> Any:
    """As a person starts a job in its dialog, and a worker runs it."""
    async with site.store.connect() as store:
        prepared = await prepare(store, site.configuration, kind, site.dev, who, key=KEY)
    observation = prepared.view.observation
    asks: dict[str, Any] = {
        "typed": prepared.expected,
        "confirmation": prepared.confirmation,
        "shown_hash": prepared.before.shown_hash,
        **({"seen_revisions": observation.revisions} if observation is not None else {}),
    }
    number = await start_job(
        site.store, site.configuration, KINDS_, site.dev, who, Wish(kind.name, **{**asks, **wish}), key=KEY
    )
    async with site.store.begin() as connection:
        await withdraw(connection, number)
    await site.execution(number).run()
    return await site.job(number)


async def closed(site: Site, kind: AnyOperation) -> list[str]:
    """Why the dialog's button is closed; then there is no confirmation for it either."""
    async with site.store.connect() as store:
        prepared = await prepare(store, site.configuration, kind, site.dev, ANA, key=KEY)
    assert prepared.confirmation is None
    return list(prepared.closed)


async def rehearsed(site: Site) -> None:
    await site.observe()
    await site.observe()
    assert (await site.run(REHEARSE)).state == "succeeded"


async def test_a_plan_runs_once_somebody_else_approves_it(site: Site) -> None:
    site.change(approvals=1)
    await site.observe()
    with pytest.raises(Conflict, match="nothing to approve") as early:
        await asked(site, MIGRATE)
    assert early.value.hint == "Rehearse the migrations."
    await rehearsed(site)
    with pytest.raises(OperationNotAllowed, match="Not approved"):
        await press(site, MIGRATE)
    number = await asked(site, MIGRATE, reason="release 48")
    with pytest.raises(Conflict, match=f"Request {number} asks for this already"):
        await asked(site, MIGRATE, BOB)
    with pytest.raises(OperationNotAllowed, match="Not approved"):
        await press(site, MIGRATE)
    for who, why in (
        (ANA, "You asked for it yourself"),
        (Principal("local:ana", "ana", "local", {"*": "admin"}), "You asked for it yourself"),
        (CI, "A token cannot decide"),
        (EVE, "may approve"),
    ):
        with pytest.raises(OperationNotAllowed, match=why):
            await decided(site, number, who)
    request = await decided(site, number, BOB, note="read it")
    assert (request.state, request.given, request.decisions[0].note) == ("approved", 1, "read it")
    with pytest.raises(Conflict, match="decided on request"):
        await decided(site, number, BOB)
    job = await press(site, MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["c"]
    request = await true(site, number)
    assert (request.state, request.job_id) == ("used", job.id)
    async with site.store.connect() as store:
        rows = await store.execute(
            select(AuditEntryRow.action, AuditEntryRow.actor, AuditEntryRow.detail).order_by(AuditEntryRow.id)
        )
        entries = [(row.action, row.actor, row.detail) for row in rows]
    told = [(action, actor) for action, actor, detail in entries if not action.endswith("refused")]
    assert told == [("approval asked", "user:ana"), ("approved", "user:bob"), ("migrate", "user:ana")]
    (started,) = [detail for action, _, detail in entries if action == "migrate"]
    assert (started["approval"], started["plan"]) == (number, request.shown_hash)


async def test_two_are_two_people(site: Site) -> None:
    site.change(approvals=2)
    await rehearsed(site)
    number = await asked(site, MIGRATE)
    assert (await decided(site, number, BOB)).state == "open"
    with pytest.raises(OperationNotAllowed, match="Not approved by 2 people"):
        await press(site, MIGRATE)
    assert (await decided(site, number, CAT)).state == "approved"
    assert (await press(site, MIGRATE)).state == "succeeded"


async def test_what_a_token_asked_its_maker_does_not_approve(site: Site) -> None:
    site.change(approvals=1)
    await rehearsed(site)
    async with site.store.begin() as store:
        await store.execute(
            text(
                "INSERT INTO api_token (name, prefix, digest, project, role, created_by)"
                " VALUES ('ci', 'cst_', 'd', 'clinic', 'admin', 'user:ana')"
            )
        )
    number = await asked(site, MIGRATE, CI)
    with pytest.raises(OperationNotAllowed, match="a token that you made"):
        await decided(site, number, ANA)
    assert (await decided(site, number, BOB)).state == "approved"


async def test_consent_is_void_as_soon_as_the_plan_changes(site: Site) -> None:
    site.change(approvals=1)
    await rehearsed(site)
    number = await asked(site, MIGRATE)
    await decided(site, number, BOB)
    site.write(d=migration("d", "c", execute("CREATE TABLE more (id int)")))
    await rehearsed(site)
    with pytest.raises(OperationNotAllowed, match="Not approved"):
        await press(site, MIGRATE)
    # Reading it changes nothing; that it is void for good is written down by the schedule.
    assert (await true(site, number)).state == "void"
    async with site.store.connect() as store:
        assert (await read_request(store, number)).state == "approved"
        assert await true_open_requests(store, site.configuration, KINDS_, ["clinic"]) == ()
    await end_void_requests(site.store, site.configuration)
    async with site.store.connect() as store:
        request = await read_request(store, number)
    assert (request.state, request.why) == ("void", "What would run is something else now.")
    second = await asked(site, MIGRATE)
    site.write(e=migration("e", "d", execute("CREATE TABLE still_more (id int)")))
    await rehearsed(site)
    await end_void_requests(site.store, site.configuration)
    async with site.store.connect() as store:
        assert (await read_request(store, second)).state == "void"
    with pytest.raises(Conflict, match="void"):
        await decided(site, second, BOB)


async def test_the_worker_asks_again(site: Site) -> None:
    """What is between the start and the act: files that change, a request that is withdrawn."""
    site.change(approvals=1)
    await rehearsed(site)
    number = await asked(site, MIGRATE)
    request = await decided(site, number, BOB)
    # Nobody's approval was spent on this one.
    job = await site.run(MIGRATE, shown_hash=request.shown_hash)
    assert job.state == "failed"
    assert "Not approved" in outcome(job)["account"]
    assert site.query("SELECT to_regclass('users')") == [(None,)]
    # Nothing was done by it: the consent holds.
    assert (await press(site, MIGRATE)).state == "succeeded"


async def test_a_try_that_did_nothing_does_not_use_it_up(site: Site) -> None:
    site.change(approvals=1)
    await rehearsed(site)
    number = await asked(site, MIGRATE)
    await decided(site, number, BOB)
    async with site.store.begin() as store:
        job_id = await site.start(MIGRATE)
        await approvals.spend(store, number, job_id)
        await store.execute(update(JobRow).where(JobRow.id == job_id).values(state="running"))
    assert (await true(site, number)).state == "used"
    async with site.store.begin() as store:
        await store.execute(update(JobRow).where(JobRow.id == job_id).values(state="not done"))
    assert (await true(site, number)).state == "approved"


async def test_rejected_withdrawn_expired(site: Site) -> None:
    site.change(approvals=1, approvals_last=timedelta(hours=2))
    await rehearsed(site)
    number = await asked(site, MIGRATE)
    with pytest.raises(Invalid, match="needs a reason"):
        await decided(site, number, BOB, approves=False)
    request = await decided(site, number, BOB, approves=False, note="not on a Friday")
    assert (request.state, request.why, request.ended_by) == ("rejected", "not on a Friday", "user:bob")
    with pytest.raises(Conflict, match="rejected"):
        await decided(site, number, CAT)
    second = await asked(site, MIGRATE)
    with pytest.raises(OperationNotAllowed):
        async with site.store.begin() as store:
            await approvals.withdraw(store, BOB, second)
    async with site.store.begin() as store:
        assert (await approvals.withdraw(store, ANA, second)).state == "withdrawn"
    third = await asked(site, MIGRATE)
    request = await true(site, third)
    assert request.expires_at - request.asked_at == pytest.approx(
        timedelta(hours=2), abs=timedelta(seconds=10)
    )
    await decided(site, third, BOB)
    async with site.store.begin() as store:
        await store.execute(
            update(ApprovalRequestRow)
            .where(ApprovalRequestRow.id == third)
            .values(expires_at=text("now() - interval '1 second'"))
        )
    assert (await true(site, third)).state == "expired"
    with pytest.raises(OperationNotAllowed, match="Not approved"):
        await press(site, MIGRATE)
    # It does not stand in the way of the next.
    assert await asked(site, MIGRATE) > third


async def test_a_reset_is_approved_for_one_state_and_once(site: Site) -> None:
    await site.at_head()
    site.change(approvals=1, reset=ResetPolicy())
    await site.back_up()
    await site.observe()
    assert await closed(site, RESET) == ["Not approved: 0 of 1. Ask somebody else to approve the reset."]
    with pytest.raises(CleanStartError, match="was not made for this"):
        await press(site, RESET)
    number = await asked(site, RESET)
    await decided(site, number, BOB)
    # Approved with the seed, which is what the form has by itself.
    with pytest.raises(OperationNotAllowed, match="not approved on clinic/dev with seed False"):
        await press(site, RESET, parameters={"seed": False})
    job = await press(site, RESET)
    assert job.state == "succeeded", outcome(job)
    await site.observe()
    # The database is as it was: the same hash. It was consented to once.
    assert await closed(site, RESET) == ["Not approved: 0 of 1. Ask somebody else to approve the reset."]
    again = await asked(site, RESET)
    assert (await true(site, again)).shown_hash == (await true(site, number)).shown_hash
    site.query("CREATE TABLE by_hand (id int)")
    await site.observe()
    assert (await true(site, again)).state == "void"


async def test_files_that_change_before_an_approved_reset_stop_it(site: Site) -> None:
    await site.at_head()
    site.change(approvals=1, reset=ResetPolicy())
    await site.back_up()
    await site.observe()
    await decided(site, await asked(site, RESET), BOB)
    async with site.store.connect() as store:
        prepared = await prepare(store, site.configuration, RESET, site.dev, ANA, key=KEY)
    wish = Wish("reset", typed=prepared.expected, confirmation=prepared.confirmation)
    number = await start_job(site.store, site.configuration, KINDS_, site.dev, ANA, wish, key=KEY)
    async with site.store.begin() as connection:
        await withdraw(connection, number)
    site.write(d=migration("d", "c", execute("CREATE TABLE more (id int)")))
    await site.execution(number).run()
    job = await site.job(number)
    assert job.state != "succeeded"
    assert "Not approved" in outcome(job)["account"]
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_a_stamp_is_approved_for_its_revision(site: Site) -> None:
    await site.at_head()
    site.query("DELETE FROM alembic_version")
    site.change(approvals=1)
    await site.observe()
    number = await asked(site, STAMP, revision="c")
    await decided(site, number, BOB)
    with pytest.raises(OperationNotAllowed, match="with revision b"):
        await press(site, STAMP, parameters={"revision": "b"})
    assert site.revisions == []
    job = await press(site, STAMP, parameters={"revision": "c"})
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["c"]


async def test_a_revert_is_approved_by_its_repair(site: Site) -> None:
    await site.at_head()
    site.query("CREATE INDEX by_hand ON users (email)")
    site.change(approvals=1)
    await site.observe()
    with pytest.raises(Conflict, match="nothing to approve"):
        await asked(site, REVERT)
    assert (await site.run(PLAN_REVERT)).state == "succeeded"
    await site.observe()
    with pytest.raises(OperationNotAllowed, match="Not approved"):
        await press(site, REVERT)
    number = await asked(site, REVERT)
    request = await decided(site, number, BOB)
    async with site.store.connect() as store:
        assert await given(store, request.environment_id, request.shown_hash) == 1
    job = await press(site, REVERT)
    assert job.state == "succeeded", outcome(job)
    assert site.query("SELECT to_regclass('by_hand')") == [(None,)]


async def test_a_failed_rehearsal_is_passed_over_on_production_with_consent(site: Site) -> None:
    """Nobody's approval is asked for by the policy; this failure takes one all the same, and a reason."""
    await site.at_head()
    site.change(tier="production", reset=None)
    await site.back_up()
    site.write(d=migration("d", "c", execute("DO $$ BEGIN PERFORM 1 / (SELECT count(*) FROM users); END $$")))
    await site.observe()
    assert (await site.run(REHEARSE)).state == "failed"
    reason = {"despite_failed_rehearsal": "production has users, scratch has none"}
    with pytest.raises(CleanStartError, match="The rehearsal failed"):
        await press(site, MIGRATE, parameters=reason)
    with pytest.raises(Invalid, match="There is no reason"):
        await asked(site, MIGRATE)
    number = await asked(site, MIGRATE, reason="production has users")
    assert (await true(site, number)).title.endswith(", although the rehearsal failed")
    await decided(site, number, BOB)
    with pytest.raises(OperationNotAllowed, match="The rehearsal failed"):
        await press(site, MIGRATE)
    job = await press(site, MIGRATE, parameters=reason)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["d"]


async def test_who_needs_nobody_cannot_ask(site: Site) -> None:
    await rehearsed(site)
    with pytest.raises(Conflict, match="needs nobody's approval"):
        await asked(site, MIGRATE)
    site.change(approvals=1)
    with pytest.raises(OperationNotAllowed, match="operator"):
        await asked(site, MIGRATE, EVE)
    with pytest.raises(Invalid, match="500 characters"):
        await asked(site, MIGRATE, reason="x" * 501)
