"""Starts what is due by itself: looks that jobs' ends left owed, a look at every environment once a minute,
rehearsals of what is pending.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.answers.overview import Cell, Row, read_overview
from web.answers.rehearsed import read_rehearsal
from web.answers.verdict import Verdict, archived_verdict
from web.config import Configuration, Environment, Project
from web.jobs.job import BY_SCHEDULE, P
from web.jobs.kind import JobKind
from web.jobs.start import start
from web.observation.records import Record
from web.operations import KINDS
from web.operations.observe import OBSERVE
from web.operations.rehearse import REHEARSE
from web.starting.asking import end_void
from web.starting.operation import Operations
from web.store.tables import EnvironmentRow, EnvironmentStateRow, JobRow
from web.tools.registry import tool_of
from web.upkeep.forgetting import BATCH, forget

#: How old a look may become. A dead database is looked at as often: it shows when it is back.
EVERY = timedelta(minutes=1)
#: Between two turns of what is due; looks that are owed are seen to at every call.
TURN = timedelta(seconds=10)
#: How soon a look that is owed is tried again: after as long as it has taken so far, and within these.
OWED_AGAIN = timedelta(seconds=2), timedelta(seconds=15)

#: How soon a rehearsal is tried again at the earliest. One that could not be held for a reason outside of what it
#: depends on (no scratch server, a full disk, the time limit) is, each time after twice as long, up to `RARELY`; one
#: that failed only when something changed that it depends on.
RETRY, RARELY = timedelta(minutes=5), timedelta(hours=6)
#: How long it is taken for granted what a project's code stands on: that reads all of its files.
READ_EVERY = 60.0
#: Looks that the schedule started are forgotten after this: what they found is in the observations.
KEPT = timedelta(minutes=10)
#: How often it is looked for what else nobody needs any more.
FORGET_EVERY = timedelta(minutes=30)


def scheduled(configuration: Configuration) -> Callable[[AsyncEngine], Awaitable[None]]:
    """What a worker calls every other second, while no other one does.

    `start_owed_looks` at every call, `start_due` at every turn, and now and then `forget`.
    """
    forgotten: datetime | None = None
    inputs = Inputs()
    turned: datetime | None = None

    async def run(store: AsyncEngine) -> None:
        nonlocal forgotten, turned
        await start_owed_looks(store, configuration)
        now = datetime.now(UTC)
        if turned is not None and now - turned < TURN:
            return
        turned = now
        await start_due(store, configuration, inputs)
        await end_void_requests(store, configuration)
        if forgotten is None or now - forgotten >= FORGET_EVERY:
            removed = await forget(store)
            # Where there was more than one piece of something, the next call goes on.
            forgotten = None if max(removed.values()) == BATCH else now

    return run


class Inputs:
    """What the projects' code stands on, read at most every `READ_EVERY` seconds."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[float, str | None]] = {}

    async def of(self, project: Project) -> str | None:
        """The project's digest; None where it cannot be told."""
        read_at, digest = self._known.get(project.name, (-READ_EVERY, None))
        if time.monotonic() - read_at >= READ_EVERY:
            digest = await asyncio.to_thread(tool_of(project).digest_of_inputs, project)
            self._known[project.name] = time.monotonic(), digest
        return digest


async def start_due(store: AsyncEngine, configuration: Configuration, inputs: Inputs | None = None) -> None:
    """Start what is due, and forget looks that are done. Called by one worker at a time."""
    await start_due_looks(store, configuration)
    await start_due_rehearsals(store, configuration, inputs or Inputs())
    await forget_old_looks(store)


# Returns the environments whose last look began before the end of a job that could have changed their database, and
# for which it is time to try. A look that was asked for before that end may have begun before it as well.
_OWED = text(
    """
    SELECT e.project, e.name
      FROM environment e
      LEFT JOIN environment_state s ON s.environment_id = e.id
      JOIN LATERAL (
            SELECT job.id, job.finished_at
              FROM job_target t
              JOIN job ON job.id = t.job_id
             WHERE t.system_identifier = e.system_identifier AND t.database_oid = e.database_oid
               AND NOT t.unfinished AND job.started_at IS NOT NULL
             ORDER BY t.job_id DESC
             LIMIT 1) u ON u.id > coalesce(s.seen_job, 0)
      LEFT JOIN LATERAL (
            SELECT max(job.requested_at) AS at, bool_or(job.finished_at IS NULL) AS under_way
              FROM job
             WHERE job.environment_id = e.id AND job.kind = :kind AND job.requested_at >= u.finished_at) tried ON true
     WHERE NOT coalesce(tried.under_way, false)
       AND (tried.at IS NULL
            OR now() - tried.at >= least(greatest(tried.at - u.finished_at, :soonest), :latest))
    """
)


async def start_owed_looks(store: AsyncEngine, configuration: Configuration) -> None:
    """Start a look wherever a job has ended since the last one: at once, then as soon as the database answers.

    Mostly there is none, because whoever ends a job looks (`web.jobs.conclusion`): the database did not answer then,
    or another environment has the same one.
    """
    soonest, latest = OWED_AGAIN
    async with store.connect() as connection:
        asked = {"kind": OBSERVE.name, "soonest": soonest, "latest": latest}
        owed = [tuple(row) for row in await connection.execute(_OWED, asked)]
    for project, name in owed:
        known = configuration.projects.get(project)
        if known is not None and name in known.environments:
            await _start(store, OBSERVE, known.environments[name])


