"""Alembic as a migration tool: histories, version rows, upgrades in the project's own interpreter.

The functions are those of `web.tools.protocol.MigrationTool`; this module is one. Locks on the target,
intents and what to do after a failure are left to the caller.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from web.config import AlembicTool, Project
from web.errors import CleanStartError, Invalid, MigrationFailed, SourceInvalid
from web.postgres.connections import Connection
from web.postgres.identity import KnownDatabase
from web.postgres.urls import parameters
from web.tools.account import HalfApplied
from web.tools.alembic_applied import Applied, read_applied
from web.tools.alembic_history import read_asked, read_history
from web.tools.alembic_launch import launch, prepare, session_settings
from web.tools.alembic_models import create_models
from web.tools.confinement import Confinement, checkout, without_database
from web.tools.conversation import Run, place_in_words
from web.tools.events import Acknowledge, OnEvent, RevisionFinished, RunnerEvent
from web.tools.history import History, make_history
from web.tools.sessions import end_sessions, own_waits

__all__ = ["applied", "ask_history", "create_models", "history", "replay", "stamp", "upgrade"]

#: Revision ids, labels, `head(s)`, `label@head`, relative ones. Never an option.
_REVISION = re.compile(r"(?!--)[\w.@+:-]+")


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """An upgrade that came to its end and is committed."""

    #: What was applied, in order, each with its seconds.
    revisions: tuple[RevisionFinished, ...]
    #: Version rows as they are now.
    heads: tuple[str, ...]
    #: How many statements were executed, Alembic's own included.
    statements: int
    #: Versions of the project's alembic and sqlalchemy.
    libraries: Mapping[str, str]


class UpgradeStopped(MigrationFailed):
    """A run of migrations that did not come to its end, with what it left behind."""

    def __init__(
        self,
        revision: str | None,
        message: str,
        *,
        account: HalfApplied,
        sqlstate: str | None = None,
        places: Sequence[str] = (),
    ) -> None:
        super().__init__(revision, message, sqlstate=sqlstate)
        self.account = account
        #: Where in the project's code, `file:line function`, the innermost last.
        self.places = tuple(places)
        self.hint = _what_is_left(account, sqlstate)


_CORRECT = "Correct it, then apply again."
#: By SQLSTATE, where the fault is not the migration's.
_CORRECTIONS: dict[str | None, str] = {
    "42501": "Grant the environment's role what it lacks, then apply again.",
    "55P03": "See in the log, or in pg_stat_activity, who holds the lock, then apply again.",
    "53100": "The server's disk is full: make space, then apply again.",
}


def _what_is_left(account: HalfApplied, sqlstate: str | None) -> str:
    reached = (
        ""
        if account.reached is None
        else f" The database is at {', '.join(account.reached) or 'no revision'}."
    )
    if account.in_doubt:
        return f"It ended during a commit: look at the version table before anything else.{reached}"
    if account.is_clean:
        return (
            f"Nothing of {account.revision or 'it'} was kept.{reached} {_CORRECTIONS.get(sqlstate, _CORRECT)}"
        )
    parts = []
    if account.committed:
        count = len(account.committed)
        several = "1 statement" if count == 1 else f"{count} statements"
        parts.append(f"{several} of {account.revision} {'is' if count == 1 else 'are'} committed")
    if account.interrupted is not None:
        parts.append("a statement outside of a transaction failed and may have left something behind")
    return f"Half applied: {' and '.join(parts)}, but {account.revision} is not recorded.{reached}"


async def history(project: Project, *, source: Path | None = None) -> History:
    """Read the project's history from its files; what is computed there is left out and told."""
    return await asyncio.to_thread(read_history, checkout(project, source), project.alembic)


async def applied(project: Project, connection: Connection) -> Applied:
    """Read the version rows of the connection's database."""
    return await read_applied(connection, project.alembic)


async def ask_history(
    project: Project, *, source: Path | None = None, on_event: OnEvent | None = None
) -> History:
    """Have the project's own interpreter read the history, for what its files compute."""
    folder = checkout(project, source)
    confinement = await without_database(project, source=source)
    run = await launch(
        project, folder, "history", (None,), confinement=confinement, on_event=on_event or _ignore
    )
    if run.failure is not None or not run.migrations:
        reason = run.failure.message if run.failure else run.stderr_tail.strip() or "it found no migrations"
        raise SourceInvalid(f"The project's interpreter could not read the history: {reason}")
    migrations = await asyncio.to_thread(lambda: [read_asked(record, folder) for record in run.migrations])
    return make_history(migrations)


async def upgrade(
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
) -> UpgradeResult:
    """Upgrade the database that the run may open, with the project's own Alembic.

    Every session of the project's code is refused where it is on another one. Before each commit
    `acknowledge` is awaited. With `step_by_step` the run stands still at the start and the end of every
    statement until `on_event` returns, its locks held. Cancelling ends the process group and its sessions
    first. Raises `UpgradeStopped`, `ProgramMissing`.
    """
    return await _change(
        project,
        "upgrade",
        [revision],
        confinement=confinement,
        on_event=on_event,
        settings=session_settings(application_name, lock_timeout, statement_timeout),
        acknowledge=acknowledge,
        step_by_step=step_by_step,
        source=source,
    )


