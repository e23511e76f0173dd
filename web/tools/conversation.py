"""What the runner reports, turned into events one at a time and in order, and what is known of the run so far."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from web.tools.account import Account, HalfApplied
from web.tools.events import (
    AboutToCommit,
    Acknowledge,
    Committed,
    Connected,
    Finished,
    Log,
    OnEvent,
    Planned,
    RevisionFinished,
    RevisionStarted,
    RolledBack,
    RunnerEvent,
    StatementFinished,
    StatementRefused,
    StatementStarted,
)

#: More output than this (characters) is dropped, and that is said.
MOST_OUTPUT = 2_000_000
#: A longer line is cut.
LONGEST_LINE = 10_000

Record = Mapping[str, object]

_NUMBER, _TEXT_OR_NONE, _NUMBER_OR_NONE = (int, float), (str, type(None)), (int, float, type(None))
#: What each report has at least, and of what type.
_SHAPES: Mapping[object, Mapping[str, type | tuple[type, ...]]] = {
    "library": {"name": str, "version": str},
    "connected": {"pid": int, "backend_start": str, "ask": int},
    "planned": {"revisions": list, "heads": list, "table": str, "schema": _TEXT_OR_NONE},
    "started": {"revision": str, "message": str},
    "applied": {
        "revision": str,
        "seconds": _NUMBER,
        "heads": list,
        "in_transaction": bool,
        "table": str,
        "schema": _TEXT_OR_NONE,
    },
    "statement": {
        "number": int,
        "sql": str,
        "in_transaction": bool,
        "revision": _TEXT_OR_NONE,
        "bookkeeping": bool,
    },
    "executed": {"number": int, "seconds": _NUMBER, "rows": _NUMBER_OR_NONE},
    "refused": {"number": int, "seconds": _NUMBER, "sqlstate": _TEXT_OR_NONE, "message": str},
    "about_to_commit": {"revision": _TEXT_OR_NONE, "sql": _TEXT_OR_NONE, "in_transaction": bool, "ask": int},
    "migration": {"revision": str, "path": _TEXT_OR_NONE, "down": list, "depends_on": list, "labels": list},
    "failed": {"kind": str, "message": str, "sqlstate": _TEXT_OR_NONE, "revision": _TEXT_OR_NONE},
}


@dataclass(frozen=True, slots=True)
class Failure:
    """An exception in the project's interpreter."""

    #: "missing" (no such tool there), "foreign" (another database), "import" or "error".
    kind: str
    message: str
    sqlstate: str | None
    revision: str | None
    #: `file:line function`, the innermost last.
    places: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class VersionTable:
    """Where a tool keeps its version rows, as the project configured it."""

    name: str
    schema: str | None


@dataclass(slots=True)
class Run:
    """What is known of a run; complete once it has ended."""

    account: Account = field(default_factory=Account)
    sessions: list[Connected] = field(default_factory=list)
    finished_revisions: list[RevisionFinished] = field(default_factory=list)
    #: Version rows that should be there now, and what was to run there, each time that the tool ran.
    versions: dict[VersionTable, tuple[str, ...]] = field(default_factory=dict)
    plans: dict[VersionTable, list[tuple[str, ...]]] = field(default_factory=dict)
    #: Migration files as the tool loaded them (command `history`).
    migrations: list[Record] = field(default_factory=list)
    libraries: dict[str, str] = field(default_factory=dict)
    statements: int = 0
    failure: Failure | None = None
    #: Where its code last tried to connect and could not.
    unreachable: str | None = None
    #: Whether our code ever ran in that interpreter.
    hello: bool = False
    #: Whether the command came to its end without an error.
    finished: bool = False
    timed_out: bool = False
    #: Its work was done, and it was ended because it did not leave.
    lingered: bool = False
    exit_code: int | None = None
    stderr_tail: str = ""

    @property
    def cut_off(self) -> bool:
        """Whether it was ended from outside while it may still have had something to do."""
        signalled = self.exit_code is not None and self.exit_code < 0
        return self.timed_out or (signalled and not self.lingered)

    @property
    def half_applied(self) -> HalfApplied:
        return self.account.close()


class ReportInvalid(Exception):
    """A report that no runner makes: the project's code wrote it."""


