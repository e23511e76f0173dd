"""When an environment's schema changed, by which job, or by nobody we know.

It stands on what was seen: by looks (observations), and right before and after each mutating job. Between two
moments that saw the same nothing is said; between two that did not, something happened. A job answers for what
lies between its own two, and for nothing else. Made anew from the rows each time; nothing of it is stored.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, Final, Literal

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.jobs.witness import SchemaSeen, schema_seen
from web.observation.changes import Change, Pair, as_source, find_changes, read_changes
from web.observation.records import Record
from web.store.tables import EnvironmentRow, JobRow, JobSchemaRow, JobTargetRow, ObservationRow

Cause = Literal["first seen", "job", "nobody", "not known", "pinned"]

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
#: A look takes time: what it has read may be younger by so much than the moment it is known by.
OBSERVING_TAKES: Final = timedelta(seconds=10)
#: Pairs that one reading compares; what is left comes with the next one.
COMPARED_AT_ONCE: Final = 5
#: Looks and jobs that are read at first; most histories have an entry for one in few of them.
ROWS: Final = 200


@dataclass(frozen=True, slots=True)
class Ran:
    """A job that may have changed the schema, or that pinned another database."""

    id: int
    kind: str
    state: str
    requested_by: str
    environment: str
    began: datetime
    #: None: it has not ended.
    ended: datetime | None
    before: SchemaSeen | None = None
    after: SchemaSeen | None = None
    pinned: bool = False

    @property
    def exact(self) -> bool:
        """Whether what it changed is known."""
        return bool(self.before and self.after and self.before.fingerprint and self.after.fingerprint)


@dataclass(frozen=True, slots=True)
class Point:
    """What the schema was at a moment."""

    at: datetime
    fingerprint: str
    revisions: tuple[str, ...] | None
    #: Seen by this job's own look, not by an observation.
    job: Ran | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One change."""

    cause: Cause
    #: When it was seen first; it was not yet so at `since`.
    at: datetime
    since: datetime | None
    #: The job that did it, or those of which it is not known.
    jobs: tuple[Ran, ...]
    before: Point | None
    after: Point
    #: None: not compared yet.
    change: Change | None = None

    @property
    def pair(self) -> Pair | None:
        return (self.before.fingerprint, self.after.fingerprint) if self.before else None

    @property
    def key(self) -> int:
        """What the next page begins below: microseconds of the epoch."""
        return int(self.at.timestamp() * 1_000_000)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        change = self.change
        return {
            "cause": self.cause,
            "at": self.at.isoformat(),
            "since": self.since.isoformat() if self.since else None,
            "jobs": [
                {
                    "id": job.id,
                    "kind": job.kind,
                    "state": job.state,
                    "requested_by": job.requested_by,
                    "environment": job.environment,
                }
                for job in self.jobs
            ],
            "a": as_source(self.before.fingerprint) if self.before else None,
            "b": as_source(self.after.fingerprint),
            "revisions_before": _listed(self.before.revisions) if self.before else None,
            "revisions_after": _listed(self.after.revisions),
            "count": change.count if change else None,
            "kinds": [asdict(each) for each in change.kinds] if change else [],
            "reason": change.reason if change else None,
            "differences": [each.to_json() for each in change.differences] if change else [],
        }


@dataclass(frozen=True, slots=True)
class Timeline:
    """A page of it, newest first."""

    entries: tuple[Entry, ...]
    #: Where the next page begins; None: this is the last one.
    older: int | None = None


