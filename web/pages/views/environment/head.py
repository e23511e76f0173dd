"""What every tab of an environment shows first."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, EnvironmentRef, Fact, Link, Mark
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
    #: The facts are from before this job's end; it is being checked.
    unseen: Unseen | None = None
    doubts: tuple[DoubtNote, ...] = ()
