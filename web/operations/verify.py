"""Verify: restore a backup into a scratch database and compare; the target is not touched.

Only what was found about the backup itself is written down. A verification that ends for another reason (cancelled,
no scratch server, a full disk, a worker that died) leaves what was known.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.acts.verifying import verify_backup
from web.answers.environment import View
from web.backups.places import open_place
from web.config import Environment, Project
from web.errors import NotFound, OperationFailed
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.starting.operation import Offer, Operation
from web.store.tables import BackupRow, EnvironmentRow


class VerifyParameters(Parameters):
    """What a verification takes."""

    backup: UUID | None = Field(default=None, title="Backup", json_schema_extra={"choice": "backups"})


async def run(work: Work[VerifyParameters]) -> Outcome:
    """Verify and write down what was found. A backup that is not sound ends the job as failed."""
    place = open_place(work.configuration.backups.location)
    async with work.progress.step("restore"):
        backup_id, stored = await _wanted(work)
        await work.progress.log(f"Backup {backup_id} in {place.shown}")
        found = await verify_backup(work, place, backup_id, stored)
    if not found.verified:
        raise OperationFailed(
            f"The backup is not sound: {' '.join(found.problems[:3])}",
            hint="Do not rely on it. Back up again.",
        )
    notes = f" {' '.join(found.notes)}" if found.notes else ""
    return Outcome(
        "Verified",
        f"Restored into a scratch database: {found.tables:,} tables and {found.rows:,} rows are equal.{notes}",
        data={"backup": str(backup_id), "tables": found.tables, "rows": found.rows},
    )


async def reconcile(evidence: Evidence[VerifyParameters]) -> Reconciled:
    """What was found is written in one act, so a run that did not come to its end has found nothing."""
    return Reconciled(
        "not done",
        "The backup is as it was; nothing was found out about it.",
        next_step="Verify it again; until then nothing proves that it can be restored.",
    )


async def require_named(
    store: AsyncConnection, project: Project, environment: Environment, parameters: VerifyParameters
) -> None:
    """The backup is one of the environment's."""
    if parameters.backup is None:
        return
    query = (
        select(BackupRow.id)
        .join(EnvironmentRow, EnvironmentRow.id == BackupRow.environment_id)
        .where(
            EnvironmentRow.project == project.name,
            EnvironmentRow.name == environment.name,
            BackupRow.id == parameters.backup,
            BackupRow.state != "removed",
        )
    )
    if await store.scalar(query) is None:
        raise NotFound(f"{environment.label} has no backup {parameters.backup}.")


async def name_the_newest(
    connection: AsyncConnection, environment_id: int, parameters: VerifyParameters
) -> VerifyParameters:
    """The newest backup as it is now, where none is named: what is asked for is one backup from here on."""
    if parameters.backup is not None:
        return parameters
    return VerifyParameters(
        backup=await connection.scalar(_stored(environment_id).with_only_columns(BackupRow.id))
    )


async def _wanted(work: Work[VerifyParameters]) -> tuple[UUID, Mapping[str, Any]]:
    query = _stored(work.job.environment_id)
    if work.job.parameters.backup is not None:
        query = query.where(BackupRow.id == work.job.parameters.backup)
    async with work.store.connect() as connection:
        row = (await connection.execute(query)).one_or_none()
    if row is None:
        raise NotFound(f"{work.job.environment.label} has no such backup.")
    return row.id, row.manifest


def _stored(environment_id: int) -> Select[tuple[UUID, dict[str, Any]]]:
    """The newest backup that exists."""
    return (
        select(BackupRow.id, BackupRow.manifest)
        .where(BackupRow.environment_id == environment_id, BackupRow.state != "removed")
        .order_by(BackupRow.created_at.desc())
        .limit(1)
    )


def _newest_is_unverified(seen: View) -> str | None:
    backup = seen.record.backup if seen.record else None
    return "Verify the newest backup" if backup and backup.state == "unverified" else None


VERIFY = Operation(
    name="verify",
    title="Verification",
    verb="Verify",
    parameters=VerifyParameters,
    permission="backup",
    mutating=False,
    destructive=False,
    steps=(StepTitle("restore", "Restore into a scratch database and compare"),),
    run=run,
    reconcile=reconcile,
    noun="verification",
    icon="shield-check",
    help="Restore a backup into a scratch database, count and compare every row.",
    lead=(
        "The backup is restored into a scratch database, and there every row is counted and compared. "
        "The database of {environment} is not touched."
    ),
    offers=(Offer("one backup"),),
    meets=MappingProxyType({"verified backup": _newest_is_unverified}),
    connects=False,
    joins=True,
    joins_running=True,
    one_for=("backup",),
    settle=name_the_newest,
    require_named=require_named,
)
