"""`/projects/{p}/environments/{e}`: one environment, its tabs and its stream."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.access.permissions import may
from web.answers.environment import View, view
from web.config import Environment
from web.dashboard import Board, Dashboard, Id, InEnvironment, Store, Who, in_project
from web.jobs.patience import patiently
from web.observation.timeline import read_timeline
from web.pages.environment import backups as backups_tab
from web.pages.environment import drift as drift_tab
from web.pages.environment import jobs as jobs_tab
from web.pages.environment import migrations as migrations_tab
from web.pages.environment import state as state_tab
from web.pages.environment import timeline as timeline_tab
from web.pages.environment.head import environment_head, told_job
from web.pages.presenting import ref
from web.pages.render import swapped
from web.pages.shell import Frame, Framed, now, rail_mark
from web.pages.streams import Message, stream_response
from web.pages.views.environment.head import EnvironmentHead, TabName
from web.pages.views.environment.page import EnvironmentPage
from web.pages.views.marks import Link

router = APIRouter(prefix="/projects/{project}/environments/{environment}", dependencies=[in_project("view")])

#: What `anext` gives at the end of changes, where None means that everything may have changed.
ENDED: Any = object()


@router.get("")
async def state(
    board: Board, store: Store, frame: Framed, environment: InEnvironment, table: str = "", sort: str = ""
) -> HTMLResponse:
    """What the database is and holds."""
    seen = await _read(board, store, environment, tables=True)
    shown = state_tab.state(seen, text=table, sort=sort)
    return _show(frame, seen, EnvironmentPage(_head(frame, board, seen), "", state=shown))


@router.get("/migrations")
async def migrations(board: Board, store: Store, frame: Framed, environment: InEnvironment) -> HTMLResponse:
    """The history as this environment has it."""
    seen = await _read(board, store, environment)
    shown = migrations_tab.migrations(board, frame.who, seen)
    page = EnvironmentPage(_head(frame, board, seen), "migrations", migrations=shown)
    return _show(frame, seen, page)


@router.get("/drift")
async def drift(
    board: Board, store: Store, frame: Framed, environment: InEnvironment, page: Id = 1
) -> HTMLResponse:
    """How the schema differs from what the applied migrations give."""
    seen = await _read(board, store, environment)
    shown = await drift_tab.drift(store, board, frame.who, seen, page)
    return _show(frame, seen, EnvironmentPage(_head(frame, board, seen), "drift", drift=shown))


@router.get("/timeline")
async def timeline(
    board: Board, store: Store, frame: Framed, environment: InEnvironment, before: Id | None = None
) -> HTMLResponse:
    """When the schema changed, by which job, or by nobody we know; newest first."""
    seen = await _read(board, store, environment)
    told = await read_timeline(
        board.store,
        store,
        seen.record,
        before=before,
        limit=timeline_tab.ENTRIES,
        first=timeline_tab.LISTED_EACH,
    )
    path = addresses.environment(environment.project, environment.name, "timeline")
    shown = timeline_tab.timeline(told, board.kinds, path, environment.label, paged=before is not None)
    page = EnvironmentPage(_head(frame, board, seen), "timeline", timeline=shown)
    return _show(frame, seen, page)


@router.get("/backups")
async def backups(board: Board, store: Store, frame: Framed, environment: InEnvironment) -> HTMLResponse:
    """The backups and whether a restore has proven them."""
    seen = await _read(board, store, environment)
    shown = await backups_tab.backups(store, board, frame.who, seen)
    page = EnvironmentPage(_head(frame, board, seen), "backups", backups=shown)
    return _show(frame, seen, page)


@router.get("/jobs")
async def jobs(
    board: Board, store: Store, frame: Framed, environment: InEnvironment, before: Id | None = None
) -> HTMLResponse:
    """The environment's jobs, newest first; looks included."""
    seen = await _read(board, store, environment)
    shown = await jobs_tab.jobs(store, board, environment, before)
    page = EnvironmentPage(_head(frame, board, seen), "jobs", jobs=shown)
    return _show(frame, seen, page)


