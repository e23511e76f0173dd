"""`/question`: is this build ready for that environment? The box on the overview and a page of its own."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.access.permissions import Principal
from web.access.requests import signed_in
from web.answers.builds import Answer, answer, read_numbers
from web.answers.overview import Overview
from web.config import Project
from web.dashboard import Board, Dashboard, Store
from web.errors import NotFound
from web.observation.records import Record
from web.pages.presenting import error_view, summary_mark
from web.pages.render import partial
from web.pages.shell import Framed, is_swap
from web.pages.views.marks import Link, Mark, Option
from web.pages.views.overview import AnswerPanel, Question

router = APIRouter()


@router.get("/question", dependencies=[signed_in()])
async def ask(
    request: Request,
    board: Board,
    store: Store,
    frame: Framed,
    project: str = "",
    build: str = "",
    environment: str = "",
) -> HTMLResponse:
    """The question box with its answer."""
    question = await choose(store, board, frame.who, frame.overview, project, build, environment)
    if question is None:
        raise NotFound("There is nothing to ask about yet.", hint="Add a project to cleanstart.toml.")
    missing = _missing(question, project, build, environment)
    if is_swap(request):
        return HTMLResponse(partial("overview/_question.html", question=replace(question, chosen=True)))
    return frame.show(
        "overview/question.html",
        question,
        status=missing.status if missing else 200,
        refusal=error_view(missing) if missing else None,
        here="Question",
        section="overview",
        crumbs=(Link("Overview", addresses.overview()),),
    )


def _missing(question: Question, *named: str) -> NotFound | None:
    """What was asked about and is not there; the box asks about something else in its place."""
    kinds = ("project", "build", "environment")
    about = (question.projects, question.builds, question.environments)
    for kind, name, options in zip(kinds, named, about, strict=True):
        if name and name not in (each.value for each in options):
            instead = next((f"This is about {each.words}." for each in options if each.selected), "")
            return NotFound(f"There is no such {kind}.", hint=instead)
    return None


async def choose(
    store: AsyncConnection,
    board: Dashboard,
    who: Principal,
    found: Overview,
    project: str = "",
    build: str = "",
    environment: str = "",
    *,
    fresh: bool = False,
) -> Question | None:
    """The box as it is chosen; what does not fit (a build of another project) becomes the usual choice.

    `fresh`: the overview was read for this very page, so that its records need not be read again.
    """
    projects = {row.project.name: row.project for row in found.rows if row.cells}
    if not projects:
        return None
    chosen = projects.get(project) or next(iter(projects.values()))
    name = environment if environment in chosen.environments else _furthest(chosen)
    asked = int(build) if re.fullmatch("[0-9]{1,18}", build) else None
    numbers = await read_numbers(store, chosen.name, including=asked)
    number = asked if asked in numbers else numbers[0] if numbers else None
    return Question(
        projects=tuple(Option(each.name, each.title, each is chosen) for each in projects.values()),
        builds=tuple(Option(str(each), f"#{each}", each == number) for each in numbers),
        environments=tuple(Option(each, each, each == name) for each in chosen.environments),
        answer=await read_answer(
            store, board, chosen.name, name, number, records=records_of(found, chosen.name) if fresh else None
        ),
    )


def records_of(found: Overview, project: str) -> dict[tuple[str, str], Record]:
    """What an overview knows of the project's environments."""
    return {
        (project, name): cell.record
        for row in found.rows
        if row.project.name == project
        for name, cell in row.cells.items()
        if cell.record
    }


async def read_answer(
    store: AsyncConnection,
    board: Dashboard,
    project: str,
    environment: str,
    number: int | None,
    *,
    records: Mapping[tuple[str, str], Record] | None = None,
) -> AnswerPanel:
    """The answer as it is shown. Raises NotFound."""
    reply = await answer(
        store, board.configuration, project, environment, number, histories=board.histories, records=records
    )
    return AnswerPanel(
        about=addresses.element_id("about", project, environment, number or ""),
        mark=answer_mark(reply),
        account=answer_account(reply),
        reasons=tuple(
            f"{each.title}: {each.detail or each.state}"
            for each in reply.gate.closed_by
            if each.name not in ("nothing pending", "checked")
        ),
        observed_at=reply.observation.observed_at if reply.observation else None,
        link=Link("See all checks", addresses.build(project, number, environment)) if number else None,
    )


def answer_mark(reply: Answer) -> Mark:
    """The answer in one line: yes only when every condition is met."""
    verdict, summary = reply.verdict, reply.summary
    if reply.gate.open:
        return Mark("ok", "Yes: nothing is pending and every check passes")
    match verdict.standing:
        case "unreachable" | "not known" | "unknown revision" | "before the clean start":
            return Mark(summary_mark(summary).status, f"Could not tell: {summary.words.lower()}")
        case "in sync" | "same schema":
            reason = reply.gate.closed_by[0].title
            return Mark(
                "warn", f"Nothing is pending, but the gate is closed: {reason[0].lower()}{reason[1:]}"
            )
        case "pending" | "never migrated":
            count = len(verdict.pending)
            return Mark("pending", f"Not yet: {count} migration{'s are' if count != 1 else ' is'} pending")
        case _:
            return Mark(summary_mark(summary).status, f"No: {summary.words.lower()}")


def answer_account(reply: Answer) -> str:
    """What the answer stands on: where the database is and where the build (or the source) ends."""
    verdict = reply.verdict
    if verdict.standing not in ("pending", "never migrated", "in sync"):
        return verdict.sentence
    name = reply.environment.name
    at = ", ".join(verdict.revisions) or "no revision"
    expects = f"build {reply.build.label}" if reply.build else "the source"
    return (
        f"{name[0].upper()}{name[1:]} is at {at}; {expects} ends at {', '.join(verdict.heads) or 'nothing'}."
    )


def _furthest(project: Project) -> str:
    """The environment that people ask about most: production, else the last one."""
    production = [each.name for each in project.environments.values() if each.tier == "production"]
    return production[0] if production else list(project.environments)[-1]
