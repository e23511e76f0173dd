"""The prelude: what a project runs in an empty database before its first migration."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psycopg
from psycopg.pq import TransactionStatus

from web.config import AlembicSettings, Prelude
from web.errors import CommandFailed, OperationFailed
from web.postgres.connections import describe_error
from web.postgres.identity import KnownDatabase
from web.postgres.processes import run
from web.postgres.scripts import read_script
from web.tools.confinement import Confinement
from web.tools.events import Log, OnEvent, StatementFinished, StatementStarted


async def run_prelude(
    prelude: Prelude,
    tool: AlembicSettings,
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
    statements = await read_script(file)
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
        if connection.info.transaction_status != TransactionStatus.IDLE:
            raise OperationFailed(
                f"The prelude {file.name} ended inside a transaction that it had begun; that was rolled back.",
                hint="Write the COMMIT that is missing, or leave the BEGIN out.",
            )
