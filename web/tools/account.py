"""What a run of migrations has left behind, as far as the runner saw it: kept statement by statement.

Invalid indexes and the like are for the caller to find in the database.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, field

from web.tools.events import StatementStarted

#: Statements that leave nothing behind.
_HARMLESS = re.compile(
    r"\s*(select|show|set|reset|begin|start|commit|end|rollback|savepoint|release|lock|explain)\b",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class HalfApplied:
    """How a run that did not come to its end left the database."""

    #: Version rows that were last seen committed; None: this run recorded nothing.
    reached: tuple[str, ...] | None
    #: Migrations that this run recorded for good.
    recorded: tuple[str, ...]
    #: The migration that was running.
    revision: str | None
    #: Statements that are committed although the migration they belong to is not recorded.
    committed: tuple[str, ...]
    #: A statement outside of a transaction that failed or was cut off: it may have left something behind.
    interrupted: str | None
    #: Whether the run ended while a commit was under way; then only the database knows.
    in_doubt: bool

    @property
    def is_clean(self) -> bool:
        """Whether running the same migrations again starts where this run has been recorded."""
        return not self.committed and self.interrupted is None and not self.in_doubt


@dataclass(slots=True)
class _Session:
    """What one backend did since its last commit."""

    statements: list[str] = field(default_factory=list)
    #: Recorded migrations: how many statements came before, revision, version rows.
    recorded: list[tuple[int, str, tuple[str, ...]]] = field(default_factory=list)
    savepoints: list[tuple[int, int]] = field(default_factory=list)

    def forget(self, statements: int = 0, recorded: int = 0) -> None:
        del self.statements[statements:]
        del self.recorded[recorded:]


class Account:
    """Keeps the account of one run. Sessions are told apart by the pid of their backend."""

    def __init__(self) -> None:
        self._sessions: dict[int | None, _Session] = {}
        self._recorded: list[str] = []
        self._reached: tuple[str, ...] | None = None
        self._committed: list[str] = []
        self._interrupted: str | None = None
        self._committing: set[int | None] = set()
        #: A statement outside of a transaction that runs right now.
        self._outside: str | None = None
        #: The migration that was started last.
        self.revision: str | None = None

    def close(self) -> HalfApplied:
        """The account as it stands now."""
        return HalfApplied(
            reached=self._reached,
            recorded=tuple(self._recorded),
            revision=self.revision,
            committed=tuple(self._committed),
            interrupted=self._interrupted or self._outside,
            in_doubt=bool(self._committing),
        )

    def recorded_in(self, pid: int | None) -> tuple[str, ...]:
        """Migrations that the next commit of this backend records."""
        return tuple(revision for _, revision, _ in self._session(pid).recorded)

    def executes(self, statement: StatementStarted) -> None:
        if not statement.in_transaction and _leaves_something(statement):
            self._outside = statement.sql

    def executed(self, statement: StatementStarted) -> None:
        self._outside = None
        if not _leaves_something(statement):
            return
        if statement.in_transaction:
            self._session(statement.pid).statements.append(statement.sql)
        else:
            self._committed.append(statement.sql)

    def refused(self, statement: StatementStarted) -> None:
        self._outside = None
        if not statement.in_transaction and _leaves_something(statement):
            self._interrupted = statement.sql

    def applied(
        self, pid: int | None, revision: str, heads: tuple[str, ...], *, in_transaction: bool
    ) -> None:
        session = self._session(pid)
        session.recorded.append((len(session.statements), revision, heads))
        if not in_transaction:
            self.committed(pid)

    def commits(self, pid: int | None) -> None:
        self._committing.add(pid)

    def committed(self, pid: int | None) -> tuple[str, ...]:
        """Take a commit into the account; returns the migrations that it recorded."""
        session = self._session(pid)
        self._committing.discard(pid)
        recorded = self.recorded_in(pid)
        after = 0
        if session.recorded:
            after, _, self._reached = session.recorded[-1]
            self._recorded += recorded
            # Whatever was committed before belongs to a migration that is recorded now.
            self._committed.clear()
            self._interrupted = None
        self._committed += session.statements[after:]
        session.forget()
        session.savepoints.clear()
        return recorded

    def rolled_back(self, pid: int | None) -> None:
        self._committing.discard(pid)
        self._session(pid).forget()
        self._session(pid).savepoints.clear()

    def settle(self, rows: Collection[str]) -> None:
        """Decide commits that nobody reported by the version rows, read when the run's sessions were gone."""
        for pid in tuple(self._committing):
            if recorded := self.recorded_in(pid):
                if recorded[-1] in rows:
                    self.committed(pid)
                else:
                    self.rolled_back(pid)
        if self.revision is not None and self.revision in rows and self.revision not in self._recorded:
            # A row that commits by itself, or a commit that nothing saw.
            self._recorded.append(self.revision)
            self._reached = tuple(rows)
            self._committed.clear()
            self._interrupted = self._outside = None

    def savepoint(self, pid: int | None) -> None:
        session = self._session(pid)
        session.savepoints.append((len(session.statements), len(session.recorded)))

    def rolled_back_to_savepoint(self, pid: int | None) -> None:
        session = self._session(pid)
        if session.savepoints:
            session.forget(*session.savepoints.pop())

    def released_savepoint(self, pid: int | None) -> None:
        session = self._session(pid)
        if session.savepoints:
            session.savepoints.pop()

    def _session(self, pid: int | None) -> _Session:
        return self._sessions.setdefault(pid, _Session())


def _leaves_something(statement: StatementStarted) -> bool:
    return not statement.bookkeeping and not _HARMLESS.match(statement.sql)