async def stamp(
    project: Project,
    *,
    confinement: Confinement,
    on_event: OnEvent,
    revision: str = "heads",
    purge: bool = False,
    application_name: str = "cleanstart",
    acknowledge: Acknowledge | None = None,
    source: Path | None = None,
) -> UpgradeResult:
    """Write version rows without running migrations; `purge` empties the version table first."""
    return await _change(
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
    project: Project,
    *,
    confinement: Confinement,
    revisions: Collection[str] = ("heads",),
    on_event: OnEvent | None = None,
    application_name: str = "cleanstart",
    source: Path | None = None,
) -> UpgradeResult:
    """Build what the migrations up to `revisions` give in an empty database: the prelude, then an upgrade."""
    folder, listen = checkout(project, source), on_event or _ignore
    await prepare(
        project, folder, confinement=confinement, application_name=application_name, on_event=listen
    )
    if not revisions:
        return UpgradeResult((), (), 0, {})
    return await _change(
        project,
        "upgrade",
        list(revisions),
        confinement=confinement,
        on_event=listen,
        settings=session_settings(application_name, None, None),
        source=source,
    )


async def downgrade(
    project: Project,
    *,
    confinement: Confinement,
    revision: str,
    application_name: str = "cleanstart",
    source: Path | None = None,
) -> UpgradeResult:
    """Go back to a revision, `base` for nothing at all: only ever in a scratch database. Raises UpgradeStopped."""
    return await _change(
        project,
        "downgrade",
        [revision],
        confinement=confinement,
        on_event=_ignore,
        settings=session_settings(application_name, None, None),
        source=source,
    )


async def _change(
    project: Project,
    command: str,
    revisions: Sequence[str],
    *,
    confinement: Confinement,
    on_event: OnEvent,
    settings: Mapping[str, str],
    flags: Sequence[str] = (),
    acknowledge: Acknowledge | None = None,
    step_by_step: bool = False,
    source: Path | None = None,
) -> UpgradeResult:
    folder = checkout(project, source)
    for revision in revisions:
        if not _REVISION.fullmatch(revision):
            raise Invalid(f"“{revision}” is not a revision.")
    run = Run()
    waits: list[str] = []
    database = confinement.opens
    assert database is not None

    async def look() -> None:
        # While it still hangs: afterwards nobody can tell what it was waiting for.
        with suppress(CleanStartError):
            waits.extend(await own_waits(database, run.sessions))

    try:
        await launch(
            project,
            folder,
            command,
            revisions,
            confinement=confinement,
            flags=flags,
            settings=settings,
            step_by_step=step_by_step,
            on_event=on_event,
            acknowledge=acknowledge,
            at_time_limit=look,
            run=run,
        )
    except BaseException:
        await asyncio.shield(_end_sessions(database, run))
        raise
    if run.timed_out or run.exit_code != 0:
        await _end_sessions(database, run)
    return await _judge(project.alembic, database, run, waits)


async def _end_sessions(database: KnownDatabase, run: Run) -> None:
    """The process group is gone, but a backend goes on with its statement until it looks for its client."""
    # Where the database cannot be reached, the error that led here says more.
    with suppress(CleanStartError):
        await end_sessions(database, run.sessions)


async def _judge(tool: AlembicTool, database: KnownDatabase, run: Run, waits: Sequence[str]) -> UpgradeResult:
    """Decide by the version rows: exit codes and log lines of real projects tell little."""
    account, failure = run.half_applied, run.failure
    reason = None
    if run.timed_out:
        reason = " ".join([f"it did not come to its end within {tool.time_limit} and was ended.", *waits])
    elif run.exit_code != 0:
        tail = run.stderr_tail.strip() or "no message"
        reason = failure.message if failure else f"the command ended with exit code {run.exit_code}: {tail}"
    elif failure is not None and not set(run.planned) <= set(account.recorded):
        # The project's code swallowed it.
        reason = failure.message
    elif not run.plans:
        reason = "the command ended without an error, but it never ran Alembic on the database."
    elif not await _rows_fit(tool, database, run):
        reason = "the command ended without an error, but the version table does not say that it is done."
    if reason is not None:
        reason = " ".join(filter(None, [reason, _elsewhere(database, run)]))
        raise UpgradeStopped(
            failure.revision if failure else account.revision,
            reason,
            account=account,
            sqlstate=failure.sqlstate if failure else None,
            places=failure.places if failure else (),
        )
    heads = [head for rows in run.versions.values() for head in rows]
    return UpgradeResult(
        tuple(run.finished_revisions), tuple(dict.fromkeys(heads)), run.statements, run.libraries
    )


def _elsewhere(database: KnownDatabase, run: Run) -> str | None:
    """Where the project's code tried to connect, if that is not where it should; in scratch nothing else answers."""
    if run.unreachable is None or run.unreachable == place_in_words(parameters(database.url)):
        return None
    return (
        f"The project's code tried to connect to {run.unreachable}; this run may open {database.called} only."
    )


async def _rows_fit(tool: AlembicTool, database: KnownDatabase, run: Run) -> bool:
    """Whether every version table holds the rows that Alembic meant to leave there."""
    recorded = set(run.planned) <= set(run.half_applied.recorded)
    async with database.connect(application_name="cleanstart/versions") as connection:
        for table, heads in run.versions.items():
            where = replace(tool, version_table=table.name, version_table_schema=table.schema)
            rows = (await read_applied(connection, where)).revisions
            # One name found through several search paths (a table per tenant): there only the commits tell.
            several = table.schema is None and run.plans[table] > 1
            if set(rows) != set(heads) and not (several and recorded):
                return False
    return True


async def _ignore(event: RunnerEvent) -> None:
    """For callers that want the result only."""
