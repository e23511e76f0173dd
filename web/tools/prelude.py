"""The prelude: what a project runs in an empty database before its first migration."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pglast
import psycopg

from web.config import AlembicTool, Prelude
from web.errors import CommandFailed, OperationFailed, SourceInvalid
from web.postgres.connections import describe_error
from web.postgres.identity import KnownDatabase
from web.postgres.processes import run
from web.tools.confinement import Confinement
from web.tools.events import Log, OnEvent, StatementFinished, StatementStarted

_META_COMMAND = re.compile(r"^\\[a-z!?]", re.MULTILINE)


async def run_prelude(
    prelude: Prelude,
    tool: AlembicTool,
    confinement: Confinement,
    *,
    source: Path,
    argv: Callable[[tuple[str, ...]], tuple[str, ...]],
    env: Mapping[str, str],
    cwd: Path,
    application_name: str,
    on_event: OnEvent,
) -> None:
    """Run the SQL file, one statement per message, or the command. Raises `OperationFailed`."""
    assert confinement.opens is not None
    if prelude.sql is not None:
        await _run_file(source / prelude.sql, confinement.opens, application_name, on_event)
    if prelude.command is not None:

        async def log(line: str) -> None:
            await on_event(Log("info", line))

        try:
            await run(
                argv(prelude.command),
                env=env,
                cwd=cwd,
                on_stderr_line=log,
                redact=confinement.secrets,
                wall=confinement.wall,
                time_limit=tool.time_limit,
            )
        except CommandFailed as error:
            raise OperationFailed(f"The prelude failed: {error}") from error


async def _run_file(file: Path, database: KnownDatabase, application_name: str, on_event: OnEvent) -> None:
    try:
        text = await asyncio.to_thread(file.read_text, "utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceInvalid(f"The prelude {file} cannot be read: {error}") from error
    statements = await asyncio.to_thread(split, text, file.name)
    async with database.connect(application_name=application_name) as connection:
        for number, sql in enumerate(statements, 1):
            statement = StatementStarted(number, sql, False, None, False, connection.info.backend_pid)
            await on_event(statement)
            started = time.monotonic()
            try:
                cursor = await connection.execute(sql.encode())
            except psycopg.Error as error:
                reason = describe_error(error, database.url)
                raise OperationFailed(
                    f"The prelude {file.name} stopped at statement {number} of {len(statements)}: {reason}",
                    hint=f"The statement begins with “{' '.join(sql.split())[:120]}”.",
                ) from error
            rows = cursor.rowcount if cursor.rowcount >= 0 else None
            await on_event(StatementFinished(statement, time.monotonic() - started, rows))


def split(text: str, name: str) -> tuple[str, ...]:
    """Split SQL with PostgreSQL's own scanner. Raises `SourceInvalid` on commands of psql."""
    meta = _META_COMMAND.search(text)
    if meta is not None:
        line = text.count("\n", 0, meta.start()) + 1
        raise SourceInvalid(
            f"{name}, line {line}: “{text[meta.start() :].split()[0]}” is a command of psql, not SQL.",
            hint="Keep to SQL in this file, or name a command that runs psql.",
        )
    try:
        return tuple(part for part in pglast.split(text, with_parser=False) if part.strip())
    except pglast.Error as error:
        raise SourceInvalid(f"{name} cannot be split into statements: {error}") from error
