"""A change set in a folder: whether it holds what was there before or what is there after, and the way between them.

All of it or nothing: what was begun is taken back where a file cannot be written. A process that is killed on the way
leaves files of both kinds, which `standing` tells and `write` of the reverse mends.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from web.errors import Conflict, SourceInvalid
from web.remedies.change_set import ChangedFile, ChangeSet

#: Files that a message names.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a folder stands between the two sides of a change set."""

    #: `between`: every file is of one side or the other, some of each.
    state: Literal["before", "after", "between", "other"]
    #: Files that are of neither side.
    others: tuple[str, ...] = ()


def standing(root: Path, change: ChangeSet) -> Standing:
    """Compare every file. Blocking. Raises SourceInvalid where one cannot be read or is behind a link."""
    before = after = 0
    others = []
    for each in change.files:
        there = _content(root, each.path)
        if there == each.before:
            before += 1
        elif there == each.after:
            after += 1
        else:
            others.append(each.path)
    if others:
        return Standing("other", tuple(others))
    return Standing("before" if not after else "after" if not before else "between")


def require_before(root: Path, change: ChangeSet) -> None:
    """Refuse a folder that is not as it was when the change set was made. Blocking. Raises Conflict, SourceInvalid."""
    found = standing(root, change)
    if found.state == "after":
        raise Conflict("The source holds this change set already.")
    if found.state != "before":
        differing = found.others or tuple(
            each.path for each in change.files if _content(root, each.path) != each.before
        )
        more = f" and {len(differing) - NAMED} more" if len(differing) > NAMED else ""
        raise Conflict(
            f"The source is not what it was when this was made. Changed since: {', '.join(differing[:NAMED])}{more}.",
            hint="Make the change set again from the source as it is now.",
        )


def write(root: Path, change: ChangeSet, *, prune: bool = False) -> None:
    """Lead the folder to what is there after, whichever of both sides each file is of. Blocking.

    New files are there before old ones go. `prune` takes folders away that hold nothing any more: those that a change
    set brought, on its way back. Raises SourceInvalid, with everything as it was.
    """
    done: list[ChangedFile] = []
    todo = sorted(change.files, key=lambda each: each.after is None)
    try:
        for each in todo:
            if _content(root, each.path) != each.after:
                done.append(each)
                _put(root, each)
                if prune and each.after is None:
                    _prune(root, each.path)
    except (OSError, SourceInvalid) as error:
        for each in reversed(done):
            with contextlib.suppress(OSError, SourceInvalid):
                _put(root, ChangedFile(each.path, each.after, each.before))
        if isinstance(error, SourceInvalid):
            raise
        raise SourceInvalid(
            f"{error.filename or root} cannot be written: {error.strerror}. Nothing was changed.",
            hint="The worker's user has to be allowed to write into the project's source.",
        ) from error


def add_files(place: Path, files: Mapping[str, bytes]) -> None:
    """Write files that are not there yet, and nowhere that a link leads to. Blocking. Raises SourceInvalid."""
    for path, content in files.items():
        target = _within(place, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        try:
            with target.open("xb") as file:
                file.write(content)
        except FileExistsError:
            raise SourceInvalid(f"{path} is there already.") from None


def _content(root: Path, path: str) -> bytes | None:
    target = _within(root, path)
    try:
        return target.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise SourceInvalid(f"{target} cannot be read: {error.strerror}.") from error


def _put(root: Path, file: ChangedFile) -> None:
    """Bring one file to its content after, in one step."""
    target = _within(root, file.path)
    if file.after is None:
        target.unlink(missing_ok=True)
        return
    owner = root.stat()
    made = [each for each in (target.parent, *target.parent.parents) if not each.exists()]
    target.parent.mkdir(parents=True, exist_ok=True)
    # No tool takes it for a migration.
    beside = target.parent / f".{secrets.token_hex(8)}.cleanstart"
    try:
        with beside.open("xb") as stream:
            stream.write(file.after)
            stream.flush()
            os.fsync(stream.fileno())
        for each in (*made, beside):
            if os.geteuid() == 0:
                os.chown(each, owner.st_uid, owner.st_gid)
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)


def _prune(root: Path, path: str) -> None:
    for each in _within(root, path).parents:
        if each == root or any(each.iterdir()):
            return
        each.rmdir()


def _within(root: Path, path: str) -> Path:
    """The file, where no link leads out of the folder. Raises SourceInvalid."""
    target = root / path
    above = next(each for each in target.parents if each.exists())
    if not above.resolve().is_relative_to(root.resolve()) or target.is_symlink():
        raise SourceInvalid(
            f"{path} is behind a link, which leads to {target.resolve()}: it is not written there."
        )
    return target
