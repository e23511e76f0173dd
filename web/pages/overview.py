"""`/` and `/stream`: every environment at a glance, live."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from web import addresses, words
from web.access.permissions import Principal, may
from web.access.requests import signed_in
from web.answers import overview as answers
from web.answers.gate import backup_needed
from web.answers.recent import Surroundings
from web.config import Tier
from web.dashboard import Board, Dashboard, Id, Store, Text, Who
from web.errors import NotFound
from web.jobs.patience import patiently
from web.pages.environment.head import told_job
from web.pages.parts import Part, rail_parts, render
from web.pages.presenting import backup_mark, ref, running_job, second_mark, summary_mark, track
from web.pages.question import choose, read_answer, records_of
from web.pages.render import partial
from web.pages.shell import FreshlyFramed, go_to, is_swap, now, seen_by
from web.pages.streams import Message, stream_response
from web.pages.views.marks import Action, EnvironmentRef, Link, Mark, Status
from web.pages.views.overview import (
    AnswerPanel,
    AttentionItem,
    Cell,
    Filter,
    Matrix,
    Overview,
    ProjectRow,
    Question,
)
from web.starting.start import Wish, start_job

router = APIRouter()

TIERS: tuple[Tier, ...] = ("development", "staging", "production")
#: From so many environments on each gets one line.
DENSE = 60
#: What `anext` gives at the end of changes, where None means that everything may have changed.
_ENDED: Any = object()
#: From so many environments on there is a filter.
FILTERED = 12


@router.get("/", dependencies=[signed_in()])
async def show(board: Board, store: Store, frame: FreshlyFramed, q: str = "", only: str = "") -> HTMLResponse:
    """The overview."""
    moment = now()
    found = frame.overview
    cells = [cell for row in found.rows for cell in row.cells.values()]
    hurting = {each.environment.label for each in found.attention if each.environment}
    rows = tuple(
        row
        for each in found.rows
        if (row := _row(each, board, moment, text=q.strip().lower(), only=hurting if only else None))
    )
    shown = sum(len(column) for row in rows for column in row.columns)
    question = await choose(store, board, frame.who, found, fresh=True)
    view = Overview(
        project_count=len(found.rows),
        environment_count=len(cells),
        attention=tuple(attention_item(each) for each in found.attention),
        matrix=Matrix(TIERS, rows, dense=len(cells) > DENSE),
        question=question,
        check_all=_check_all(frame.who, found),
        filter=Filter(
            q, bool(only), f"{shown} of {words.plural(len(cells), 'environment')}" if q or only else ""
        )
        if len(cells) >= FILTERED or q or only
        else None,
        observed_at=_oldest(found),
        config_file=str(board.configuration.file) if board.configuration.file else None,
    )
    return frame.show(
        "overview/show.html",
        view,
        here="Overview",
        section="overview",
        stream=_stream_of(question, frame.mark),
    )


@router.post("/observations", dependencies=[signed_in()])
async def check_all(request: Request, board: Board, who: Who) -> Response:
    """Ask for a fresh look at every environment that the person may look at."""
    asked, look = 0, board.kinds.check
    for project in board.configuration.projects.values():
        if may(who, look.permission, project.name):
            for environment in project.environments.values():
                wish = Wish(look.name)
                await start_job(
                    board.store, board.configuration, board.kinds, environment, who, wish, key=board.key
                )
                asked += 1
    board.overviews.forget()
    if not is_swap(request):
        return go_to(request, addresses.overview())
    toast = partial(
        "shell/_toast.html",
        mark=Mark("running", f"Checking {words.plural(asked, 'database')}"),
        account="Each cell changes as soon as its check is done.",
        link=None,
        brief=True,
    )
    return HTMLResponse(f'<hx-partial hx-target="#toasts" hx-swap="beforeend">{toast}</hx-partial>')


@dataclass(frozen=True, slots=True)
class Asked:
    """The question whose answer a page shows."""

    project: str
    environment: str
    build: int | None
    #: Names the answer that the page has.
    answered: str


@router.get("/stream", dependencies=[signed_in()])
async def stream(
    board: Board,
    who: Who,
    project: str = "",
    seen: str = "",
    about: Text = "",
    on: Text = "",
    build: Id | None = None,
    answered: str = "",
) -> Response:
    """Changed cells, what needs attention, the answer, the navigation's marks; of one project where its page asks."""
    if project and not may(who, "view", project):
        raise NotFound(f"There is no project “{project}”.")
    asked = Asked(about, on, build, answered) if about and may(who, "view", about) else None
    return stream_response(board, who, "view", project or None, _changes(board, who, project, seen, asked))


