"""`/jobs/{id}/baseline` and `…/change-set`: what a job wrote in place of a history, and what a repository changes."""

from __future__ import annotations

import base64

from fastapi import APIRouter

from web.dashboard import OneJob, Store, on_job
from web.errors import NotFound
from web.remedies.stored_baselines import StoredBaseline, baseline_of

router = APIRouter()


async def required(store: Store, job: OneJob) -> StoredBaseline:
    """The baseline that the job in the path wrote. Raises NotFound."""
    found = await baseline_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} wrote no baseline.", hint="`cleanstart baseline PROJECT` makes one.")
    return found


@router.get("/jobs/{job}/baseline", dependencies=[on_job("view")])
async def show_baseline(store: Store, job: OneJob) -> dict[str, object]:
    """The file's text and place, what it replaces, and what running it showed."""
    return (await required(store, job)).to_json()


@router.get("/jobs/{job}/change-set", dependencies=[on_job("view")])
async def show_change_set(store: Store, job: OneJob) -> dict[str, object]:
    """The change set as a patch and as a zip file, both in base64."""
    found = await required(store, job)
    return {
        "job": job.id,
        "revision": found.baseline.revision,
        "proven": found.baseline.proven,
        "files": [each.path for each in found.change_set.files],
        "patch": base64.b64encode(found.change_set.patch()).decode(),
        "zip": base64.b64encode(found.change_set.zip()).decode(),
    }
