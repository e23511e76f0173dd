"""Asking for approval and deciding: who may, when a request ends.

What a request is about comes from above (`web.starting.asking`): here it is a kind's name, parameters and a hash.
Reading requests, and counting whose consent holds, is in `web.access.approval_requests`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import audit
from web.access.approval_requests import UNSPENT, Request, RequestState, read_request
from web.access.permissions import Principal, require
from web.errors import Conflict, Invalid, OperationNotAllowed
from web.jobs.events import announce_change, storable
from web.jobs.job import FINISHED
from web.store.tables import ApiTokenRow, ApprovalRequestRow, ApprovalRow, JobRow

#: Characters of a reason or a note.
LENGTH = 500


@dataclass(frozen=True, slots=True)
class Subject:
    """What consent is asked for."""

    project: str
    environment: str
    environment_id: int
    kind: str
    shown_hash: str
    parameters: Mapping[str, Any]
    identity: str | None
    title: str
    #: What the decider is shown, as JSON.
    shown: Mapping[str, Any]
    needed: int
    lasts: timedelta


async def ask(connection: AsyncConnection, who: Principal, subject: Subject, reason: str) -> int:
    """Ask for consent and return the request's id.

    Raises:
        Invalid: a reason that cannot be kept.
        Conflict: the same was asked for and waits.
    """
    reason = _text(reason, "reason")
    await _end_dead(connection, subject)
    made: int | None = await connection.scalar(
        insert_or(ApprovalRequestRow)
        .values(
            project=subject.project,
            environment_id=subject.environment_id,
            kind=subject.kind,
            shown_hash=subject.shown_hash,
            parameters=dict(subject.parameters),
            identity=subject.identity,
            title=subject.title,
            reason=reason,
            shown=storable(dict(subject.shown)),
            needed=subject.needed,
            asked_by=who.actor,
            asked_for=await _maker_of_token(connection, who),
            expires_at=datetime.now(UTC) + subject.lasts,
        )
        .on_conflict_do_nothing(
            index_elements=["environment_id", "kind", "shown_hash", "parameters"],
            index_where=ApprovalRequestRow.ended_at.is_(None),
        )
        .returning(ApprovalRequestRow.id)
    )
    if made is None:
        there = await connection.scalar(select(ApprovalRequestRow.id).where(*_same(subject)))
        raise Conflict(
            f"Request {there} asks for this already." if there else "This was asked for just now.",
            hint="Somebody else has to decide on it.",
        )
    await audit.append(
        connection,
        actor=who.actor,
        action="approval asked",
        object=f"{subject.project}/{subject.environment}",
        detail={
            "request": made,
            "kind": subject.kind,
            "plan": subject.shown_hash,
            "parameters": dict(subject.parameters),
            "reason": reason,
        },
    )
    await announce_change(connection, subject.environment_id)
    return made


async def decide(
    connection: AsyncConnection, who: Principal, number: int, *, approves: bool, note: str = ""
) -> Request:
    """Approve or reject a request, and return it as it is then. One rejection ends it.

    Raises:
        NotSignedIn, OperationNotAllowed: the person may not: they lack the permission, they asked, or it is a token.
        NotFound: there is no such request.
        Conflict: it has ended, or the person has decided already.
        Invalid: a note that cannot be kept, or a rejection without one.
    """
    request = await read_request(connection, number, lock=True)
    require(who, "approve", request.project)
    if (reason := may_not_decide(who, request)) is not None:
        raise OperationNotAllowed(reason, hint="Another person has to decide.")
    if not request.living:
        raise Conflict(f"Request {number} is {request.state}: there is nothing to decide any more.")
    if any(each.by == who.actor for each in request.decisions):
        raise Conflict(f"You have decided on request {number} already.")
    note = _text(note, "note")
    if not approves and not note:
        raise Invalid("A rejection needs a reason.", hint="Say what would have to be different.")
    await connection.execute(
        insert(ApprovalRow).values(request_id=number, approves=approves, decided_by=who.actor, note=note)
    )
    if not approves:
        await end(connection, number, "rejected", by=who.actor, why=note)
    await audit.append(
        connection,
        actor=who.actor,
        action="approved" if approves else "rejected",
        object=request.label,
        detail={"request": number, "kind": request.kind, "plan": request.shown_hash, "note": note},
    )
    await announce_change(connection, request.environment_id)
    return await read_request(connection, number)


async def withdraw(connection: AsyncConnection, who: Principal, number: int) -> Request:
    """Take a request back: whoever asked may, and who administers the project.

    Raises NotFound, OperationNotAllowed, Conflict.
    """
    request = await read_request(connection, number, lock=True)
    if who.actor != request.asked_by:
        require(who, "manage-users", request.project)
    if not request.living:
        raise Conflict(f"Request {number} is {request.state} already.")
    await end(connection, number, "withdrawn", by=who.actor, why="")
    await audit.append(
        connection,
        actor=who.actor,
        action="approval withdrawn",
        object=request.label,
        detail={"request": number, "kind": request.kind, "plan": request.shown_hash},
    )
    await announce_change(connection, request.environment_id)
    return await read_request(connection, number)


def may_not_decide(who: Principal, request: Request) -> str | None:
    """Why a person who has the permission may not decide on this request; None: they may."""
    if who.source == "token":
        return "A token cannot decide: approvals are for people."
    mine = {name.casefold() for name in (who.actor, f"user:{who.name}", f"local:{who.name}")}
    if request.asked_by.casefold() in mine:
        return "You asked for it yourself."
    if request.asked_for is not None and request.asked_for.casefold() in mine:
        return f"{request.asked_by.removeprefix('token:')}, which asked for it, is a token that you made."
    return None


async def end(
    connection: AsyncConnection, number: int, how: RequestState, *, by: str | None, why: str
) -> None:
    """End a request that has not ended."""
    await connection.execute(
        update(ApprovalRequestRow)
        .where(ApprovalRequestRow.id == number, ApprovalRequestRow.ended_at.is_(None))
        .values(ended=how, ended_at=func.now(), ended_by=by, why=why)
    )


async def spend(connection: AsyncConnection, number: int, job_id: int) -> None:
    """Bind a request to the job that is started with it; a job that does something uses it up."""
    await connection.execute(
        update(ApprovalRequestRow).where(ApprovalRequestRow.id == number).values(job_id=job_id)
    )


def _same(subject: Subject) -> tuple[ColumnElement[bool], ...]:
    return (
        ApprovalRequestRow.environment_id == subject.environment_id,
        ApprovalRequestRow.kind == subject.kind,
        ApprovalRequestRow.shown_hash == subject.shown_hash,
        ApprovalRequestRow.parameters == dict(subject.parameters),
        ApprovalRequestRow.ended_at.is_(None),
    )


async def _end_dead(connection: AsyncConnection, subject: Subject) -> None:
    """Write down the end of requests for the same that have expired or are used up: only one can wait."""
    for how, dead in (
        ("used", ApprovalRequestRow.job_id.in_(_spent_jobs())),
        ("expired", ApprovalRequestRow.expires_at <= func.now()),
    ):
        await connection.execute(
            update(ApprovalRequestRow)
            .where(*_same(subject), dead)
            .values(ended=how, ended_at=func.now(), why="")
        )


def _spent_jobs() -> Any:
    return select(JobRow.id).where(JobRow.state.in_(sorted(FINISHED - set(UNSPENT))))


async def _maker_of_token(connection: AsyncConnection, who: Principal) -> str | None:
    if who.token_id is None:
        return None
    maker: str | None = await connection.scalar(
        select(ApiTokenRow.created_by).where(ApiTokenRow.id == who.token_id)
    )
    return maker


def _text(given: str, what: str) -> str:
    given = given.strip()
    if len(given) > LENGTH:
        raise Invalid(f"{LENGTH} characters are the most that a {what} may have.")
    if "\0" in given:
        raise Invalid(f"The {what} holds a character that cannot be stored.")
    return given
