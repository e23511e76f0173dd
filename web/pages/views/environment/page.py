"""The page: its head and one tab."""

from __future__ import annotations

from dataclasses import dataclass

from web.pages.views.drift import DriftTab
from web.pages.views.environment.backups import BackupsTab
from web.pages.views.environment.head import EnvironmentHead, TabName
from web.pages.views.environment.jobs import JobsTab
from web.pages.views.environment.migrations import MigrationsTab
from web.pages.views.environment.state import StateTab
from web.pages.views.environment.timeline import TimelineTab


@dataclass(frozen=True, slots=True)
class EnvironmentPage:
    """The head and one tab."""

    head: EnvironmentHead
    tab: TabName
    state: StateTab | None = None
    migrations: MigrationsTab | None = None
    drift: DriftTab | None = None
    timeline: TimelineTab | None = None
    backups: BackupsTab | None = None
    jobs: JobsTab | None = None
