"""Changes of a schema as views: what a job did, and an environment's timeline."""

from __future__ import annotations

from collections.abc import Iterable

from web import addresses, words
from web.jobs.reading import JobRecord
from web.observation.changes import JobChange, KindCount
from web.observation.timeline import Entry, Ran, Timeline
from web.pages.differences import BEFORE_AFTER, groups
from web.pages.views.differences import Snapshots
from web.pages.views.environment.timeline import TimelineEntry, TimelineTab
from web.pages.views.jobs import SchemaChange
from web.pages.views.marks import JOB_MARKS, Link, Mark, Pages
from web.starting.operation import Operations
from web.store.tables import UNFINISHED

#: Differences that a job's page lists; the others are for `cleanstart diff`.
LISTED = 200
#: Entries on one page of a timeline, and differences that each lists.
ENTRIES, LISTED_EACH = 25, 20
_PLURALS = {
    "index": "indexes",
    "policy": "policies",
    "default privileges": "default privileges",
    "foreign data wrapper": "foreign data wrappers",
}


def job_schema(job: JobRecord, found: JobChange | None) -> SchemaChange | None:
    """The section of the job's page; None: the job changes no schema, or has not ended."""
    if found is None:
        return None
    timeline = Link("Timeline", addresses.environment(*job.place, "timeline"))
    before, after, change = found.before, found.after, found.change
    snapshots = (
        Snapshots(before.fingerprint, after.fingerprint)
        if before and after and before.fingerprint and after.fingerprint
        else None
    )
    if change is None or change.count is None:
        why = found.reason or (change.reason if change else None) or "Nobody checked."
        account = f"Not known, because: {why} What the next check finds is on the timeline."
        return SchemaChange(Mark("unknown", "Not known"), account, snapshots=snapshots, timeline=timeline)
    blind = f" {change.reason}" if change.reason else ""
    if not change.count:
        account = f"The schema is after the job what it was before it.{blind}"
        return SchemaChange(Mark("ok", "Nothing changed"), account, snapshots=snapshots, timeline=timeline)
    return SchemaChange(
        Mark("pending", words.plural(change.count, "difference")),
        f"{counted(change.kinds)}. Compared are the schemas right before the job and after it.{blind}",
        groups(change.differences, BEFORE_AFTER),
        change.count - len(change.differences),
        snapshots,
        timeline,
        change.count,
    )


def timeline(told: Timeline, kinds: Operations, path: str, label: str, *, paged: bool) -> TimelineTab:
    """A page of the timeline."""
    return TimelineTab(
        tuple(_entry(each, kinds, label) for each in told.entries),
        Pages(
            words.plural(len(told.entries), "entry", "entries"),
            newer=path if paged else None,
            older=f"{path}?before={told.older}" if told.older is not None else None,
        ),
    )


def _entry(entry: Entry, kinds: Operations, label: str) -> TimelineEntry:
    change = entry.change
    count = (change.count or 0) if change else 0
    return TimelineEntry(
        key=str(entry.key),
        mark=_mark(entry),
        what=_what(entry),
        at=entry.at,
        since=entry.since if entry.cause in ("nobody", "not known") else None,
        account=_account(entry, label),
        jobs=tuple(_link(job, kinds) for job in entry.jobs),
        requested_by=entry.jobs[0].requested_by if entry.cause in ("job", "pinned") else "",
        revisions_before=entry.before.revisions if entry.before else None,
        revisions_after=entry.after.revisions,
        snapshots=Snapshots(entry.before.fingerprint, entry.after.fingerprint) if entry.before else None,
        count=count,
        groups=groups(change.differences, BEFORE_AFTER) if change else (),
        more=count - len(change.differences) if change and count else 0,
        out_of_band=entry.cause == "nobody",
    )


def _mark(entry: Entry) -> Mark:
    match entry.cause:
        case "first seen":
            return Mark("queued", "The first check that is kept")
        case "job":
            return Mark("ok" if entry.jobs[0].state == "succeeded" else "warn", "By")
        case "nobody":
            return Mark("drift", "By nobody we know")
        case "pinned":
            return Mark("warn", "Another database was pinned")
        case "not known":
            return Mark("unknown", "Not known by whom")


def _what(entry: Entry) -> str:
    change = entry.change
    if entry.before is None:
        return "First seen"
    if change is None:
        return "Not compared yet"
    if change.count is None:
        return "Could not be compared"
    if change.count == 0:
        return "The schema is the same" if entry.cause == "pinned" else "Only the version table changed"
    return counted(change.kinds)


def _account(entry: Entry, label: str) -> str:
    reason = entry.change.reason if entry.change and entry.change.reason else ""
    if entry.cause == "job" and entry.jobs[0].state not in ("succeeded", *UNFINISHED):
        reason = f"The job's end: {JOB_MARKS[entry.jobs[0].state].words}. {reason}".rstrip()
    match entry.cause:
        case "nobody":
            said = "No job of this dashboard changed it: somebody or something else did."
        case "not known":
            said = (
                "This ran in that time, and what the schema was before or after it could not be seen. So it may have "
                "been that, or somebody else."
            )
        case "pinned":
            said = "What is here now is compared with what the database before it had."
        case "job" if entry.jobs[0].environment != label:
            said = f"It was started on {entry.jobs[0].environment}, which is the same database."
        case _:
            said = ""
    return " ".join(each for each in (said, reason) if each)


def _title(job: Ran, kinds: Operations) -> str:
    return kinds.title(job.kind)


def _link(job: Ran, kinds: Operations) -> Link:
    return Link(f"job {job.id}, {_title(job, kinds)}", addresses.job(job.id))


def counted(kinds: Iterable[KindCount]) -> str:
    """`2 columns added, 1 index removed`."""
    said = [f"{words.plural(each.count, each.kind, _PLURALS.get(each.kind))} {each.change}" for each in kinds]
    return ", ".join(said)
