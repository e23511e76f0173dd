"""`/builds` and `/projects/{p}/builds`: the list, one build's answer for every environment, its badge."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from datetime import datetime
from functools import partial

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access.permissions import Principal, visible_projects
from web.access.requests import signed_in
from web.answers.builds import (
    Answer,
    Build,
    answer,
    answer_of,
    answers_of,
    load_build,
    read_builds,
    read_neighbours,
    require_build,
)
from web.answers.environment import View, view
from web.answers.rehearsed import Rehearsed
from web.answers.summary import summarize
from web.answers.verdict import Verdict
from web.config import Project
from web.dashboard import Board, Dashboard, InEnvironment, InProject, Number, Store, Who, in_project
from web.jobs.patience import patiently
from web.observation.records import Record, read_records
from web.observation.stored_history import load_history
from web.pages import badge
from web.pages.environment.head import actions_at, check_action
from web.pages.planned import hazards_of, planned_of, statements_of
from web.pages.presenting import check, ref, second_mark, summary_mark, track
from web.pages.question import answer_account, answer_mark
from web.pages.shell import Framed, now
from web.pages.streams import Message, stream_response
from web.pages.views.builds import BuildAnswer, BuildList, BuildPage, BuildRow, BuildVerdict
from web.pages.views.dialogs import PendingMigration
from web.pages.views.marks import EnvironmentRef, Link, Mark

router = APIRouter()

#: Builds that a list shows of each project.
LISTED = 100


@router.get("/builds", dependencies=[signed_in()])
async def index(board: Board, store: Store, frame: Framed) -> HTMLResponse:
    """The newest builds of all projects that the person may see."""
    visible = visible_projects(frame.who, board.configuration.projects)
    rows = await build_rows(store, board, *map(board.configuration.project, visible), limit=LISTED)
    view = BuildList(rows, command=register_command("PROJECT"))
    return frame.show("builds/index.html", view, here="Builds", section="builds")


@router.get("/projects/{project}/builds", dependencies=[in_project("view")])
async def of_project(board: Board, store: Store, frame: Framed, project: InProject) -> HTMLResponse:
    """The newest builds of a project."""
    rows = await build_rows(store, board, project, limit=LISTED)
    view = BuildList(rows, project.name, command=register_command(project.name))
    return frame.show(
        "builds/index.html",
        view,
        here="Builds",
        section="builds",
        crumbs=(Link(project.title, addresses.project(project.name)),),
        project=project.name,
    )


@router.get("/projects/{project}/builds/{number}", dependencies=[in_project("view")])
async def show(
    request: Request,
    board: Board,
    store: Store,
    frame: Framed,
    project: InProject,
    number: Number,
    environment: str = "",
) -> HTMLResponse:
    """One build: how it stands to every environment, and the whole answer for one of them."""
    build = await load_build(store, project.name, number, board.histories)
    records = await read_records(store, project.name)
    source = await load_history(store, project.name, board.histories)
    found = await answers_of(store, board.configuration, build, records, source, board.histories)
    if environment:
        board.configuration.environment(project.name, environment)
    chosen = environment or _chosen(project)
    older, newer = await read_neighbours(store, project.name, number)
    base = board.configuration.public_url or str(request.base_url).rstrip("/")
    reply = None
    if chosen is not None:
        names = project.name, chosen
        seen = await view(store, board.configuration, *names, histories=board.histories, records=records)
        reply = _answer(board, frame.who, seen, await answer_of(store, seen, build, board.histories))
    shown = BuildPage(
        project=project.name,
        project_title=project.title,
        number=build.number,
        commit=build.commit,
        heads=build.history.heads,
        migrations=len(build.history),
        registered_at=build.registered_at,
        registered_by=build.registered_by,
        verdicts=tuple(
            _verdict(build, ref(each), found[each.name], records.get((project.name, each.name)), chosen)
            for each in project.environments.values()
        ),
        answer=reply,
        badge_markdown=_badge_markdown(base, project.name, number, chosen) if chosen else "",
        badge_account=""
        if board.configuration.public_url
        else f"Its addresses begin with {base}, as here: `public_url` is not set in the configuration.",
        previous=Link(f"#{older}", addresses.build(project.name, older, chosen)) if older else None,
        next=Link(f"#{newer}", addresses.build(project.name, newer, chosen)) if newer else None,
    )
    return frame.show(
        "builds/show.html",
        shown,
        here=f"#{number}",
        section="builds",
        crumbs=(
            Link(project.title, addresses.project(project.name)),
            Link("Builds", addresses.builds(project.name)),
        ),
        project=project.name,
        stream=addresses.build_stream(project.name, number),
    )


@router.get("/projects/{project}/builds/{number}/stream", dependencies=[in_project("view")])
async def stream(board: Board, who: Who, project: InProject, number: Number) -> Response:
    """A word to ask for the page again whenever something of the project's environments has changed."""
    async with board.store.connect() as store:
        await require_build(store, project.name, number)
    return stream_response(board, who, "view", project.name, _changes(board, project.name))


async def _changes(board: Dashboard, project: str) -> AsyncGenerator[Message]:
    async for changed in board.feed.changes():
        if changed is None or changed & await patiently(partial(_environments, board, project)):
            yield Message("", event="page-changed")


