"""A new migration in a project's own style, written into a stand-in for its folder: never into the source itself.

What the migration does comes as statements; `op_calls.py` turns them into lines.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from web.config import Project
from web.errors import OperationFailed, ProgramMissing, SourceInvalid
from web.schema.ddl.statement import Statement
from web.tools import runner
from web.tools.alembic_tool.launch import INSIDE, environment, interpreter
from web.tools.alembic_tool.locations import read_locations
from web.tools.alembic_tool.op_calls import Lines, lines
from web.tools.alembic_tool.running import ignore
from web.tools.alembic_tool.settings import settings_of
from web.tools.confinement import checkout, give, reading, without_database, writing
from web.tools.history import History
from web.tools.protocol import WrittenMigration
from web.walls.accounts import project_account

#: Files that say where migrations are.
_SETTINGS = frozenset({".ini", ".toml", ".cfg"})
_RUNNER = INSIDE / "revision_runner.py"


@asynccontextmanager
async def stand_in(project: Project, folder: Path) -> AsyncIterator[Project]:
    """Give the project in a folder that looks like its own, with migration folders that may be written into.

    Everything else in it is a link. Raises SourceInvalid where the migrations are not in the project's folder.
    """
    locations = await asyncio.to_thread(read_locations, folder, settings_of(project))
    real = folder.resolve()
    config = _below(real, settings_of(project).config_file(folder))
    directory = _below(real, settings_of(project).working_directory(folder))
    inner = {_below(real, each).parts for each in locations.folders} | {config.parent.parts, directory.parts}
    with tempfile.TemporaryDirectory(prefix="cleanstart-adopt-") as place:
        await asyncio.to_thread(_mirror, real, Path(place), inner)
        # Whoever runs the project's code there is whoever runs it in its own folder.
        await asyncio.to_thread(give, Path(place), project_account(folder))
        tool = replace(settings_of(project), config=config, cwd=directory)
        # Most of it is links into the real one.
        readable = (*project.readable, folder)
        yield replace(project, source=Path(place), tool=tool, readable=readable)


def _below(real: Path, path: Path) -> Path:
    """The path relative to the project's folder. Raises SourceInvalid where it is elsewhere."""
    if not path.resolve().is_relative_to(real):
        raise SourceInvalid(
            f"{path} is not below {real}, so that a migration cannot be written for it.",
            hint="Write it by hand, from the statements that `cleanstart diff … --format sql` prints.",
        )
    return path.resolve().relative_to(real)


def _mirror(real: Path, place: Path, inner: set[tuple[str, ...]]) -> None:
    """Make `place` like `real`: folders on the way to the `inner` ones are real, the inner ones whole."""
    heads = {parts[0] for parts in inner if parts}
    for entry in os.scandir(real):
        target = place / entry.name
        if entry.is_file() and target.suffix in _SETTINGS:
            # Alembic follows links, and takes locations against the folder in which it finds the file.
            shutil.copyfile(entry.path, target)
        elif entry.name not in heads:
            # Caches of compiled migrations would be written through a link.
            if entry.name != "__pycache__":
                target.symlink_to(entry.path)
        else:
            target.mkdir()
            below = {parts[1:] for parts in inner if parts[:1] == (entry.name,)}
            _mirror(Path(entry.path), target, below)


async def write_migration(
    project: Project,
    history: History,
    message: str,
    upgrade: Sequence[Statement],
    downgrade: Sequence[Statement] | str,
    *,
    calls: bool = True,
    revision: str | None = None,
) -> WrittenMigration:
    """Write a migration that follows the history's head into a stand-in; a downgrade that is a text is refused with it.

    Raises OperationFailed, ProgramMissing, SourceInvalid.
    """
    tool, place = settings_of(project), checkout(project, None)
    revision = revision or secrets.token_hex(6)
    up = lines(upgrade, calls=calls)
    down = (
        Lines((f"raise NotImplementedError({downgrade!r})",))
        if isinstance(downgrade, str)
        else lines(downgrade, calls=calls)
    )
    imports = (
        "from sqlalchemy.dialects import postgresql" if "postgresql" in up.imports | down.imports else ""
    )
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as filled:
        # In a file: one variable of the environment takes 128 KiB, and a function may be longer.
        json.dump({"upgrades": up.text, "downgrades": down.text, "imports": imports}, filled)
        filled.flush()
        confinement = await without_database(project)
        confinement = writing(confinement, place)
        Path(filled.name).chmod(0o644)
        run = await runner.run(
            reading(confinement, Path(filled.name)),
            (str(interpreter(tool)), str(_RUNNER)),
            {
                "command": "revision",
                "config": str(tool.config_file(place).absolute()),
                "section": tool.section,
                "within": str(place),
                "revision": revision,
                "message": message,
                "head": history.branch_heads[0] if history.branch_heads else None,
                "filled": filled.name,
            },
            url=None,
            env=environment(tool, confinement, "cleanstart/adopt"),
            cwd=tool.working_directory(place),
            time_limit=tool.time_limit,
            on_event=ignore,
        )
    failure = run.failure
    if failure is not None and failure.kind == "missing":
        raise ProgramMissing(f"The interpreter {tool.python} has no Alembic ({failure.message}).")
    if failure is not None and failure.kind == "elsewhere":
        raise SourceInvalid(failure.message, hint="Write the migration by hand.")
    if failure is not None or not run.migrations:
        said = failure.message if failure is not None else run.stderr_tail.strip() or "no message"
        raise OperationFailed(f"The project's Alembic could not write a migration: {said}")
    file = Path(str(run.migrations[0]["path"]))
    text = await asyncio.to_thread(file.read_text, "utf-8")
    if "sa" in up.imports | down.imports and "import sqlalchemy as sa" not in text:
        text = text.replace("from alembic import op", "import sqlalchemy as sa\nfrom alembic import op", 1)
        await asyncio.to_thread(file.write_text, text, "utf-8")
    return WrittenMigration(revision, str(file.resolve().relative_to(place.resolve())), text)
