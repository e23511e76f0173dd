"""`/jobs`: preparing, starting, following, cancelling. To follow is to ask for what came after a number."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Query, Request
from pydantic import Field

from web.access import audit
from web.access.permissions import Principal, visible_projects
from web.access.requests import signed_in
from web.api.bodies import Body
from web.clean_start.acting import OfStep
from web.dashboard import (
    LARGEST,
    Board,
    Dashboard,
    Id,
    InEnvironment,
    InProject,
    OneJob,
    Store,
    Text,
    Who,
    in_project,
    on_job,
    permission_of_check,
    permission_of_kind,
)
from web.jobs.cancel import cancel
from web.jobs.events import Event
from web.jobs.reading import (
    JobRecord,
    list_jobs,
    live_workers,
    read_attempts,
    read_events,
    read_job,
    read_steps,
)
from web.observation.changes import JobChange, read_job_change, read_job_changes
from web.starting.operation import Where
from web.starting.preparation import prepare, prepare_for_project
from web.starting.start import Wish, kind_for, start_job

router = APIRouter()

#: How long a request for further events waits at most, in seconds.
LONGEST_WAIT = 25.0
#: Events in one answer at most.
PAGE = 1000


class NewJob(Body):
    """A job to be started."""

    parameters: dict[str, Any] = Field(default_factory=dict)
    #: The environment's name, typed by a person, where it is asked for.
    typed: str | None = None
    #: From `…/jobs/new/{kind}`; destructive kinds need one.
    confirmation: str | None = None
    seen_fingerprint: str | None = None
    seen_revisions: list[str] | None = None
    shown_hash: str | None = None
    #: The step of the project's clean start that it is started for.
    step: str | None = Field(default=None, max_length=50)

    def wish(self, kind: str) -> Wish:
        """What it asks for."""
        seen = self.seen_revisions
        return Wish(
            kind=kind,
            parameters=self.parameters,
            typed=self.typed,
            confirmation=self.confirmation,
            seen_fingerprint=self.seen_fingerprint,
            seen_revisions=None if seen is None else tuple(seen),
            shown_hash=self.shown_hash,
        )


@router.get(
    "/projects/{project}/environments/{environment}/jobs/new/{kind}", dependencies=[in_project("view")]
)
async def show_preparation(
    board: Board, store: Store, who: Who, environment: InEnvironment, kind: str
) -> dict[str, object]:
    """What a person has to know and confirm before a job of this kind starts."""
    wanted = kind_for(board.kinds, environment, kind)
    prepared = await prepare(
        store,
        board.configuration,
        wanted,
        environment,
        who,
        key=board.key,
        histories=board.histories,
    )
    return prepared.to_json()


@router.post(
    "/projects/{project}/environments/{environment}/jobs/{kind}",
    status_code=201,
    dependencies=[in_project(permission_of_kind)],
)
async def start(
    board: Board, who: Who, environment: InEnvironment, kind: str, new: NewJob
) -> dict[str, object]:
    """Start a job."""
    return await _started(board, who, environment, new.wish(kind), new.step)


async def _started(
    board: Dashboard, who: Principal, where: Where, wish: Wish, step: str | None
) -> dict[str, object]:
    job = await start_job(
        board.store,
        board.configuration,
        board.kinds,
        where,
        who,
        wish,
        key=board.key,
        within=OfStep(board.configuration, who, step or None, board.histories),
    )
    board.overviews.forget()
    async with board.store.connect() as connection:
        return as_json(await read_job(connection, job))


@router.get("/projects/{project}/jobs/new/{kind}", dependencies=[in_project("view")])
async def show_preparation_for_project(
    request: Request, board: Board, store: Store, who: Who, project: InProject, kind: str
) -> dict[str, object]:
    """The same before a job of the whole project; the query names parameters that are chosen already."""
    wanted = kind_for(board.kinds, project, kind)
    return (await prepare_for_project(store, wanted, project, who, dict(request.query_params))).to_json()


@router.post(
    "/projects/{project}/jobs/{kind}", status_code=201, dependencies=[in_project(permission_of_kind)]
)
async def start_on_project(
    board: Board, who: Who, project: InProject, kind: str, new: NewJob
) -> dict[str, object]:
    """Start a job of the whole project."""
    return await _started(board, who, project, new.wish(kind), new.step)


@router.post(
    "/projects/{project}/environments/{environment}/observations",
    status_code=201,
    dependencies=[in_project(permission_of_check)],
)
async def observe(board: Board, who: Who, environment: InEnvironment) -> dict[str, object]:
    """Ask for a look at the database: the job that makes it, which may be one that waits already."""
    return await _started(board, who, environment, Wish(board.kinds.check.name), None)


@router.get("/jobs", dependencies=[signed_in()])
async def index(
    board: Board,
    store: Store,
    who: Who,
    project: Text | None = None,
    environment: Text | None = None,
    kind: Text | None = None,
    before: Id | None = None,
    limit: int = 50,
) -> dict[str, object]:
    """Jobs, newest first; `before` continues a list."""
    found = await list_jobs(
        store,
        project=project,
        projects=visible_projects(who, board.configuration.projects),
        environment=environment,
        kinds=[kind] if kind else None,
        before=before,
        limit=max(1, min(limit, 200)),
    )
    changes = await read_job_changes(store, found)
    return {"jobs": [as_json(each, changes.get(each.id)) for each in found]}


@router.get("/jobs/{job}", dependencies=[on_job("view")])
async def show(job: OneJob, store: Store) -> dict[str, object]:
    """One job with its steps and attempts, and what it changed in the schema."""
    change = await read_job_change(store, job)
    return {
        **as_json(job, change),
        "differences": [each.to_json() for each in change.change.differences]
        if change and change.change
        else [],
        "steps": [
            {
                "name": step.name,
                "title": step.title,
                "state": step.state,
                "detail": step.detail,
                "started_at": step.started_at.isoformat() if step.started_at else None,
                "finished_at": step.finished_at.isoformat() if step.finished_at else None,
            }
            for step in await read_steps(store, job.id)
        ],
        "attempts": [
            {"number": each.number, "worker": each.worker, "host": each.host, "outcome": each.outcome}
            for each in await read_attempts(store, job.id)
        ],
    }


@router.get("/jobs/{job}/events", dependencies=[on_job("view")])
async def follow(
    board: Board,
    job: OneJob,
    after: int = Query(0, ge=0, le=LARGEST),
    wait: float = Query(0, ge=0, le=LONGEST_WAIT),
) -> dict[str, object]:
    """The events after a sequence number; with `wait`, the answer comes as soon as there is one, or then."""
    now, events = await _look(board, job.id, after)
    if wait and not events and not now.finished:
        stream = board.feed.follow(job.id, after=after)
        try:
            async with asyncio.timeout(wait):
                await anext(stream, None)
        except TimeoutError:
            pass
        finally:
            await stream.aclose()
        now, events = await _look(board, job.id, after)
    workers, change = None, None
    if now.state == "queued" or now.finished:
        async with board.store.connect() as connection:
            workers = await live_workers(connection) if now.state == "queued" else None
            change = await read_job_change(connection, now, first=0)
    return {
        "job": as_json(now, change),
        # How many could take it; None: one has.
        "live_workers": workers,
        "more": bool(events) and events[-1].seq < now.last_seq,
        "events": [
            {
                "seq": event.seq,
                "at": event.at.isoformat(),
                "kind": event.kind,
                "level": event.level,
                "text": event.text,
                "data": event.data,
            }
            for event in events
        ],
    }


@router.post("/jobs/{job}/cancellation", status_code=202, dependencies=[on_job("cancel")])
async def request_cancellation(board: Board, who: Who, job: OneJob) -> dict[str, object]:
    """Ask for the job's end; it ends in its true state."""
    async with board.store.begin() as connection:
        await cancel(connection, job.id, requested_by=who.name)
        await audit.append(
            connection, actor=who.actor, action="cancel", object=job.label, detail={"job": job.id}
        )
    board.overviews.forget()
    async with board.store.connect() as connection:
        return as_json(await read_job(connection, job.id))


async def _look(board: Dashboard, job: int, after: int) -> tuple[JobRecord, Sequence[Event]]:
    async with board.store.connect() as connection:
        # The job first: one that is finished here has all of its events in the second answer.
        now = await read_job(connection, job)
        return now, await read_events(connection, job, after=after, limit=PAGE)


def as_json(job: JobRecord, change: JobChange | None = None) -> dict[str, object]:
    """A job as API and command line show it; `schema` is there once one that may change it has ended."""
    return {
        "id": job.id,
        "kind": job.kind,
        "project": job.project,
        "environment": job.environment,
        "label": job.label,
        "state": job.state,
        "finished": job.finished,
        "parameters": dict(job.parameters),
        "requested_by": job.requested_by,
        "requested_at": job.requested_at.isoformat(),
        "started_at": job.started_at.isoformat() if job.started_at else None,
        "finished_at": job.finished_at.isoformat() if job.finished_at else None,
        "step": job.step,
        "done": job.done,
        "total": job.total,
        "unit": job.unit,
        "statement": job.statement,
        "outcome": dict(job.outcome) if job.outcome else None,
        "schema": change.to_json() if change else None,
        "last_seq": job.last_seq,
    }
