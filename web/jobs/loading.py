"""A job read back from the store as the values that its kind gets, and what a worker brings to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.config import Configuration
from web.errors import Invalid, NotFound, TargetChanged
from web.jobs.attempt import application_name
from web.jobs.ending import Remains
from web.jobs.job import Job
from web.jobs.kind import AnyKind, Kinds
from web.jobs.reading import JobRecord, read_job
from web.jobs.resources import Resources
from web.jobs.witness import ObserveAfter, Witness
from web.postgres.identity import TargetIdentity
from web.store.tables import EnvironmentRow, JobAttemptRow, JobTargetRow


@dataclass(frozen=True, slots=True)
class Equipment:
    """What a worker process brings to every job."""

    store: AsyncEngine
    configuration: Configuration
    kinds: Kinds[AnyKind]
    resources: Resources
    #: The worker's name in the store.
    worker: str
    #: Looks at targets before and after mutating jobs; None: nobody does.
    witness: Witness | None = None
    #: Looks at environments when a mutating job ends; None: nobody does.
    observe_after: ObserveAfter | None = None


@dataclass(frozen=True, slots=True)
class LoadedJob:
    """A job with its kind and the identity of the database that it is about."""

    kind: AnyKind
    job: Job[Any]
    record: JobRecord
    identity: TargetIdentity | None


async def load_job(connection: AsyncConnection, equipment: Equipment, job_id: int) -> LoadedJob:
    """Read a job and find its kind and environment.

    Raises:
        NotFound: this worker does not know the kind, or the configuration no longer has the environment.
        Invalid: the parameters are not those of the kind.
        TargetChanged: another identity was pinned for the environment since the job was started.
    """
    record = await read_job(connection, job_id)
    kind = equipment.kinds.by_name.get(record.kind)
    if kind is None:
        raise NotFound(f"This worker's version knows no job kind “{record.kind}”.")
    project = equipment.configuration.project(record.project)
    place = None
    if record.environment is not None and record.environment_id is not None:
        place = (
            equipment.configuration.environment(record.project, record.environment),
            record.environment_id,
        )
    try:
        parameters = kind.parameters.model_validate(record.parameters)
    except ValidationError as error:
        raise Invalid(f"The parameters are not those of {kind.title}.") from error
    pinned = await _identity(connection, record) if place is not None else None
    return LoadedJob(
        kind=kind,
        job=Job(
            id=record.id,
            kind=record.kind,
            project=project,
            place=place,
            parameters=parameters,
            requested_by=record.requested_by,
            requested_at=record.requested_at,
            seen_fingerprint=record.seen_fingerprint,
            seen_revisions=record.seen_revisions,
            shown_hash=record.shown_hash,
        ),
        record=record,
        identity=pinned,
    )


async def load_remains(
    connection: AsyncConnection, job_id: int, numbers: Sequence[int] | None = None
) -> Remains:
    """Read what the attempts of a job recorded; `numbers` names the attempts, None means all."""
    query = select(
        JobAttemptRow.number,
        JobAttemptRow.host,
        JobAttemptRow.started_at,
        JobAttemptRow.backends,
        JobAttemptRow.processes,
    ).where(JobAttemptRow.job_id == job_id)
    if numbers is not None:
        query = query.where(JobAttemptRow.number.in_(numbers))
    rows = (await connection.execute(query)).all()
    now = await connection.scalar(select(func.now()))
    assert now is not None
    return Remains(
        names=tuple(application_name(job_id, row.number) for row in rows),
        since=min((row.started_at for row in rows), default=now),
        backends=tuple(entry for row in rows for entry in row.backends),
        groups=tuple((row.host, entry) for row in rows for entry in row.processes),
    )


async def _identity(connection: AsyncConnection, record: JobRecord) -> TargetIdentity | None:
    row = (
        await connection.execute(
            select(EnvironmentRow.system_identifier, EnvironmentRow.database_oid).where(
                EnvironmentRow.id == record.environment_id
            )
        )
    ).one()
    if row.system_identifier is None or row.database_oid is None:
        return None
    pinned = TargetIdentity(row.system_identifier, row.database_oid)
    targets = {
        TargetIdentity(target.system_identifier, target.database_oid)
        for target in await connection.execute(
            select(JobTargetRow.system_identifier, JobTargetRow.database_oid).where(
                JobTargetRow.job_id == record.id
            )
        )
    }
    if record.mutating and not record.finished and record.state != "interrupted" and pinned not in targets:
        raise TargetChanged("Another database was pinned for this environment after the job was started.")
    return pinned