async def _changes(
    board: Dashboard, who: Principal, project: str, seen: str, asked: Asked | None
) -> AsyncGenerator[Message]:
    changes = board.feed.changes()
    # It hears from now on, so that nothing falls between the page and its stream.
    upcoming = asyncio.ensure_future(anext(changes, _ENDED))
    kept = board.overviews.kept(seen)
    before = _parts(board, seen_by(who, kept), project) if kept else {}
    first = True
    try:
        while True:
            read = await patiently(board.overviews.fresh_for_streams)
            parts = _parts(board, seen_by(who, read.overview), project)
            if asked and (answer := await _answer(board, asked, read)):
                part = Part(
                    f"answer[data-about={answer.about}]", "overview/_answer.html", (("answer", answer),)
                )
                parts[part.id] = part
                if first and _name_of(answer) == asked.answered:
                    before[part.id] = part
            changed = [part for key, part in parts.items() if before.get(key) != part]
            before = parts
            if changed:
                yield Message("".join(map(render, changed)))
                if asked:
                    yield Message("", event="databases-changed")
            first = False
            if await upcoming is _ENDED:
                return
            upcoming = asyncio.ensure_future(anext(changes, _ENDED))
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await changes.aclose()


async def _answer(board: Dashboard, asked: Asked, read: Surroundings) -> AnswerPanel | None:
    """The answer after this reading, made once for all who ask the same; None: there is no such thing any more."""
    where = asked.project, asked.environment, asked.build

    async def make() -> AnswerPanel:
        async with board.store.connect() as store:
            return await read_answer(store, board, *where, records=records_of(read.overview, asked.project))

    try:
        return await patiently(lambda: board.shared.once(("answer", read.mark, *where), make))
    except NotFound:
        return None


def _stream_of(question: Question | None, mark: str) -> str:
    """The address of the page's stream, which names what the page was made from."""
    if question is None or question.answer is None:
        return addresses.overview_stream(seen=mark)
    about, on, build = question.asked
    answered = _name_of(question.answer)
    return addresses.overview_stream(seen=mark, about=about, on=on, build=build, answered=answered)


def _name_of(answer: AnswerPanel) -> str:
    return hashlib.blake2s(repr(answer).encode(), digest_size=8).hexdigest()


def _oldest(found: answers.Overview) -> datetime | None:
    """When the look was that is the oldest of the newest ones."""
    seen = (
        cell.record.observation.observed_at
        for row in found.rows
        for cell in row.cells.values()
        if cell.record and cell.record.observation
    )
    return min(seen, default=None)


def _parts(board: Dashboard, found: answers.Overview, project: str) -> dict[str, Part]:
    """The swappable parts of the page by element id: of the overview, or of one project's page."""
    moment = now()
    dense = not project and sum(len(row.cells) for row in found.rows) > DENSE
    parts = [*rail_parts(found, project)]
    for row in found.rows:
        name = row.project.name
        if project and name != project and len(found.rows) > 1:
            continue
        tiers = Counter(cell.environment.tier for cell in row.cells.values())
        for each in row.cells.values():
            tier, environment = each.environment.tier, each.environment.name
            cell = cell_view(each, row, board, moment)
            named = bool(project) or tiers[tier] > 1 or environment != tier
            values = (("cell", cell), ("dense", dense), ("named", named))
            parts.append(Part(cell.id, "overview/_cell.html", values))
    if not project:
        items = tuple(attention_item(each) for each in found.attention)
        parts.append(Part("attention", "overview/_attention.html", (("items", items),)))
        databases = sum(len(row.cells) for row in found.rows)
        counted = (("projects", len(found.rows)), ("databases", databases), ("observed_at", _oldest(found)))
        parts.append(Part("summary", "overview/_summary.html", counted))
    return {part.id: part for part in parts}


