"""What pages, API and CLI read about jobs: one query each, values without ORM state."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Select, Text, cast, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from web.errors import NotFound
from web.jobs.events import Event
from web.jobs.heartbeat import DEAD_AFTER
from web.jobs.job import FINISHED, Intent, JobState, Json
from web.store.tables import (
    EnvironmentRow,
    IntentRow,
    JobAttemptRow,
    JobEventRow,
    JobRow,
    JobStepRow,
    ReceiptRow,
    WorkerRow,
)


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the store has it now."""

    id: int
    kind: str
    project: str
    #: With its key in the store; None: a job of the project as a whole.
    environment: str | None
    environment_id: int | None
    parameters: Json
    mutating: bool
    state: JobState
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seen_fingerprint: str | None
    seen_revisions: tuple[str, ...] | None
    shown_hash: str | None
    cancel_requested_by: str | None
    step: str | None
    done: int | None
    total: int | None
    unit: str | None
    statement: str | None
    #: How it ended: `title`, `account`, `next_step`, `evidence`, `data`, `error`; None while it has not.
    outcome: Json | None
    last_seq: int

    @property
    def finished(self) -> bool:
        return self.state in FINISHED

    @property
    def place(self) -> tuple[str, str]:
        """Project and environment, of a job that has one."""
        assert self.environment is not None, f"job {self.id} belongs to a project"
        return self.project, self.environment

    @property
    def label(self) -> str:
        """`project/environment`, or the project."""
        return self.project if self.environment is None else f"{self.project}/{self.environment}"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step as the store has it now."""

    name: str
    title: str
    position: int
    state: str
    detail: str | None
    started_at: datetime | None
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class AttemptRecord:
    """A worker's try at a job."""

    number: int
    worker: str
    host: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """A worker process."""

    name: str
    host: str
    pid: int
    version: str
    started_at: datetime
    heartbeat_at: datetime
    stopped_at: datetime | None
    wall: str | None
    alive: bool


_JOB_COLUMNS = (
    JobRow.id,
    JobRow.kind,
    JobRow.project,
    EnvironmentRow.name.label("environment"),
    JobRow.environment_id,
    JobRow.parameters,
    JobRow.mutating,
    JobRow.state,
    JobRow.requested_by,
    JobRow.requested_at,
    JobRow.started_at,
    JobRow.finished_at,
    JobRow.seen_fingerprint,
    JobRow.seen_revisions,
    JobRow.shown_hash,
    JobRow.cancel_requested_by,
    JobRow.step,
    JobRow.done,
    JobRow.total,
    JobRow.unit,
    JobRow.statement,
    JobRow.outcome,
    JobRow.last_seq,
)


def _jobs() -> Select[Any]:
    return select(*_JOB_COLUMNS).outerjoin(EnvironmentRow, EnvironmentRow.id == JobRow.environment_id)


def _record(row: Any) -> JobRecord:
    values = dict(row._mapping)
    if values["seen_revisions"] is not None:
        values["seen_revisions"] = tuple(values["seen_revisions"])
    return JobRecord(**values)


async def read_job(connection: AsyncConnection, job_id: int) -> JobRecord:
    """Read one job. Raises NotFound."""
    row = (await connection.execute(_jobs().where(JobRow.id == job_id))).one_or_none()
    if row is None:
        raise NotFound(f"There is no job {job_id}.")
    return _record(row)


async def list_jobs(
    connection: AsyncConnection,
    *,
    project: str | None = None,
    projects: Collection[str] | None = None,
    environment: str | None = None,
    kinds: Collection[str] | None = None,
    observes: bool = True,
    states: Collection[str] | None = None,
    search: str = "",
    titled: Collection[str] = (),
    before: int | None = None,
    limit: int = 50,
) -> tuple[JobRecord, ...]:
    """List jobs, newest first; `before` is the id of the last one of the page before.

    `projects` are the ones that the reader may see; None: all of them. Without `observes` those that only look are left
    out. `search` is looked for in number, kind, environment and person; jobs of the kinds `titled`, whose titles have
    it, are found too.
    """
    query = _jobs().order_by(JobRow.id.desc()).limit(limit)
    if project is not None:
        query = query.where(JobRow.project == project)
    if projects is not None:
        query = query.where(JobRow.project.in_(projects))
    if environment is not None:
        query = query.where(EnvironmentRow.name == environment)
    if kinds is not None:
        query = query.where(JobRow.kind.in_(kinds))
    if not observes:
        query = query.where(~JobRow.observes)
    if states is not None:
        query = query.where(JobRow.state.in_(states))
    if search:
        label = JobRow.project + func.coalesce("/" + EnvironmentRow.name, "")
        query = query.where(
            or_(
                cast(JobRow.id, Text) == search.removeprefix("#"),
                JobRow.kind.icontains(search, autoescape=True),
                JobRow.kind.in_(titled),
                label.icontains(search, autoescape=True),
                JobRow.requested_by.icontains(search, autoescape=True),
            )
        )
    if before is not None:
        query = query.where(JobRow.id < before)
    return tuple(_record(row) for row in await connection.execute(query))


