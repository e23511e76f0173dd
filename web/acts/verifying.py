"""Verifying one backup, and writing down what was found about it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from web.acts.opening import write_verification
from web.backups.catalog import require_same_manifest
from web.backups.places import Place
from web.backups.reporting import Watch
from web.backups.verify import Verification, verify
from web.errors import BackupInvalid, BackupOfAnotherVersion
from web.jobs.work import Work
from web.postgres.server_files import usable


async def verify_backup(
    work: Work[Any], place: Place, backup_id: UUID, stored: Mapping[str, Any]
) -> Verification:
    """Hold the manifest against the store's copy, restore, compare, write down what was found.

    Raises BackupInvalid for what cannot even be restored, which is written down, too, and what keeps from looking.
    """
    folder = work.configuration.data_directory / "verification"
    with usable(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    watch = Watch(
        report=work.progress, on_process_group=work.process_group, application_name=work.application_name
    )
    try:
        manifest = await require_same_manifest(place, stored)
        found = await verify(manifest, place, work.resources.scratch, work.resources.programs, folder, watch)
    except BackupOfAnotherVersion:
        raise
    except BackupInvalid as error:
        await write_verification(work, backup_id, [str(error)])
        raise
    await write_verification(work, backup_id, found.problems, found.to_json())
    for problem in found.problems:
        await work.progress.log(problem, level="error")
    for note in found.notes:
        await work.progress.log(note, level="warning")
    return found
