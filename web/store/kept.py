"""What jobs leave for a project in a table of their own: one row for each job, with its content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Protocol

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.store.tables import Base


class Kept(Protocol):
    """A row of such a table."""

    job_id: int
    project: str
    content: Mapping[str, Any]
    made_at: datetime


async def keep(
    connection: AsyncConnection, table: type[Base], job_id: int, project: str, content: Mapping[str, Any]
) -> None:
    """Keep what a job found, under the job."""
    await connection.execute(insert(table).values(job_id=job_id, project=project, content=dict(content)))


async def kept_by(connection: AsyncConnection, table: type[Base], job_id: int) -> Kept | None:
    """What a job left; None: nothing."""
    of = table.__table__
    row: Any = (await connection.execute(select(of).where(of.c.job_id == job_id))).one_or_none()
    return row  # type: ignore[no-any-return]


async def newest_kept(connection: AsyncConnection, table: type[Base], project: str) -> Kept | None:
    """What the newest job of a project left; None: there was none."""
    of = table.__table__
    query = select(of).where(of.c.project == project).order_by(of.c.job_id.desc()).limit(1)
    row: Any = (await connection.execute(query)).one_or_none()
    return row  # type: ignore[no-any-return]
