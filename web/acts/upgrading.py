"""Running a project's migrations on a target as part of a job: progress, intents, retries, blockers.

An intent is written before every commit, a receipt after it, so that whatever happens in between can be told.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from web import words
from web.acts.blockers import blockers_told
from web.config import Project
from web.errors import OperationFailed
from web.jobs.job import Intent, Json
from web.jobs.work import Work
from web.postgres.connections import Connection
from web.postgres.identity import KnownDatabase
from web.tools.confinement import on_target
from web.tools.ending import UpgradeResult, UpgradeStopped
from web.tools.events import (
    AboutToCommit,
    Committed,
    Connected,
    Launched,
    Log,
    Planned,
    RevisionFinished,
    RevisionStarted,
    RolledBack,
    RunnerEvent,
    StatementFinished,
    StatementRefused,
    StatementStarted,
)
from web.tools.history import History
from web.tools.registry import tool_of

#: What the evidence of a run of migrations says, and how sure it is.
WHAT_MIGRATIONS_LEAVE: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "before": ("ok", "The database was at"),
        "rows": ("ok", "It is at"),
        "to": ("ok", "It was to come to"),
        "open": ("unknown", "May or may not have taken effect"),
        "half_applied_of": ("warn", "Half applied, and not recorded as applied"),
        "half_applied": ("warn", "Committed of it"),
        "invalid_indexes": ("warn", "Indexes that are not valid"),
    }
)
#: `lock_not_available`: the one error after which the same migrations are tried again.
LOCK_NOT_AVAILABLE = "55P03"
#: So many statements are named in an intent, each cut to this length.
NAMED, LONGEST = 50, 500

#: Statements that change what is defined; what rows they make are in what they define.
_DEFINES = re.compile(r"(?:CREATE|ALTER|DROP|COMMENT|GRANT|REVOKE|REINDEX)\b", re.IGNORECASE)
#: Of those, the ones with which rows or values go, whatever is defined again afterwards.
_LOSES = re.compile(
    r"\bDROP\s+(?!CONSTRAINT|DEFAULT|NOT\b|EXPRESSION|IDENTITY|INDEX|VIEW|TRIGGER|POLICY|RULE|FUNCTION|PROCEDURE)"
    r"|(?<!DELETE )(?<!UPDATE )\bCASCADE\b|^ALTER TABLE\b.*\bTYPE\b",
    re.IGNORECASE,
)

# Indexes that are not valid: what a failed CREATE INDEX CONCURRENTLY leaves. Any role. PostgreSQL 9.6 and later.
_INVALID_INDEXES = """
SELECT pg_catalog.format('%I.%I', n.nspname, c.relname)
  FROM pg_catalog.pg_index i
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE NOT i.indisvalid AND c.relkind = 'i'
 ORDER BY 1
