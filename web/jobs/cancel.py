"""Asking for the end of a job. The worker that runs it does the ending (`web.jobs.execution`)."""

from __future__ import annotations

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from web.errors import Conflict, NotFound
from web.jobs.attempt import end_job
from web.jobs.events import announce_job_change, append_events, state_event
from web.jobs.job import FINISHED, JobState
from web.jobs.queue import withdraw
from web.store.tables import JobRow


async def cancel(connection: AsyncConnection, job_id: int, *, requested_by: str) -> JobState:
    """Ask for a job's end, in the caller's transaction, and return the state it is in now.

    A queued job ends at once. A running one is `cancelling` and ends in its true state within ten seconds.
    An interrupted one, whose target nobody can look at, is given up: it ends as unknown.

    Raises:
        Conflict: the job is finished.
    """
    job = (
        await connection.execute(
            select(JobRow.state, JobRow.last_seq).where(JobRow.id == job_id).with_for_update()
        )
    ).one_or_none()
    if job is None:
        raise NotFound(f"There is no job {job_id}.")
    if job.state in FINISHED:
        raise Conflict(f"Job {job_id} is finished ({job.state}); there is nothing to cancel.")
    # The first request counts; for an interrupted job the last one, which then means giving it up.
    first = JobRow.cancel_requested_at.is_(None) | (JobRow.state == "interrupted")
    await connection.execute(
        update(JobRow)
        .where(JobRow.id == job_id, first)
        .values(cancel_requested_at=func.now(), cancel_requested_by=requested_by)
    )
    if job.state == "queued":
        title = "Cancelled before it began"
        await withdraw(connection, job_id)
        await end_job(
            connection,
            job_id,
            "cancelled",
            {"title": title, "account": f"{requested_by} cancelled it; nothing was done."},
        )
        await append_events(connection, job_id, [state_event(job.last_seq + 1, "cancelled", title)])
        return "cancelled"
    state: JobState = "interrupted" if job.state == "interrupted" else "cancelling"
    await connection.execute(update(JobRow).where(JobRow.id == job_id).values(state=state))
    await connection.execute(text("SELECT pg_notify('cleanstart_cancel', :id)"), {"id": str(job_id)})
    await announce_job_change(connection, job_id)
    return state
