"""A second, tiny migration tool: numbered SQL files, run by psql.

It is as unlike Alembic as a tool may be: its table lists every migration that ran, so that there may be gaps; it has
no downgrade, no models, and writes nothing; what runs behind the wall is no Python.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from psycopg import sql

from web.config import Project, ToolSettings
from web.errors import CommandFailed, SourceInvalid
from web.postgres.connections import Connection, libpq_environment
from web.postgres.processes import run
from web.tools.account import Account
from web.tools.confinement import Confinement, checkout
from web.tools.ending import UpgradeResult, UpgradeStopped
from web.tools.events import (
    AboutToCommit,
    Acknowledge,
    Committed,
    Finished,
    OnEvent,
    Planned,
    RevisionFinished,
    RevisionStarted,
)
from web.tools.history import History, Migration, make_history
from web.tools.inputs import Inputs
from web.tools.protocol import Applied, MigrationTool

TABLE = "numbered_applied"
_FILE = re.compile(r"(\d+)_(\w+)\.sql")


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberedSettings(ToolSettings):
    """Where the files are, and which psql runs them."""

    name: ClassVar[str] = "numbered"
    title: ClassVar[str] = "Numbered files"

    psql: Path
    folder: Path = Path("sql")

    @property
    def program(self) -> Path:
        """psql."""
        return self.psql

    def working_directory(self, source: Path) -> Path:
        """The folder with the files."""
        return source / self.folder

    def to_json(self, source: Path | None) -> dict[str, Any]:
        """Where the files are."""
        return {"name": self.name, "folder": str(self.folder)}

    @classmethod
    def from_json(cls, found: Mapping[str, Any], checkout: Path, *, config: str | None = None) -> Self:
        """With nobody's psql: reading runs nothing."""
        return cls(psql=Path("psql"), folder=Path(found["folder"]))


