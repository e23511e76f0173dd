"""By whom the version rows of databases were changed last: by a job, or by nobody we know.

It stands on the looks that found other rows than the look before them, and on what was seen right before and after
each job in between, as the timeline does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ARRAY, BigInteger, DateTime, Text, cast, column, false, func, select
from sqlalchemy.dialects.postgresql import distinct_on
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from web.observation.timeline import OBSERVING_TAKES, Ran, ran
from web.store.tables import EnvironmentRow, JobRow, JobSchemaRow, ObservationRow, RunRow

#: `not known`: jobs were at work, and what they left was not seen; `pinned`: it is another database since.
Cause = Literal["job", "nobody", "not known", "pinned"]
#: No job runs longer.
LONGEST = timedelta(days=7)
_MOMENT = DateTime(timezone=True)


@dataclass(frozen=True, slots=True)
class RevisionChange:
    """The last change of a database's version rows."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    #: They were still the old ones at `since`, and the new ones at `at`.
    since: datetime
    at: datetime
    cause: Cause
    #: Those that did it, or those of which it is not known; the last one last.
    jobs: tuple[Ran, ...] = ()

    @property
    def words(self) -> str:
        """`9a3f to 4c11`, with `no revision` where there was none."""
        was, became = (", ".join(each) or "no revision" for each in (self.before, self.after))
        return f"{was} to {became}"

    def to_json(self) -> dict[str, object]:
        """JSON of the API."""
        return {
            "before": list(self.before),
            "after": list(self.after),
            "since": self.since.isoformat(),
            "at": self.at.isoformat(),
            "cause": self.cause,
            "jobs": [
                {"id": each.id, "kind": each.kind, "requested_by": each.requested_by} for each in self.jobs
            ],
        }


async def changed_since_clean_start(
    connection: AsyncConnection, project: str | None = None
) -> Mapping[tuple[str, str], RevisionChange]:
    """The last change of each environment, by (project, name), where it came after its project's clean start was done.

    Of all projects or of one; one query, and another where there is any.
    """
    ended = (
        select(RunRow.project, func.max(RunRow.ended_at).label("at"))
        .where(RunRow.ended == "done", RunRow.way == "clean start")
        .group_by(RunRow.project)
        .subquery()
    )
    query = (
        select(
            EnvironmentRow.project,
            EnvironmentRow.name,
            EnvironmentRow.id,
            EnvironmentRow.system_identifier,
            EnvironmentRow.database_oid,
            EnvironmentRow.pinned_at,
            ObservationRow.revisions_before,
            ObservationRow.revisions,
            ObservationRow.revisions_seen_until,
            ObservationRow.first_observed_at,
        )
        .join(EnvironmentRow, EnvironmentRow.id == ObservationRow.environment_id)
        .join(ended, ended.c.project == EnvironmentRow.project)
        .where(
            ObservationRow.revisions_before.is_not(None),
            ObservationRow.first_observed_at > ended.c.at,
            *([EnvironmentRow.project == project] if project is not None else []),
        )
        .ext(distinct_on(ObservationRow.environment_id))
        .order_by(ObservationRow.environment_id, ObservationRow.id.desc())
    )
    rows = (await connection.execute(query)).all()
    jobs = await _jobs_between(connection, rows) if rows else {}
    return {(row.project, row.name): _told(row, jobs.get(row.id, ())) for row in rows}