async def read_timeline(
    store: AsyncEngine,
    connection: AsyncConnection,
    record: Record | None,
    *,
    before: int | None = None,
    limit: int = 25,
    first: int | None = 20,
) -> Timeline:
    """A page of an environment's timeline with the `first` differences of each entry (None: all).

    Three queries, whatever the number of entries; a few more where something was not compared yet, and where hundreds
    of jobs in a row changed nothing.
    """
    if record is None:
        return Timeline(())
    older = await _older(connection, record, before, limit)
    shown = older[:limit]
    pairs = {entry.pair for entry in shown if entry.pair}
    changes = await read_changes(connection, pairs, first=first)
    if missing := [entry.pair for entry in shown if entry.pair and entry.pair not in changes]:
        await find_changes(store, missing[:COMPARED_AT_ONCE])
        changes = await read_changes(connection, pairs, first=first)
    return Timeline(
        tuple(replace(entry, change=changes.get(entry.pair) if entry.pair else None) for entry in shown),
        shown[-1].key if len(older) > limit else None,
    )


async def _older(connection: AsyncConnection, record: Record, before: int | None, limit: int) -> list[Entry]:
    """Entries below that key, newest first: more than the limit, or all."""
    upper = None if before is None else _moment(before)
    rows = max(ROWS, 4 * limit)
    while True:
        looks = await _read_looks(connection, record.environment_id, upper, rows)
        jobs = await _read_jobs(connection, record, upper, rows)
        entries = tell(looks, jobs, datetime.now(UTC))
        # What lies before the oldest of what was cut off is not known here.
        cuts = [look[0] for look in looks[:1] if len(looks) == rows]
        cuts += [job.began for job in jobs[:1] if len(jobs) == rows]
        if cuts:
            known = max(cuts)
            entries = [entry for entry in entries if entry.before is not None and entry.before.at >= known]
        found = [entry for entry in reversed(entries) if before is None or entry.key < before]
        if not cuts or len(found) > limit:
            return found
        rows *= 4


def _moment(key: int) -> datetime | None:
    try:
        return EPOCH + timedelta(microseconds=key)
    except OverflowError:  # after all times
        return None


async def _read_looks(
    connection: AsyncConnection, environment_id: int, upper: datetime | None, rows: int
) -> Sequence[tuple[datetime, datetime, str, tuple[str, ...] | None]]:
    """The last looks that reached the database: when they saw it first and last, what, and at which revisions."""
    row = ObservationRow
    query = (
        select(row.first_observed_at, row.last_observed_at, row.fingerprint, row.revisions, row.version_table)
        .where(
            row.environment_id == environment_id,
            row.reachable,
            row.fingerprint.is_not(None),
            *([row.first_observed_at < upper] if upper else []),
        )
        .order_by(row.id.desc())
        .limit(rows)
    )
    found = [
        (
            each.first_observed_at,
            each.last_observed_at,
            each.fingerprint,
            None if each.version_table is None else tuple(each.revisions or ()),
        )
        for each in await connection.execute(query)
    ]
    return found[::-1]


#: Whether a job pinned a database: the identity is in its outcome.
_PINNED = (JobRow.state == "succeeded") & JobRow.outcome[("data", "identity")].astext.is_not(None)


async def _read_jobs(
    connection: AsyncConnection, record: Record, upper: datetime | None, rows: int
) -> Sequence[Ran]:
    """The last mutating jobs that touched this database, through whichever environment, and those that pinned it.

    On one target they run one at a time, so those that are left out had ended before.
    """
    mine = JobRow.environment_id == record.environment_id
    touched = JobRow.mutating & mine
    if record.identity is not None:
        system, _, oid = record.identity.partition("/")
        same = select(JobTargetRow.job_id).where(
            JobTargetRow.system_identifier == system, JobTargetRow.database_oid == int(oid)
        )
        touched = touched | (JobRow.mutating & JobRow.id.in_(same))
    query = (
        select(
            JobRow.id,
            JobRow.kind,
            JobRow.state,
            JobRow.requested_by,
            (EnvironmentRow.project + "/" + EnvironmentRow.name).label("environment"),
            JobRow.started_at,
            JobRow.finished_at,
            _PINNED.label("pinned"),
            *(each for each in JobSchemaRow.__table__.columns if each.name != "job_id"),
        )
        .join(EnvironmentRow, EnvironmentRow.id == JobRow.environment_id)
        .outerjoin(JobSchemaRow, JobSchemaRow.job_id == JobRow.id)
        .where(
            JobRow.started_at.is_not(None),
            # One that began right after a look may have been seen by it.
            *([JobRow.started_at < upper + OBSERVING_TAKES] if upper else []),
            or_(touched, mine & _PINNED),
        )
        .order_by(JobRow.started_at.desc())
        .limit(rows)
    )
    found = [ran(row) for row in await connection.execute(query)]
    return found[::-1]


