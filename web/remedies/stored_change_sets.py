"""Change sets of every sort, as the jobs that made them left them: what may be written into a project's source."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from web.remedies.git_branch import Written
from web.remedies.stored_baselines import StoredBaseline, baseline_of
from web.remedies.stored_merges import StoredMerge, merge_of
from web.remedies.written_into import keep_written
from web.store.tables import BaselineRow, MergeRow

StoredChangeSet = StoredBaseline | StoredMerge


def noun_of(stored: StoredChangeSet) -> str:
    """What it is, as its files are called: `baseline`, `merge`."""
    return "merge" if isinstance(stored, StoredMerge) else "baseline"


async def change_set_of(connection: AsyncConnection, job_id: int) -> StoredChangeSet | None:
    """What a job would change in a repository; None: nothing."""
    return await baseline_of(connection, job_id) or await merge_of(connection, job_id)


async def store_written(
    connection: AsyncConnection, stored: StoredChangeSet, job_id: int | None, commit: Written | None
) -> None:
    """Remember which job wrote a change set into the source; without one, that it is not there any more."""
    table = MergeRow if isinstance(stored, StoredMerge) else BaselineRow
    await keep_written(connection, table, stored.job_id, job_id, commit)
