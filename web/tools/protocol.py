"""What every migration tool offers, and the values that it speaks in; nothing here belongs to one tool.

A tool is a package of its own below `web.tools` and an entry in `web.tools.registry`. Locks on the target, intents and
what to do after a failure are left to the caller.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal

from web.config import Project, ToolSettings
from web.errors import CleanStartError, NotSupported
from web.postgres.connections import Connection
from web.schema.ddl.statement import Statement
from web.tools.confinement import Confinement, checkout
from web.tools.ending import UpgradeResult
from web.tools.events import Acknowledge, OnEvent
from web.tools.history import History
from web.tools.inputs import Inputs, digest

#: What a tool may be able to do beyond reading, upgrading, stamping and replaying.
Ability = Literal["downgrade", "write a migration", "merge", "archive", "models"]


@dataclass(frozen=True, slots=True)
class Applied:
    """What a database's version table holds. What its rows stand for says the history (`History.implied`)."""

    table_exists: bool
    revisions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WrittenMigration:
    """A migration file that is nowhere but in a stand-in."""

    revision: str
    #: Relative to the project's source.
    path: str
    text: str
    #: Whether it has a place for a downgrade; a project's template may have none.
    leads_back: bool = True
    #: What of the project's own way of writing one could not be done, in sentences.
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Misfit:
    """Something about how a project is configured for its tool that will not work, or not as it seems."""

    about: str
    message: str
    #: What to do about it.
    hint: str
    #: Whether nothing can be run before it is put right.
    stops: bool = False


