"""A database that the dashboard does not know, brought over to a baseline from a checkout alone.

Laptops and previews: the archive's manifest says how the project's tool is run, and where the old migrations were.
What of them is missing is applied in a tree that has them at their old places, then the version row is exchanged.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from web.config import Project
from web.errors import Conflict, OperationFailed, SourceInvalid
from web.postgres.connections import connect
from web.postgres.identity import KnownDatabase, read_identity, require_writable
from web.remedies.old_source import archived_files, with_files
from web.tools.archives import MANIFEST, read_manifest
from web.tools.confinement import on_target
from web.tools.events import RevisionStarted, RunnerEvent
from web.tools.history import Archive, History, Migration
from web.tools.registry import settings_from, tool_of

APPLICATION = "cleanstart/bring-over"
#: Told of each migration as it starts.
Tell = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class ArchivedProject:
    """A checkout with an archive in it: the project as it is now, and the files of what it was."""

    project: Project
    archive: Archive
    #: The history of now, with the baseline.
    history: History
    #: Old migrations by where they were, relative to the source.
    files: dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Way:
    """What has to be done to one database."""

    database: KnownDatabase
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    #: Old migrations that it lacks, in order.
    pending: tuple[Migration, ...]


def find_archive(folder: Path) -> Path:
    """The newest archive below a folder. Blocking. Raises SourceInvalid where there is none."""
    found = [each.parent for each in folder.glob(f"**/archive/*/{MANIFEST}") if ".git" not in each.parts]
    if not found:
        raise SourceInvalid(
            f"There is no archive below {folder}.",
            hint="Go to the checkout's root, or name the archive's folder with --archive.",
        )
    # A second one of a day has a number: 2026-11-30-2.
    return max(found, key=lambda each: (each.name[:10], len(each.name), each.name))


def read_archived_project(folder: Path, program: Path) -> ArchivedProject:
    """Read what an archive's manifest says, and its files. `program` runs the tool. Blocking.

    Raises SourceInvalid where the manifest is none, a file is missing or another one, or the baseline is not there.
    """
    manifest = folder / MANIFEST
    try:
        content: dict[str, Any] = json.loads(manifest.read_bytes())
        archive = read_manifest(content, content["folder"])
        source = folder.resolve()
        for _ in Path(content["folder"]).parts:
            source = source.parent
        tool = settings_from(content["tool"], source).run_by(program)
        files = archived_files(source, folder, content)
    except OSError as error:
        raise SourceInvalid(f"{manifest} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise SourceInvalid(f"{manifest} is no manifest of an archive.") from error
    name = str(content["project"])
    project = Project(name=name, title=name, source=source, tool=tool)
    history = tool_of(project).read_history(tool, source)
    if archive.baseline not in history:
        raise SourceInvalid(
            f"The baseline {archive.baseline} is no migration of {source}.",
            hint="Check out the revision that has it, and the archive.",
        )
    return ArchivedProject(project, archive, history, files)


async def find_way(archived: ArchivedProject, url: str) -> Way | None:
    """What has to be done to the database behind a URL; None: it is at no archived history, and needs nothing.

    Raises Conflict where its revision is of neither history, TargetUnavailable.
    """
    archive, tool = archived.archive, tool_of(archived.project)
    async with connect(url, application_name=APPLICATION, read_only=True) as connection:
        target = await read_identity(connection)
        rows = (await tool.applied(archived.project, connection)).revisions
    old = tuple(row for row in rows if row not in archived.history)
    if not old:
        return None
    if any(row not in archive.history for row in old):
        raise Conflict(
            f"The database is at {', '.join(old)}, which neither the migrations nor the archive {archive.folder} have.",
            hint="Nothing was changed. Make the database anew, or name another archive with --archive.",
        )
    stays = tuple(row for row in rows if row not in old)
    return Way(
        KnownDatabase(url, target.identity, f"the database {target.database}"),
        target.database,
        rows,
        (archive.baseline, *stays),
        archive.history.pending(old),
    )


async def bring_over(archived: ArchivedProject, way: Way, tell: Tell) -> None:
    """Apply the old migrations that are missing, then exchange the version rows.

    Raises what an upgrade raises, Conflict, TargetChanged; every migration that was applied stays applied.
    """
    tool = tool_of(archived.project)
    before = way.before
    if way.pending:
        before = await _catch_up(archived, way, tell)
    async with way.database.connect(application_name=APPLICATION) as connection:
        await require_writable(connection)
        await tool.exchange_applied(archived.project, connection, before, way.after)


async def _catch_up(archived: ArchivedProject, way: Way, tell: Tell) -> tuple[str, ...]:
    """Bring the database to the end of the old history; returns its version rows then."""
    project, archive = archived.project, archived.archive
    tool = tool_of(project)

    async def hear(event: RunnerEvent) -> None:
        if isinstance(event, RevisionStarted):
            await tell(event.revision)

    async with with_files(project, archived.history, archived.files) as copy:
        result = await tool.upgrade(
            replace(copy, without_wall=True),
            confinement=await on_target(replace(copy, without_wall=True), way.database),
            on_event=hear,
            revisions=archive.history.heads,
            application_name=APPLICATION,
        )
    old = tuple(row for row in result.applied if row in archive.history)
    if not archive.is_complete(old):
        raise OperationFailed(
            f"The old migrations came to {', '.join(result.applied) or 'no revision'}, and not to their end.",
            hint="Nothing was exchanged. See what they say, then bring it over again.",
        )
    return result.applied
