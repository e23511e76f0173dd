"""Where a change set is in a project's source, as it is kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import null, update
from sqlalchemy.ext.asyncio import AsyncConnection

from web.remedies.git_branch import Written
from web.store.tables import BaselineRow, MergeRow


@dataclass(frozen=True, slots=True)
class WrittenInto:
    """A change set that is in the project's source."""

    #: The job that wrote it.
    job_id: int
    #: None: the files alone.
    commit: Written | None


def read_written(content: Mapping[str, Any] | None) -> WrittenInto | None:
    """What was kept of it; None: it is not in the source."""
    if content is None:
        return None
    commit = content["commit"]
    return WrittenInto(content["job_id"], Written(**commit) if commit is not None else None)


async def keep_written(
    connection: AsyncConnection,
    table: type[BaselineRow | MergeRow],
    made_by: int,
    job_id: int | None,
    commit: Written | None,
) -> None:
    """Remember which job wrote what another one made into the source; without one, that it is not there any more."""
    written = WrittenInto(job_id, commit) if job_id is not None else None
    await connection.execute(
        update(table)
        .where(table.job_id == made_by)
        .values(written=asdict(written) if written is not None else null())
    )
