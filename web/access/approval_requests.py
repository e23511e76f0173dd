"""Requests for approval as they are stored: their state, the answers to them, and whose consent counts.

Asking and deciding is in `web.access.approvals`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Label, ScalarSelect, SQLColumnExpression, and_, func, or_, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.ext.asyncio import AsyncConnection

from web.errors import NotFound
from web.jobs.job import Json
from web.store.tables import ApprovalRequestRow, ApprovalRow, EnvironmentRow, JobRow

RequestState = Literal["open", "approved", "rejected", "withdrawn", "void", "expired", "used"]
#: Jobs that ended like this have done nothing that was consented to: the consent holds for another try.
UNSPENT = ("failed", "cancelled", "not done")


@dataclass(frozen=True, slots=True)
class Decision:
    """What one person answered."""

    approves: bool
    #: As the audit trail names them: `user:ada`.
    by: str
    note: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Request:
    """A request for the consent of others to exactly one thing."""

    id: int
    project: str
    environment: str
    environment_id: int
    kind: str
    shown_hash: str
    #: The parameters that the consent holds for.
    parameters: Json
    identity: str | None
    title: str
    reason: str
    shown: Json
    needed: int
    asked_by: str
    #: Who made the token that asked; None: a person asked.
    asked_for: str | None
    asked_at: datetime
    expires_at: datetime
    state: RequestState
    ended_at: datetime | None = None
    ended_by: str | None = None
    #: Why it ended without being used.
    why: str | None = None
    job_id: int | None = None
    decisions: tuple[Decision, ...] = ()

    @property
    def given(self) -> int:
        """How many people consent."""
        return sum(each.approves for each in self.decisions)

    @property
    def label(self) -> str:
        """`project/environment`."""
        return f"{self.project}/{self.environment}"

    @property
    def living(self) -> bool:
        """Whether consent can be given or used."""
        return self.state in ("open", "approved")

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "id": self.id,
            "project": self.project,
            "environment": self.environment,
            "kind": self.kind,
            "title": self.title,
            "state": self.state,
            "shown_hash": self.shown_hash,
            "parameters": dict(self.parameters),
            "reason": self.reason,
            "needed": self.needed,
            "given": self.given,
            "asked_by": self.asked_by,
            "asked_at": self.asked_at.isoformat(),
            "expires_at": self.expires_at.isoformat(),
            "ended_at": self.ended_at.isoformat() if self.ended_at else None,
            "ended_by": self.ended_by,
            "why": self.why,
            "job": self.job_id,
            "decisions": [
                {"approves": each.approves, "by": each.by, "note": each.note, "at": each.at.isoformat()}
                for each in self.decisions
            ],
        }


def given_column(environment_id: int, shown_hash: SQLColumnExpression[str]) -> Label[int]:
    """How many people consent to what a column's hash binds, as a column `approvals` of a query over it."""
    return _given(environment_id, shown_hash).label("approvals")


async def given(connection: AsyncConnection, environment_id: int, shown_hash: str) -> int:
    """How many people consent to what a hash binds, by a request that can be used now."""
    return await connection.scalar(select(_given(environment_id, shown_hash))) or 0


async def given_to_job(connection: AsyncConnection, job_id: int, shown_hash: str | None) -> int:
    """How many people consented to what this job was started for, if that is what this hash binds."""
    query = (
        select(func.count())
        .select_from(ApprovalRow)
        .join(ApprovalRequestRow, ApprovalRequestRow.id == ApprovalRow.request_id)
        .where(
            ApprovalRequestRow.job_id == job_id,
            ApprovalRequestRow.shown_hash == shown_hash,
            ApprovalRequestRow.ended_at.is_(None),
            ApprovalRow.approves,
        )
    )
    return await connection.scalar(query) or 0


async def living_request(
    connection: AsyncConnection,
    environment_id: int,
    kind: str,
    shown_hash: str,
    parameters: Mapping[str, Any] | None = None,
) -> Request | None:
    """The newest request for this that can be decided on or used; any parameters where none are given."""
    conditions: list[ColumnElement[bool]] = [
        ApprovalRequestRow.environment_id == environment_id,
        ApprovalRequestRow.kind == kind,
        ApprovalRequestRow.shown_hash == shown_hash,
        _LIVING,
    ]
    if parameters is not None:
        conditions.append(ApprovalRequestRow.parameters == dict(parameters))
    found = await _read(connection, *conditions, limit=1)
    return found[0] if found else None


def person(actor: str) -> str:
    """An actor as people are called: without what they came by, but for a token."""
    source, _, name = actor.partition(":")
    return f"token {name}" if source == "token" else name or actor


