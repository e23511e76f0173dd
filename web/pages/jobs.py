"""`/jobs`: one job, live; its log as text; cancelling it; the list of all."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from web import addresses, words
from web.access import audit
from web.access.permissions import Principal, may, visible_projects
from web.access.requests import csrf_token, signed_in
from web.dashboard import LARGEST, Board, Dashboard, Id, OneJob, Store, Text, Who, on_job
from web.jobs.cancel import cancel
from web.jobs.job import FINISHED
from web.jobs.patience import patiently
from web.jobs.reading import JobRecord, list_jobs, read_events
from web.pages.job_live import job_messages
from web.pages.job_parts import read_job_parts
from web.pages.parts import rail_parts, render
from web.pages.presenting import environments, job_parameters, job_row, job_title, where_of
from web.pages.render import partial
from web.pages.shell import Framed, go_to, is_swap, seen_by
from web.pages.streams import Message, resume_after, stream_response
from web.pages.views.jobs import Cancellation, JobFilter, JobList
from web.pages.views.marks import JOB_MARKS, EnvironmentRef, Link, Mark, Option, Pages

router = APIRouter()

#: Jobs on one page of the list.
PAGE = 50
#: Chooses every kind, looks too, which are hidden otherwise: there is one a minute.
EVERY_KIND = "*"


@router.get("/jobs", dependencies=[signed_in()])
async def index(
    board: Board,
    store: Store,
    frame: Framed,
    q: Text = "",
    project: Text = "",
    kind: Text = "",
    state: str = "",
    before: Id | None = None,
) -> HTMLResponse:
    """The list, newest first; mere looks only where they are asked for, as the choice of kinds says."""
    visible = visible_projects(frame.who, board.configuration.projects)
    text = q.strip()
    found = await list_jobs(
        store,
        project=project or None,
        projects=visible,
        kinds=_kinds(board, kind),
        states=_states(state),
        search=text,
        titled=[each.name for each in board.kinds.all if text.lower() in each.title.lower()] if text else (),
        before=before,
        limit=PAGE + 1,
    )
    tiers = environments(board.configuration)
    rows = found[:PAGE]
    filters = {"q": q, "project": project, "kind": kind, "state": state}
    view = JobList(
        rows=tuple(job_row(each, board.kinds, tiers) for each in rows),
        filter=JobFilter(
            text=q,
            kinds=_options(
                kind,
                [
                    (EVERY_KIND, "All kinds, checks too"),
                    *((each.name, each.title) for each in board.kinds.all),
                ],
                "All kinds but checks",
            ),
            projects=_options(
                project, [(name, board.configuration.project(name).title) for name in visible], "All projects"
            ),
            states=_options(state, [("open", "Not finished"), ("bad", "Failed or unknown")], "All states"),
        ),
        pages=Pages(
            words.plural(len(rows), "job"),
            newer=addresses.jobs(**filters) if before else None,
            older=addresses.jobs(**filters, before=rows[-1].id) if len(found) > PAGE else None,
        ),
        filtered=bool(text or project or kind or state),
    )
    return frame.show(
        "jobs/index.html",
        view,
        here="Jobs",
        section="jobs",
        # An older page stands still: what is new is not on it.
        stream=None if before else addresses.jobs_stream(),
    )


@router.get("/jobs/stream", dependencies=[signed_in()])
async def list_stream(board: Board, who: Who) -> Response:
    """A word to ask for the list again whenever something of what the person may see has changed."""
    return stream_response(board, who, "view", None, _changes(board, who))


async def _changes(board: Dashboard, who: Principal) -> AsyncGenerator[Message]:
    # What happened between the page and its stream is not told: so the list is asked for once more.
    yield Message("", event="jobs-changed")
    async for changed in board.feed.changes():
        read = await patiently(board.overviews.fresh_for_streams)
        found = seen_by(who, read.overview)
        seen = {
            cell.record.environment_id for row in found.rows for cell in row.cells.values() if cell.record
        }
        if changed is None or changed & seen:
            yield Message("".join(map(render, rail_parts(found, ""))))
            yield Message("", event="jobs-changed")


@router.get("/jobs/{job}", dependencies=[on_job("view")])
async def show(board: Board, store: Store, frame: Framed, job: OneJob) -> HTMLResponse:
    """One job."""
    where = where_of(job, environments(board.configuration))
    parts = await read_job_parts(store, board, job)
    can_cancel = not job.finished and may(frame.who, "cancel", job.project)
    return frame.show(
        "jobs/show.html",
        parts.page(
            job_title(job, board.kinds),
            where,
            job_parameters(job, board.kinds),
            can_cancel=can_cancel,
        ),
        here=f"Job {job.id}",
        section="jobs",
        crumbs=(
            Link("Overview", addresses.overview()),
            project_link(board, job),
            *([Link(where.name, where.path)] if isinstance(where, EnvironmentRef) else []),
        ),
        project=job.project,
        environment=where if isinstance(where, EnvironmentRef) else None,
        tier=where.tier,
        stream=None if job.finished else addresses.job_stream(job.id, job.last_seq),
        stream_ends_on="job-end",
    )


@router.get("/jobs/{job}/stream", dependencies=[on_job("view")])
async def stream(
    request: Request,
    board: Board,
    who: Who,
    job: OneJob,
    after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
) -> Response:
    """What happens to the job after an event's number."""
    messages = job_messages(board, who, job.id, resume_after(request, after))
    return stream_response(board, who, "view", job.project, messages)


