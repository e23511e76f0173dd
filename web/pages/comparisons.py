"""`/projects/{p}/comparison`: any two sources of a project's schema side by side. A job compares, pages show."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access.permissions import may
from web.access.requests import csrf_token
from web.answers.environment import view
from web.comparison.stored_comparisons import Compared, read_comparison, require_kept, sources_of
from web.config import Environment, Project
from web.dashboard import Board, Id, InProject, Store, Text, Who, in_project
from web.errors import Invalid
from web.pages.differences import Sides, groups, portion
from web.pages.environment.routes import mark_of
from web.pages.presenting import running_job, stored_error
from web.pages.shell import Framed, go_to
from web.pages.views.comparison import ComparisonPage
from web.pages.views.marks import Link, Mark, Option
from web.starting.start import Wish, start_job
from web.store.tables import BackupRow, EnvironmentRow

router = APIRouter(prefix="/projects/{project}/comparison")

#: So many backups are offered; others are named by their id.
BACKUPS = 20


@router.get("", dependencies=[in_project("view")])
async def show(
    board: Board,
    store: Store,
    frame: Framed,
    project: InProject,
    a: Text = "",
    b: Text = "",
    page: Id = 1,
) -> HTMLResponse:
    """The last comparison of the two, or the choice of them."""
    found = None
    where = _environment(project, b, a)
    if a and b:
        sources = sources_of(project, a, b)
        await require_kept(store, project, *sources)
        found = await read_comparison(store, project.name, *(each.text for each in sources))
    seen = (
        await view(store, board.configuration, project.name, where.name, histories=board.histories)
        if where
        else None
    )
    kind, _ = next(board.kinds.at("comparison"))
    job = seen.record.job if seen and seen.record else None
    closed = None
    if where is None:
        closed = "The project has no environment whose server could be asked."
    elif not may(frame.who, kind.permission, project.name):
        closed = "Your role does not allow it."
    state, mark = _standing(found, a, b)
    differences, pages = portion(
        found.differences if found else (), page, addresses.comparison(project.name, a, b)
    )
    shown = ComparisonPage(
        project=project.name,
        project_title=project.title,
        a=a,
        b=b,
        sources=await _sources(store, project),
        state=state,  # type: ignore[arg-type]
        mark=mark,
        groups=groups(differences, Sides(a, b, (a, b))),
        pages=pages,
        unknown=found.unknown if found else (),
        compared_at=found.compared_at if found else None,
        error=stored_error(found.error, 503) if found and found.error else None,
        job=running_job(job, board.kinds) if job is not None and job.kind == kind.name else None,
        closed=closed,
    )
    return frame.show(
        "comparisons/show.html",
        shown,
        here="Comparison",
        section="project",
        crumbs=(
            Link("Overview", addresses.overview()),
            Link(project.title, addresses.project(project.name)),
        ),
        project=project.name,
        stream=addresses.environment_stream(project.name, where.name, mark_of(seen))
        if where and seen
        else None,
    )


def _standing(found: Compared | None, a: str, b: str) -> tuple[str, Mark]:
    if not a or not b:
        return "not chosen", Mark("unknown", "Nothing chosen yet")
    if found is None:
        return "not compared", Mark("unknown", "Not compared yet")
    if found.error is not None:
        return "could not compare", Mark("unknown", "Could not compare")
    count = len(found.differences)
    if count:
        return "different", Mark("drift", words.plural(count, "difference"))
    if found.unknown:
        return "could not compare", Mark("unknown", "Not known")
    return "same", Mark("ok", "No difference")


@router.post("", dependencies=[in_project("observe")])
async def start(
    request: Request,
    board: Board,
    store: Store,
    who: Who,
    project: InProject,
    token: Annotated[str, Depends(csrf_token)],
) -> Response:
    """Start the comparison of the two that the form names, and show them."""
    form = await request.form()
    a, b = (str(form.get(name, "")).strip()[:300].replace("\0", "") for name in ("a", "b"))
    sources = sources_of(project, a, b)
    await require_kept(store, project, *sources)
    await store.close()
    where = _environment(project, b, a)
    if where is None:
        raise Invalid("The project has no environment whose server could be asked.")
    kind, _ = next(board.kinds.at("comparison"))
    wish = Wish(kind.name, {"a": a, "b": b})
    await start_job(board.store, board.configuration, board.kinds, where, who, wish, key=board.key)
    return go_to(request, addresses.comparison(project.name, a, b))


def _environment(project: Project, *texts: str) -> Environment | None:
    """The environment that the job belongs to: the first that one of the sources names, else any."""
    for text in texts:
        name = text.strip().partition("/")[2]
        if name in project.environments:
            return project.environments[name]
    return next(iter(project.environments.values()), None)


async def _sources(store: AsyncConnection, project: Project) -> tuple[Option, ...]:
    found = [
        *(Option(each.label, "The database as it is") for each in project.environments.values()),
        Option(f"{project.name}@head", "What the newest migrations give"),
    ]
    if project.tool.models:
        found.append(Option(f"{project.name}:models", "What the project's models give"))
    query = (
        select(BackupRow.id, EnvironmentRow.name, BackupRow.created_at)
        .join(EnvironmentRow, EnvironmentRow.id == BackupRow.environment_id)
        .where(EnvironmentRow.project == project.name, BackupRow.state != "removed")
        .order_by(BackupRow.created_at.desc(), func.length(EnvironmentRow.name))
        .limit(BACKUPS)
    )
    for number, name, taken in await store.execute(query):
        found.append(Option(f"backup:{number}", f"Backup of {name}, {words.exact(taken)}"))
    return tuple(found)
