"""`/approvals`: what waits for somebody's consent, asking for it, and deciding."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Query
from pydantic import Field

from web.access import approvals
from web.access.approval_requests import Request as Asked
from web.access.approval_requests import read_request, read_requests
from web.access.permissions import visible_projects
from web.access.requests import signed_in
from web.api.bodies import Body
from web.dashboard import (
    Board,
    Dashboard,
    Id,
    InEnvironment,
    OneRequest,
    Who,
    in_project,
    on_request,
    permission_of_kind,
)
from web.errors import Conflict
from web.starting.asking import ask, read_true_request, true_open_requests
from web.starting.start import kind_for, parameters_of

router = APIRouter()
#: How long a request for a decision waits at most, in seconds.
LONGEST_WAIT = 25.0


class NewRequest(Body):
    """What others are asked to approve: the job as it would run now, with these of its parameters."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    reason: str = ""
    #: The hash of what was read; without it, whatever is there.
    shown_hash: str | None = None


class NewDecision(Body):
    """The answer to a request."""

    decision: Literal["approve", "reject"]
    note: str = ""


@router.get("/approvals", dependencies=[signed_in()])
async def list_requests(
    board: Board, who: Who, state: Literal["open", "all"] = "open", before: Id | None = None, limit: int = 100
) -> dict[str, object]:
    """The requests that wait, oldest first; with `state=all` every one, newest first."""
    projects = visible_projects(who, board.configuration.projects)
    async with board.store.connect() as store:
        found = (
            await true_open_requests(store, board.configuration, board.kinds, projects, board.histories)
            if state == "open"
            else await read_requests(store, projects, before=before, limit=max(1, min(limit, 200)))
        )
    return {"requests": [each.to_json() for each in found]}


@router.get("/approvals/{request_number}", dependencies=[on_request("view")])
async def show(
    board: Board, who: Who, asked: OneRequest, wait: float = Query(0, ge=0, le=LONGEST_WAIT)
) -> dict[str, object]:
    """One request with what was shown; with `wait`, the answer comes once it is decided, or then."""
    found = await _true(board, asked.id)
    if wait and found.state == "open":
        changes = board.feed.changes()
        try:
            async with asyncio.timeout(wait):
                async for _ in changes:
                    found = await _true(board, asked.id)
                    if found.state != "open":
                        break
        except TimeoutError:
            # What expires, nobody announces.
            found = await _true(board, asked.id)
        finally:
            await changes.aclose()
    reason = approvals.may_not_decide(who, found)
    return {**found.to_json(), "shown": dict(found.shown), "may_not_decide": reason}


@router.post(
    "/projects/{project}/environments/{environment}/approvals/{kind}",
    status_code=201,
    dependencies=[in_project(permission_of_kind)],
)
async def ask_others(
    board: Board, who: Who, environment: InEnvironment, kind: str, new: NewRequest
) -> dict[str, object]:
    """Ask others to approve a job."""
    wanted = kind_for(board.kinds, environment, kind)
    async with board.store.begin() as store:
        number = await ask(
            store,
            board.configuration,
            wanted,
            environment,
            who,
            parameters_of(wanted, new.parameters),
            reason=new.reason,
            shown_hash=new.shown_hash,
            key=board.key,
            histories=board.histories,
        )
        made = await read_request(store, number)
    board.overviews.forget()
    return made.to_json()


@router.post("/approvals/{request_number}/decisions", status_code=201, dependencies=[on_request("approve")])
async def decide(board: Board, who: Who, asked: OneRequest, new: NewDecision) -> dict[str, object]:
    """Approve or reject a request."""
    true = await _true(board, asked.id)
    if not true.living:
        raise Conflict(f"Request {true.id} is {true.state}. {true.why or ''}".strip())
    async with board.store.begin() as store:
        done = await approvals.decide(store, who, asked.id, approves=new.decision == "approve", note=new.note)
    board.overviews.forget()
    return done.to_json()


@router.post("/approvals/{request_number}/withdrawal", status_code=201, dependencies=[on_request("view")])
async def withdraw(board: Board, who: Who, asked: OneRequest) -> dict[str, object]:
    """Take a request back."""
    async with board.store.begin() as store:
        done = await approvals.withdraw(store, who, asked.id)
    board.overviews.forget()
    return done.to_json()


async def _true(board: Dashboard, number: int) -> Asked:
    """The request as it is: void, where what would run has changed."""
    async with board.store.connect() as store:
        return await read_true_request(store, board.configuration, board.kinds, number, board.histories)
