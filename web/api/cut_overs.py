"""`/jobs/{id}/cut-over`: what migrates besides this dashboard; `…/cut-over-tasks/{form}`: what replaces it."""

from __future__ import annotations

from fastapi import APIRouter

from web.cutover.stored_scans import cut_over_of
from web.cutover.tasks import form_of, make_task
from web.dashboard import Board, InProject, OneJob, Store, in_project, on_job
from web.errors import NotFound

router = APIRouter()


@router.get("/jobs/{job}/cut-over", dependencies=[on_job("view")])
async def show_cut_over(store: Store, job: OneJob) -> dict[str, object]:
    """Every place with file, line, when it runs and what to do instead."""
    found = await cut_over_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} looked for no cut-over.", hint="`cleanstart cut-over PROJECT` does.")
    return found.to_json()


@router.get("/projects/{project}/cut-over-tasks/{form}", dependencies=[in_project("view")])
async def show_task(board: Board, project: InProject, form: str) -> dict[str, object]:
    """The files of the task that migrates once for each deployment, in one form."""
    made = make_task(board.configuration, project, form_of(form))
    return {
        "project": project.name,
        "form": form,
        "files": [{"name": each.name, "text": each.text} for each in made],
    }
