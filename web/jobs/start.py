"""Starting a job: its rows, its gate and its place in the queue in one transaction of the caller.

Permission, policy, confirmation and audit are the caller's, on the same connection and before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from web.config import Environment
from web.errors import Conflict, Invalid, JobAlreadyRunning, OperationNotAllowed
from web.jobs.events import announce_change, append_events, state_event, storable
from web.jobs.job import BY_SCHEDULE, FINISHED, P
from web.jobs.kind import AnyKind, JobKind
from web.jobs.queue import CHANGES, OBSERVATIONS, AlreadyEnqueued, defer, queue_of
from web.postgres.identity import TargetIdentity
from web.store.tables import EnvironmentRow, JobRow, JobStepRow, JobTargetRow


async def start(
    connection: AsyncConnection,
    kind: JobKind[P],
    *,
    environment: Environment | None = None,
    project: str | None = None,
    parameters: P,
    requested_by: str,
    identities: Iterable[TargetIdentity] = (),
    seen_fingerprint: str | None = None,
    seen_revisions: Sequence[str] | None = None,
    shown_hash: str | None = None,
    confirmation: str | None = None,
) -> int:
    """Start a job on an environment, or on a `project` as a whole, in the caller's transaction; return its id.

    A mutating job closes the gate of the environment's pinned identity and of every further one in
    `identities` until it is finished. A kind that `joins` returns the job that is there already.

    Raises:
        JobAlreadyRunning: another job holds one of the gates; the transaction is to be rolled back.
        Conflict: the environment was never observed, or the confirmation was used before.
        OperationNotAllowed: the environment has no such operation.
    """
    if not isinstance(parameters, kind.parameters):
        raise Invalid(f"{kind.title} takes {kind.parameters.__name__}.")
    where = await _place(connection, kind, environment, project)
    if kind.settle is not None and where.environment_id is not None:
        parameters = await kind.settle(connection, where.environment_id, parameters)
    targets = set(identities) | ({where.pinned} if where.pinned is not None else set())
    if kind.mutating and where.pinned is None:
        raise Conflict(
            f"{where.label} has never been reached, so it is not known which database it is.",
            hint="Check it first; where that fails, it says why.",
        )
    values: dict[str, Any] = {
        "kind": kind.name,
        "project": where.project,
        "environment_id": where.environment_id,
        "observes": kind.observes,
        "parameters": storable(_json(parameters)),
        "mutating": kind.mutating,
        "requested_by": requested_by,
        "seen_fingerprint": seen_fingerprint,
        "seen_revisions": None if seen_revisions is None else list(seen_revisions),
        "shown_hash": shown_hash,
        "confirmation": confirmation,
    }
    lock = _one_for(kind, where, values["parameters"])
    if kind.joins_running and await _joined(connection, kind, where, values) is None:
        # Who starts one now and has not committed is waited for: once it runs, the queue's own lock keeps nobody out.
        await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(lock, 0))))
    for _ in range(5):
        if kind.joins and (there := await _joined(connection, kind, where, values)) is not None:
            await _take_over(connection, there, requested_by)
            return there
        try:
            async with connection.begin_nested():
                job_id = await _insert(connection, kind, values)
                if kind.mutating:
                    await _close_gates(connection, job_id, targets)
                await defer(
                    connection,
                    job_id,
                    queue_of(CHANGES if kind.mutating else OBSERVATIONS, where.project),
                    queueing_lock=lock if kind.joins else None,
                )
        except AlreadyEnqueued:
            continue  # somebody was quicker: theirs is ours
        await append_events(connection, job_id, [state_event(1, "queued", kind.title)])
        await announce_change(connection, where.environment_id)
        return job_id
    raise Conflict(f"{kind.title} could not be queued on {where.label}: try again.")


@dataclass(frozen=True, slots=True)
class _Where:
    """Where a job is to run: an environment with what is pinned for it, or a whole project."""

    project: str
    label: str
    environment_id: int | None = None
    pinned: TargetIdentity | None = None


async def _place(
    connection: AsyncConnection, kind: AnyKind, environment: Environment | None, project: str | None
) -> _Where:
    if kind.belongs_to == "project":
        if project is None:
            raise Invalid(f"{kind.title} is for a whole project.")
        return _Where(project, project)
    if environment is None:
        raise Invalid(f"{kind.title} is for one environment.")
    if (reason := kind.available(environment)) is not None:
        raise OperationNotAllowed(reason)
    found, pinned = await environment_row(connection, environment.project, environment.name)
    return _Where(environment.project, environment.label, found, pinned)


async def environment_row(
    connection: AsyncConnection, project: str, name: str
) -> tuple[int, TargetIdentity | None]:
    """The store's key of an environment, made at its first use, and the identity that is pinned for it."""
    await connection.execute(
        insert_or(EnvironmentRow)
        .values(project=project, name=name)
        .on_conflict_do_nothing(index_elements=["project", "name"])
    )
    row = (
        await connection.execute(
            select(EnvironmentRow.id, EnvironmentRow.system_identifier, EnvironmentRow.database_oid).where(
                EnvironmentRow.project == project, EnvironmentRow.name == name
            )
        )
    ).one()
    if row.system_identifier is None or row.database_oid is None:
        return row.id, None
    return row.id, TargetIdentity(row.system_identifier, row.database_oid)


