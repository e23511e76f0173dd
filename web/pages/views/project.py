"""One project: its source, its environments, its builds."""

from __future__ import annotations

from dataclasses import dataclass

from web.pages.views.builds import BuildRow
from web.pages.views.errors import ErrorView
from web.pages.views.jobs import JobRow
from web.pages.views.marks import Action, Fact
from web.pages.views.overview import Cell


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
