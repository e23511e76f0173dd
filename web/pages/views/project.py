"""One project: its source, its environments, its builds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.builds import BuildRow
from web.pages.views.errors import ErrorView
from web.pages.views.jobs import JobRow
from web.pages.views.marks import Action, Fact, Link, Mark
from web.pages.views.overview import Cell


@dataclass(frozen=True, slots=True)
class EnvironmentSince:
    """What became of one environment since a clean start."""

    name: Link
    #: How long nobody has found a difference.
    drift: Mark
    #: Who changed its revision last; None: it is the one of then.
    change: Mark | None = None
    #: From where to where.
    revisions: str = ""
    at: datetime | None = None
    jobs: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class SincePanel:
    """What became of the project since its clean start."""

    done_at: datetime
    report: Link
    facts: tuple[Fact, ...]
    environments: tuple[EnvironmentSince, ...]


@dataclass(frozen=True, slots=True)
class ProjectPage:
    """The whole page."""

    name: str
    title: str
    #: Source, tool, migrations, heads, prelude.
    facts: tuple[Fact, ...]
    cells: tuple[Cell, ...]
    builds: tuple[BuildRow, ...]
    jobs: tuple[JobRow, ...]
    #: How to register the first build.
    command: str
    #: What can be started on the project as a whole.
    actions: tuple[Action, ...] = ()
    #: Why the history cannot be used: several heads, an unreadable source.
    refusals: tuple[ErrorView, ...] = ()
    problems: tuple[str, ...] = ()
    #: None: no clean start of it is done.
    since: SincePanel | None = None
