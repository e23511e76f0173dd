"""What a cut-over job found, as it is kept under the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from web.cutover.application_role import CheckedRole
from web.cutover.findings import Scan
from web.store.kept import Kept, keep, kept_by, newest_kept
from web.store.tables import CutOverScanRow


@dataclass(frozen=True, slots=True)
class CutOver:
    """How far a project is from an application that starts without migrating."""

    project: str
    scan: Scan
    #: The application's role on each environment that has one configured.
    roles: tuple[CheckedRole, ...] = ()
    job_id: int | None = field(default=None, compare=False)
    made_at: datetime | None = field(default=None, compare=False)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "job": self.job_id,
            "project": self.project,
            "made_at": self.made_at.isoformat() if self.made_at else None,
            **self.to_store(),
        }

    def to_store(self) -> dict[str, Any]:
        """What is kept of it."""
        return {**self.scan.to_json(), "roles": [each.to_json() for each in self.roles]}

    @staticmethod
    def from_store(project: str, content: Mapping[str, Any], job_id: int, made_at: datetime) -> CutOver:
        """Read it back."""
        roles = tuple(CheckedRole.from_json(each) for each in content["roles"])
        return CutOver(project, Scan.from_json(content), roles, job_id, made_at)


async def store_cut_over(connection: AsyncConnection, job_id: int, found: CutOver) -> None:
    """Keep what a job found."""
    await keep(connection, CutOverScanRow, job_id, found.project, found.to_store())


async def cut_over_of(connection: AsyncConnection, job_id: int) -> CutOver | None:
    """What a job found; None: it looked for nothing."""
    return _cut_over(await kept_by(connection, CutOverScanRow, job_id))


async def newest_cut_over(connection: AsyncConnection, project: str) -> CutOver | None:
    """The newest of a project; None: there is none."""
    return _cut_over(await newest_kept(connection, CutOverScanRow, project))


def _cut_over(row: Kept | None) -> CutOver | None:
    return CutOver.from_store(row.project, row.content, row.job_id, row.made_at) if row is not None else None
