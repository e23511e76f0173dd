"""Running an SQL file on a target: one statement per message, stopping at the first error."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import psycopg

from web.errors import OperationFailed
from web.jobs.progress import Progress
from web.postgres.connections import Connection, describe_error


class ScriptStopped(OperationFailed):
    """An SQL file stopped at a statement."""

    title = "The script stopped"

    def __init__(self, file: Path, number: int, total: int, statement: str, reason: str) -> None:
        self.number, self.total, self.statement = number, total, statement
        super().__init__(
            f"{file.name} stopped at statement {number} of {total} “{' '.join(statement.split())[:120]}”: {reason}",
            hint="The statements before it took effect, unless the file has transactions of its own.",
        )


async def run_script(
    connection: Connection, url: str, file: Path, statements: Sequence[str], progress: Progress
) -> None:
    """Run the statements in turn on an autocommit connection. Raises ScriptStopped."""
    total = len(statements)
    for number, statement in enumerate(statements, start=1):
        await progress.statement(statement)
        try:
            await connection.execute(statement.encode())
        except psycopg.Error as error:
            reason = str(describe_error(error, url))
            raise ScriptStopped(file, number, total, statement, reason) from error
        await progress.at(number, total, "statements")
    await progress.statement(None)
