"""`/jobs/{id}/cut-over`: what migrates a project's databases besides this dashboard."""

from __future__ import annotations

from fastapi import APIRouter

from web.cutover.stored_scans import cut_over_of
from web.dashboard import OneJob, Store, on_job
from web.errors import NotFound

router = APIRouter()


@router.get("/jobs/{job}/cut-over", dependencies=[on_job("view")])
async def show_cut_over(store: Store, job: OneJob) -> dict[str, object]:
    """Every place with file, line, when it runs and what to do instead."""
    found = await cut_over_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} looked for no cut-over.", hint="`cleanstart cut-over PROJECT` does.")
    return found.to_json()
