"""Builds: the list, and one build's answer for every environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web import addresses
from web.pages.views.dialogs import PendingMigration
from web.pages.views.marks import Action, Check, EnvironmentRef, Link, Mark, Track


@dataclass(frozen=True, slots=True)
class BuildRow:
    """A build in the list."""

    project: str
    number: int
    commit: str | None
    heads: tuple[str, ...]
    migrations: int
    registered_at: datetime
    registered_by: str
    #: The environments that run it.
    deployed: tuple[EnvironmentRef, ...] = ()
    problem: Mark | None = None

    @property
    def path(self) -> str:
        """The build's page."""
        return addresses.build(self.project, self.number)


@dataclass(frozen=True, slots=True)
class BuildList:
    """The builds of one project, or of all where `project` is None."""

    rows: tuple[BuildRow, ...]
    project: str | None = None
    #: How to register one: shown where there is none yet.
    command: str = ""


@dataclass(frozen=True, slots=True)
class BuildVerdict:
    """How the build stands to one environment."""

    environment: EnvironmentRef
    mark: Mark
    track: Track | None
    account: str
    path: str
    observed_at: datetime | None = None
    chosen: bool = False
    #: What holds besides: differences of the schema.
    also: Mark | None = None


@dataclass(frozen=True, slots=True)
class BuildAnswer:
    """The answer for one environment in full."""

    environment: EnvironmentRef
    mark: Mark
    heading: str
    account: str
    #: The gate's conditions; `gate` sums them up.
    checks: tuple[Check, ...]
    gate: Mark
    pending: tuple[PendingMigration, ...] = ()
    pending_account: str = ""
    observed_at: datetime | None = None
    check: Action | None = None
    actions: tuple[Action, ...] = ()
    #: The command that gives the same answer in CI.
    command: str = ""


@dataclass(frozen=True, slots=True)
class BuildPage:
    """One build."""

    project: str
    project_title: str
    number: int
    commit: str | None
    heads: tuple[str, ...]
    migrations: int
    registered_at: datetime
    registered_by: str
    verdicts: tuple[BuildVerdict, ...]
    answer: BuildAnswer | None = None
    #: Markdown of the badge for the chosen environment.
    badge_markdown: str = ""
    previous: Link | None = None
    next: Link | None = None
    #: Where its addresses come from, where that is not configured.
    badge_account: str = ""