@router.get("/jobs/{job}/toast", dependencies=[on_job("view")])
async def toast(job: OneJob) -> Response:
    """How a look ended, for the notification that it began; nothing while it has not."""
    if not job.finished:
        return Response(status_code=204)
    said = job.outcome or {}
    if job.state == "succeeded":
        mark = Mark((said.get("data") or {}).get("status") or "ok", f"Checked {job.label}")
        account = str(said.get("account") or "")
    else:
        mark = Mark(JOB_MARKS[job.state].status, f"The check of {job.label} did not end well")
        account = str(said.get("account") or said.get("title") or "")
    link = Link(f"Open job {job.id}", addresses.job(job.id))
    return HTMLResponse(partial("shell/_toast.html", mark=mark, account=account, link=link))


@router.get("/jobs/{job}/log", dependencies=[on_job("view")])
async def log(board: Board, job: OneJob) -> StreamingResponse:
    """The whole log as plain text."""
    return StreamingResponse(
        _lines(board, job.id),
        media_type="text/plain; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="job-{job.id}.log"'},
    )


@router.get("/jobs/{job}/cancellation", dependencies=[on_job("cancel")])
async def ask_cancellation(
    request: Request,
    board: Board,
    frame: Framed,
    job: OneJob,
    token: Annotated[str, Depends(csrf_token)],
) -> HTMLResponse:
    """The question before a job is cancelled, or that there is nothing to cancel any more."""
    where = where_of(job, environments(board.configuration))
    view = Cancellation(
        number=job.id,
        where=where,
        title=job_title(job, board.kinds),
        account=_what_cancelling_does(job),
        back=Link("Back to the job" if job.finished else "Let it run", addresses.job(job.id)),
        ended=JOB_MARKS[job.state] if job.finished else None,
    )
    if is_swap(request):
        return HTMLResponse(partial("dialogs/_cancel_dialog.html", cancel=view, csrf_token=token))
    return frame.show(
        "dialogs/cancel.html",
        view,
        here="Cancel",
        section="jobs",
        crumbs=(Link("Jobs", addresses.jobs()), Link(f"Job {job.id}", addresses.job(job.id))),
        tier=where.tier,
    )


@router.post("/jobs/{job}/cancellation", dependencies=[on_job("cancel")])
async def request_cancellation(request: Request, board: Board, who: Who, job: OneJob) -> Response:
    """Ask for the job's end."""
    async with board.store.begin() as store:
        await cancel(store, job.id, requested_by=who.name)
        await audit.append(
            store,
            actor=who.actor,
            action="cancel",
            object=job.label,
            detail={"job": job.id, "kind": job.kind},
        )
    board.overviews.forget()
    return go_to(request, addresses.job(job.id))


def project_link(board: Dashboard, job: JobRecord) -> Link:
    """The job's project as every page calls it; one that is configured no more has its name alone."""
    known = board.configuration.projects.get(job.project)
    return Link(known.title if known else job.project, addresses.project(job.project))


def _what_cancelling_does(job: JobRecord) -> str:
    if job.finished:
        return "There is nothing to cancel."
    if job.state == "queued":
        return "It has not begun. Nothing is changed."
    said = "What runs is ended within ten seconds, and the job ends in its true state. "
    return said + (
        "What a transaction had not committed is rolled back; what was committed stays."
        if job.mutating
        else "It only reads, so nothing is left behind."
    )


def _kinds(board: Dashboard, chosen: str) -> list[str] | None:
    if chosen == EVERY_KIND:
        return None
    return [chosen] if chosen else [each.name for each in board.kinds.all if not each.observes]


def _states(chosen: str) -> tuple[str, ...] | None:
    if chosen == "open":
        return ("queued", "running", "cancelling", "interrupted")
    return tuple(FINISHED - {"succeeded", "cancelled"}) if chosen == "bad" else None


def _options(chosen: str, choices: list[tuple[str, str]], every: str) -> tuple[Option, ...]:
    return (
        Option("", every, not chosen),
        *(Option(value, words, value == chosen) for value, words in choices),
    )


async def _lines(board: Dashboard, job: int) -> AsyncIterator[str]:
    seq = 0
    while True:
        async with board.store.connect() as store:
            events = await read_events(store, job, after=seq, limit=1000)
        if not events:
            return
        seq = events[-1].seq
        yield "".join(
            f"{event.at.astimezone(UTC).isoformat(timespec='milliseconds')} {event.level:<7} {event.kind:<9} {text}\n"
            for event in events
            if (text := event.text.replace("\n", "\n    "))
        )
