"""`/jobs/{id}/migration`: the migration that an adoption wrote, with its proof."""

from __future__ import annotations

from fastapi import APIRouter

from web.dashboard import OneJob, Store, on_job
from web.errors import NotFound
from web.remedies.adoption import adoption_of

router = APIRouter()


@router.get("/jobs/{job}/migration", dependencies=[on_job("view")])
async def show_migration(store: Store, job: OneJob) -> dict[str, object]:
    """The file's text and place, what it makes official, and what running it showed."""
    found = await adoption_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} wrote no migration.", hint="Only an adoption of drift writes one.")
    adoption, made_at = found
    return {"job": job.id, "environment": job.label, "made_at": made_at.isoformat(), **adoption.to_json()}
