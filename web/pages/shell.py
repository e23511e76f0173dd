"""The surroundings of a page for one person: navigation, theme, notices. Also how a page is sent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, cast

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.access.permissions import EVERY_PROJECT, Principal, may, visible_projects
from web.access.requests import csrf_token
from web.answers.environment import View
from web.answers.overview import Cell, Overview, Row
from web.answers.recent import Surroundings
from web.answers.summary import summarize
from web.answers.verdict import Verdict
from web.config import Tier
from web.dashboard import Board, Dashboard, Store, Who
from web.jobs.job import FINISHED
from web.observation.records import Record
from web.pages.presenting import ref, summary_mark
from web.pages.render import page
from web.pages.views.errors import ErrorView
from web.pages.views.marks import EnvironmentRef, Link, Mark
from web.pages.views.shell import Notice, Person, RailEnvironment, RailProject, Section, Shell, Theme

THEME_COOKIE = "cleanstart-theme"


@dataclass(slots=True)
class Frame:
    """Everything that surrounds the page of this request; `show` sends the page."""

    request: Request
    board: Dashboard
    who: Principal
    #: What the person may see of the overview; pages that need it do not read it again.
    overview: Overview
    token: str
    live_workers: int
    #: Names the reading that `overview` is, for the page's stream.
    mark: str

    def saw(self, seen: View) -> None:
        """The page has read this environment itself: its navigation says the same."""
        name = seen.environment.name
        cell = Cell(seen.environment, seen.record, seen.verdict)
        rows = tuple(
            Row(row.project, row.source, {**row.cells, name: cell})
            if row.project.name == seen.environment.project
            else row
            for row in self.overview.rows
        )
        self.overview = Overview(rows, self.overview.attention)

    def show(
        self,
        template: str,
        view: object,
        *,
        here: str,
        section: Section = "none",
        crumbs: tuple[Link, ...] = (),
        project: str | None = None,
        environment: EnvironmentRef | None = None,
        tier: Tier | None = None,
        stream: str | None = None,
        stream_ends_on: str | None = None,
        status: int = 200,
        refusal: ErrorView | None = None,
    ) -> HTMLResponse:
        """Render the page with its surroundings."""
        shell = Shell(
            csrf_token=self.token,
            address=address_of(self.request),
            person=_person(self.who),
            theme=theme_of(self.request),
            section=section,
            projects=tuple(
                _rail_project(row, project, environment, only=len(self.overview.rows) == 1)
                for row in self.overview.rows
            ),
            crumbs=crumbs,
            here=here,
            tier=tier,
            stream=stream,
            stream_ends_on=stream_ends_on,
            running_jobs=running_jobs(self.overview),
            waiting_requests=waiting_requests(self.overview),
            notices=self._notices(),
            refusal=refusal,
        )
        return HTMLResponse(page(template, view, shell), status)

    def _notices(self) -> tuple[Notice, ...]:
        found = []
        if not self.live_workers:
            found.append(
                Notice(
                    Mark("warn", "No worker is alive"),
                    "What you start waits until one is. Start it with `cleanstart worker`.",
                    Link("Workers", addresses.settings()),
                )
            )
        if self.who.source == "local":
            found.append(
                Notice(
                    Mark("unknown", "Nobody has to sign in"),
                    "No users are configured, so the dashboard listens on this machine only. "
                    "Create one with `cleanstart users create`.",
                )
            )
        return tuple(found)


async def frame(
    request: Request, board: Board, who: Who, store: Store, token: Annotated[str, Depends(csrf_token)]
) -> Frame:
    """What surrounds the page of this request, as a dependency."""
    return await make_frame(request, board, who, store, token)


async def fresh_frame(
    request: Request, board: Board, who: Who, store: Store, token: Annotated[str, Depends(csrf_token)]
) -> Frame:
    """The same for a page that shows the overview itself, or a part of it."""
    return _frame(request, board, who, token, await board.overviews.fresh(store))


async def make_frame(
    request: Request, board: Dashboard, who: Principal, store: AsyncConnection, token: str
) -> Frame:
    """What surrounds a page, for who has a connection already."""
    return _frame(request, board, who, token, await board.overviews.recent(store))


def _frame(request: Request, board: Dashboard, who: Principal, token: str, read: Surroundings) -> Frame:
    return Frame(request, board, who, seen_by(who, read.overview), token, read.live_workers, read.mark)


Framed = Annotated[Frame, Depends(frame)]
FreshlyFramed = Annotated[Frame, Depends(fresh_frame)]


def seen_by(who: Principal, overview: Overview) -> Overview:
    """The part of an overview that a person may see."""
    visible = set(visible_projects(who, (row.project.name for row in overview.rows)))
    return Overview(
        tuple(row for row in overview.rows if row.project.name in visible),
        tuple(each for each in overview.attention if each.project.name in visible),
    )


def address_of(request: Request) -> str:
    """Path and query of this request."""
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path


def theme_of(request: Request) -> Theme:
    """The chosen theme; empty: the system's."""
    chosen = request.cookies.get(THEME_COOKIE, "")
    return cast(Theme, chosen) if chosen in ("light", "dark") else ""