async def newest_jobs(
    connection: AsyncConnection, project: str, since: datetime, *, without: str
) -> tuple[JobRecord, ...]:
    """Of a project's jobs since then those that have not ended, and of each kind on each environment the last that has.

    Newest first; those that only look are left out, and those that were given a value for the parameter `without`.
    """
    # Numbers rise with time: what is older is not gone through.
    older = (
        select(JobRow.id)
        .where(JobRow.project == project, JobRow.requested_at < since)
        .order_by(JobRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    asked = (
        JobRow.project == project,
        JobRow.id > func.coalesce(older, 0),
        JobRow.requested_at >= since,
        ~JobRow.observes,
        JobRow.parameters[without].astext.is_(None),
    )
    ended = (
        select(func.max(JobRow.id))
        .where(*asked, JobRow.state.in_(FINISHED))
        .group_by(JobRow.kind, JobRow.environment_id)
    )
    query = (
        _jobs()
        .where(*asked, or_(JobRow.state.not_in(FINISHED), JobRow.id.in_(ended)))
        .order_by(JobRow.id.desc())
    )
    return tuple(_record(row) for row in await connection.execute(query))


async def read_steps(connection: AsyncConnection, job_id: int) -> tuple[StepRecord, ...]:
    """Read a job's steps in their order."""
    rows = await connection.execute(
        select(
            JobStepRow.name,
            JobStepRow.title,
            JobStepRow.position,
            JobStepRow.state,
            JobStepRow.detail,
            JobStepRow.started_at,
            JobStepRow.finished_at,
        )
        .where(JobStepRow.job_id == job_id)
        .order_by(JobStepRow.position)
    )
    return tuple(StepRecord(**row._mapping) for row in rows)


async def read_attempts(connection: AsyncConnection, job_id: int) -> tuple[AttemptRecord, ...]:
    """Read the tries at a job; those after the first found out how it ended."""
    rows = await connection.execute(
        select(
            JobAttemptRow.number,
            JobAttemptRow.worker,
            JobAttemptRow.host,
            JobAttemptRow.started_at,
            JobAttemptRow.ended_at,
            JobAttemptRow.outcome,
        )
        .where(JobAttemptRow.job_id == job_id)
        .order_by(JobAttemptRow.number)
    )
    return tuple(AttemptRecord(**row._mapping) for row in rows)


async def read_events(
    connection: AsyncConnection, job_id: int, *, after: int = 0, limit: int | None = None
) -> Sequence[Event]:
    """Read the log after a sequence number, in order."""
    rows = await connection.execute(
        select(
            JobEventRow.seq,
            JobEventRow.at,
            JobEventRow.kind,
            JobEventRow.level,
            JobEventRow.text,
            JobEventRow.data,
        )
        .where(JobEventRow.job_id == job_id, JobEventRow.seq > after)
        .order_by(JobEventRow.seq)
        .limit(limit)
    )
    return [Event(**row._mapping) for row in rows]


async def read_intents(connection: AsyncConnection, job_id: int) -> tuple[Intent, ...]:
    """Read what a job was about to do, in the order written, with the receipts."""
    rows = await connection.execute(
        select(
            IntentRow.id,
            IntentRow.step,
            IntentRow.what,
            IntentRow.written_at,
            ReceiptRow.proof,
            ReceiptRow.written_at.label("received_at"),
        )
        .outerjoin(ReceiptRow, ReceiptRow.intent_id == IntentRow.id)
        .where(IntentRow.job_id == job_id)
        .order_by(IntentRow.id)
    )
    return tuple(Intent(**row._mapping) for row in rows)


async def list_workers(connection: AsyncConnection, *, limit: int = 50) -> tuple[WorkerRecord, ...]:
    """List workers, the living first, then the last ones that stopped or died."""
    alive = WorkerRow.stopped_at.is_(None) & (
        WorkerRow.heartbeat_at > func.now() - text(f"interval '{DEAD_AFTER} seconds'")
    )
    rows = await connection.execute(
        select(
            WorkerRow.name,
            WorkerRow.host,
            WorkerRow.pid,
            WorkerRow.version,
            WorkerRow.started_at,
            WorkerRow.heartbeat_at,
            WorkerRow.stopped_at,
            WorkerRow.wall,
            alive.label("alive"),
        )
        .order_by(alive.desc(), WorkerRow.heartbeat_at.desc())
        .limit(limit)
    )
    return tuple(WorkerRecord(**row._mapping) for row in rows)


async def live_workers(connection: AsyncConnection) -> int:
    """Count the workers that are alive; with none of them, pages say that jobs wait."""
    count = await connection.scalar(
        select(func.count())
        .select_from(WorkerRow)
        .where(
            WorkerRow.stopped_at.is_(None),
            WorkerRow.heartbeat_at > func.now() - text(f"interval '{DEAD_AFTER} seconds'"),
        )
    )
    return count or 0