def _row(
    row: answers.Row, board: Dashboard, moment: datetime, *, text: str, only: set[str] | None
) -> ProjectRow | None:
    cells = [
        cell
        for cell in row.cells.values()
        if (not text or text in cell.environment.label.lower() or text in row.project.title.lower())
        and (only is None or cell.environment.label in only)
    ]
    if not cells and (text or only is not None):
        return None
    history = row.source.history if row.source else None
    majors = sorted(
        {
            f"{cell.record.observation.major}"
            for cell in row.cells.values()
            if cell.record and cell.record.observation and cell.record.observation.major
        }
    )
    count = words.plural(len(history), "revision") if history else "history not read"
    return ProjectRow(
        row.project.name,
        row.project.title,
        " · ".join([count, *([f"PostgreSQL {', '.join(majors)}"] if majors else [])]),
        tuple(
            tuple(cell_view(each, row, board, moment) for each in cells if each.environment.tier == tier)
            for tier in TIERS
        ),
        problem=Mark("warn", row.source.error["title"]) if row.source and row.source.error else None,
    )


def cell_view(cell: answers.Cell, row: answers.Row, board: Dashboard, moment: datetime) -> Cell:
    """One environment at a glance."""
    record, verdict = cell.record, cell.verdict
    observation = record.observation if record else None
    history = row.source.history if row.source else None
    told = verdict.standing not in ("unreachable", "not known")
    return Cell(
        environment=ref(cell.environment),
        mark=summary_mark(cell.summary),
        revisions=verdict.revisions,
        # Where it is not known at which revision the database is, the head alone would look like one.
        heads=verdict.heads if told and verdict.heads != verdict.revisions else (),
        track=track(verdict, len(history) if history else 0),
        also=second_mark(verdict),
        build=f"build #{record.build.number}" if record and record.build else None,
        backup=backup_mark(cell.environment, record, backup_needed(cell.environment), moment),
        job=running_job(told_job(record), board.kinds),
        reason=None if told else verdict.reason,
        observed_at=observation.observed_at if observation else None,
    )


def attention_item(each: answers.Attention) -> AttentionItem:
    """One line of what needs a person, with where to go."""
    if each.environment is None:
        link = (
            Link("Open clean start", addresses.clean_start(each.project.name))
            if each.hurt == "clean start"
            else Link("Open project", addresses.project(each.project.name))
        )
        subject = each.project.title
    else:
        subject = each.environment.label
        link = _where_to(each, ref(each.environment))
    return AttentionItem(
        Mark(cast(Status, each.status), each.sentence),
        subject,
        each.sentence,
        each.detail,
        link,
    )


def _where_to(each: answers.Attention, environment: EnvironmentRef) -> Link:
    if each.request_id is not None:
        return Link("Decide", addresses.approval(each.request_id))
    if each.job_id is not None:
        return Link(f"Open job {each.job_id}", addresses.job(each.job_id))
    words, tab = {
        "unreachable": ("See error", ""),
        "history": ("See migrations", "migrations"),
        "pending": ("See migrations", "migrations"),
        "by nobody": ("See timeline", "timeline"),
        "drift": ("Compare", "drift"),
        "backup": ("See backups", "backups"),
    }.get(each.hurt, ("Open", ""))
    return Link(words, addresses.environment(environment.project, environment.name, tab))


def _check_all(who: Principal, found: answers.Overview) -> Action | None:
    if not any(may(who, "observe", row.project.name) for row in found.rows):
        return None
    return Action("Check all now", addresses.observations(), "refresh-cw", method="post")
