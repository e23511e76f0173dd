"""The schema that a project's models give: made with `create_all` in scratch, cached by content.

What a MetaData can say and what it cannot is left to `unmodelled.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path

from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from web.config import Project
from web.errors import CleanStartError, ExtensionsMissing, ScratchUnavailable
from web.inspection.expected import Expected, build, cached, keep, surroundings
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.schema.model import Extension
from web.tools.alembic_settings import read_import_paths
from web.tools.confinement import in_scratch
from web.tools.protocol import tool_of

#: Counted up when they are made in another way.
_FORMAT = 1
#: Files of a project that models may be made of.
_SUFFIXES = (".py", ".toml", ".ini", ".cfg", ".json", ".yaml", ".yml", ".sql", ".csv", ".txt", ".env")
_NOT_SOURCE = ("__pycache__", "node_modules", "site-packages")
#: A folder with more than this is no project's source; nothing is cached then.
_MOST_FILES, _MOST_BYTES = 20_000, 256 << 20


async def modelled_schema(
    store: AsyncEngine | None,
    scratch: ScratchServers,
    project: Project,
    *,
    major: int,
    roles: Sequence[str] = (),
    extensions: Sequence[Extension] = (),
) -> Expected:
    """The schema that the models give on a server of this major; never raises for what a project does wrong.

    `roles` and `extensions` are the other side's. A MetaData cannot name extensions, and its types and indexes may
    need them: they are there before it. Without a store nothing is cached.
    """
    key = await asyncio.to_thread(cache_key, project, major, extensions) if store is not None else None
    if store is not None and key is not None and (known := await cached(store, key)) is not None:
        return known

    async def make(database: ScratchDatabase) -> None:
        await _install(database, extensions)
        await tool_of(project).create_models(
            project,
            confinement=await in_scratch(project, database),
            application_name="cleanstart/models",
        )

    try:
        schema = await build(scratch, project, make, major, roles, [each.name for each in extensions])
    except (ScratchUnavailable, ExtensionsMissing) as error:
        return Expected(reason=str(error), hint=error.hint)
    except CleanStartError as error:
        return Expected(
            reason=f"Could not compare with the models of {project.name}: {error}", hint=error.hint
        )
    return await keep(store, key, schema)


async def _install(database: ScratchDatabase, extensions: Iterable[Extension]) -> None:
    async with database.connect(application_name="cleanstart/models") as connection:
        for each in extensions:
            schema, name = sql.Identifier(each.schema), sql.Identifier(each.name)
            if each.schema != "pg_catalog":
                await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            await connection.execute(
                sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE").format(name, schema)
            )


def cache_key(project: Project, major: int, extensions: Sequence[Extension]) -> str | None:
    """Hash of what models can be made of, as far as files tell; None where they do not. Reads files."""
    tool, source = project.alembic, project.source
    assert isinstance(source, Path)
    try:
        packages = _packages(tool.python)
        roots = {source, *chain(*read_import_paths(source, tool))}
        files = None if packages is None else _digests(roots | packages[1])
    except (OSError, CleanStartError):
        return None  # making them will say so
    if packages is None or files is None:
        return None
    content = {
        "format": _FORMAT,
        "models": list(tool.models),
        "driver": tool.url_driver,
        "python": str(tool.python),
        "packages": packages[0],
        "files": files,
        "surroundings": surroundings(project),
        "major": major,
        "extensions": sorted([each.name, each.schema, each.version] for each in extensions),
    }
    return "models " + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _digests(roots: Iterable[Path]) -> list[list[str]] | None:
    """Every file below the folders with its digest; None where there are too many."""
    found: dict[str, str] = {}
    size = 0
    for file in chain.from_iterable(_files(root) for root in sorted(roots)):
        if str(file) in found:
            continue
        content = file.read_bytes()
        size += len(content)
        if len(found) >= _MOST_FILES or size > _MOST_BYTES:
            return None
        found[str(file)] = hashlib.sha256(content).hexdigest()
    return [[name, digest] for name, digest in sorted(found.items())]


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        # Hidden folders and environments hold no models; packages are known by their versions.
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_SOURCE
            and not Path(folder, name, "pyvenv.cfg").is_file()
        ]
        yield from (Path(folder, name) for name in names if name.endswith(_SUFFIXES))


def _packages(python: Path) -> tuple[list[list[object]], set[Path]] | None:
    """What is installed beside an interpreter, and the folders that it imports from by reference.

    None where it cannot be told: no packages of its own, the system's too, or an import hook.
    """
    prefix = python.parent.parent
    settings = prefix / "pyvenv.cfg"
    if settings.is_file() and "include-system-site-packages = true" in settings.read_text(encoding="utf-8"):
        return None
    entries: list[list[object]] = []
    referred: set[Path] = set()
    for packages in sorted(prefix.glob("lib*/python3*/*-packages")):
        for entry in sorted(packages.iterdir()):
            if entry.name.startswith("__editable__") and entry.name.endswith("_finder.py"):
                return None
            if entry.suffix == ".pth":
                lines = entry.read_text(encoding="utf-8", errors="replace").splitlines()
                referred |= {packages / line for line in lines if line and (packages / line).is_dir()}
            # A folder's time changes when Python compiles into it; its package's record does not.
            dated = entry / "RECORD" if entry.suffix == ".dist-info" else entry
            entries.append([entry.name, dated.stat().st_mtime_ns if dated.is_file() else None])
    return (entries, referred) if entries else None
