"""Running an SQL file on a target: one statement per message, stopping at the first error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.pq import TransactionStatus

from web.errors import OperationFailed
from web.jobs.progress import Progress
from web.postgres.connections import Connection, describe_error

#: So many remarks of the server are kept and told of one file.
REMARKS = 200


@dataclass(frozen=True, slots=True)
class Remark:
    """What the server had to say about a statement that it took: a NOTICE or a WARNING."""

    statement: str
    text: str


class TransactionLeftOpen(OperationFailed):
    """An SQL file ended inside a transaction, which was rolled back."""

    title = "The script left its transaction open"

    def __init__(self, file: Path) -> None:
        super().__init__(
            f"{file.name} ended inside a transaction that it had begun and not committed; that was rolled back.",
            hint="Write the COMMIT that is missing, or leave the BEGIN out.",
        )


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
) -> tuple[Remark, ...]:
    """Run the statements in turn on an autocommit connection, which is this file's alone; give the server's remarks.

    Raises ScriptStopped, TransactionLeftOpen.
    """
    total = len(statements)
    remarks: list[Remark] = []
    current = ""

    def hear(said: psycopg.errors.Diagnostic) -> None:
        if len(remarks) < REMARKS:
            remarks.append(Remark(current, said.message_primary or ""))

    connection.add_notice_handler(hear)
    told = 0
    for number, statement in enumerate(statements, start=1):
        current = statement
        await progress.statement(statement)
        try:
            await connection.execute(statement.encode())
        except psycopg.Error as error:
            reason = str(describe_error(error, url))
            raise ScriptStopped(file, number, total, statement, reason) from error
        for remark in remarks[told:]:
            await progress.log(f"Statement {number}: {remark.text}", level="warning")
        told = len(remarks)
        await progress.at(number, total, "statements")
    await progress.statement(None)
    if connection.info.transaction_status != TransactionStatus.IDLE:
        await connection.rollback()
        raise TransactionLeftOpen(file)
    return tuple(remarks)
