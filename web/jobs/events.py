"""A job's log as rows of the store: appended by whoever may write, announced to whoever listens."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any

from sqlalchemy import func, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from web.jobs.job import JobState, Json
from web.store.tables import JobEventRow, JobRow


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a job's log; `seq` counts from 1 without gaps."""

    seq: int
    at: datetime
    kind: str
    level: str = "info"
    text: str = ""
    data: Json | None = None


async def append_events(connection: AsyncConnection, job_id: int, events: Sequence[Event]) -> None:
    """Append to a job's log and notify. Events that are there already (a repeated write) stay as they are."""
    if not events:
        return
    await connection.execute(
        insert_or(JobEventRow)
        .values(
            [
                {
                    "job_id": job_id,
                    "seq": event.seq,
                    "at": event.at,
                    "kind": event.kind,
                    "level": event.level,
                    "text": storable(event.text),
                    "data": storable(event.data),
                }
                for event in events
            ]
        )
        .on_conflict_do_nothing(index_elements=["job_id", "seq"])
    )
    last = events[-1].seq
    await connection.execute(
        update(JobRow).where(JobRow.id == job_id).values(last_seq=func.greatest(JobRow.last_seq, last))
    )
    await connection.execute(
        text("SELECT pg_notify('cleanstart_job', json_build_object('job', :job, 'seq', :seq)::text)"),
        {"job": job_id, "seq": last},
    )


async def announce_change(connection: AsyncConnection, environment_id: int | None) -> None:
    """Tell the pages, at this transaction's commit, that something has changed: of an environment, or anywhere."""
    await connection.execute(
        text(
            "SELECT pg_notify('cleanstart_change', json_build_object('environment', CAST(:id AS bigint))::text)"
        ),
        {"id": environment_id},
    )


async def announce_job_change(connection: AsyncConnection, job_id: int) -> None:
    """`announce_change` for the environment of a job."""
    await connection.execute(
        text(
            "SELECT pg_notify('cleanstart_change', json_build_object('environment', environment_id)::text)"
            " FROM job WHERE id = :id"
        ),
        {"id": job_id},
    )


def state_event(seq: int, state: JobState, text: str = "", data: Json | None = None) -> Event:
    """The event that says that a job is now in this state."""
    level = "error" if state in {"failed", "unknown"} else "warning" if state == "interrupted" else "info"
    return Event(seq, datetime.now(UTC), "state", level, text, {"state": state, **(data or {})})


def storable(value: Any) -> Any:
    """The same value as JSON that PostgreSQL stores: no NUL characters, no lone surrogates, no NaN.

    What JSON does not know (a path, a UUID) becomes its text, times in ISO 8601.
    """
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {storable(str(key)): storable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [storable(item) for item in value]
    return value.isoformat() if isinstance(value, date | time) else storable(str(value))
