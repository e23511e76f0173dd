"""Jobs: the page of one, live, and the list of all. What the stream sends is rendered from the same values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.views.differences import DriftGroup, Snapshots
from web.pages.views.marks import Action, Check, EnvironmentRef, Fact, Link, Mark, Option, Pages, ProjectRef


@dataclass(frozen=True, slots=True)
class Progress:
    """Work done. `total` None: there is no measure, and no percent is shown."""

    done: int = 0
    total: int | None = None
    unit: str = ""
    steps_done: int = 0
    steps_total: int = 0


@dataclass(frozen=True, slots=True)
class JobHead:
    """How the job stands; replaced by its outcome once it has ended."""

    number: int
    #: `Waiting for a lock, step 5 of 8`
    mark: Mark
    progress: Progress
    updated_at: datetime
    started_at: datetime | None = None
    #: Why it has not started: `Starts after job 1042 on the same database.`, `No worker is alive.`
    waiting_because: str | None = None
    #: Spoken on a change of state and at most every 15 s.
    spoken: str = ""


@dataclass(frozen=True, slots=True)
class JobStep:
    """A named part of the job."""

    title: str
    #: Status and the words that are read out: done, failed, not started.
    mark: Mark
    detail: str | None = None
    seconds: float | None = None
    #: Set while it runs: the page counts on.
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Statement:
    """What the job runs right now."""

    sql: str
    revision: str | None = None
    #: `2 of 3 · lock_timeout 5 s`
    detail: str | None = None
    started_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Blocker:
    """A session that holds what the job waits for."""

    pid: int
    user: str
    application: str
    #: `idle in transaction`
    state: str
    query: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class LockWait:
    """The job waits for a lock: what it wants, who holds it, when it gives up."""

    #: `AccessExclusiveLock on users`
    wanted: str
    pid: int
    statement: str
    since: datetime
    gives_up_at: datetime | None
    blockers: tuple[Blocker, ...]
    #: `3 other sessions queue behind this job while it waits.`
    queue: str | None = None


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log."""

    seq: int
    at: datetime
    level: Literal["debug", "info", "warn", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the job ended: first what state the database is in, then why, then what to do next."""

    number: int
    mark: Mark
    heading: str
    #: `The database is unharmed.` Printed in bold.
    state_of_database: str
    account: str = ""
    #: The server's own message, quoted, with its code.
    message: str | None = None
    sqlstate: str | None = None
    statement: str | None = None
    revision: str | None = None
    #: Evidence: version rows, objects, manifest. What is not known is marked so.
    evidence: tuple[Check, ...] = ()
    #: What is left half done, one line each.
    leftovers: tuple[str, ...] = ()
    #: Links and dialogs only: the stream sends this to every reader.
    actions: tuple[Action, ...] = ()
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """What the job changed in the schema."""

    #: `Nothing changed`, `3 differences`, `Not known`
    mark: Mark
    account: str
    groups: tuple[DriftGroup, ...] = ()
    #: Differences that are not listed.
    more: int = 0
    snapshots: Snapshots | None = None
    timeline: Link | None = None
    count: int = 0


@dataclass(frozen=True, slots=True)
class JobPage:
    """The page of one job. Exactly one of `head` and `outcome` is shown."""

    number: int
    title: str
    where: EnvironmentRef | ProjectRef
    requested_by: str
    requested_at: datetime
    steps: tuple[JobStep, ...]
    log: tuple[LogLine, ...]
    facts: tuple[Fact, ...]
    head: JobHead | None = None
    outcome: Outcome | None = None
    #: None: it changes no schema, or has not ended.
    schema: SchemaChange | None = None
    statement: Statement | None = None
    lock_wait: LockWait | None = None
    #: Lines before the first one shown; the whole log can be downloaded.
    earlier_lines: int = 0
    cancel: Action | None = None


@dataclass(frozen=True, slots=True)
class JobRow:
    """A job in a list."""

    number: int
    mark: Mark
    #: `Migrate to build #48`
    what: str
    where: EnvironmentRef | ProjectRef
    requested_by: str
    requested_at: datetime
    started_at: datetime | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """What the list is narrowed to."""

    text: str = ""
    kinds: tuple[Option, ...] = ()
    projects: tuple[Option, ...] = ()
    states: tuple[Option, ...] = ()


@dataclass(frozen=True, slots=True)
class JobList:
    """The list of jobs."""

    rows: tuple[JobRow, ...]
    filter: JobFilter
    pages: Pages
    #: Whether anything is filtered out: then an empty list says so.
    filtered: bool = False


@dataclass(frozen=True, slots=True)
class Cancellation:
    """The question before a job is cancelled."""

    number: int
    where: EnvironmentRef | ProjectRef
    title: str
    #: What is undone and what stays: `Step 5 is rolled back. Step 4 is committed, so staging will stand on …`
    account: str
    back: Link
    #: How the job has ended: then there is nothing to cancel and nothing is asked.
    ended: Mark | None = None
