"""Verify: restore a backup into a scratch database and compare; the target is not touched."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import Field
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from web.backups.catalog import read_manifest
from web.backups.manifest import Manifest
from web.backups.places import Place, open_place
from web.backups.reporting import Watch
from web.backups.verify import Verification, verify
from web.config import Environment, Project
from web.errors import BackupInvalid, NotFound, OperationFailed
from web.jobs.events import announce_change, storable
from web.jobs.kind import JobKind, Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.postgres.server_files import usable
from web.store.tables import BackupRow, EnvironmentRow


class VerifyParameters(Parameters):
    """What a verification takes."""

    backup: UUID | None = Field(default=None, title="Backup")


async def run(work: Work[VerifyParameters]) -> Outcome:
    """Verify and write down what was found. A backup that is not sound ends the job as failed."""
    environment = work.job.environment
    place = open_place(work.configuration.backups.location)
    async with work.progress.step("restore"):
        backup_id, sha256 = await _wanted(work)
        await work.progress.log(f"Backup {backup_id} in {place.shown}")
        try:
            manifest = await read_manifest(place, environment.project, environment.name, backup_id)
            if manifest.dump.sha256 != sha256:
                raise BackupInvalid("The manifest is not the one that was written when the backup was taken.")
            found = await verify_backup(work, place, manifest)
        except BackupInvalid as error:
            await _record(
                work, backup_id, "failed verification", {"verified": False, "problems": [str(error)]}
            )
            raise
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


async def verify_backup(work: Work[Any], place: Place, manifest: Manifest) -> Verification:
    """Restore, compare, write down what was found."""
    folder = work.configuration.data_directory / "verification"
    with usable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    watch = Watch(
        report=work.progress, on_process_group=work.process_group, application_name=work.application_name
    )
    found = await verify(manifest, place, work.resources.scratch, work.resources.programs, folder, watch)
    await _record(work, manifest.id, "verified" if found.verified else "failed verification", found.to_json())
    for problem in found.problems:
        await work.progress.log(problem, level="error")
    for note in found.notes:
        await work.progress.log(note, level="warning")
    return found


async def reconcile(evidence: Evidence[VerifyParameters]) -> Reconciled:
    """What was found is written in one act, so a run that did not come to its end has found nothing."""
    return Reconciled(
        "not done",
        "The backup is as it was; nothing was found out about it.",
        next_step="Verify it again; until then nothing proves that it can be restored.",
    )


def available(environment: Environment) -> str | None:
    """Backups of every environment may be verified."""
    return None


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


async def _wanted(work: Work[VerifyParameters]) -> tuple[UUID, str]:
    query = select(BackupRow.id, BackupRow.sha256).where(
        BackupRow.environment_id == work.job.environment_id, BackupRow.state != "removed"
    )
    if work.job.parameters.backup is not None:
        query = query.where(BackupRow.id == work.job.parameters.backup)
    async with work.store.connect() as connection:
        row = (await connection.execute(query.order_by(BackupRow.created_at.desc()).limit(1))).one_or_none()
    if row is None:
        raise NotFound(f"{work.job.environment.label} has no such backup.")
    return row.id, row.sha256


async def _record(work: Work[Any], backup_id: UUID, state: str, verification: dict[str, object]) -> None:
    async with work.writing() as connection:
        await connection.execute(
            update(BackupRow)
            .where(BackupRow.id == backup_id, BackupRow.state != "removed")
            .values(
                state=state,
                verified_at=func.now() if state == "verified" else None,
                verification=storable(verification),
            )
        )
        await announce_change(connection, work.job.environment_id)


VERIFY = JobKind(
    name="verify",
    title="Verification",
    verb="Verify",
    parameters=VerifyParameters,
    permission="backup",
    mutating=False,
    destructive=False,
    steps=(StepTitle("restore", "Restore into a scratch database and compare"),),
    available=available,
    run=run,
    reconcile=reconcile,
    require_named=require_named,
)
