"""A new migration in a project's own style, written into a stand-in for its folder: never into the source itself.

What the migration does comes as statements; `op_calls.py` turns them into lines.
"""

from __future__ import annotations

import ast
import asyncio
import json
import secrets
import tempfile
from collections.abc import Sequence
from pathlib import Path

from web.config import Project
from web.errors import OperationFailed, SourceInvalid
from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.launch import INSIDE, launch
from web.tools.alembic_tool.op_calls import Lines, lines
from web.tools.alembic_tool.running import ignore
from web.tools.alembic_tool.settings import settings_of
from web.tools.confinement import checkout, reading, without_database, writing
from web.tools.history import History
from web.tools.protocol import WrittenMigration

_RUNNER = INSIDE / "revision_runner.py"
#: Of a migration that only joins others.
_NOTHING = Lines(("pass",))


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
    up = lines(upgrade, calls=calls)
    down = (
        Lines((f"raise NotImplementedError({downgrade!r})",))
        if isinstance(downgrade, str)
        else lines(downgrade, calls=calls)
    )
    return await _write(project, history.branch_heads[:1], message, up, down, revision)


async def write_merge(project: Project, heads: Sequence[str], message: str) -> WrittenMigration:
    """Write a migration that follows all of these heads into a stand-in, and does nothing itself.

    It goes where the first one's file is. Raises OperationFailed, ProgramMissing, SourceInvalid.
    """
    return await _write(project, heads, message, _NOTHING, _NOTHING)


async def _write(
    project: Project,
    heads: Sequence[str],
    message: str,
    up: Lines,
    down: Lines,
    revision: str | None = None,
) -> WrittenMigration:
    """Have the project's Alembic write a migration with these lines after these heads."""
    place = checkout(project, None)
    revision = revision or secrets.token_hex(6)
    names = up.imports | down.imports
    imports = "from sqlalchemy.dialects import postgresql" if "postgresql" in names else ""
    filled = {"upgrades": up.text, "downgrades": down.text, "imports": imports}
    # What does nothing calls nothing.
    used = sorted({"op", *names}) if up != _NOTHING else []
    with tempfile.NamedTemporaryFile("w", suffix=".json", encoding="utf-8") as file:
        # In a file: one variable of the environment takes 128 KiB, and a function may be longer.
        json.dump({"filled": filled, "names": used}, file)
        file.flush()
        Path(file.name).chmod(0o644)
        confinement = writing(await without_database(project), place)
        run = await launch(
            project,
            place,
            "revision",
            (None,),
            # What tells the history knows where the project's code has its migrations.
            by="history" if "history" in settings_of(project).commands else None,
            script=_RUNNER,
            confinement=reading(confinement, Path(file.name)),
            settings={"application_name": "cleanstart/adopt"},
            more={
                "within": str(place),
                "revision": revision,
                "message": message,
                "heads": list(heads),
                "filled": file.name,
            },
            on_event=ignore,
        )
    failure = run.failure
    if failure is not None and failure.kind == "elsewhere":
        raise SourceInvalid(failure.message, hint="Write the migration by hand.")
    if failure is not None or not run.migrations:
        said = failure.message if failure is not None else run.stderr_tail.strip() or "no message"
        raise OperationFailed(f"The project's Alembic could not write a migration: {said}")
    written = run.migrations[0]
    path = Path(str(written["path"]))
    text = await asyncio.to_thread(_read, path)
    remarks = written.get("remarks")
    return WrittenMigration(
        revision,
        str(path.resolve().relative_to(place.resolve())),
        text,
        leads_back=_leads_back(text),
        remarks=tuple(map(str, remarks)) if isinstance(remarks, list) else (),
    )


def _read(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError as error:
        raise OperationFailed(
            f"The project's Alembic writes {path.name} in another encoding than UTF-8."
        ) from error


def _leads_back(text: str) -> bool:
    """Whether the file has a downgrade at all, which the project's template decides."""
    try:
        tree = ast.parse(text)
    except SyntaxError:  # running it will say so
        return True
    return any(isinstance(node, ast.FunctionDef) and node.name == "downgrade" for node in tree.body)
