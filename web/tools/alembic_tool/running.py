"""Runs a command of Alembic's that changes a database, and sees to its end."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from web.config import Project
from web.errors import CleanStartError, Invalid
from web.postgres.identity import KnownDatabase
from web.tools.alembic_tool.judging import judge
from web.tools.alembic_tool.launch import launch
from web.tools.alembic_tool.settings import settings_of
from web.tools.confinement import Confinement, checkout
from web.tools.conversation import Run
from web.tools.ending import UpgradeResult, UpgradeStopped
from web.tools.events import Acknowledge, OnEvent, RunnerEvent
from web.tools.sessions import end_sessions, own_waits

#: Revision ids, labels, `head(s)`, `label@head`, relative ones. Never an option.
_REVISION = re.compile(r"(?!--)[\w.@+:-]+")


async def change(
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
    by: str | None = None,
) -> UpgradeResult:
    """Run a command on the database that the run may open, with the project's own Alembic.

    `by` is the project's own command in which it is done, where that is another one.
    Cancelling ends the process group and its sessions first. Raises `UpgradeStopped`, `ProgramMissing`, `Invalid`.
    """
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
            by=by,
        )
    except BaseException:
        await asyncio.shield(_end_sessions(database, run))
        raise
    if run.timed_out or run.exit_code != 0 or not run.finished:
        # A commit may still be under way, and the rows are read next.
        await _end_sessions(database, run)
    return await judge(settings_of(project), database, run, waits, upwards=command == "upgrade")


async def go_back(
    project: Project,
    revision: str,
    *,
    confinement: Confinement,
    settings: Mapping[str, str],
    source: Path | None = None,
) -> UpgradeResult:
    """Downgrade by the project's own command, by its upgrade turned round, or by Alembic alone.

    A project whose upgrade has a command of its own often has its connection and its folders from there.
    """

    async def back(by: str | None = None) -> UpgradeResult:
        return await change(
            project,
            "downgrade",
            [revision],
            confinement=confinement,
            on_event=ignore,
            settings=settings,
            source=source,
            by=by,
        )

    commands = settings_of(project).commands
    if "downgrade" in commands or "upgrade" not in commands:
        return await back()
    try:
        return await back(by="upgrade")
    except UpgradeStopped as stopped:
        if stopped.begun:
            raise
        # The command saw that the newest migration is there, and never came to Alembic.
        try:
            return await back()
        except CleanStartError:
            raise stopped from None


async def _end_sessions(database: KnownDatabase, run: Run) -> None:
    """The process group is gone, but a backend goes on with its statement until it looks for its client."""
    # Where the database cannot be reached, the error that led here says more.
    with suppress(CleanStartError):
        await end_sessions(database, run.sessions)


async def ignore(event: RunnerEvent) -> None:
    """For callers that want the result only."""
