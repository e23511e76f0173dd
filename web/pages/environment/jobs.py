"""The Jobs tab: what ran here, newest first, looks included."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.config import Environment
from web.dashboard import Dashboard
from web.jobs.reading import list_jobs
from web.pages.presenting import environments, job_row
from web.pages.views.environment.jobs import JobsTab
from web.pages.views.marks import Pages

#: Jobs on one page.
JOBS = 50


async def jobs(
    store: AsyncConnection, board: Dashboard, environment: Environment, before: int | None
) -> JobsTab:
    """The jobs with a smaller number than `before`, the newest without it."""
    found = await list_jobs(
        store, project=environment.project, environment=environment.name, before=before, limit=JOBS + 1
    )
    path = addresses.environment(environment.project, environment.name, "jobs")
    known = environments(board.configuration)
    rows = tuple(job_row(each, board.kinds, known) for each in found[:JOBS])
    return JobsTab(
        rows,
        Pages(
            words.plural(len(rows), "job"),
            newer=path if before else None,
            older=f"{path}?before={found[JOBS - 1].id}" if len(found) > JOBS else None,
        ),
    )
