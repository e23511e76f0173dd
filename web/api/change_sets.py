"""`/jobs/{id}/merge`: the migration that a job wrote to join heads; `…/change-set`: what a repository has to change."""

from __future__ import annotations

import base64

from fastapi import APIRouter

from web.dashboard import OneJob, Store, on_job
from web.errors import NotFound
from web.remedies.stored_change_sets import change_set_of, noun_of
from web.remedies.stored_merges import merge_of

router = APIRouter()


@router.get("/jobs/{job}/merge", dependencies=[on_job("view")])
async def show_merge(store: Store, job: OneJob) -> dict[str, object]:
    """The file's text and place, and what running it showed in each order of the branches."""
    found = await merge_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} merged no heads.", hint="`cleanstart merge-heads PROJECT` does.")
    return found.to_json()


@router.get("/jobs/{job}/change-set", dependencies=[on_job("view")])
async def show_change_set(store: Store, job: OneJob) -> dict[str, object]:
    """The change set as a patch and as a zip file, both in base64."""
    found = await change_set_of(store, job.id)
    if found is None:
        raise NotFound(
            f"Job {job.id} wrote no change set.",
            hint="`cleanstart baseline PROJECT` and `cleanstart merge-heads PROJECT` do.",
        )
    return {
        "job": job.id,
        "of": noun_of(found),
        "revision": found.revision,
        "proven": found.proven,
        "files": [each.path for each in found.change_set.files],
        "patch": base64.b64encode(found.change_set.patch()).decode(),
        "zip": base64.b64encode(found.change_set.zip()).decode(),
    }
