"""`/projects/{p}/clean-start`: the guided clean start of a project, live; its choices; its report."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any, Literal

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access.permissions import Principal, may
from web.answers.stored_surveys import newest_survey
from web.answers.strategy import Recommended, Way
from web.clean_start.acting import OfStep, accept_in_run, end_run
from web.clean_start.evidence import Evidence, read_evidence
from web.clean_start.report import undo_of
from web.clean_start.runs import STEP_NAMES, Run, begin, choose, list_runs, newest_run, read_run
from web.clean_start.step import Step
from web.clean_start.steps import steps_of
from web.config import Project
from web.dashboard import Board, Dashboard, Id, InProject, Store, Text, Who, in_project
from web.errors import Invalid, NotFound
from web.jobs.patience import patiently
from web.pages.clean_start_steps import shown_environment, shown_step
from web.pages.parts import Part, rail_parts, render
from web.pages.presenting import project_actions
from web.pages.shell import Frame, Framed, go_to, is_swap, seen_by
from web.pages.streams import Message, stream_response
from web.pages.views.clean_start import (
    CleanStartPage,
    NoCleanStartPage,
)
from web.pages.views.marks import Link, Mark
from web.starting.start import Wish, start_job

router = APIRouter(prefix="/projects/{project}/clean-start")

#: What `anext` gives at the end of changes.
_ENDED: Any = object()


@router.get("", dependencies=[in_project("view")])
async def show(
    board: Board, store: Store, frame: Framed, project: InProject, run: Id | None = None
) -> HTMLResponse:
    """The run that goes on, or one that has ended; where there is none, how one begins."""
    found = await (newest_run(store, project.name) if run is None else read_run(store, project.name, run))
    if found is None:
        return await _invite(board, store, frame, project)
    evidence = await read_evidence(store, board.configuration, found, histories=board.histories)
    steps = steps_of(evidence)
    view = await _page(board, store, frame.who, project, evidence, steps)
    return frame.show(
        "clean_start/show.html",
        view,
        here="Clean start",
        section="project",
        crumbs=(Link("Overview", addresses.overview()), Link(project.title, addresses.project(project.name))),
        project=project.name,
        stream=addresses.clean_start_stream(project.name, mark_of(evidence, steps))
        if found.is_open
        else None,
    )


@router.get("/new", dependencies=[in_project("view")])
async def new(request: Request, board: Board, store: Store, frame: Framed, project: InProject) -> Response:
    """How another run begins; where one goes on, that one."""
    found = await newest_run(store, project.name)
    if found is not None and found.is_open:
        return go_to(request, addresses.clean_start(project.name))
    return await _invite(board, store, frame, project)


@router.get("/stream", dependencies=[in_project("view")])
async def stream(board: Board, who: Who, project: InProject, seen: str = "") -> Response:
    """A word whenever the run is not as the page has it."""
    return stream_response(board, who, "view", project.name, _changes(board, who, project, seen))


async def _changes(board: Dashboard, who: Principal, project: Project, mark: str) -> AsyncGenerator[Message]:
    feed = board.feed.changes()
    # It hears from now on, so that nothing falls between the page and its stream.
    upcoming = asyncio.ensure_future(anext(feed, _ENDED))
    before: dict[str, Part] = {}
    try:
        while True:
            read = await patiently(board.overviews.fresh_for_streams)
            parts = {part.id: part for part in rail_parts(seen_by(who, read.overview), project.name)}
            if changed := [part for key, part in parts.items() if before.get(key) != part]:
                yield Message("".join(map(render, changed)))
            before = parts
            now = await patiently(partial(_mark, board, project))
            if now != mark:
                mark = now
                yield Message("", event="page-changed")
            if await upcoming is _ENDED:
                return
            upcoming = asyncio.ensure_future(anext(feed, _ENDED))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await feed.aclose()


async def _mark(board: Dashboard, project: Project) -> str:
    async with board.store.connect() as store:
        run = await newest_run(store, project.name)
        if run is None:
            return ""
        evidence = await read_evidence(store, board.configuration, run, histories=board.histories)
    return mark_of(evidence, steps_of(evidence))


def mark_of(evidence: Evidence, steps: tuple[Step, ...]) -> str:
    """Names what a page shows of a run."""
    shown = repr((evidence.run.strategies, evidence.run.ended, steps))
    return hashlib.blake2s(shown.encode(), digest_size=8).hexdigest()


@router.post("", dependencies=[in_project("baseline")])
async def start(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """Begin a run, with a strategy for each environment."""
    form = await request.form()
    way: Way = "keep" if _field(form, "way") == "keep" else "clean start"
    wanted = {
        name.removeprefix("strategy-"): str(value)
        for name, value in form.items()
        # What is chosen on the page is for the other way.
        if name.startswith("strategy-") and way == "clean start"
    }
    async with board.store.begin() as connection:
        await begin(connection, project, who, wanted, way=way)
    return go_to(request, addresses.clean_start(project.name))


@router.post("/strategies", dependencies=[in_project("baseline")])
async def choose_strategy(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """Do something else with an environment."""
    form = await request.form()
    async with board.store.begin() as connection:
        await choose(connection, project, who, _field(form, "environment"), _field(form, "strategy"))
    return go_to(request, addresses.clean_start(project.name))


@router.post("/acceptances", dependencies=[in_project("baseline")])
async def accept(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """Answer for something that is not as it should be."""
    form = await request.form()
    async with board.store.begin() as connection:
        await accept_in_run(
            connection,
            board.configuration,
            project,
            who,
            _field(form, "about"),
            _field(form, "reason"),
            histories=board.histories,
        )
    board.overviews.forget()
    # The page asks for itself again and stays where it is, and a refusal from before is gone.
    return HTMLResponse("") if is_swap(request) else go_to(request, addresses.clean_start(project.name))


@router.post("/steps/{step}", dependencies=[in_project("backup")])
async def start_step(
    request: Request,
    board: Board,
    who: Who,
    project: InProject,
    step: str,
    kind: Text = "",
    environment: Text = "",
) -> Response:
    """Start what a step wants and nothing has to be asked about, on one environment or on all."""
    if step not in STEP_NAMES:
        raise NotFound(f"“{step[:50]}” is no step of a clean start.")
    async with board.store.connect() as store:
        run = await newest_run(store, project.name)
        if run is None or not run.is_open:
            raise NotFound(f"No clean start of {project.name} is open.")
        evidence = await read_evidence(store, board.configuration, run, histories=board.histories)
        (wanted,) = [each for each in steps_of(evidence) if each.name == step]
    acts = [
        each
        for each in wanted.acts
        if not each.asks
        and (not kind or each.kind == kind)
        and (not environment or each.environment == environment)
    ]
    if not acts:
        raise Invalid(
            f"“{wanted.title}” has nothing to start now. {wanted.closed}".strip(),
            hint="Somebody may have been quicker: look at the page again.",
        )
    for act in acts:
        where = project.environments[act.environment] if act.environment else project
        await start_job(
            board.store,
            board.configuration,
            board.kinds,
            where,
            who,
            Wish(act.kind, parameters=dict(act.parameters)),
            key=board.key,
            within=OfStep(board.configuration, who, step, board.histories),
        )
    board.overviews.forget()
    return go_to(request, addresses.clean_start(project.name))


@router.post("/end", dependencies=[in_project("baseline")])
async def finish(request: Request, board: Board, who: Who, project: InProject) -> Response:
    """End the run: as done, or stopped where it is."""
    form = await request.form()
    how: Literal["done", "stopped"] = "done" if _field(form, "how") == "done" else "stopped"
    async with board.store.begin() as connection:
        told = await end_run(
            connection,
            board.configuration,
            project,
            who,
            how,
            why=_field(form, "why"),
            histories=board.histories,
        )
    board.overviews.forget()
    return go_to(request, addresses.clean_start_report(project.name, told["run"]))


def _field(form: Any, name: str) -> str:
    value = form.get(name)
    if not isinstance(value, str):
        return ""
    if "\0" in value:
        raise Invalid("A field holds a character that cannot be stored.")
    return value


async def _invite(board: Dashboard, store: AsyncConnection, frame: Frame, project: Project) -> HTMLResponse:
    survey = await newest_survey(store, project.name)
    way, reasons = survey.way if survey is not None else ("", ())
    recommended = {seen.environment: by for seen, by in survey.strategies} if survey is not None else {}
    changes = may(frame.who, "baseline", project.name)
    view = NoCleanStartPage(
        project.name,
        project.title,
        None
        if survey is None
        else Mark("ahead", "A clean start is recommended")
        if way == "clean start"
        else Mark("ok", "The history can be kept"),
        reasons,
        Link("Survey", addresses.survey(survey.job_id)) if survey and survey.job_id else None,
        tuple(
            shown_environment(project, each, by.strategy, by.reasons, "", choosing=changes)
            for each in project.environments
            if (by := recommended.get(each, Recommended("leave-out", ()))) is not None
        )
        if survey is not None
        else (),
        project_actions(board.kinds, "clean start", frame.who, project.name, primary=survey is None),
        changes,
    )
    return frame.show(
        "clean_start/none.html",
        view,
        here="Clean start",
        section="project",
        crumbs=(Link("Overview", addresses.overview()), Link(project.title, addresses.project(project.name))),
        project=project.name,
    )


async def _page(
    board: Dashboard,
    store: AsyncConnection,
    who: Principal,
    project: Project,
    evidence: Evidence,
    steps: tuple[Step, ...],
) -> CleanStartPage:
    run, survey = evidence.run, evidence.survey
    permitted = may(who, "baseline", project.name)
    changes = run.is_open and permitted
    reasons = {seen.environment: by.reasons for seen, by in survey.strategies} if survey else {}
    current = next((each for each in steps if each.state in ("current", "running")), None)
    proven = sum(each.state == "proven" for each in steps if each.name != "report")
    replaced = survey.history.migrations if survey is not None else None
    others = [each for each in await list_runs(store, project.name) if each[0] != run.id]
    return CleanStartPage(
        project=project.name,
        title=project.title,
        heading=f"{'Repair' if run.way == 'keep' else 'Clean start'} of {project.title}",
        lead=_lead(run, replaced),
        run=run.id,
        open=run.is_open,
        ended=_ended(run),
        begun_at=run.begun_at,
        begun_by=run.begun_by,
        steps=tuple(shown_step(board, who, project, evidence, each, changes=changes) for each in steps),
        standing=f"Step {current.number} of {len(steps)}" if current is not None else "Every step is proven",
        proven=proven,
        environments=tuple(
            shown_environment(
                project,
                name,
                run.strategies.get(name, "leave-out"),
                reasons.get(name, ()),
                undo_of(run.strategies.get(name, "leave-out"), view.environment, evidence)
                if run.way == "clean start"
                else "",
                choosing=changes,
                way=run.way,
            )
            for name, view in evidence.views.items()
        ),
        changes=changes,
        complete=all(each.state == "proven" for each in steps if each.name != "report"),
        another=permitted and not run.is_open,
        others=tuple(
            Link(f"{words.day(begun)}, {ended or 'open'}", addresses.clean_start(project.name, number))
            for number, begun, ended in others
        ),
    )


def _lead(run: Run, migrations: int | None) -> str:
    each = "Each step opens when the proof of the one before it holds."
    if migrations is None:
        return each
    count = words.plural(migrations, "migration")
    if run.way == "keep":
        return f"The {count} stay, and every database is brought to what they give. {each}"
    return f"From {count} to one fresh baseline. {each}"


def _ended(run: Run) -> str:
    if run.is_open:
        return ""
    how = "It is done" if run.ended == "done" else "It was stopped"
    return f"{how}, by {run.ended_by}." + (f" {run.why}" if run.why else "")
