"""`/jobs/{id}/baseline`: what a job wrote in place of a history."""

from __future__ import annotations

from fastapi import APIRouter

from web.dashboard import OneJob, Store, on_job
from web.errors import NotFound
from web.remedies.stored_baselines import baseline_of

router = APIRouter()


@router.get("/jobs/{job}/baseline", dependencies=[on_job("view")])
async def show_baseline(store: Store, job: OneJob) -> dict[str, object]:
    """The file's text and place, what it replaces, and what running it showed."""
    found = await baseline_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} wrote no baseline.", hint="`cleanstart baseline PROJECT` makes one.")
    return found.to_json()
