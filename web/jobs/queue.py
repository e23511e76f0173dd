"""Procrastinate's part: the queue's names, deferring on the caller's connection, taking a job out again.

Which rows of the queue belong to which job is known by the task's only argument, the job's id.
"""

from __future__ import annotations

from typing import Any

from procrastinate import App, PsycopgConnector
from procrastinate.exceptions import AlreadyEnqueued
from procrastinate.manager import JobManager
from procrastinate.tasks import configure_task
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

__all__ = [
    "CHANGES",
    "OBSERVATIONS",
    "TASK",
    "AlreadyEnqueued",
    "connection_parameters",
    "defer",
    "make_app",
    "queue_of",
    "withdraw",
]

#: The one task there is; it gets a job's id.
TASK = "cleanstart.run_job"
#: Lane of kinds that change a target.
CHANGES = "changes"
#: Lane of kinds that only look; it has places of its own, so that long changes never starve it.
OBSERVATIONS = "looks"


def queue_of(lane: str, project: str) -> str:
    """The queue of a lane's jobs on one project: a worker takes those of the projects that it knows."""
    return f"{lane}/{project}"


def connection_parameters(store: AsyncEngine) -> dict[str, Any]:
    """The store's address as psycopg's own keyword arguments."""
    _, parameters = store.dialect.create_connect_args(store.url)
    return {**parameters, "connect_timeout": 5}


def make_app(store: AsyncEngine, *, connections: int) -> App:
    """An app with a pool of its own, for a worker."""
    return App(
        connector=PsycopgConnector(
            kwargs={**connection_parameters(store), "application_name": "cleanstart/queue"},
            min_size=1,
            max_size=connections,
            # Nobody waits longer for a store that is away: there are retries above, and a worker that must stop.
            timeout=5.0,
        )
    )


async def defer(
    connection: AsyncConnection, job_id: int, queue: str, *, queueing_lock: str | None = None
) -> None:
    """Put a job into its queue in the caller's transaction.

    Raises:
        AlreadyEnqueued: another one with this queueing lock waits; the transaction (or savepoint) is lost.
    """
    raw = (await connection.get_raw_connection()).driver_connection
    # The connector stays closed: the statement runs on the connection that is handed over.
    await configure_task(
        name=TASK,
        job_manager=JobManager(PsycopgConnector()),
        queue=queue,
        queueing_lock=queueing_lock,
        connection=raw,
    ).defer_async(job_id=job_id)


async def withdraw(connection: AsyncConnection, job_id: int) -> None:
    """Take a job that nobody has fetched out of its queue."""
    await connection.execute(
        text("DELETE FROM procrastinate_jobs WHERE status = 'todo' AND (args->>'job_id')::bigint = :id"),
        {"id": job_id},
    )
