"""Opening the backup that an act leans on, right before the act: a row in the store has never kept anybody's data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update

from web.backups.manifest import Manifest
from web.backups.parts import open_backup
from web.backups.places import open_place
from web.errors import (
    BackupInvalid,
    BackupOfAnotherVersion,
    IdentityMismatch,
    OperationNotAllowed,
    PlaceUnavailable,
)
from web.jobs.events import announce_change, storable
from web.jobs.work import Work
from web.observation.records import record_of
from web.store.tables import BackupRow


async def open_verified(work: Work[Any]) -> Manifest:
    """Open the newest verified backup of the environment, which the gate counts on: every byte of it is read.

    To be called in the job right before its first act, after everything else was checked: what is replaced between
    this and the act is not seen. A backup that is not sound any more is written down as not verified, with the reason
    and the time, and nothing is to be begun.

    Raises BackupInvalid; OperationNotAllowed where there is no verified one; PlaceUnavailable and
    BackupOfAnotherVersion, which leave what the store says as it is.
    """
    async with work.store.connect() as store:
        record = await record_of(store, work.job.environment)
        backup_id = record.backup.verified_id if record and record.backup else None
        row = (
            await store.execute(
                select(BackupRow.created_at, BackupRow.manifest).where(BackupRow.id == backup_id)
            )
        ).one_or_none()
    if backup_id is None or row is None:
        raise OperationNotAllowed(
            "Nothing was begun. There is no verified backup.", hint="Back up, then verify the backup."
        )
    place = open_place(work.configuration.backups.location)
    name = f"Backup {backup_id}, taken at {row.created_at:%Y-%m-%d %H:%M:%S %Z},"
    await work.progress.log(f"{name} is opened in {place.shown}: this leans on it")
    try:
        manifest = await open_backup(place, row.manifest, work.progress)
        _require_own(work, manifest, backup_id)
    except (BackupOfAnotherVersion, PlaceUnavailable) as error:
        raise type(error)(f"Nothing was begun. {error}", hint=error.hint) from error
    except BackupInvalid as error:
        await write_verification(work, backup_id, [str(error)])
        raise BackupInvalid(
            f"Nothing was begun. {name} does not count as verified any more: {error}",
            hint="Back up again and verify that, or put the backup's files right and verify it; then start again.",
        ) from error
    await work.progress.log(
        f"It is as it was stored: the manifest, {manifest.size:,} bytes in two more parts"
    )
    return manifest


def _require_own(work: Work[Any], manifest: Manifest, backup_id: UUID) -> None:
    environment = work.job.environment
    if (manifest.id, manifest.project, manifest.environment) != (
        backup_id,
        environment.project,
        environment.name,
    ):
        raise BackupInvalid(
            f"The store's manifest is of another backup, {manifest.id} of {manifest.project}/{manifest.environment}."
        )
    if work.identity is not None and manifest.target != work.identity:
        # The gate asks for it, too; a backup of the database before is sound, but no way back.
        raise IdentityMismatch(
            f"Nothing was begun. Backup {backup_id} is of another database ({manifest.identity}) than this one "
            f"({work.identity.as_text}).",
            manifest.identity,
        )


async def write_verification(
    work: Work[Any], backup_id: UUID, problems: Sequence[str], about: Mapping[str, object] | None = None
) -> None:
    """Write down what was found about a backup's soundness, and when: verified, or not for these problems."""
    verified = not problems
    content = {"finished_at": datetime.now(UTC).isoformat(), **(about or {})}
    content |= {"verified": verified, "problems": list(problems), "job": work.job.id}
    async with work.writing() as connection:
        await connection.execute(
            update(BackupRow)
            .where(BackupRow.id == backup_id, BackupRow.state != "removed")
            .values(
                state="verified" if verified else "failed verification",
                verified_at=func.now() if verified else None,
                verification=storable(content),
            )
        )
        await announce_change(connection, work.job.environment_id)