def is_swap(request: Request) -> bool:
    """Whether htmx asks for a part of a page, and so takes a partial and `HX-Redirect`.

    Where it selects from a whole page (filters, a page's refresh of itself) it asks for `full`.
    """
    return request.headers.get("hx-request-type") == "partial"


def go_to(request: Request, path: str) -> Response:
    """Send the browser to another page after a form: 303, or `HX-Redirect` where htmx asked."""
    if is_swap(request):
        return Response(status_code=200, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def running_jobs(overview: Overview) -> int:
    """How many jobs run on what the person sees; mere looks are not counted."""
    return sum(
        1
        for row in overview.rows
        for cell in row.cells.values()
        if cell.record
        and cell.record.job
        and not cell.record.job.observes
        and cell.record.job.state not in FINISHED
    )


def waiting_requests(overview: Overview) -> int:
    """How many requests for approval wait, on what the person sees."""
    return sum(each.hurt == "approval" for each in overview.attention)


def rail_mark(record: Record | None, verdict: Verdict) -> Mark:
    """The mark of an environment in the navigation."""
    if record and record.job and not record.job.observes:
        return Mark("running", "job running")
    return summary_mark(summarize(verdict, record))


def project_mark(row: Row) -> Mark:
    """The mark of a whole project in the navigation: the worst of its environments."""
    worst = row.worst
    return summary_mark(worst) if worst else Mark("unknown", "no environments")


def _person(who: Principal) -> Person:
    if EVERY_PROJECT in who.grants:
        role = who.grants[EVERY_PROJECT] if len(who.grants) == 1 else f"{who.grants[EVERY_PROJECT]}, and more"
    else:
        by_role: dict[str, list[str]] = {}
        for project, held in who.grants.items():
            by_role.setdefault(held, []).append(project)
        role = "; ".join(f"{held} of {', '.join(names)}" for held, names in by_role.items()) or "no role yet"
    return Person(
        who.name,
        role,
        can_sign_out=who.source == "session",
        reads_audit=may(who, "read-audit", None),
    )


def _rail_project(
    row: Row, project: str | None, environment: EnvironmentRef | None, *, only: bool
) -> RailProject:
    name = row.project.name
    is_open = name == project or only
    return RailProject(
        name=name,
        title=row.project.title,
        mark=project_mark(row),
        environments=tuple(
            RailEnvironment(
                ref(cell.environment),
                rail_mark(cell.record, cell.verdict),
                here=environment is not None
                and (environment.project, environment.name) == (name, cell.environment.name),
            )
            for cell in row.cells.values()
        )
        if is_open
        else (),
        open=is_open,
        here=name == project and environment is None,
    )


def now() -> datetime:
    """The moment that a page is made for."""
    return datetime.now(UTC)