class MigrationTool(ABC):
    """Reads histories and version rows, and runs migrations. `source` names a checkout of a git source.

    What a run of the project's code may open is in its `confinement`, as are its wall, limits and variables. Every
    session of that code is refused where it is on another database.
    """

    #: What is configured for it; named as the tool is.
    settings: ClassVar[type[ToolSettings]]
    can: ClassVar[frozenset[Ability]] = frozenset()
    #: Where to look when a run came to its end, but not to where it was to go.
    astray: ClassVar[str] = ""

    @property
    def name(self) -> str:
        """The name of its settings' table."""
        return self.settings.name

    @property
    def title(self) -> str:
        """As people write it."""
        return self.settings.title

    # Reading

    @abstractmethod
    def read_history(self, settings: ToolSettings, source: Path) -> History:
        """Read a checkout's history from its files; what is computed there is left out and told. Blocking.

        Nothing of the project runs. Problems of single files are told in `History.problems`. Raises `SourceInvalid`
        where there is no history at all.
        """

    async def history(self, project: Project, *, source: Path | None = None) -> History:
        """Read the project's history from its files. Raises `SourceInvalid`."""
        return await asyncio.to_thread(self.read_history, project.tool, checkout(project, source))

    async def ask_history(
        self, project: Project, *, source: Path | None = None, on_event: OnEvent | None = None
    ) -> History:
        """Have the project's own code say what its files compute. Raises `SourceInvalid`."""
        return await self.history(project, source=source)

    @abstractmethod
    async def applied(self, project: Project, connection: Connection) -> Applied:
        """Read the version rows of the connection's database, sorted.

        Raises `TargetUnavailable` where a privilege is missing and `Conflict` where the table is another one.
        """

    @abstractmethod
    async def put_applied(self, project: Project, connection: Connection, revisions: Sequence[str]) -> None:
        """Write version rows into a copy of a database's schema, whose version table is there and empty."""

    @abstractmethod
    def version_tables(self, project: Project) -> tuple[str, ...]:
        """The tool's own tables, as `NAME` or `SCHEMA.NAME`: in every database, in no migration."""

    @abstractmethod
    def inputs(self, project: Project) -> Inputs:
        """What a run stands on beyond what every tool's does. Reads files, raises CleanStartError and OSError."""

    def digest_of_inputs(self, project: Project, *, without: Collection[str] = ()) -> str | None:
        """What a run of the project's code stands on besides the database, as one digest; None: nobody can tell.

        `without` are migrations, by their paths as a history has them, that the caller knows by digests of their own.
        """
        try:
            inputs = self.inputs(project)
        except (OSError, CleanStartError):
            return None  # the run itself will say so
        return digest(project, inputs, without=without)

    def unchecked(self, project: Project, *, fresh: bool) -> tuple[str, ...]:
        """The commands of its own that the project runs on a target; what other programs open there nobody checks.

        `fresh`: in an empty database, where the prelude runs too.
        """
        prelude = project.tool.prelude
        return (" ".join(prelude.command),) if fresh and prelude is not None and prelude.command else ()

    def misfits(self, project: Project) -> Iterator[Misfit]:
        """What of the project's configuration will not work, seen without running anything."""
        return iter(())

    # Running

    @abstractmethod
    async def upgrade(
        self,
        project: Project,
        *,
        confinement: Confinement,
        on_event: OnEvent,
        revisions: Sequence[str] | None = None,
        application_name: str = "cleanstart",
        lock_timeout: str | None = None,
        statement_timeout: str | None = None,
        acknowledge: Acknowledge | None = None,
        step_by_step: bool = False,
        source: Path | None = None,
    ) -> UpgradeResult:
        """Apply what is pending up to these revisions (None: all of it) in the database that the run may open.

        Before each commit `acknowledge` is awaited. With `step_by_step` the run stands still at the start and the end
        of every statement until `on_event` returns, its locks held, where the tool can. Cancelling ends the process
        group and its sessions first. Raises `UpgradeStopped`, `ProgramMissing`.
        """

    @abstractmethod
    async def stamp(
        self,
        project: Project,
        *,
        confinement: Confinement,
        on_event: OnEvent,
        revision: str,
        purge: bool = False,
        application_name: str = "cleanstart",
        acknowledge: Acknowledge | None = None,
        source: Path | None = None,
    ) -> UpgradeResult:
        """Record that the database is at a revision, without running anything; `purge` forgets what is recorded."""

    @abstractmethod
    async def replay(
        self,
        project: Project,
        *,
        confinement: Confinement,
        revisions: Collection[str] | None = None,
        on_event: OnEvent | None = None,
        application_name: str = "cleanstart",
        source: Path | None = None,
    ) -> UpgradeResult:
        """Build in an empty database what gives these version rows (None: all): the prelude, then an upgrade.

        Whether it came to where it was to go is for the caller to see; with no revisions it is the prelude alone.
        """

    # What only some can

    async def downgrade(
        self,
        project: Project,
        *,
        confinement: Confinement,
        revision: str | None,
        application_name: str = "cleanstart",
        source: Path | None = None,
    ) -> UpgradeResult:
        """Go back to a revision (None: to nothing at all): only ever in a scratch database. Raises UpgradeStopped."""
        raise NotSupported(self.title, "downgrade")

    async def create_models(
        self,
        project: Project,
        *,
        confinement: Confinement,
        on_event: OnEvent | None = None,
        application_name: str = "cleanstart",
        source: Path | None = None,
    ) -> None:
        """Build what the project's models say in an empty scratch database: the prelude, then the models' own.

        Raises ModelsFailed, OperationFailed for the prelude, ProgramMissing.
        """
        raise NotSupported(self.title, "models")

    def stand_in(
        self, project: Project, folder: Path, history: History, without: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Project]:
        """The project in a folder that looks like its own, with migration folders that may be written into.

        `without` are files that are not there, by their paths as the history has them.
        Raises SourceInvalid where the migrations are not in the project's folder.
        """
        raise NotSupported(self.title, "write a migration")

    def archive_folder(self, project: Project, day: date) -> tuple[str, str]:
        """A folder in which old migrations are nobody's, and the one from which their paths count in it.

        Both are relative to the source; the first one is not there yet. Reads files. Raises SourceInvalid.
        """
        raise NotSupported(self.title, "archive")

    async def exchange_applied(
        self, project: Project, connection: Connection, before: Sequence[str], after: Sequence[str]
    ) -> None:
        """Write other version rows in place of exactly these, in one transaction, while nobody else can write any.

        The connection commits by itself. Raises TargetChanged where other rows are there, with nothing written.
        """
        raise NotSupported(self.title, "archive")

    def exchange_script(
        self, project: Project, before: Sequence[str], after: Sequence[str], about: str
    ) -> str:
        """The same as an SQL script for psql and its like, which says why where it changes nothing."""
        raise NotSupported(self.title, "archive")

    async def write_migration(
        self,
        project: Project,
        history: History,
        message: str,
        upgrade: Sequence[Statement],
        downgrade: Sequence[Statement] | str,
        *,
        calls: bool = True,
        revision: str | None = None,
    ) -> WrittenMigration:
        """Write a migration that follows the history's head into a stand-in.

        A downgrade that is a text is refused with it. `calls`: in the tool's own words where it has some for a
        statement. Raises OperationFailed, ProgramMissing, SourceInvalid.
        """
        raise NotSupported(self.title, "write a migration")

    async def write_merge(self, project: Project, heads: Sequence[str], message: str) -> WrittenMigration:
        """Write a migration that follows all of these heads and does nothing itself into a stand-in.

        Raises OperationFailed, ProgramMissing, SourceInvalid.
        """
        raise NotSupported(self.title, "merge")