@router.get("/stream")
async def stream(board: Board, who: Who, environment: InEnvironment, seen: str = "") -> Response:
    """The head's facts whenever something of the environment has changed, and a word to ask for the tab again."""
    return stream_response(board, who, "view", environment.project, _changes(board, environment, seen))


async def _changes(board: Dashboard, environment: Environment, mark: str) -> AsyncGenerator[Message]:
    feed = board.feed.changes()
    # It hears from now on, so that nothing falls between the page and its stream.
    upcoming = asyncio.ensure_future(anext(feed, ENDED))
    before, key = "", None
    try:
        while True:
            seen = await patiently(partial(_read_apart, board, environment))
            key = seen.record.environment_id if seen.record else None
            html = _swaps(board, seen)
            if (before or mark != mark_of(seen)) and html != before:
                yield Message(html)
            if mark != mark_of(seen):
                yield Message("", event="page-changed")
            before, mark = html, mark_of(seen)
            concerned = False
            while not concerned:
                changed = await upcoming
                if changed is ENDED:
                    return
                upcoming = asyncio.ensure_future(anext(feed, ENDED))
                concerned = changed is None or key is None or key in changed
    finally:
        upcoming.cancel()
        await asyncio.gather(upcoming, return_exceptions=True)
        await feed.aclose()


async def _read_apart(board: Dashboard, environment: Environment) -> View:
    async with board.store.connect() as store:
        return await _read(board, store, environment)


def _swaps(board: Dashboard, seen: View) -> str:
    head = environment_head(board, None, seen, now())
    key = addresses.element_id("rail", seen.environment.project, seen.environment.name)
    mark = rail_mark(seen.record, seen.verdict)
    return swapped("env-facts", "environments/_facts.html", head=head) + swapped(
        key, "shell/_rail_mark.html", id=key, mark=mark
    )


def mark_of(seen: View) -> str:
    """Names what the tabs stand on besides ages: when it changes, an open tab asks for itself again."""
    record, observation = seen.record, seen.observation
    stands_on = repr(
        (
            observation.id if observation else None,
            observation.drift if observation else None,
            seen.source.digest if seen.source else None,
            (seen.rehearsed.plan_hash, seen.rehearsed.approvals) if seen.rehearsed else None,
            record.backup if record else None,
            (job.id, job.state) if (job := told_job(record)) is not None else None,
            record.last_change.id if record and record.last_change else None,
            record.unseen.id if record and record.unseen else None,
            record.doubts if record else None,
        )
    )
    return hashlib.blake2s(stands_on.encode(), digest_size=8).hexdigest()


async def _read(
    board: Dashboard, store: AsyncConnection, environment: Environment, *, tables: bool = False
) -> View:
    names = environment.project, environment.name
    return await view(store, board.configuration, *names, histories=board.histories, tables=tables)


def _head(frame: Frame, board: Dashboard, seen: View) -> EnvironmentHead:
    return environment_head(board, frame.who, seen, now())


TITLES: dict[TabName, str] = {
    "": "State",
    "migrations": "Migrations",
    "drift": "Drift",
    "timeline": "Timeline",
    "backups": "Backups",
    "jobs": "Jobs",
}


def _show(frame: Frame, seen: View, page: EnvironmentPage) -> HTMLResponse:
    frame.saw(seen)
    environment = ref(seen.environment)
    changing = {kind.permission for kind, _ in frame.board.kinds.at("environment") if not kind.harmless}
    may_change = any(may(frame.who, each, environment.project) for each in changing)
    return frame.show(
        f"environments/{page.tab or 'state'}.html",
        page,
        here=TITLES[page.tab],
        section="project",
        crumbs=(
            Link("Overview", addresses.overview()),
            Link(seen.project.title, addresses.project(environment.project)),
            Link(environment.name, environment.path),
        ),
        project=environment.project,
        environment=environment,
        tier=environment.tier if may_change else None,
        stream=addresses.environment_stream(environment.project, environment.name, mark_of(seen)),
    )
