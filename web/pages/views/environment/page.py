"""The page: its head and one tab."""

from __future__ import annotations

from dataclasses import dataclass

from web.pages.views.drift import Drift
from web.pages.views.environment.backups import Backups
from web.pages.views.environment.head import EnvironmentHead, TabName
from web.pages.views.environment.jobs import EnvironmentJobs
from web.pages.views.environment.migrations import Migrations
from web.pages.views.environment.state import State
from web.pages.views.environment.timeline import Timeline


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
