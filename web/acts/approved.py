"""How many people consented to what a job is about to do, asked on the worker right before it acts."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from web.access.approval_requests import given_to_job
from web.answers.state_hash import state_hash
from web.jobs.work import Work
from web.tools.history import History


async def given_to_state(work: Work[Any], store: AsyncConnection, history: History) -> int:
    """Consents to a job that was approved for a database and a history as they were shown.

    That the database is still like that, `require_seen` says.
    """
    job = work.job
    now = state_hash(
        job.kind,
        work.identity.as_text if work.identity is not None else None,
        job.seen_revisions,
        job.seen_fingerprint,
        history,
    )
    return await given_to_job(store, job.id, now)