async def end_void_requests(store: AsyncEngine, configuration: Configuration) -> None:
    """End requests for approval of what would not run like that any more."""
    async with store.begin() as connection:
        await end_void(connection, configuration, Operations(KINDS))


async def start_due_looks(store: AsyncEngine, configuration: Configuration) -> None:
    """Start a look at every environment whose last one, or last try, is older than `EVERY`.

    One query, then a short transaction for each look.
    """
    due_before = datetime.now(UTC) - EVERY
    # A try that found nothing to write down (the environment is new, the worker died) counts as well.
    tried = (
        select(JobRow.environment_id, func.max(JobRow.requested_at).label("at"))
        .where(JobRow.kind == OBSERVE.name, JobRow.requested_at > due_before)
        .group_by(JobRow.environment_id)
        .subquery()
    )
    query = (
        select(
            EnvironmentRow.project,
            EnvironmentRow.name,
            func.greatest(EnvironmentStateRow.observed_at, tried.c.at),
        )
        .outerjoin(EnvironmentStateRow, EnvironmentStateRow.environment_id == EnvironmentRow.id)
        .outerjoin(tried, tried.c.environment_id == EnvironmentRow.id)
    )
    async with store.connect() as connection:
        last = {(project, name): at for project, name, at in await connection.execute(query)}
    for project in configuration.projects.values():
        for environment in project.environments.values():
            at = last.get((environment.project, environment.name))
            if at is None or at < due_before:
                await _start(store, OBSERVE, environment)


async def start_due_rehearsals(store: AsyncEngine, configuration: Configuration, inputs: Inputs) -> None:
    """Rehearse what is pending and was not rehearsed yet, so that its SQL is there before a person asks."""
    tried = (
        select(EnvironmentRow.project, EnvironmentRow.name, func.max(JobRow.requested_at))
        .join(EnvironmentRow, EnvironmentRow.id == JobRow.environment_id)
        .where(JobRow.kind == REHEARSE.name)
        .group_by(EnvironmentRow.project, EnvironmentRow.name)
    )
    now = datetime.now(UTC)
    async with store.connect() as connection:
        overview = await read_overview(connection, configuration)
        last = {(project, name): at for project, name, at in await connection.execute(tried)}
        due = []
        for row in overview.rows:
            for cell in row.cells.values():
                at = last.get((row.project.name, cell.environment.name))
                verdict = _to_rehearse(row, cell)
                if verdict is None or (at is not None and at > now - RETRY):
                    continue
                since = now - at if at is not None else RARELY
                if REHEARSE.available(cell.environment) is None and await _is_due(
                    connection, cell.record, verdict, row.project, inputs, since
                ):
                    due.append(cell.environment)
    for environment in due:
        await _start(store, REHEARSE, environment)


def _to_rehearse(row: Row, cell: Cell) -> Verdict | None:
    """The verdict that a migrate goes by, where it has something to apply: the rest of an archived history, too."""
    if (
        cell.verdict.standing == "before the clean start"
        and row.source is not None
        and cell.record is not None
    ):
        found = archived_verdict(row.source.history, cell.record.observed)
    else:
        found = cell.verdict
    return found if found is not None and found.standing == "pending" else None


async def _is_due(
    connection: AsyncConnection,
    record: Record | None,
    verdict: Verdict,
    project: Project,
    inputs: Inputs,
    since_last_try: timedelta,
) -> bool:
    """Whether a rehearsal may say something that the last one did not."""
    if record is None:
        return True
    plan = await read_rehearsal(connection, record.environment_id, record.observation, verdict.heads)
    if plan is None or plan.files != {step.revision: step.digest for step in verdict.pending}:
        return True
    if plan.succeeded:
        return False
    stands_on = await inputs.of(project)
    observed = record.observation.fingerprint if record.observation is not None else None
    if stands_on is not None and (plan.inputs, plan.content.get("observed")) != (stands_on, observed):
        return True
    failure = plan.content.get("failure") or {}
    if plan.outcome == "not held" and (failure.get("passing", True) or stands_on is None):
        tries = max(1, int(plan.content.get("tries", 1)))
        pause: timedelta = RETRY * 2 ** min(tries - 1, 10)
        return since_last_try >= min(pause, RARELY)
    # Where it cannot be told whether anything changed, now and then.
    return stands_on is None and since_last_try >= RARELY


async def forget_old_looks(store: AsyncEngine) -> None:
    """Remove finished looks that the schedule started: at 500 environments they would be 700,000 rows a day."""
    old = select(JobRow.id).where(
        JobRow.kind == OBSERVE.name,
        JobRow.requested_by == BY_SCHEDULE,
        JobRow.finished_at < datetime.now(UTC) - KEPT,
    )
    async with store.begin() as connection:
        await connection.execute(delete(JobRow).where(JobRow.id.in_(old.limit(1000))))


async def _start(store: AsyncEngine, kind: JobKind[P], environment: Environment) -> None:
    async with store.begin() as connection:
        await start(
            connection, kind, environment=environment, parameters=kind.parameters(), requested_by=BY_SCHEDULE
        )