class Conversation:
    """Turns reports into events, one at a time and in order, and keeps the account."""

    def __init__(
        self,
        run: Run,
        say: Callable[[Mapping[str, object]], None],
        redact: Callable[[str], str],
        on_event: OnEvent,
        acknowledge: Acknowledge | None,
    ) -> None:
        self.run = run
        self.ended = asyncio.Event()
        self._say, self._redact = say, redact
        self._on_event, self._acknowledge = on_event, acknowledge
        self._telling = asyncio.Lock()
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._room = MOST_OUTPUT
        self._statements: dict[int, StatementStarted] = {}
        #: How much was taken of what came, and whether some of it is being dealt with.
        self.taken = 0
        self.busy = False

    async def tell(self, event: RunnerEvent) -> None:
        async with self._telling:
            await self._on_event(event)

    async def hear(self, line: str) -> None:
        """Take a line of output; written down in turn, so that a full pipe never stops the program."""
        self.taken += 1
        if self._room > 0:
            self._room -= len(line) + 1
            self._lines.put_nowait(self._redact(line[:LONGEST_LINE]))
            if self._room <= 0:
                self._lines.put_nowait("… more output than can be shown; the rest is dropped")

    def end_log(self) -> None:
        self._lines.put_nowait(None)

    async def write_log(self) -> None:
        while (line := await self._lines.get()) is not None:
            loud = line.lstrip().startswith(("WARN", "ERROR", "CRITICAL", "FATAL"))
            await self.tell(Log("warning" if loud else "info", line))

    async def take(self, record: Record) -> None:
        """One report of the runner. What is not understood comes from a newer runner and is left alone.

        Raises ReportInvalid for what no runner says.
        """
        if not _fits(record):
            raise ReportInvalid(str(record.get("event"))[:80])
        self.taken += 1
        self.busy = True
        try:
            await self._take(record)
        finally:
            self.busy = False

    async def _take(self, record: Record) -> None:
        account, pid = self.run.account, _pid(record)
        match record.get("event"):
            case "hello":
                self.run.hello = True
            case "library":
                self.run.libraries[str(record["name"])] = str(record["version"])
            case "connected" if pid is not None:
                session = Connected(pid, datetime.fromisoformat(str(record["backend_start"])))
                self.run.sessions.append(session)
                await self.tell(session)
                self._answer(record)
            case "planned":
                planned = Planned(_texts(record["revisions"]), _texts(record["heads"]))
                table = _table(record)
                self.run.plans.setdefault(table, []).append(planned.revisions)
                self.run.versions[table] = planned.rows
                await self.tell(planned)
            case "started":
                account.revision = str(record["revision"])
                await self.tell(RevisionStarted(account.revision, str(record["message"])))
            case "applied":
                await self._applied(record)
            case "statement":
                await self._statement(record)
                self._answer(record)
            case "executed" | "refused":
                await self._statement_over(record)
                self._answer(record)
            case "about_to_commit":
                await self._commit(record)
            case "committed":
                await self.tell(Committed(pid, account.committed(pid)))
            case "rolled_back":
                account.rolled_back(pid)
                await self.tell(RolledBack(pid))
            case "savepoint":
                account.savepoint(pid)
            case "rolled_back_to_savepoint":
                account.rolled_back_to_savepoint(pid)
            case "released_savepoint":
                account.released_savepoint(pid)
            case "migration":
                self.run.migrations.append(record)
            case "failed":
                self.run.failure = Failure(
                    str(record["kind"]),
                    self._redact(str(record["message"])),
                    _text(record.get("sqlstate")),
                    _text(record.get("revision")),
                    tuple(self._redact(place) for place in _texts(record.get("places", []))),
                )
            case "unreachable":
                self.run.unreachable = place_in_words(record)
            case "finished":
                self.run.finished = True
                await self.tell(Finished())
            case "ended":
                self.ended.set()

    async def _applied(self, record: Record) -> None:
        event = RevisionFinished(str(record["revision"]), _number(record["seconds"]), _texts(record["heads"]))
        self.run.versions[_table(record)] = event.rows
        self.run.finished_revisions.append(event)
        inside = record["in_transaction"] is True
        self.run.account.applied(_pid(record), event.revision, event.rows, in_transaction=inside)
        await self.tell(event)

    async def _statement(self, record: Record) -> None:
        statement = StatementStarted(
            number=int(_number(record["number"])),
            sql=self._redact(str(record["sql"])),
            in_transaction=record["in_transaction"] is True,
            revision=_text(record["revision"]),
            bookkeeping=record["bookkeeping"] is True,
            pid=_pid(record),
        )
        self.run.statements += 1
        self._statements[statement.number] = statement
        self.run.account.executes(statement)
        await self.tell(statement)

    async def _statement_over(self, record: Record) -> None:
        statement = self._statements.pop(int(_number(record["number"])), None)
        if statement is None:
            return
        seconds = _number(record["seconds"])
        if record["event"] == "executed":
            self.run.account.executed(statement)
            rows = record.get("rows")
            await self.tell(StatementFinished(statement, seconds, rows if isinstance(rows, int) else None))
        else:
            self.run.account.refused(statement)
            reason = self._redact(str(record["message"]))
            await self.tell(StatementRefused(statement, seconds, _text(record["sqlstate"]), reason))

    async def _commit(self, record: Record) -> None:
        pid = _pid(record)
        sql = _text(record["sql"])
        event = AboutToCommit(
            pid=pid,
            revision=_text(record["revision"]),
            recorded=self.run.account.recorded_in(pid),
            sql=None if sql is None else self._redact(sql),
        )
        await self.tell(event)
        if self._acknowledge is not None:
            try:
                await self._acknowledge(event)
            except Exception as error:
                self._say({"ack": record["ask"], "refused": f"The commit was not allowed: {error}"})
                raise
        if record["in_transaction"] is True:
            self.run.account.commits(pid)
        self._answer(record)

    def _answer(self, record: Record) -> None:
        """Let the runner go on where it waits."""
        if "ask" in record:
            self._say({"ack": record["ask"]})


def _fits(record: Record) -> bool:
    """Whether a report has the parts that one of its name has."""
    event = record.get("event")
    shape = _SHAPES.get(event) if isinstance(event, str) else None
    if shape is None:
        return True
    if any(name not in record or not isinstance(record[name], kind) for name, kind in shape.items()):
        return False
    if event != "connected":
        return True
    try:
        datetime.fromisoformat(str(record["backend_start"]))
    except ValueError:
        return False
    return True


def _pid(record: Record) -> int | None:
    pid = record.get("pid")
    return pid if isinstance(pid, int) else None


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _texts(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def place_in_words(parameters: Record) -> str:
    """The server and the database that a driver was to connect to, in words; the login is left out."""
    host, port, name = (str(parameters.get(part) or "")[:200] for part in ("host", "port", "dbname"))
    server = f"{host or 'the default host'}{f':{port}' if port else ''}"
    return f"“{name}” on {server}" if name else server


def _table(record: Record) -> VersionTable:
    return VersionTable(str(record["table"]), _text(record.get("schema")))
