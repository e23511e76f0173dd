"""One environment: its head and the five tabs State, Migrations, Drift, Backups, Jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.graph import Graph
from web.pages.views.differences import DriftGroup, Snapshots
from web.pages.views.drift import Drift
from web.pages.views.errors import ErrorView
from web.pages.views.jobs import JobRow
from web.pages.views.marks import Action, Column, EnvironmentRef, Fact, Link, Mark, Pages
from web.pages.views.overview import RunningJob

TabName = Literal["", "migrations", "drift", "timeline", "backups", "jobs"]


@dataclass(frozen=True, slots=True)
class Tab:
    """A section of the environment's page."""

    name: TabName
    words: str
    icon: str
    #: `3 pending`, `14 tables`
    count: str | None = None


@dataclass(frozen=True, slots=True)
class Unseen:
    """A job that ended after the last look began."""

    #: The kind's title.
    what: str
    job: Link
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class DoubtNote:
    """What a job left that nobody can vouch for, and what settles it."""

    mark: Mark
    what: str
    way: str
    since: datetime
    job: Link
    #: The question before somebody settles it, where it is shown to one who may.
    settle: Link | None = None


@dataclass(frozen=True, slots=True)
class EnvironmentHead:
    """What every tab of an environment shows first. The facts are swapped live, the actions belong to the person."""

    environment: EnvironmentRef
    tabs: tuple[Tab, ...]
    #: Verdict, revisions, resolved address, database and role, identity, server, size, sessions, backup.
    facts: tuple[Fact, ...]
    actions: tuple[Action, ...]
    check: Action
    #: None: never looked at.
    observed_at: datetime | None = None
    #: How long the look took.
    seconds: float | None = None
    #: `Every change here needs a verified backup and a typed name.`
    rule: str | None = None
    #: Why there is no Reset, and the like: lines, never buttons.
    missing: tuple[str, ...] = ()
    #: Why the last look failed; the facts are then the last ones known.
    unreachable: ErrorView | None = None
    job: RunningJob | None = None
    #: The facts are from before this job's end; it is being looked at.
    unseen: Unseen | None = None
    doubts: tuple[DoubtNote, ...] = ()


@dataclass(frozen=True, slots=True)
class TableRow:
    """A table of the database."""

    schema: str
    name: str
    #: The planner's estimate; None: nobody has counted.
    rows: float | None
    bytes: int
    index_bytes: int
    #: Share of the largest table, for the bar.
    share: int
    #: Dead rows in percent of all.
    dead: float | None = None
    vacuumed_at: datetime | None = None
    note: Mark | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """An installed extension; `available` only where it is newer."""

    name: str
    version: str
    available: str | None = None


@dataclass(frozen=True, slots=True)
class State:
    """What the database is and holds."""

    facts: tuple[Fact, ...]
    columns: tuple[Column, ...]
    tables: tuple[TableRow, ...]
    table_count: int
    extensions: tuple[Extension, ...]
    observed_at: datetime | None
    filter: str = ""
    #: Materialized views, which are listed with the tables and counted apart.
    materialized: int = 0


@dataclass(frozen=True, slots=True)
class Hazard:
    """What a statement would do to people who use the database."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class RehearsedStatement:
    """A statement as the rehearsal executed it."""

    sql: str
    seconds: float | None = None
    hazards: tuple[Hazard, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationRow:
    """One migration: applied, pending, or unknown (in the database, not in the project)."""

    revision: str
    message: str
    state: Literal["applied", "pending", "unknown"]
    mark: Mark
    #: The file, relative to the source.
    file: str | None = None
    created: str | None = None
    #: `first seen 10 Nov 2026`, `edited after apply`
    note: Mark | None = None
    applied_at: datetime | None = None
    #: The database stands here.
    here: bool = False
    head: bool = False
    labels: tuple[str, ...] = ()
    #: Revisions that have to be applied first, from other branches.
    depends_on: tuple[str, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    #: None: not rehearsed.
    statements: tuple[RehearsedStatement, ...] | None = None


@dataclass(frozen=True, slots=True)
class Migrations:
    """The history as seen from this environment, newest first; unknown revisions come before all."""

    rows: tuple[MigrationRow, ...]
    graph: Graph
    applied: int
    pending: int
    unknown: int
    heads: tuple[str, ...]
    #: Why a migrate is refused before it starts: several heads, a revision without file.
    refusals: tuple[ErrorView, ...] = ()
    #: What the reader of the history could not make out.
    problems: tuple[str, ...] = ()
    #: `Rehearsed 4 min ago on PostgreSQL 17`, `Not rehearsed yet`, `Rehearsal failed: …`
    rehearsal: Mark | None = None
    #: What can be done about those that are pending.
    actions: tuple[Action, ...] = ()
    #: Without version table: nothing was ever migrated here.
    never_migrated: bool = False
    empty_because: str | None = None


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One change of the schema, or the first look."""

    key: str
    #: Who: `By nobody we know`, or `By` and the job.
    mark: Mark
    #: What: `2 columns added, 1 index removed`.
    what: str
    at: datetime
    #: It was not yet so then; None: the moment is known.
    since: datetime | None = None
    account: str = ""
    #: The job, or those of which it is not known.
    jobs: tuple[Link, ...] = ()
    requested_by: str = ""
    #: None: not known.
    revisions_before: tuple[str, ...] | None = None
    revisions_after: tuple[str, ...] | None = None
    #: None: nothing was before.
    snapshots: Snapshots | None = None
    count: int = 0
    groups: tuple[DriftGroup, ...] = ()
    #: Differences that are not listed.
    more: int = 0
    out_of_band: bool = False


@dataclass(frozen=True, slots=True)
class Timeline:
    """When the schema changed and by whom, newest first."""

    entries: tuple[TimelineEntry, ...]
    pages: Pages


@dataclass(frozen=True, slots=True)
class BackupRow:
    """A backup and whether a restore has proven it."""

    id: str
    taken_at: datetime
    mark: Mark
    #: `14 tables, 48,210 rows equal` or why the verification failed.
    proof: str
    bytes: int
    digest: str
    revisions: tuple[str, ...] = ()
    seconds: float | None = None
    #: `asked by Ana Ruiz`, `schedule`, `before job 987`
    reason: str = ""
    encrypted: bool = False
    job: int | None = None
    actions: tuple[Action, ...] = ()
    #: The dump, for `pg_restore`.
    file: str = ""


@dataclass(frozen=True, slots=True)
class Backups:
    """The environment's backups, newest first."""

    rows: tuple[BackupRow, ...]
    #: Whether the policy's rule is met.
    rule: Mark
    #: Where backups go and whether they are encrypted.
    place: str
    actions: tuple[Action, ...] = ()
    empty_because: str = ""


@dataclass(frozen=True, slots=True)
class EnvironmentJobs:
    """The environment's jobs, newest first."""

    rows: tuple[JobRow, ...]
    pages: Pages


@dataclass(frozen=True, slots=True)
class EnvironmentPage:
    """The head and one tab."""

    head: EnvironmentHead
    tab: TabName
    state: State | None = None
    migrations: Migrations | None = None
    drift: Drift | None = None
    timeline: Timeline | None = None
    backups: Backups | None = None
    jobs: EnvironmentJobs | None = None