class Numbered(MigrationTool):
    """Numbered SQL files."""

    settings: ClassVar[type[ToolSettings]] = NumberedSettings

    def read_history(self, settings: ToolSettings, source: Path) -> History:
        """One line of files by their numbers."""
        files = sorted(settings.working_directory(source).glob("*.sql"))
        found: list[Migration] = []
        for file in files:
            if (name := _FILE.fullmatch(file.name)) is None:
                continue
            found.append(
                Migration(
                    name[1],
                    (found[-1].revision,) if found else (),
                    message=name[2].replace("_", " "),
                    path=str(file.relative_to(source)),
                    digest=hashlib.sha256(file.read_bytes()).hexdigest(),
                )
            )
        if not found:
            raise SourceInvalid(f"There are no migrations in {settings.working_directory(source)}.")
        return make_history(found, listing="every")

    async def applied(self, project: Project, connection: Connection) -> Applied:
        """Every row."""
        there = await (await connection.execute("SELECT to_regclass(%s)", [TABLE])).fetchone()
        if there is None or there[0] is None:
            return Applied(table_exists=False)
        rows = await (await connection.execute(f"SELECT number FROM {TABLE} ORDER BY 1")).fetchall()
        return Applied(table_exists=True, revisions=tuple(row[0] for row in rows))

    async def put_applied(self, project: Project, connection: Connection, revisions: Sequence[str]) -> None:
        """Insert them."""
        statement = sql.SQL("INSERT INTO {} SELECT unnest(%s::text[])").format(sql.Identifier(TABLE))
        await connection.execute(statement, [list(revisions)])

    def version_tables(self, project: Project) -> tuple[str, ...]:
        """Its table."""
        return (TABLE,)

    def inputs(self, project: Project) -> Inputs:
        """Nothing further: the files are in the project's folder."""
        return Inputs()

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
        """Run the files that have no row, each in a transaction with its row."""
        history = await self.history(project, source=source)
        upto = None if revisions is None else {row for each in revisions for row in history.rows_at(each)}
        pending = history.pending(await self._rows(project, confinement))
        wanted = [each for each in pending if upto is None or each.revision in upto]
        return await self._run(
            project, history, wanted, confinement, on_event, acknowledge, application_name, source
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
        """Make its rows those of a revision."""
        history = await self.history(project, source=source)
        rows = ", ".join(f"('{row}')" for row in history.rows_at(revision))
        if acknowledge is not None:
            await acknowledge(AboutToCommit(None, None, (), None))
        await self._psql(
            project,
            confinement,
            application_name,
            source,
            ("-c", _MADE, "-c", f"DELETE FROM {TABLE}", "-c", f"INSERT INTO {TABLE} VALUES {rows}"),
        )
        return UpgradeResult((), await self._rows(project, confinement))

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
        """Run exactly these files."""
        history = await self.history(project, source=source)
        wanted = [each for each in history.migrations if revisions is None or each.revision in revisions]
        return await self._run(
            project, history, wanted, confinement, on_event or _ignore, None, application_name, source
        )

    async def _run(
        self,
        project: Project,
        history: History,
        wanted: Sequence[Migration],
        confinement: Confinement,
        on_event: OnEvent,
        acknowledge: Acknowledge | None,
        application_name: str,
        source: Path | None,
    ) -> UpgradeResult:
        rows = await self._rows(project, confinement)
        await on_event(Planned(tuple(each.revision for each in wanted), rows))
        account, ran = Account(), list[RevisionFinished]()
        await self._psql(project, confinement, application_name, source, ("-c", _MADE))
        for each in wanted:
            account.revision = each.revision
            await on_event(RevisionStarted(each.revision, each.message))
            if acknowledge is not None:
                await acknowledge(AboutToCommit(None, each.revision, (each.revision,), None))
            file = checkout(project, source) / each.path
            row = f"INSERT INTO {TABLE} VALUES ('{each.revision}')"
            try:
                await self._psql(project, confinement, application_name, source, ("-f", str(file), "-c", row))
            except CommandFailed as error:
                raise UpgradeStopped(each.revision, str(error), account=account.close(), rows=rows) from error
            rows = tuple(sorted((*rows, each.revision)))
            ran.append(RevisionFinished(each.revision, 0.0, rows))
            account.applied(None, each.revision, rows, in_transaction=True)
            await on_event(ran[-1])
            await on_event(Committed(None, account.committed(None)))
        await on_event(Finished())
        return UpgradeResult(tuple(ran), await self._rows(project, confinement))

    async def _rows(self, project: Project, confinement: Confinement) -> tuple[str, ...]:
        assert confinement.opens is not None
        async with confinement.opens.connect(application_name="cleanstart/versions") as connection:
            return (await self.applied(project, connection)).revisions

    async def _psql(
        self,
        project: Project,
        confinement: Confinement,
        application_name: str,
        source: Path | None,
        what: Sequence[str],
    ) -> None:
        assert confinement.opens is not None
        given = {**libpq_environment(confinement.opens.url), "PGAPPNAME": application_name}
        await run(
            (str(project.tool.program), "-X", "-q", "-v", "ON_ERROR_STOP=1", "--single-transaction", *what),
            env={**confinement.variables, **given},
            cwd=project.tool.working_directory(checkout(project, source)),
            wall=confinement.wall,
            redact=confinement.secrets,
            time_limit=project.tool.time_limit,
        )


_MADE = f"CREATE TABLE IF NOT EXISTS {TABLE} (number text PRIMARY KEY)"


async def _ignore(event: object) -> None:
    """For callers that want the result only."""


def write_files(folder: Path, psql: Path, **files: str) -> NumberedSettings:
    """Write `n0001_users="CREATE …"` as `sql/0001_users.sql`, and say how they are run."""
    (folder / "sql").mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / "sql" / f"{name.removeprefix('n')}.sql").write_text(f"{text};\n")
    return NumberedSettings(psql=psql)
