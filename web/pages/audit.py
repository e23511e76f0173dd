"""`/audit`: who did what, newest first, and whether the trail is whole."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from sqlalchemy import or_, select

from web import addresses, words
from web.access.audit import ChainReport, verify_chain
from web.access.requests import permission
from web.dashboard import Board, Dashboard, Id, Store, Text
from web.pages.presenting import environments
from web.pages.shell import Framed
from web.pages.views.audit import AuditList, AuditRow
from web.pages.views.marks import EnvironmentRef, Link, Mark, Option, Pages
from web.store.tables import AuditEntryRow

router = APIRouter()

PAGE = 100


@router.get("/audit", dependencies=[permission("read-audit")])
async def index(
    board: Board,
    store: Store,
    frame: Framed,
    q: Text = "",
    project: Text = "",
    only: str = "",
    before: Id | None = None,
) -> HTMLResponse:
    """The trail."""
    query = select(*AuditEntryRow.__table__.columns).order_by(AuditEntryRow.id.desc()).limit(PAGE + 1)
    if q.strip():
        text = q.strip()
        query = query.where(
            or_(
                AuditEntryRow.actor.icontains(text, autoescape=True),
                AuditEntryRow.action.icontains(text, autoescape=True),
                AuditEntryRow.object.icontains(text, autoescape=True),
            )
        )
    if project:
        query = query.where(AuditEntryRow.object.startswith(f"{project}/", autoescape=True))
    if only == "refused":
        query = query.where(
            or_(AuditEntryRow.action.endswith(" refused"), AuditEntryRow.action == "failed sign-in")
        )
    if before is not None:
        query = query.where(AuditEntryRow.id < before)
    rows = (await store.execute(query)).all()
    # The walk over the trail takes a connection of its own: never two of the pool at once.
    await store.close()
    shown, known = rows[:PAGE], environments(board.configuration)
    filters = {"q": q, "project": project, "only": only}
    view = AuditList(
        rows=tuple(_row(each, known) for each in shown),
        chain=await _chain(board),
        pages=Pages(
            words.plural(len(shown), "entry", "entries"),
            newer=addresses.audit(**filters) if before else None,
            older=addresses.audit(**filters, before=shown[-1].id) if len(rows) > PAGE else None,
        ),
        text=q,
        only_refused=only == "refused",
        projects=(
            Option("", "All projects", not project),
            *(
                Option(name, each.title, name == project)
                for name, each in board.configuration.projects.items()
            ),
        ),
        filtered=bool(q or project or only),
    )
    return frame.show("audit/index.html", view, here="Audit", section="audit")


async def _chain(board: Dashboard) -> Mark:
    """Walk the whole trail and say whether every entry is what it was."""
    report: ChainReport = await verify_chain(board.store)
    if report.problem is not None:
        return Mark("failed", f"Not whole: {report.problem}")
    return Mark("ok", f"Unbroken, {report.entries:,} entries")


def _row(entry: Any, known: dict[str, EnvironmentRef]) -> AuditRow:
    refused = entry.action.endswith(" refused") or entry.action == "failed sign-in"
    job = entry.detail.get("job")
    said = entry.action[0].upper() + entry.action[1:]
    if pattern := entry.detail.get("object_pattern"):
        said = f"{said} for {pattern}"
    if reason := entry.detail.get("reason"):
        said = f"{said}: {reason}"
    return AuditRow(
        number=entry.id,
        at=entry.at,
        actor=entry.actor,
        what=said,
        hash=entry.hash,
        environment=known.get(entry.object),
        object=entry.object,
        result=Mark("blocked", "Refused") if refused else Mark("ok", "Accepted"),
        evidence=Link(f"Job {job}", addresses.job(job)) if isinstance(job, int) else None,
    )
