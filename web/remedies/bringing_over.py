"""A database that the dashboard does not know, brought over to a baseline from a checkout alone.

Laptops and previews: the archive's manifest says how the project's tool is run, and where the old migrations were.
What of them is missing is applied in a tree that has them at their old places, then the version row is exchanged.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
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
    """What has to be done to one database, by one archive."""

    archived: ArchivedProject
    database: KnownDatabase
    name: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    #: Old migrations that it lacks, in order.
    pending: tuple[Migration, ...]


def find_archives(folder: Path) -> list[Path]:
    """The archives below a folder, the newest first. Blocking. Raises SourceInvalid where there is none."""
    found = [each.parent for each in folder.glob(f"**/archive/*/{MANIFEST}") if ".git" not in each.parts]
    if not found:
        raise SourceInvalid(
            f"There is no archive below {folder}.",
            hint="Go to the checkout's root, or name the archive's folder with --archive.",
        )
    # A second one of a day has a number: 2026-11-30-2.
    return sorted(found, key=lambda each: (each.name[:10], len(each.name), each.name), reverse=True)


def read_archived_project(folder: Path, program: Path) -> ArchivedProject:
    """Read what an archive's manifest says, and its files. `program` runs the tool. Blocking.

    Raises SourceInvalid where the manifest is none, or a file is missing or another one.
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
    return ArchivedProject(project, archive, history, files)


async def find_ways(archives: Sequence[ArchivedProject], url: str) -> tuple[Way, ...]:
    """What has to be done to the database behind a URL, one archive after the other; nothing: it is at none of them.

    One that has slept through two clean starts goes through both. Raises Conflict where its revision is of no history,
    or where a baseline is no migration; TargetUnavailable.
    """
    first = archives[0]
    async with connect(url, application_name=APPLICATION, read_only=True) as connection:
        target = await read_identity(connection)
        rows = (await tool_of(first.project).applied(first.project, connection)).revisions
    database = KnownDatabase(url, target.identity, f"the database {target.database}")
    found: list[Way] = []
    while old := tuple(row for row in rows if row not in first.history):
        archived = next((each for each in archives if all(row in each.archive.history for row in old)), None)
        if archived is None:
            raise _in_no_archive(archives, old, found)
        archive = archived.archive
        if any(way.archived is archived for way in found):
            raise SourceInvalid(
                f"{archive.folder} has its own baseline {archive.baseline} among its migrations."
            )
        stays = tuple(row for row in rows if row not in old)
        after = (archive.baseline, *stays)
        found.append(Way(archived, database, target.database, rows, after, archive.history.pending(old)))
        rows = after
    return tuple(found)


def _in_no_archive(
    archives: Sequence[ArchivedProject], old: Sequence[str], found: Sequence[Way]
) -> SourceInvalid | Conflict:
    if found:
        # It was led to this one.
        return SourceInvalid(
            f"The baseline {old[0]} is no migration of {archives[0].project.source}.",
            hint="Check out the revision that has it, and the archive.",
        )
    folders = ", ".join(each.archive.folder for each in archives)
    noun = "archive" if len(archives) == 1 else "archives"
    return Conflict(
        f"The database is at {', '.join(old)}, which neither the migrations nor the {noun} {folders} have.",
        hint="Nothing was changed. Make the database anew, or name another archive with --archive.",
    )


async def bring_over(way: Way, tell: Tell) -> None:
    """Apply the old migrations that are missing, then exchange the version rows.

    Raises what an upgrade raises, Conflict, TargetChanged; every migration that was applied stays applied.
    """
    archived = way.archived
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
