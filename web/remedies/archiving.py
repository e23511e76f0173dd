"""The archive of a history that a baseline replaces: its files and the manifest that maps old revisions to it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from web.config import Project
from web.errors import SourceInvalid
from web.remedies.baseline import Baseline
from web.remedies.change_set import ChangedFile, ChangeSet, moved
from web.tools.archives import MANIFEST, VERSION
from web.tools.confinement import checkout
from web.tools.history import History
from web.tools.registry import tool_of

#: Beside the manifest: brings a database over by SQL alone.
SCRIPT = "bring-over.sql"
ABOUT = """Exchanges the version row of a database that has all of the archived migrations for the baseline {baseline}.
It compares no schema, and refuses any other database. With psql: psql -v ON_ERROR_STOP=1 -f bring-over.sql"""


@dataclass(frozen=True, slots=True)
class Archive:
    """Old migrations with where they go; None: they are deleted."""

    #: Relative to the project's source.
    folder: str | None
    #: Old path, new path, content; the first one is a head's.
    files: tuple[tuple[str, str, bytes], ...]


def plan_archive(project: Project, history: History, day: date, *, keep: bool) -> Archive:
    """Read the old files and say where they go. Blocking. Raises SourceInvalid."""
    source = checkout(project, None)
    folder, home = tool_of(project).archive_folder(project, day) if keep else (None, "")
    files = []
    # The newest first: a patch fails at once where somebody has changed what is at the head.
    for each in reversed(history.migrations):
        if Path(each.path).is_absolute():
            raise SourceInvalid(
                f"{each.path} is not below {source}, so that it cannot be put away.",
                hint="Make the baseline from a checkout that has all of its migrations.",
            )
        content = (source / each.path).read_bytes()
        if hashlib.sha256(content).hexdigest() != each.digest:
            raise SourceInvalid(
                f"{each.path} has changed while it was read.", hint="Make the baseline again."
            )
        inner = _below(home, each.path)
        files.append((each.path, f"{folder}/{inner}" if folder is not None else "", content))
    return Archive(folder, tuple(files))


def change_set(
    project: Project, history: History, baseline: Baseline, archive: Archive
) -> tuple[ChangeSet, dict[str, Any]]:
    """What a repository has to change, with paths from its root, and the manifest that goes into the archive."""
    prefix = from_root(checkout(project, None))
    made = manifest_of(project, history, baseline, archive)
    files = [(f"{prefix}{old}", f"{prefix}{new}", content) for old, new, content in archive.files]
    changed: list[ChangedFile] = []
    if archive.folder is not None:
        changed += moved(files)
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        changed.append(ChangedFile(f"{prefix}{archive.folder}/{MANIFEST}", None, text.encode()))
        script = tool_of(project).exchange_script(
            project, history.goal, (baseline.revision,), ABOUT.format(baseline=baseline.revision)
        )
        changed.append(ChangedFile(f"{prefix}{archive.folder}/{SCRIPT}", None, script.encode()))
    else:
        changed += [ChangedFile(old, content, None) for old, _, content in files]
    changed.append(ChangedFile(f"{prefix}{baseline.path}", None, baseline.text.encode()))
    return ChangeSet(tuple(changed)), made


def added(project: Project, path: str, text: str) -> ChangeSet:
    """One new file, with its path from the repository's root. Blocking."""
    return ChangeSet((ChangedFile(f"{from_root(checkout(project, None))}{path}", None, text.encode()),))


def manifest_of(project: Project, history: History, baseline: Baseline, archive: Archive) -> dict[str, Any]:
    """What each old revision was and what replaces it: enough to bring another database over from a checkout alone."""
    kept = {old: new for old, new, _ in archive.files}
    return {
        "archive": VERSION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "project": project.name,
        "folder": archive.folder,
        "tool": project.tool.how_to_run(checkout(project, None)),
        "version_tables": list(tool_of(project).version_tables(project)),
        "baseline": {
            "revision": baseline.revision,
            "path": baseline.path,
            "digest": hashlib.sha256(baseline.text.encode()).hexdigest(),
        },
        "heads": list(history.heads),
        "migrations": [
            {
                "revision": each.revision,
                "down": list(each.down),
                "depends_on": list(each.depends_on),
                "labels": list(each.labels),
                "message": each.message,
                "path": each.path,
                "kept": kept.get(each.path) or None,
                "digest": each.digest,
            }
            for each in history.migrations
        ],
    }


def from_source(project: Project, change: ChangeSet) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """What a change set takes away and what it brings, by paths relative to the project's source. Blocking."""
    prefix = from_root(checkout(project, None))
    gone, come = {}, {}
    for each in change.files:
        path = each.path.removeprefix(prefix)
        if each.before is not None:
            gone[path] = each.before
        if each.after is not None:
            come[path] = each.after
    return gone, come


def files_as_json(change: ChangeSet) -> list[Mapping[str, Any]]:
    """The files' paths with what becomes of them, for people and programs."""
    return [
        {
            "path": each.path,
            "change": "removed" if each.after is None else "added" if each.before is None else "changed",
            "bytes": len(each.after if each.after is not None else each.before or b""),
        }
        for each in change.files
    ]


def _below(home: str, path: str) -> str:
    """A migration's path as it is kept: from the folder that all of them are in, where it is in that."""
    whole, inner = PurePosixPath(path), PurePosixPath(home)
    return str(whole.relative_to(inner)) if whole.is_relative_to(inner) else path


def from_root(source: Path) -> str:
    """The source's path from its repository's root, with a slash at the end; empty where it is the root itself."""
    real = source.resolve()
    for each in (real, *real.parents):
        if (each / ".git").exists():
            inner = real.relative_to(each)
            return f"{inner.as_posix()}/" if inner.parts else ""
    return ""
