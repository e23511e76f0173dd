"""`/jobs/{id}/change-set/{form}`: the patch or zip file of what a job would change in a repository.

Beside it what the pages of change sets have in common: where one is written, and what may be done with it.
"""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from web.dashboard import Dashboard, OneJob, Store, on_job
from web.errors import NotFound
from web.pages.presenting import project_actions
from web.pages.shell import Frame
from web.pages.views.marks import Action
from web.remedies.stored_change_sets import StoredChangeSet, change_set_of, noun_of
from web.starting.operation import ButtonPlace

router = APIRouter()

TYPES = {"patch": "text/x-diff", "zip": "application/zip"}
#: Where the buttons stand, before it is written and after.
PLACES: dict[str, tuple[ButtonPlace, ButtonPlace]] = {
    "baseline": ("proven baseline", "written baseline"),
    "merge": ("proven merge", "written merge"),
}


@router.get("/jobs/{job}/change-set/{form}", dependencies=[on_job("view")])
async def download(store: Store, job: OneJob, form: str) -> Response:
    """The change set, to be applied to the repository."""
    if form not in TYPES:
        raise NotFound(f"A change set is a patch or a zip file, not “{form[:50]}”.")
    found = await change_set_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} wrote no change set.", hint="Baselines and merges of heads have one.")
    return Response(
        found.change_set.patch() if form == "patch" else found.change_set.zip(),
        media_type=TYPES[form],
        headers={"Content-Disposition": f'attachment; filename="{noun_of(found)}.{form}"'},
    )


def where_written(found: StoredChangeSet) -> str | None:
    """Where it is in the project's source, in a sentence; None: it is not there."""
    if found.written is None:
        return None
    commit = found.written.commit
    if commit is None:
        return "It is written into the project's source."
    return f"It is in the project's source: commit {commit.commit[:12]} on the branch {commit.branch}."


def source_actions(board: Dashboard, frame: Frame, found: StoredChangeSet) -> tuple[Action, ...]:
    """Write it into the source, or take it back; where that is declared writable."""
    project = board.configuration.projects.get(found.project)
    if project is None or not project.clean_start.write or not found.proven:
        return ()
    written, noun = found.written is not None, noun_of(found)
    return project_actions(
        board.kinds,
        PLACES[noun][written],
        frame.who,
        found.project,
        primary=not written,
        **{noun: found.job_id},
    )
