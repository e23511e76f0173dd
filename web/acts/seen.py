"""Whether a target is still what the person saw who started the job."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from web.comparison.expected import excluded_tables
from web.errors import TargetChanged
from web.jobs.work import Work
from web.postgres.connections import Connection
from web.schema.fingerprint import fingerprint
from web.schema.snapshot import read_schema


async def require_seen(work: Work[Any], connection: Connection, applied: Collection[str]) -> None:
    """Refuse a target that is not in the state that the person saw. Raises TargetChanged."""
    job = work.job
    if job.seen_revisions is not None and set(job.seen_revisions) != set(applied):
        raise TargetChanged(
            f"You saw {', '.join(job.seen_revisions) or 'no revision'}; the database is at "
            f"{', '.join(applied) or 'no revision'}."
        )
    if job.seen_fingerprint is not None:
        schema = await read_schema(connection, exclude_tables=excluded_tables(job.project))
        if fingerprint(schema) != job.seen_fingerprint:
            raise TargetChanged("The schema is not the one that you saw.")
