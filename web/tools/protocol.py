"""What every migration tool offers. A tool is a module of these functions; `tool_of` finds a project's."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Protocol

from web.config import Project
from web.postgres.connections import Connection
from web.tools import alembic
from web.tools.alembic import UpgradeResult
from web.tools.alembic_applied import Applied
from web.tools.confinement import Confinement
from web.tools.events import Acknowledge, OnEvent
from web.tools.history import History


class MigrationTool(Protocol):
    """Reads histories and version rows, and runs migrations. `source` names a checkout of a git source.

    What a run of the project's code may open is in its `confinement`, as are its wall, limits and variables.
    """

    async def history(self, project: Project, *, source: Path | None = None) -> History: ...

    async def ask_history(
        self, project: Project, *, source: Path | None = None, on_event: OnEvent | None = None
    ) -> History: ...

    async def applied(self, project: Project, connection: Connection) -> Applied: ...

    async def upgrade(
        self,
        project: Project,
        *,
        confinement: Confinement,
        on_event: OnEvent,
        revision: str = "heads",
        application_name: str = "cleanstart",
        lock_timeout: str | None = None,
        statement_timeout: str | None = None,
        acknowledge: Acknowledge | None = None,
        step_by_step: bool = False,
        source: Path | None = None,
    ) -> UpgradeResult: ...

    async def stamp(
        self,
        project: Project,
        *,
        confinement: Confinement,
        on_event: OnEvent,
        revision: str = "heads",
        purge: bool = False,
        application_name: str = "cleanstart",
        acknowledge: Acknowledge | None = None,
        source: Path | None = None,
    ) -> UpgradeResult: ...

    async def replay(
        self,
        project: Project,
        *,
        confinement: Confinement,
        revisions: Collection[str] = ("heads",),
        on_event: OnEvent | None = None,
        application_name: str = "cleanstart",
        source: Path | None = None,
    ) -> UpgradeResult: ...

    async def create_models(
        self,
        project: Project,
        *,
        confinement: Confinement,
        on_event: OnEvent | None = None,
        application_name: str = "cleanstart",
        source: Path | None = None,
    ) -> None: ...


def tool_of(project: Project) -> MigrationTool:
    """The migration tool of a project. Alembic is the only one so far, so every project has it."""
    return alembic