def ran(row: Any) -> Ran:
    """A job with what was seen before and after it, from a row of `job` and `job_schema`."""
    return Ran(
        row.id,
        row.kind,
        row.state,
        row.requested_by,
        row.environment,
        row.started_at,
        row.finished_at,
        schema_seen(row, "before"),
        schema_seen(row, "after"),
        row.pinned,
    )


def tell(
    looks: Iterable[tuple[datetime, datetime, str, tuple[str, ...] | None]],
    jobs: Sequence[Ran],
    now: datetime,
) -> list[Entry]:
    """The entries, oldest first."""
    points = _points(looks, jobs)
    if not points:
        return []
    entries = [Entry("first seen", points[0].at, None, (), None, points[0])]
    pins = [job for job in jobs if job.pinned]
    unseen = [job for job in jobs if not job.exact and not job.pinned]
    for before, after in pairwise(points):
        if (entry := _between(before, after, pins, unseen, now)) is not None:
            entries.append(entry)
    return entries


def _points(
    looks: Iterable[tuple[datetime, datetime, str, tuple[str, ...] | None]], jobs: Sequence[Ran]
) -> list[Point]:
    exact = sorted((job for job in jobs if job.exact), key=_reach)
    starts = [_reach(job) for job in exact]
    ordered: list[tuple[datetime, int, Point]] = []
    for first, last, fingerprint, revisions in looks:
        ordered += [
            (at, 1, Point(at, fingerprint, revisions))
            for at in sorted({first, last})
            if not any(_within(job, at, fingerprint) for job in _near(exact, bisect_right(starts, at)))
        ]
    for job in jobs:
        for rank, seen in ((0, job.before), (2, job.after)):
            if seen is not None and seen.fingerprint is not None:
                ordered.append((seen.at, rank, Point(seen.at, seen.fingerprint, seen.revisions, job)))
    return [point for _, _, point in sorted(ordered, key=lambda each: each[:2])]


def _near(exact: Sequence[Ran], begun: int) -> Sequence[Ran]:
    """One at a time on a target: of those that had begun, only the last ones can be near a moment."""
    return exact[max(0, begun - 3) : begun]


def _reach(job: Ran) -> datetime:
    assert job.before is not None
    return job.before.at - OBSERVING_TAKES


def _within(job: Ran, at: datetime, fingerprint: str) -> bool:
    """Whether a look saw the database while the job changed it; that is no state to tell of."""
    assert job.before is not None
    assert job.after is not None
    if job.before.at <= at <= job.after.at:
        return True
    return at < job.before.at and fingerprint != job.before.fingerprint


def _between(
    before: Point, after: Point, pins: Sequence[Ran], unseen: Sequence[Ran], now: datetime
) -> Entry | None:
    if here := [job for job in pins if before.at <= job.began < after.at]:
        return Entry("pinned", after.at, None, (here[-1],), before, after)
    same_revisions = None in (before.revisions, after.revisions) or before.revisions == after.revisions
    if before.fingerprint == after.fingerprint and same_revisions:
        return None
    if before.job is not None and before.job is after.job:
        return Entry("job", after.at, before.at, (after.job,), before, after)
    # Jobs whose end or beginning was not seen: it may have been them, and that is all that can be said.
    perhaps = tuple(job for job in unseen if job.began < after.at and (job.ended or now) > before.at)
    return Entry("not known" if perhaps else "nobody", after.at, before.at, perhaps, before, after)


def _listed(revisions: tuple[str, ...] | None) -> list[str] | None:
    return None if revisions is None else list(revisions)