async def read_request(connection: AsyncConnection, number: int, *, lock: bool = False) -> Request:
    """A request with its decisions; with `lock` nobody else decides until this transaction ends. Raises NotFound."""
    if lock:
        await connection.execute(
            select(ApprovalRequestRow.id).where(ApprovalRequestRow.id == number).with_for_update()
        )
    found = await _read(connection, ApprovalRequestRow.id == number, limit=1)
    if not found:
        raise NotFound(f"There is no request {number}.")
    return found[0]


async def open_requests(connection: AsyncConnection, projects: Collection[str]) -> Sequence[Request]:
    """The requests on these projects that wait for somebody, oldest first."""
    return [each for each in await living_requests(connection, projects) if each.state == "open"]


async def living_requests(connection: AsyncConnection, projects: Collection[str]) -> Sequence[Request]:
    """The requests on these projects that can be decided on or used, oldest first."""
    found = await _read(connection, ApprovalRequestRow.project.in_(projects), _LIVING, limit=1000)
    return list(reversed(found))


async def read_requests(
    connection: AsyncConnection, projects: Collection[str], *, before: int | None = None, limit: int = 100
) -> Sequence[Request]:
    """All requests on these projects, newest first; `before` continues a list."""
    conditions: list[ColumnElement[bool]] = [ApprovalRequestRow.project.in_(projects)]
    if before is not None:
        conditions.append(ApprovalRequestRow.id < before)
    return await _read(connection, *conditions, limit=limit)


#: A request that can be decided on or used.
_LIVING: ColumnElement[bool] = and_(
    ApprovalRequestRow.ended_at.is_(None),
    ApprovalRequestRow.expires_at > func.now(),
    or_(
        ApprovalRequestRow.job_id.is_(None),
        select(JobRow.state.in_(UNSPENT))
        .where(JobRow.id == ApprovalRequestRow.job_id)
        .correlate(ApprovalRequestRow)
        .scalar_subquery(),
    ),
)


def _given(environment_id: int, shown_hash: SQLColumnExpression[str] | str) -> ScalarSelect[int]:
    return (
        select(func.count())
        .select_from(ApprovalRow)
        .join(ApprovalRequestRow, ApprovalRequestRow.id == ApprovalRow.request_id)
        .where(
            ApprovalRequestRow.environment_id == environment_id,
            ApprovalRequestRow.shown_hash == shown_hash,
            _LIVING,
            ApprovalRow.approves,
        )
        .scalar_subquery()
    )


async def _read(
    connection: AsyncConnection, *conditions: ColumnElement[bool], limit: int
) -> Sequence[Request]:
    decisions = (
        select(
            func.jsonb_agg(
                aggregate_order_by(
                    func.jsonb_build_array(
                        ApprovalRow.approves, ApprovalRow.decided_by, ApprovalRow.note, ApprovalRow.decided_at
                    ),
                    ApprovalRow.id,
                )
            )
        )
        .where(ApprovalRow.request_id == ApprovalRequestRow.id)
        .correlate(ApprovalRequestRow)
        .scalar_subquery()
    )
    query = (
        select(
            ApprovalRequestRow,
            EnvironmentRow.name.label("environment"),
            JobRow.state.label("job_state"),
            decisions.label("decisions"),
        )
        .join(EnvironmentRow, EnvironmentRow.id == ApprovalRequestRow.environment_id)
        .outerjoin(JobRow, JobRow.id == ApprovalRequestRow.job_id)
        .where(*conditions)
        .order_by(ApprovalRequestRow.id.desc())
        .limit(limit)
    )
    return [_request(row) for row in (await connection.execute(query)).mappings()]


def _request(row: Mapping[Any, Any]) -> Request:
    decisions = tuple(
        Decision(approves, by, note, datetime.fromisoformat(at))
        for approves, by, note, at in row["decisions"] or ()
    )
    names = (
        "id", "project", "environment", "environment_id", "kind", "shown_hash", "parameters", "identity", "title",
        "reason", "shown", "needed", "asked_by", "asked_for", "asked_at", "expires_at", "ended_at", "ended_by",
        "why", "job_id",
    )  # fmt: skip
    return Request(**{name: row[name] for name in names}, state=_state(row, decisions), decisions=decisions)


def _state(row: Mapping[Any, Any], decisions: Sequence[Decision]) -> RequestState:
    if row["ended"] is not None:
        ended: RequestState = row["ended"]
        return ended
    if row["job_state"] is not None and row["job_state"] not in UNSPENT:
        return "used"
    if row["expires_at"] <= datetime.now(UTC):
        return "expired"
    return "approved" if sum(each.approves for each in decisions) >= row["needed"] else "open"
