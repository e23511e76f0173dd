"""A project's source as it was before a clean start: a folder like it, with the archived migrations where they were.

The archive lies in the source, where anybody may have changed it. It is refused unless its files are what its manifest
says, the manifest is the one that was read with the history, and the tool finds that very history in the folder.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path, PurePosixPath
from typing import Any, Final

from web.config import Project
from web.errors import NotSupported, SourceInvalid
from web.remedies.source_files import add_files
from web.tools.archives import MANIFEST, read_manifest
from web.tools.confinement import checkout, give
from web.tools.history import EVERY_HEAD, Archive, History, storable
from web.tools.registry import tool_of
from web.walls.accounts import project_account

#: Bytes of one archived file; a migration is text that people read.
LARGEST: Final = 16 * 2**20
_AGAIN: Final = "Check the archive out again."


def archived_history(archive: Archive) -> History:
    """The archived history as it is gone to the end of: all of its heads, however many it had."""
    return archive.history.followed((EVERY_HEAD,))


@asynccontextmanager
async def old_source(project: Project, history: History, archive: Archive) -> AsyncIterator[Project]:
    """Give the project with its source as it was before the clean start of an archive of this history.

    It lies in a temporary folder; nothing is written into the source. Raises SourceInvalid where the archive is not
    what it was, NotSupported.
    """
    tool = tool_of(project)
    if "archive" not in tool.can:
        raise NotSupported(tool.title, "archive")
    if archive.history.problems:
        raise SourceInvalid(
            f"The migrations in {archive.folder} would not run: {' '.join(archive.history.problems)}"
        )
    source = checkout(project, None)
    files = await asyncio.to_thread(_read, source, archive)
    async with with_files(project, history, files) as old:
        await _require_history(old, archive)
        yield old


@asynccontextmanager
async def with_files(
    project: Project, history: History, files: Mapping[str, bytes]
) -> AsyncIterator[Project]:
    """Give the project in a folder like its own, with these files in place of the history's. Raises SourceInvalid."""
    source = checkout(project, None)
    live = [each.path for each in history.migrations]
    async with tool_of(project).stand_in(project, source, history, without=live) as copy:
        place = checkout(copy, None)
        try:
            await asyncio.to_thread(add_files, place, files)
        except OSError as error:
            raise SourceInvalid(
                f"{error.filename or place} cannot be written: {error.strerror}. An archived file does not fit there."
            ) from error
        await asyncio.to_thread(give, place, project_account(source))
        yield copy


def archived_files(source: Path, folder: Path, content: Mapping[str, Any]) -> dict[str, bytes]:
    """The files of an archive's manifest, by where they were. Blocking.

    Only what lies in the archive's own folder is read. Raises SourceInvalid where one is not what was archived, and
    KeyError, TypeError and AttributeError where it is no manifest.
    """
    found: dict[str, bytes] = {}
    home = folder.resolve()
    for row in content["migrations"]:
        path, kept, digest = str(row["path"]), row["kept"], str(row["digest"])
        if path != storable(path) or ".." in PurePosixPath(path).parts:
            raise SourceInvalid(f"{path!r} in {folder / MANIFEST} is no place of a migration.", hint=_AGAIN)
        if not kept:
            raise SourceInvalid(f"{path} was not kept in {folder}.")
        file = source / str(kept)
        if not file.resolve().is_relative_to(home) or not file.is_file():
            raise SourceInvalid(f"{kept} is no file in {folder}.", hint=_AGAIN)
        try:
            with file.open("rb") as stream:
                text = stream.read(LARGEST + 1)
        except OSError as error:
            raise SourceInvalid(f"{kept} cannot be read: {error.strerror}.") from error
        if hashlib.sha256(text).hexdigest() != digest:
            raise SourceInvalid(f"{kept} is not the file that was archived.", hint=_AGAIN)
        if path in found:
            raise SourceInvalid(f"{folder / MANIFEST} has {path} twice.", hint=_AGAIN)
        found[path] = text
    return found


def _read(source: Path, archive: Archive) -> dict[str, bytes]:
    folder = source / archive.folder
    manifest = folder / MANIFEST
    try:
        content = json.loads(manifest.read_bytes())
        there = read_manifest(content, archive.folder)
        if there.baseline != archive.baseline or _told(there.history) != _told(archive.history):
            raise SourceInvalid(f"{manifest} has changed since the history was read.", hint="Start it again.")
        return archived_files(source, folder, content)
    except OSError as error:
        raise SourceInvalid(f"{manifest} cannot be read: {error.strerror}.") from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise SourceInvalid(f"{manifest} is no manifest of an archive.") from error


async def _require_history(old: Project, archive: Archive) -> None:
    """What would run is what the manifest says, however it came to say it. Raises SourceInvalid."""
    tool = tool_of(old)
    found = await tool.history(old)
    if not found.complete:
        found = await tool.ask_history(old)
    said, there = _told(archive.history), _told(found)
    if said != there:
        differs = sorted(name for name in {*said, *there} if said.get(name) != there.get(name))
        raise SourceInvalid(
            f"The migrations in {archive.folder} are not what its manifest tells: {', '.join(differs[:3])}.",
            hint=_AGAIN,
        )


def _told(history: History) -> dict[str, tuple[tuple[str, ...], str]]:
    """Each migration with what it needs and its file, in whatever order they were read."""
    return {each.revision: (each.parents, each.digest) for each in history.migrations}