async def _jobs_between(connection: AsyncConnection, changes: Sequence[Any]) -> Mapping[int, Sequence[Ran]]:
    """The jobs that were at work on each database between its two looks; by environment's number."""
    # As arrays: the statement is the same, and kept, however many there are.
    seen = (
        func.unnest(
            cast([each.id for each in changes], ARRAY(BigInteger)),
            cast([each.system_identifier for each in changes], ARRAY(Text)),
            cast([each.database_oid for each in changes], ARRAY(BigInteger)),
            cast([each.revisions_seen_until - OBSERVING_TAKES for each in changes], ARRAY(_MOMENT)),
            cast([each.first_observed_at + OBSERVING_TAKES for each in changes], ARRAY(_MOMENT)),
        )
        .table_valued(
            column("environment_id", BigInteger),
            column("system_identifier", Text),
            column("database_oid", BigInteger),
            column("since", _MOMENT),
            column("at", _MOMENT),
            name="seen",
        )
        .render_derived()
    )
    # Through whichever environment: on one target they run one at a time.
    through = aliased(EnvironmentRow)
    query = (
        select(
            seen.c.environment_id.label("seen_by"),
            JobRow.id,
            JobRow.kind,
            JobRow.state,
            JobRow.requested_by,
            (through.project + "/" + through.name).label("environment"),
            JobRow.started_at,
            JobRow.finished_at,
            false().label("pinned"),
            *(each for each in JobSchemaRow.__table__.columns if each.name != "job_id"),
        )
        .select_from(seen)
        .join(
            through,
            (through.system_identifier == seen.c.system_identifier)
            & (through.database_oid == seen.c.database_oid),
        )
        .join(JobRow, JobRow.mutating & (JobRow.environment_id == through.id))
        .outerjoin(JobSchemaRow, JobSchemaRow.job_id == JobRow.id)
        .where(
            JobRow.started_at < seen.c.at,
            JobRow.started_at > seen.c.since - LONGEST,
            func.coalesce(JobRow.finished_at, func.now()) > seen.c.since,
        )
        .order_by(JobRow.started_at)
    )
    found: dict[int, list[Ran]] = {}
    for row in await connection.execute(query):
        found.setdefault(row.seen_by, []).append(ran(row))
    return found


def _told(row: Any, jobs: Sequence[Ran]) -> RevisionChange:
    since, at = row.revisions_seen_until, row.first_observed_at
    rows = tuple(row.revisions_before), tuple(row.revisions)
    if row.pinned_at is not None and since - OBSERVING_TAKES <= row.pinned_at <= at + OBSERVING_TAKES:
        return RevisionChange(*rows, since, at, "pinned")
    cause, by = told(*rows, jobs, since, at)
    return RevisionChange(*rows, since, at, cause, by)


def told(
    before: Iterable[str], after: Iterable[str], jobs: Sequence[Ran], since: datetime, at: datetime
) -> tuple[Cause, tuple[Ran, ...]]:
    """Who led from the version rows of `since` to those of `at`; `jobs` in the order in which they ran.

    Only an unbroken chain from one job to the next leaves nobody else. A look takes time: a job that had just ended at
    `since`, or that began around `at`, may be a part of it or not. What a look saw in the middle of a job binds nobody.
    """
    rows, goal = sorted(before), sorted(after)
    ended = sum(job.ended is not None and job.ended <= since for job in jobs)
    begun = sum(job.began >= at - OBSERVING_TAKES for job in jobs)
    for first in range(ended + 1):
        for last in range(len(jobs), len(jobs) - begun - 1, -1):
            if by := _chain(rows, goal, jobs[first:last], since, at):
                return "job", by
    unseen = tuple(job for job in jobs if not _exact(job))
    return ("not known", unseen) if unseen else ("nobody", ())


def _chain(
    rows: list[str], goal: list[str], jobs: Sequence[Ran], since: datetime, at: datetime
) -> tuple[Ran, ...]:
    """The jobs that changed something on an unbroken way; none where it is broken."""
    here: list[str] | None = rows
    changed: list[Ran] = []
    for job in jobs:
        if not _exact(job):
            continue
        was, became = _sides(job)
        if _in_the_middle(job, since):
            was = here
        if was != here:
            return ()
        if _in_the_middle(job, at):
            return (*changed, job)
        if became != was:
            changed.append(job)
        here = became
    return tuple(changed) if here == goal else ()


def _in_the_middle(job: Ran, moment: datetime) -> bool:
    return job.began < moment and (job.ended is None or job.ended > moment)


def _exact(job: Ran) -> bool:
    return bool(job.before and job.after) and None not in _sides(job)


def _sides(job: Ran) -> tuple[list[str] | None, list[str] | None]:
    """The version rows right before a job and right after it; None: not known."""
    before, after = (
        sorted(each.revisions) if each is not None and each.revisions is not None else None
        for each in (job.before, job.after)
    )
    return before, after
