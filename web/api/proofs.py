"""`/jobs/{id}/proof` and `/jobs/{id}/rehearsal`: what jobs showed of a baseline, and of applying it."""

from __future__ import annotations

from fastapi import APIRouter

from web.dashboard import OneJob, Store, on_job
from web.errors import NotFound
from web.remedies.stored_proofs import proof_of
from web.remedies.stored_rehearsals import rehearsal_of

router = APIRouter()


@router.get("/jobs/{job}/proof", dependencies=[on_job("view")])
async def show_proof(store: Store, job: OneJob) -> dict[str, object]:
    """The baseline as it was run, and everything that differs from it."""
    found = await proof_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} proved no baseline.", hint="`cleanstart prove-baseline PROJECT` does.")
    return found.to_json()


@router.get("/jobs/{job}/rehearsal", dependencies=[on_job("view")])
async def show_rehearsal(store: Store, job: OneJob) -> dict[str, object]:
    """What was done to the copy of each environment."""
    found = await rehearsal_of(store, job.id)
    if found is None:
        raise NotFound(
            f"Job {job.id} rehearsed no clean start.", hint="`cleanstart rehearse-clean-start PROJECT` does."
        )
    return found.to_json()
