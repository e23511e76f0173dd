"""`/projects/{p}`: one project, its environments, builds, jobs and source."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from web import addresses
from web.clean_start.since import read_since
from web.dashboard import Board, InProject, Store, in_project
from web.jobs.reading import list_jobs
from web.pages.builds import build_rows, register_command
from web.pages.overview import cell_view
from web.pages.presenting import environments, job_row, project_actions, several_heads, stored_error
from web.pages.shell import FreshlyFramed, now
from web.pages.since import since_panel
from web.pages.views.marks import Fact, Link, Mark
from web.pages.views.project import ProjectPage

router = APIRouter()


@router.get("/projects/{project}", dependencies=[in_project("view")])
async def show(board: Board, store: Store, frame: FreshlyFramed, project: InProject) -> HTMLResponse:
    """One project."""
    row = next(each for each in frame.overview.rows if each.project.name == project.name)
    history = row.source.history if row.source else None
    jobs = await list_jobs(store, project=project.name, observes=False, limit=8)
    tool = project.tool
    records = {(project.name, name): cell.record for name, cell in row.cells.items()}
    facts = [
        Fact("Folder", str(project.source), mono=True),
        Fact("Migration tool", tool.title),
        *(Fact("Configuration", str(file), mono=True) for file in tool.files(Path(str(project.source)))),
        Fact(tool.program_is.capitalize(), str(tool.program), mono=True),
    ]
    if history is not None:
        history = history.followed(project.follow)
        facts.append(Fact("Migrations", str(len(history))))
        facts.append(
            Fact("Head", history.heads[0], mono=True)
            if len(history.heads) == 1
            else Fact("Heads", ", ".join(history.heads), mono=True)
            if history.heads and not history.is_ambiguous
            else Fact("Heads", mark=Mark("blocked", ", ".join(history.heads) or "none"))
        )
        if project.follow:
            facts.append(Fact("Followed", ", ".join(project.follow), mono=True))
    if tool.prelude:
        facts.append(
            Fact("Prelude", str(tool.prelude.sql or " ".join(tool.prelude.command or ())), mono=True)
        )
    if row.source:
        facts.append(Fact("Read", moment=row.source.read_at))
    refusals = [stored_error(row.source.error, 422)] if row.source and row.source.error else []
    if history is not None and history.is_ambiguous:
        refusals.append(
            several_heads(
                board.kinds, frame.who, project.name, history.heads, separate=not history.share_a_base
            )
        )
    moment = now()
    view = ProjectPage(
        name=project.name,
        title=project.title,
        facts=tuple(facts),
        cells=tuple(cell_view(cell, row, board, moment) for cell in row.cells.values()),
        builds=await build_rows(store, board, project, limit=6, records=records),
        jobs=tuple(job_row(each, board.kinds, environments(board.configuration)) for each in jobs),
        command=register_command(project.name),
        actions=project_actions(board.kinds, "project", frame.who, project.name),
        refusals=tuple(refusals),
        problems=history.problems if history else (),
        since=since_panel(
            await read_since(
                store, project, row.source, {name: cell.record for name, cell in row.cells.items()}
            ),
            board.kinds,
            project,
            moment,
        ),
    )
    return frame.show(
        "projects/show.html",
        view,
        here=project.title,
        section="project",
        crumbs=(Link("Overview", addresses.overview()),),
        project=project.name,
        stream=addresses.overview_stream(project.name, frame.mark),
    )