async def _environments(board: Dashboard, project: str) -> set[int]:
    async with board.store.connect() as store:
        return {each.environment_id for each in (await read_records(store, project)).values()}


@router.get(
    "/projects/{project}/builds/{number}/environments/{environment}/badge.svg",
    dependencies=[in_project("view")],
)
async def show_badge(board: Board, store: Store, environment: InEnvironment, number: Number) -> Response:
    """The answer as a badge, for a README or a pipeline's page."""
    names = environment.project, environment.name
    reply = await answer(store, board.configuration, *names, number, histories=board.histories)
    svg = badge.draw(
        f"#{number} on {environment.name}", reply.summary.words, summary_mark(reply.summary).status
    )
    return Response(svg, media_type="image/svg+xml", headers={"Cache-Control": "no-cache, max-age=0"})


async def build_rows(
    store: AsyncConnection,
    board: Dashboard,
    *projects: Project,
    limit: int,
    records: Mapping[tuple[str, str], Record | None] | None = None,
) -> tuple[BuildRow, ...]:
    """The newest builds of these projects, with the environments that run them."""
    if records is None:
        records = await read_records(store, projects[0].name if len(projects) == 1 else None)
    deployed: dict[tuple[str, int], list[EnvironmentRef]] = {}
    for project in projects:
        for each in project.environments.values():
            record = records.get((project.name, each.name))
            if record and record.build:
                deployed.setdefault((project.name, record.build.number), []).append(ref(each))
    names = [project.name for project in projects]
    # Where several are meant.
    several = {project.name for project in projects if project.follow}
    return tuple(
        BuildRow(
            project=build.project,
            number=build.number,
            commit=build.commit,
            heads=build.heads,
            migrations=build.migrations,
            registered_at=build.registered_at,
            registered_by=build.registered_by,
            deployed=tuple(deployed.get((build.project, build.number), ())),
            problem=Mark("blocked", f"{len(build.heads)} heads")
            if len(build.heads) > 1 and build.project not in several
            else None,
        )
        for build in await read_builds(store, *names, limit=limit, histories=board.histories)
    )


def register_command(project: str) -> str:
    """What CI runs to register a build."""
    return f'cleanstart register-build {project} --number "$BUILD_NUMBER" --commit "$COMMIT"'


def _chosen(project: Project) -> str | None:
    names = list(project.environments)
    production = [each.name for each in project.environments.values() if each.tier == "production"]
    return production[0] if production else names[-1] if names else None


def _verdict(
    build: Build, environment: EnvironmentRef, found: Verdict, record: Record | None, chosen: str | None
) -> BuildVerdict:
    observation, summary = record.observation if record else None, summarize(found, record)
    return BuildVerdict(
        environment=environment,
        mark=summary_mark(summary),
        track=track(found, len(build.history)),
        account=summary.sentence,
        path=addresses.build(build.project, build.number, environment.name),
        observed_at=observation.observed_at if observation else None,
        chosen=environment.name == chosen,
        also=second_mark(found),
    )


def _answer(board: Dashboard, who: Principal, seen: View, reply: Answer) -> BuildAnswer:
    project, name, number = seen.project, seen.environment.name, reply.build.number if reply.build else 0
    moment = now()
    plan = seen.rehearsed.content if seen.rehearsed else {}
    planned = planned_of(plan, reply.verdict.pending)
    goes_there = set(reply.verdict.heads) == set(seen.verdict.heads) and bool(reply.verdict.pending)
    return BuildAnswer(
        environment=ref(reply.environment),
        mark=answer_mark(reply),
        heading=answer_mark(reply).words,
        account=answer_account(reply),
        checks=tuple(check(each, now=moment) for each in reply.gate.conditions),
        gate=Mark("ok", "Gate open") if reply.gate.open else _closed(reply),
        pending=tuple(
            PendingMigration(
                step.revision,
                step.message or step.revision,
                step.path,
                hazards_of(planned.get(step.revision)),
                statements_of(planned.get(step.revision)),
            )
            for step in reply.verdict.pending
        ),
        pending_account=_pending_account(seen.rehearsed, moment),
        observed_at=reply.observation.observed_at if reply.observation else None,
        check=check_action(board.kinds, None, seen.environment, f"Check {name} now"),
        actions=actions_at(board.kinds, "answer", who, seen) if goes_there else (),
        command=f"cleanstart check {project.name}/{name} --build {number} --gate",
    )


def _closed(reply: Answer) -> Mark:
    if any(each.state == "not known" for each in reply.gate.closed_by):
        return Mark("unknown", "Gate closed: not everything is known")
    return Mark("blocked", "Gate closed")


def _pending_account(rehearsed: Rehearsed | None, moment: datetime) -> str:
    if rehearsed is None:
        return "SQL is shown once rehearsed"
    if not rehearsed.succeeded:
        return f"{rehearsed.words} {words.ago(rehearsed.made_at, moment)}"
    return f"SQL as rehearsed {words.ago(rehearsed.made_at, moment)}"


def _badge_markdown(base: str, project: str, number: int, environment: str) -> str:
    """A link with a badge, for readers anywhere: its addresses are whole ones."""
    image = base + addresses.badge(project, number, environment)
    return f"[![build #{number} on {environment}]({image})]({base}{addresses.build(project, number, environment)})"
