"""`/jobs/{id}/migration`: the migration that an adoption wrote, with its proof; and the file alone."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePosixPath

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.answers.environment import view
from web.dashboard import Board, Id, OneJob, Store, on_job
from web.errors import NotFound
from web.jobs.reading import JobRecord
from web.pages.differences import Sides, groups, portion
from web.pages.environment.head import actions_at
from web.pages.jobs import project_link
from web.pages.shell import Framed
from web.pages.views.adoption import AdoptionPage
from web.pages.views.marks import EnvironmentRef, Link, Mark
from web.remedies.adoption import Adoption, adoption_of

router = APIRouter()


@router.get("/jobs/{job}/migration", dependencies=[on_job("view")])
async def show(board: Board, store: Store, frame: Framed, job: OneJob, page: Id = 1) -> HTMLResponse:
    """The file, what it makes official, and what running it showed."""
    adoption, made_at = await _adoption(store, job)
    environment = EnvironmentRef(*job.place, board.configuration.environment(*job.place).tier)
    seen = await view(store, board.configuration, *job.place, histories=board.histories)
    history = seen.source.history if seen.source else None
    there = history is not None and adoption.revision in history
    stamps = actions_at(board.kinds, "written migration", frame.who, seen, revision=adoption.revision)
    differences, pages = portion(adoption.adopted, page, addresses.adoption(job.id))
    shown = AdoptionPage(
        job=job.id,
        environment=environment,
        revision=adoption.revision,
        down=adoption.down or "nothing",
        file=adoption.path,
        text=adoption.text,
        mark=Mark("ok", "Proven in a scratch database") if adoption.proven else Mark("failed", "Not proven"),
        account=_account(adoption, environment.label),
        made_at=made_at,
        count=len(adoption.adopted),
        groups=groups(
            differences,
            Sides(
                "the migrations",
                environment.label,
                ("In the migrations so far", f"In {environment.label}, and official with this"),
            ),
        ),
        pages=pages,
        left=(
            *(f"{each.kind} {each.object}: {reason}" for each, reason in adoption.left),
            *(f"{each.kind} {each.object}: An ignore rule covers it." for each in adoption.ignored),
        ),
        no_downgrade=adoption.no_downgrade,
        loses=adoption.loses,
        actions=stamps if there and adoption.revision not in seen.verdict.revisions else (),
    )
    return frame.show(
        "adoptions/show.html",
        shown,
        here=f"Migration {adoption.revision}",
        section="jobs",
        crumbs=(
            Link("Overview", addresses.overview()),
            project_link(board, job),
            Link(environment.name, environment.path),
            Link(f"Job {job.id}", addresses.job(job.id)),
        ),
        project=job.project,
        environment=environment,
        tier=environment.tier,
    )


@router.get("/jobs/{job}/migration/file", dependencies=[on_job("view")])
async def file(store: Store, job: OneJob) -> Response:
    """The file alone, under its own name."""
    adoption, _ = await _adoption(store, job)
    name = PurePosixPath(adoption.path).name.encode("ascii", "replace").decode().replace('"', "_")
    return Response(
        adoption.text,
        media_type="text/x-python; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


async def _adoption(store: AsyncConnection, job: JobRecord) -> tuple[Adoption, datetime]:
    found = await adoption_of(store, job.id)
    if found is None:
        raise NotFound(f"Job {job.id} wrote no migration.", hint="Only an adoption of drift writes one.")
    return found


def _account(adoption: Adoption, label: str) -> str:
    if adoption.proven:
        but = ", but for what is named below" if adoption.left or adoption.ignored else ""
        return (
            f"Run after {adoption.down or 'nothing'} in scratch, it gave exactly the schema of {label}{but}."
        )
    if adoption.refusal is not None:
        return f"It could not be run: {adoption.refusal}"
    first = adoption.remaining[0]
    count = words.plural(len(adoption.remaining), "difference")
    return f"Run in a scratch database, it leaves {count}: {first.kind} {first.object}."
