"""Alembic as a migration tool: histories, version rows, upgrades in the project's own interpreter.

The functions are those of `web.tools.protocol.MigrationTool`; this module is one. Locks on the target,
intents and what to do after a failure are left to the caller.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from web.config import Project
from web.errors import CleanStartError, Invalid, SourceInvalid
from web.postgres.connections import Connection
from web.postgres.identity import KnownDatabase
from web.tools.alembic_applied import Applied, read_applied
from web.tools.alembic_history import read_asked, read_history
from web.tools.alembic_launch import launch, prepare, session_settings
from web.tools.alembic_models import create_models
from web.tools.confinement import Confinement, checkout, without_database
from web.tools.conversation import Run
from web.tools.ending import UpgradeResult, UpgradeStopped, judge
from web.tools.events import Acknowledge, OnEvent, RunnerEvent
from web.tools.history import History, make_history
from web.tools.sessions import end_sessions, own_waits

__all__ = [
    "UpgradeResult",
    "UpgradeStopped",
    "applied",
    "ask_history",
    "create_models",
    "history",
    "replay",
    "stamp",
    "upgrade",
]

#: Revision ids, labels, `head(s)`, `label@head`, relative ones. Never an option.
_REVISION = re.compile(r"(?!--)[\w.@+:-]+")


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
    if run.failure is not None or not run.finished or not run.migrations:
        # What an interpreter told before it ended early is a part, and a part is no history.
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
    """Build what the migrations up to `revisions` give in an empty database: the prelude, then an upgrade.

    Whether it came to where it was to go is for the caller to see; without revisions it is the prelude alone.
    """
    folder, listen = checkout(project, source), on_event or _ignore
    await prepare(
        project, folder, confinement=confinement, application_name=application_name, on_event=listen
    )
    if not revisions:
        assert confinement.opens is not None
        async with confinement.opens.connect(application_name=application_name) as connection:
            return UpgradeResult((), (await applied(project, connection)).revisions, 0, {})
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
    if run.timed_out or run.exit_code != 0 or not run.finished:
        # A commit may still be under way, and the rows are read next.
        await _end_sessions(database, run)
    return await judge(project.alembic, database, run, waits, upwards=command == "upgrade")


async def _end_sessions(database: KnownDatabase, run: Run) -> None:
    """The process group is gone, but a backend goes on with its statement until it looks for its client."""
    # Where the database cannot be reached, the error that led here says more.
    with suppress(CleanStartError):
        await end_sessions(database, run.sessions)


async def _ignore(event: RunnerEvent) -> None:
    """For callers that want the result only."""
