"""Alembic as a migration tool: histories, version rows, upgrades in the project's own interpreter."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import replace
from datetime import date
from itertools import chain
from pathlib import Path
from typing import ClassVar

from psycopg import sql

from web.config import AlembicSettings, Project, ToolSettings
from web.errors import CleanStartError, SourceInvalid, TargetChanged
from web.postgres.connections import Connection
from web.schema.ddl.statement import Statement
from web.tools.alembic_tool import models, writing
from web.tools.alembic_tool.applied import VERSION_TABLE, exchange_script, read_applied, version_table
from web.tools.alembic_tool.archive import archive_folder, archives
from web.tools.alembic_tool.history_files import read_asked, read_history
from web.tools.alembic_tool.launch import interpreter, launch, prepare, session_settings
from web.tools.alembic_tool.locations import read_import_paths, read_locations
from web.tools.alembic_tool.running import change, go_back, ignore
from web.tools.alembic_tool.settings import as_ours, settings_of
from web.tools.alembic_tool.stand_in import stand_in
from web.tools.confinement import Confinement, checkout, without_database
from web.tools.ending import UpgradeResult
from web.tools.events import Acknowledge, OnEvent
from web.tools.history import Archive, History, make_history
from web.tools.inputs import Inputs, imported_from_elsewhere
from web.tools.protocol import Ability, Applied, MigrationTool, Misfit, WrittenMigration


class Alembic(MigrationTool):
    """Alembic. Its version rows are effective heads: each stands for all that it implies."""

    settings: ClassVar[type[ToolSettings]] = AlembicSettings
    can: ClassVar[frozenset[Ability]] = frozenset(
        {"downgrade", "write a migration", "merge", "archive", "models"}
    )
    astray: ClassVar[str] = (
        "See whether env.py sets version locations of its own, or stops at a revision of its choice."
    )

    def read_history(self, settings: ToolSettings, source: Path) -> History:
        """Read it with `ast`."""
        return read_history(source, as_ours(settings))

    async def ask_history(
        self, project: Project, *, source: Path | None = None, on_event: OnEvent | None = None
    ) -> History:
        """Have the project's own interpreter read the history, for what its files compute."""
        folder = checkout(project, source)
        confinement = await without_database(project, source=source)
        run = await launch(
            project, folder, "history", (None,), confinement=confinement, on_event=on_event or ignore
        )
        if run.failure is not None or not run.finished or not run.migrations:
            # What an interpreter told before it ended early is a part, and a part is no history.
            reason = (
                run.failure.message if run.failure else run.stderr_tail.strip() or "it found no migrations"
            )
            raise SourceInvalid(f"The project's interpreter could not read the history: {reason}")
        migrations = await asyncio.to_thread(
            lambda: [read_asked(record, folder) for record in run.migrations]
        )
        found = await asyncio.to_thread(self._archives, project, folder)
        return replace(make_history(migrations), archives=found)

    def _archives(self, project: Project, folder: Path) -> tuple[Archive, ...]:
        with suppress(CleanStartError):
            return archives(folder, read_locations(folder, settings_of(project)))
        return ()

    async def applied(self, project: Project, connection: Connection) -> Applied:
        """Read the rows of `alembic_version`, or of what the project calls it."""
        return await read_applied(connection, settings_of(project))

    async def put_applied(self, project: Project, connection: Connection, revisions: Sequence[str]) -> None:
        """Insert them."""
        statement = sql.SQL("INSERT INTO {} (version_num) SELECT unnest(%s::text[])").format(
            version_table(settings_of(project))
        )
        await connection.execute(statement, [list(revisions)])

    async def exchange_applied(
        self, project: Project, connection: Connection, before: Sequence[str], after: Sequence[str]
    ) -> None:
        """Under a lock that any writer of the table waits for."""
        table = version_table(settings_of(project))
        async with connection.transaction():
            lock = sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(table)
            await connection.execute(lock)
            there = (await self.applied(project, connection)).revisions
            if sorted(there) != sorted(before):
                raise TargetChanged(
                    f"The version table holds {', '.join(there) or 'nothing'} instead of {', '.join(before)}."
                )
            await connection.execute(sql.SQL("DELETE FROM {}").format(table))
            await self.put_applied(project, connection, after)

    def exchange_script(
        self, project: Project, before: Sequence[str], after: Sequence[str], about: str
    ) -> str:
        """One transaction, with the same lock and the same condition."""
        return exchange_script(settings_of(project), before, after, about)

    def version_tables(self, project: Project) -> tuple[str, ...]:
        """The one that is configured, or Alembic's default."""
        tool = settings_of(project)
        name = tool.version_table or VERSION_TABLE
        return (f"{tool.version_table_schema}.{name}" if tool.version_table_schema else name,)

    def inputs(self, project: Project) -> Inputs:
        """Import paths, version locations with env.py beside them, and the files that Alembic looks into."""
        tool, source = settings_of(project), checkout(project, None)
        folders: list[Path] = []
        with suppress(CleanStartError):
            folders += chain(*read_import_paths(source, tool))
        with suppress(CleanStartError):
            folders += chain(*((each.parent, each) for each in read_locations(source, tool).folders))
        directory = tool.working_directory(source)
        files = tuple(directory / name for name in ("alembic.ini", "pyproject.toml"))
        return Inputs(tuple(folders), files, tool.python)

    def unchecked(self, project: Project, *, fresh: bool) -> tuple[str, ...]:
        """The prelude's, and those that the project has for Alembic's."""
        own = map(" ".join, settings_of(project).commands.values())
        return tuple(dict.fromkeys((*super().unchecked(project, fresh=fresh), *own)))

    def misfits(self, project: Project) -> Iterator[Misfit]:
        """An interpreter that is not there, folders to import from that a wall hides."""
        tool, place = settings_of(project), f"projects.{project.name}"
        try:
            interpreter(tool)
        except CleanStartError as error:
            way = f"Make the project's environment, or correct {place}.{tool.name}.python."
            yield Misfit("interpreter", str(error), way, stops=True)
        folders: tuple[Path, ...] = ()
        if isinstance(project.source, Path):
            with suppress(OSError, CleanStartError):
                folders = read_import_paths(project.source, tool)[0]
        if elsewhere := imported_from_elsewhere(project, tool.python, folders):
            named = ", ".join(map(str, elsewhere))
            yield Misfit(
                "imports",
                f"Its files name folders to import from that its code does not find: {named}.",
                f"Add what it needs of them to {place}.readable.",
            )

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
        """`alembic upgrade`, or the project's own command for it."""
        return await change(
            project,
            "upgrade",
            ["heads"] if revisions is None else list(revisions),
            confinement=confinement,
            on_event=on_event,
            settings=session_settings(application_name, lock_timeout, statement_timeout),
            acknowledge=acknowledge,
            step_by_step=step_by_step,
            source=source,
        )

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
        """`alembic stamp`, or the project's own command for it."""
        return await change(
            project,
            "stamp",
            [revision],
            flags=["--purge"] if purge else [],
            confinement=confinement,
            on_event=on_event,
            settings=session_settings(application_name, None, None),
            acknowledge=acknowledge,
            source=source,
        )

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
        """The prelude, then an upgrade to each of these heads."""
        folder, listen = checkout(project, source), on_event or ignore
        await prepare(
            project, folder, confinement=confinement, application_name=application_name, on_event=listen
        )
        wanted = ["heads"] if revisions is None else list(revisions)
        if not wanted:
            assert confinement.opens is not None
            async with confinement.opens.connect(application_name=application_name) as connection:
                return UpgradeResult((), (await self.applied(project, connection)).revisions)
        return await change(
            project,
            "upgrade",
            wanted,
            confinement=confinement,
            on_event=listen,
            settings=session_settings(application_name, None, None),
            source=source,
        )

    async def downgrade(
        self,
        project: Project,
        *,
        confinement: Confinement,
        revision: str | None,
        application_name: str = "cleanstart",
        source: Path | None = None,
    ) -> UpgradeResult:
        """`alembic downgrade`, or the project's own command for it."""
        return await go_back(
            project,
            "base" if revision is None else revision,
            confinement=confinement,
            settings=session_settings(application_name, None, None),
            source=source,
        )

    async def create_models(
        self,
        project: Project,
        *,
        confinement: Confinement,
        on_event: OnEvent | None = None,
        application_name: str = "cleanstart",
        source: Path | None = None,
    ) -> None:
        """`create_all` of the MetaData; what the prelude made and the models have too is dropped in between."""
        await models.create_models(
            project,
            confinement=confinement,
            on_event=on_event or ignore,
            application_name=application_name,
            source=source,
        )

    def stand_in(
        self, project: Project, folder: Path, history: History, without: Collection[str] = ()
    ) -> AbstractAsyncContextManager[Project]:
        """Its version locations as folders of their own, most of the rest as links."""
        return stand_in(project, folder, history, without)

    def archive_folder(self, project: Project, day: date) -> tuple[str, str]:
        """Outside of every version location."""
        return archive_folder(project, day)

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
        """With the project's own template, file names and hooks; `calls` are those of `op`."""
        return await writing.write_migration(
            project, history, message, upgrade, downgrade, calls=calls, revision=revision
        )

    async def write_merge(self, project: Project, heads: Sequence[str], message: str) -> WrittenMigration:
        """As `alembic merge` does, with the project's own template, file names and hooks."""
        return await writing.write_merge(project, heads, message)
