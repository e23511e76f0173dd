"""What happens while a project's migrations run, as values. Statements come without their bound values."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal


@dataclass(frozen=True, slots=True)
class Launched:
    """The project's interpreter runs; everything that it starts is in this process group."""

    process_group: int


@dataclass(frozen=True, slots=True)
class Connected:
    """The project's code opened a session, which waits until this is taken. Pid and start name it for ever."""

    pid: int
    backend_start: datetime


@dataclass(frozen=True, slots=True)
class Planned:
    """What the tool is about to run on a database with these version rows."""

    revisions: tuple[str, ...]
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RevisionStarted:
    revision: str
    message: str


@dataclass(frozen=True, slots=True)
class StatementStarted:
    #: Counts the statements of one process.
    number: int
    sql: str
    #: False: the statement commits by itself and cannot be undone.
    in_transaction: bool
    #: The migration that it belongs to; None before the first and after the last.
    revision: str | None
    #: True for the tool's own work on its version table.
    bookkeeping: bool
    pid: int | None


@dataclass(frozen=True, slots=True)
class StatementFinished:
    statement: StatementStarted
    seconds: float
    #: None where the driver does not say.
    rowcount: int | None


@dataclass(frozen=True, slots=True)
class StatementRefused:
    """The server refused a statement, or the session ended under it."""

    statement: StatementStarted
    seconds: float
    sqlstate: str | None
    message: str


@dataclass(frozen=True, slots=True)
class RevisionFinished:
    """A migration ran and its version row is written; both last once `Committed` follows."""

    revision: str
    seconds: float
    #: Version rows as they are now in this transaction.
    rows: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AboutToCommit:
    """The runner waits: nothing is committed before this is acknowledged."""

    pid: int | None
    #: The migration that is running; None between migrations.
    revision: str | None
    #: Migrations whose version row becomes permanent with this commit.
    recorded: tuple[str, ...]
    #: The statement that commits by itself; None for an ordinary COMMIT.
    sql: str | None


@dataclass(frozen=True, slots=True)
class Committed:
    pid: int | None
    #: Migrations whose version row is permanent now.
    recorded: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RolledBack:
    pid: int | None


@dataclass(frozen=True, slots=True)
class Log:
    """A line that the project's code wrote."""

    level: Literal["info", "warning"]
    text: str


@dataclass(frozen=True, slots=True)
class Finished:
    """The tool's command came to its end without an error."""


RunnerEvent = (
    Launched
    | Connected
    | Planned
    | RevisionStarted
    | StatementStarted
    | StatementFinished
    | StatementRefused
    | RevisionFinished
    | AboutToCommit
    | Committed
    | RolledBack
    | Log
    | Finished
)

#: Called with every event in order; the runner waits for it.
OnEvent = Callable[[RunnerEvent], Awaitable[None]]
#: Called before each commit; the commit happens when it returns and does not happen when it raises.
Acknowledge = Callable[[AboutToCommit], Awaitable[None]]
