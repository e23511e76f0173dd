"""Asking others to approve a job before it is started, and whether what was asked for is still what would run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import approvals
from web.access.approval_requests import Request, living_request, living_requests, read_request
from web.access.permissions import Principal, require
from web.answers.environment import View, view
from web.answers.gate import approvals_needed
from web.config import Configuration, Environment
from web.errors import Conflict, Invalid, NotFound, OperationNotAllowed, TargetChanged
from web.jobs.events import announce_change
from web.observation.history_cache import Histories
from web.starting.operation import AnyOperation, Before, Operations
from web.starting.preparation import prepare


def bound(kind: AnyOperation, parameters: BaseModel) -> dict[str, Any]:
    """The parameters that an approval of this kind holds for."""
    names = kind.approved_for or ()
    return {name: value for name, value in parameters.model_dump(mode="json").items() if name in names}


async def ask(
    connection: AsyncConnection,
    configuration: Configuration,
    kind: AnyOperation,
    environment: Environment,
    who: Principal,
    parameters: BaseModel,
    *,
    reason: str,
    shown_hash: str | None,
    key: bytes,
    histories: Histories | None = None,
) -> int:
    """Ask others to approve a job of this kind as it would run now; returns the request's id.

    `shown_hash` is what the person read; None: whatever is there.

    Raises:
        NotSignedIn, OperationNotAllowed: the person may not start such a job.
        Conflict: nobody has to consent, enough have, there is nothing to consent to, or it was asked for already.
        TargetChanged: what would run is not what the person read.
        Invalid: a reason that cannot be kept.
    """
    require(who, kind.permission, environment.project)
    prepared = await prepare(connection, configuration, kind, environment, who, key=key, histories=histories)
    seen, before = prepared.view, prepared.before
    condition = before.approval
    if condition is None:
        raise Conflict(f"{kind.title} needs nobody's approval on {environment.label}.")
    if condition.state == "met" and kind.approved_for == ():
        raise Conflict(f"{kind.title} is approved already on {environment.label}.", hint="Start it.")
    if before.pointless or before.shown_hash is None or seen.record is None:
        raise Conflict(
            f"There is nothing to approve on {environment.label} yet.",
            hint=before.pointless or _way_to_something(before),
        )
    if shown_hash is not None and shown_hash != before.shown_hash:
        raise TargetChanged("What would run is not what you saw.", hint="Read it again.")
    if _failed(before) and not reason.strip():
        raise Invalid("There is no reason.", hint="Say why it should be done although the rehearsal failed.")
    hidden = {"confirmation", "closed", "live_workers", "type_to_confirm"}
    subject = approvals.Subject(
        project=environment.project,
        environment=environment.name,
        environment_id=seen.record.environment_id,
        kind=kind.name,
        shown_hash=before.shown_hash,
        parameters=bound(kind, parameters),
        identity=seen.record.identity,
        title=_title(kind, seen, before),
        shown={name: value for name, value in prepared.to_json().items() if name not in hidden},
        needed=needed(environment, before),
        lasts=environment.approvals_last,
    )
    return await approvals.ask(connection, who, subject, reason)


def needed(environment: Environment, before: Before) -> int:
    """How many others have to consent now."""
    return approvals_needed(environment, failed=_failed(before))


async def require_approval(
    connection: AsyncConnection,
    kind: AnyOperation,
    environment: Environment,
    seen: View,
    before: Before,
    parameters: BaseModel,
) -> Request | None:
    """The request by which others have approved exactly this job; None: nobody has to.

    Raises OperationNotAllowed.
    """
    condition = before.approval
    if condition is None or seen.record is None or before.shown_hash is None:
        return None
    asked = bound(kind, parameters)
    request = await living_request(
        connection, seen.record.environment_id, kind.name, before.shown_hash, asked
    )
    if request is None or request.given < needed(environment, before):
        chosen = ", ".join(f"{name} {value}" for name, value in asked.items())
        raise OperationNotAllowed(
            f"{kind.title} is not approved on {environment.label}{f' with {chosen}' if chosen else ''}.",
            hint=condition.way or "What was approved is something else. Ask for approval of this.",
        )
    return request


async def why_void(
    connection: AsyncConnection,
    configuration: Configuration,
    kinds: Operations,
    request: Request,
    histories: Histories | None = None,
) -> str | None:
    """Why a request is for something else than what would run now; None: it is for exactly that."""
    kind = kinds.by_name.get(request.kind)
    try:
        environment = configuration.environment(request.project, request.environment)
    except NotFound:
        return f"{request.label} is not configured any more."
    if kind is None:
        return f"There is no operation “{request.kind}” any more."
    seen = await view(connection, configuration, request.project, request.environment, histories=histories)
    before = await kind.before(connection, seen)
    if seen.record is None or seen.record.identity != request.identity:
        return f"{request.label} is another database now."
    if before.shown_hash != request.shown_hash or before.pointless:
        return "What would run is something else now."
    if needed(environment, before) > request.needed:
        return f"It takes {needed(environment, before)} approvals now."
    return None


async def read_true_request(
    connection: AsyncConnection,
    configuration: Configuration,
    kinds: Operations,
    number: int,
    histories: Histories | None = None,
) -> Request:
    """A request in its true state: void, where it is for something else than what would run now. Raises NotFound."""
    request = await read_request(connection, number)
    if not request.living:
        return request
    reason = await why_void(connection, configuration, kinds, request, histories)
    return request if reason is None else replace(request, state="void", why=reason)


async def true_open_requests(
    connection: AsyncConnection,
    configuration: Configuration,
    kinds: Operations,
    projects: Sequence[str],
    histories: Histories | None = None,
) -> tuple[Request, ...]:
    """The requests that wait for somebody, oldest first, without those for something else than what would run now."""
    return tuple(
        [
            each
            for each in await living_requests(connection, projects)
            if each.state == "open"
            and await why_void(connection, configuration, kinds, each, histories) is None
        ]
    )


async def end_void(connection: AsyncConnection, configuration: Configuration, kinds: Operations) -> int:
    """End every request for something else than what would run now, for good; returns how many."""
    ended = 0
    for each in await living_requests(connection, tuple(configuration.projects)):
        reason = await why_void(connection, configuration, kinds, each)
        if reason is not None:
            await approvals.end(connection, each.id, "void", by=None, why=reason)
            await announce_change(connection, each.environment_id)
            ended += 1
    return ended


def as_asked(kind: AnyOperation, given: Mapping[str, Any]) -> dict[str, Any]:
    """Of what a form or a client sent, the parameters that an approval binds."""
    return {name: value for name, value in given.items() if name in (kind.approved_for or ())}


def _failed(before: Before) -> bool:
    conditions = before.gate.conditions if before.gate is not None else ()
    return any(each.name == "rehearsal" and each.state == "not met" for each in conditions)


def _title(kind: AnyOperation, seen: View, before: Before) -> str:
    title = kind.heading_words(seen).removesuffix("?")
    return f"{title}, although the rehearsal failed" if _failed(before) else title


def _way_to_something(before: Before) -> str:
    """What has to be done before there is something to approve."""
    closed = before.gate.closed_by if before.gate is not None else ()
    ways = {each.name: each.way for each in closed}
    return ways.get("rehearsal") or ways.get("proven repair") or "Check the environment first."
