"""`/jobs/{id}/survey`: what a job found out about a project before a clean start."""

from __future__ import annotations

from fastapi import APIRouter

from web.answers.stored_surveys import survey_of
from web.dashboard import OneJob, Store, on_job
from web.errors import NotFound

router = APIRouter()


@router.get("/jobs/{job}/survey", dependencies=[on_job("view")])
async def show_survey(store: Store, job: OneJob) -> dict[str, object]:
    """History, environments with their strategies, models, and what is recommended."""
    found = await survey_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} surveyed nothing.", hint="`cleanstart survey PROJECT` does.")
    return found.to_json()