def _json(parameters: BaseModel) -> dict[str, Any]:
    return parameters.model_dump(mode="json")


def _one_for(kind: AnyKind, where: _Where, parameters: Mapping[str, Any]) -> str:
    """What starts have in common that are one job."""
    place = where.project if where.environment_id is None else str(where.environment_id)
    return "/".join([kind.name, place, *(str(parameters[name]) for name in kind.one_for)])


async def _joined(
    connection: AsyncConnection, kind: AnyKind, where: _Where, values: Mapping[str, Any]
) -> int | None:
    same = {name: values["parameters"][name] for name in kind.one_for}
    # What is being cancelled, or was left by its worker, will not tell what this start asks for.
    states = ("queued", "running") if kind.joins_running else ("queued",)
    found: int | None = await connection.scalar(
        select(JobRow.id)
        .where(
            JobRow.kind == kind.name,
            JobRow.project == where.project,
            JobRow.environment_id.is_not_distinct_from(where.environment_id),
            JobRow.state.in_(states),
            JobRow.parameters.contains(same),
        )
        .order_by(JobRow.id)
        .limit(1)
    )
    return found


async def _take_over(connection: AsyncConnection, job_id: int, requested_by: str) -> None:
    """Whoever joins a job that the schedule started is who asks for it: a person is told what is so now."""
    if requested_by != BY_SCHEDULE:
        await connection.execute(
            update(JobRow)
            .where(JobRow.id == job_id, JobRow.state == "queued", JobRow.requested_by == BY_SCHEDULE)
            .values(requested_by=requested_by)
        )


async def _insert(connection: AsyncConnection, kind: JobKind[Any], values: dict[str, Any]) -> int:
    job_id: int | None = await connection.scalar(
        insert_or(JobRow)
        .values(**values)
        .on_conflict_do_nothing(index_elements=["confirmation"])
        .returning(JobRow.id)
    )
    if job_id is None:
        raise await _used(connection, values["confirmation"])
    if kind.steps:
        await connection.execute(
            insert(JobStepRow),
            [
                {"job_id": job_id, "name": step.name, "title": step.title, "position": position}
                for position, step in enumerate(kind.steps, start=1)
            ],
        )
    return job_id


async def _used(connection: AsyncConnection, confirmation: str) -> Conflict:
    """Why a confirmation is refused: a second click is told which job the first one started."""
    row = (
        await connection.execute(
            select(JobRow.id, JobRow.kind, JobRow.state, JobRow.project, EnvironmentRow.name)
            .outerjoin(EnvironmentRow, EnvironmentRow.id == JobRow.environment_id)
            .where(JobRow.confirmation == confirmation)
        )
    ).one_or_none()
    if row is not None and row.state not in FINISHED:
        return JobAlreadyRunning(row.id, row.kind, f"{row.project}/{row.name}")
    return Conflict("This confirmation has been used already.", hint="Open the dialog again.")


async def _close_gates(connection: AsyncConnection, job_id: int, targets: Iterable[TargetIdentity]) -> None:
    """Insert the job's targets; the partial unique index lets one unfinished job in per target.

    In one order for everybody: two starts that touch the same two targets cannot deadlock.
    """
    for target in sorted(targets, key=lambda target: (target.system_identifier, target.database_oid)):
        for _ in range(5):
            closed = await connection.scalar(
                insert_or(JobTargetRow)
                .values(
                    job_id=job_id,
                    system_identifier=target.system_identifier,
                    database_oid=target.database_oid,
                )
                .on_conflict_do_nothing(
                    index_elements=["system_identifier", "database_oid"],
                    index_where=JobTargetRow.unfinished.expression,
                )
                .returning(JobTargetRow.job_id)
            )
            if closed is not None:
                break
            if (holder := await _holder(connection, target)) is not None:
                raise holder
            # It finished between the two statements: once more.
        else:
            raise Conflict("Another operation on this database is just ending: try again.")


async def _holder(connection: AsyncConnection, target: TargetIdentity) -> JobAlreadyRunning | None:
    row = (
        await connection.execute(
            select(JobRow.id, JobRow.kind, EnvironmentRow.project, EnvironmentRow.name)
            .join(JobTargetRow, JobTargetRow.job_id == JobRow.id)
            .join(EnvironmentRow, EnvironmentRow.id == JobRow.environment_id)
            .where(
                JobTargetRow.unfinished,
                JobTargetRow.system_identifier == target.system_identifier,
                JobTargetRow.database_oid == target.database_oid,
            )
        )
    ).first()
    if row is None:
        return None
    return JobAlreadyRunning(row.id, row.kind, f"{row.project}/{row.name}")