"""


async def invalid_indexes(connection: Connection) -> tuple[str, ...]:
    """The indexes of this database that are not valid."""
    rows = await (await connection.execute(_INVALID_INDEXES)).fetchall()
    return tuple(row[0] for row in rows)


@dataclass(frozen=True, slots=True)
class LockPatience:
    """How long one statement waits for a lock, and how often the whole is tried."""

    seconds: int = 5
    attempts: int = 3


async def upgrade(
    work: Work[Any],
    step: str,
    patience: LockPatience,
    targets: Sequence[str] | None = None,
    *,
    database: KnownDatabase | None = None,
) -> UpgradeResult:
    """Apply what is pending up to the targets (None: all of it), to the target or to another `database` of its server.

    The caller holds the target's lock on a connection of its own.
    After a lock timeout it is tried again, with a pause, but only where nothing was committed since the last
    recorded revision. Raises UpgradeStopped.
    """
    run = _Run(work, step)
    confinement = await on_target(work.job.project, database or work.database)
    async with blockers_told(work, run.pids):
        for attempt in range(1, patience.attempts + 1):
            try:
                result = await tool_of(work.job.project).upgrade(
                    work.job.project,
                    confinement=confinement,
                    revisions=targets,
                    on_event=run.hear,
                    application_name=work.application_name,
                    lock_timeout=f"{patience.seconds}s",
                    acknowledge=run.acknowledge,
                )
                if result.remark is not None:
                    await work.progress.log(result.remark, level="warning")
                return result
            except UpgradeStopped as error:
                again = error.sqlstate == LOCK_NOT_AVAILABLE and error.account.is_clean
                if not again or attempt == patience.attempts:
                    raise
                pause = 2 ** (attempt - 1)
                await work.progress.log(
                    f"A lock was not obtained within {patience.seconds} s; nothing of {error.revision} was kept. "
                    f"Trying again in {pause} s ({attempt} of {patience.attempts}).",
                    level="warning",
                )
                run.restart()
                await asyncio.sleep(pause)
    raise AssertionError("unreachable")


def require_head(project: Project, history: History, result: UpgradeResult) -> None:
    """That the tool came to its end is not yet that the database is where it was to go. Raises OperationFailed."""
    if not history.is_at_head(result.applied):
        raise OperationFailed(
            f"{tool_of(project).title} came to its end, but the database is at {history.place(result.applied)}, not at "
            f"{', '.join(history.heads)}.",
            hint=tool_of(project).astray,
        )


async def run_prelude(work: Work[Any], database: KnownDatabase | None = None) -> None:
    """Run what the project needs in an empty database before its first migration, where there is such a thing.

    The caller has seen that the target, or the `database`, is empty, and holds the target's lock.
    """
    if work.job.project.tool.prelude is None:
        return
    intent = await work.intend("prelude", {})
    await work.progress.log("Running the prelude: the database is empty")
    await tool_of(work.job.project).replay(
        work.job.project,
        confinement=await on_target(work.job.project, database or work.database),
        revisions=(),
        application_name=work.application_name,
    )
    await work.receive(intent, {})


@dataclass(slots=True)
class _Run:
    """Tells a job's progress and intents of what the runner reports."""

    work: Work[Any]
    step: str
    total: int = 0
    done: int = 0
    rows: tuple[str, ...] | None = None
    #: Since the last commit: migration and text.
    statements: list[tuple[str | None, str]] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)
    #: Intents that wait for their commit, by backend.
    open: dict[int | None, Intent] = field(default_factory=dict)

    def restart(self) -> None:
        """Forget the run that ended."""
        self.rows = None
        self.statements.clear()
        self.pids.clear()
        self.open.clear()

    async def hear(self, event: RunnerEvent) -> None:
        progress = self.work.progress
        match event:
            case Launched(process_group):
                await self.work.process_group(process_group)
            case Connected(pid, backend_start):
                self.pids.append(pid)
                await self.work.backend(pid, backend_start)
            case Planned(revisions):
                self.total = self.done + len(revisions)
                names = ", ".join(revisions) or "none"
                await progress.log(f"{words.plural(len(revisions), 'migration')} to run: {names}")
                await progress.at(self.done, self.total, "migrations")
            case RevisionStarted(revision, message):
                await progress.log(f"{revision} {message}".strip(), data={"revision": revision})
            case StatementStarted() if not event.bookkeeping:
                await progress.statement(event.sql, data={"revision": event.revision})
            case StatementFinished(statement, seconds):
                if not statement.in_transaction:
                    await self._received(statement.pid, {"committed": True, "recorded": []})
                if not statement.bookkeeping:
                    await progress.statement(None, data={"seconds": seconds, "rows": event.rowcount})
                    if statement.in_transaction:
                        self.statements.append((statement.revision, statement.sql))
            case StatementRefused(statement, seconds, sqlstate, message):
                await progress.log(
                    f"{message} (SQLSTATE {sqlstate})" if sqlstate else message,
                    level="error",
                    data={"sql": statement.sql[:LONGEST], "seconds": seconds},
                )
            case RevisionFinished(revision, seconds, rows):
                self.rows = rows
                self.done += 1
                await progress.log(f"{revision} ran in {seconds:.2f} s", data={"seconds": seconds})
                await progress.at(self.done, self.total, "migrations")
            case Committed(pid, recorded):
                await self._received(pid, {"committed": True, "recorded": list(recorded)})
                self.statements.clear()
            case RolledBack():
                self.statements.clear()
            case Log(level, text):
                await progress.log(text, level=level)
            case _:
                pass

    async def acknowledge(self, event: AboutToCommit) -> None:
        """Write down what is about to become permanent; the runner waits for this."""
        # What belongs to migrations that this commit does not record would be half applied.
        left = [text for revision, text in self.statements if revision not in event.recorded]
        what: dict[str, Any] = {
            "revision": event.revision,
            "recorded": list(event.recorded),
            "statements": [text[:LONGEST] for text in left[:NAMED]],
        }
        if event.sql is not None:
            what["sql"] = event.sql[:LONGEST]
        if event.recorded and self.rows is not None:
            what["rows"] = list(self.rows)
        self.open[event.pid] = await self.work.intend(self.step, what)

    async def _received(self, pid: int | None, proof: Json) -> None:
        if (intent := self.open.pop(pid, None)) is not None:
            await self.work.receive(intent, proof)


def seen_in_schema(statements: Collection[str]) -> bool:
    """Whether all that these statements do shows in the schema, so that a look at it tells what became of them.

    Where that is not certain it is said that it does not: several statements in one text, one that was cut.
    """
    return len(statements) < NAMED and all(map(_seen_in_schema, statements))


def _seen_in_schema(statement: str) -> bool:
    text = " ".join(statement.split()).rstrip("; ")
    if len(statement) >= LONGEST or ";" in text or _LOSES.search(text):
        return False
    return _DEFINES.match(text) is not None


@dataclass(frozen=True, slots=True)
class Trace:
    """What a job's intents say about its commits, whether or not the runner lived to tell."""

    #: Commits with a receipt, of migrations that are recorded.
    recorded: tuple[str, ...]
    #: Statements that are committed although their migration is not recorded.
    half: tuple[str, ...]
    #: The migration that they belong to.
    half_of: str | None
    #: What was about to be committed and has no receipt.
    open: Json | None


def read_trace(intents: Sequence[Intent], step: str, rows: Collection[str]) -> Trace:
    """Put the intents of an `upgrade` together; `rows` are the version rows as they are now."""
    recorded: list[str] = []
    half: list[str] = []
    half_of: str | None = None
    pending: Json | None = None
    for intent in intents:
        if intent.step != step or "recorded" not in intent.what:
            continue
        if intent.proof is None:
            # A retry follows only where the one before was rolled back.
            pending = intent.what
            continue
        pending = None
        if intent.what["recorded"]:
            recorded += intent.what["recorded"]
            half.clear()
            half_of = None
        if committed := intent.what["statements"] + ([intent.what["sql"]] if intent.what.get("sql") else []):
            half += committed
            half_of = intent.what["revision"]
    if half_of in rows:
        # Recorded without a transaction: there was no commit of its own.
        half, half_of = [], None
    return Trace(tuple(recorded), tuple(half), half_of, pending)
