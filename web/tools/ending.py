"""How a run of migrations ended, as a value or an error that every tool gives, and what it left behind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from web import words
from web.errors import MigrationFailed
from web.tools.account import HalfApplied
from web.tools.events import RevisionFinished


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """An upgrade that came to its end and is committed."""

    #: What was seen to run, in order, each with its seconds.
    ran: tuple[RevisionFinished, ...]
    #: Version rows as they were read afterwards.
    applied: tuple[str, ...]
    #: How many statements were executed, the tool's own included; None: the tool does not report them.
    statements: int | None = None
    #: Versions of what ran in the project's environment, by name.
    libraries: Mapping[str, str] = field(default_factory=dict)
    #: What was odd about how the process left, in one sentence; None: nothing.
    remark: str | None = None
    #: Whether it was ended from outside before it said that it was done: what the project does after the last
    #: migration may not have run.
    cut_off: bool = False


class UpgradeStopped(MigrationFailed):
    """A run of migrations that did not come to its end, with what it left behind."""

    def __init__(
        self,
        revision: str | None,
        message: str,
        *,
        account: HalfApplied,
        rows: Sequence[str] | None = None,
        sqlstate: str | None = None,
        places: Sequence[str] = (),
        begun: bool = True,
        cut_off: bool = False,
    ) -> None:
        super().__init__(revision, message, sqlstate=sqlstate)
        self.account = account
        #: Where in the project's code, `file:line function`, the innermost last.
        self.places = tuple(places)
        #: Whether a migration was seen to start.
        self.begun = begun
        #: Whether it was ended from outside: at its time limit, or by a signal.
        self.cut_off = cut_off
        self.hint = _what_is_left(account, account.reached if rows is None else rows, sqlstate)


_CORRECT = "Correct it, then apply again."
#: By SQLSTATE, where the fault is not the migration's.
_CORRECTIONS: dict[str | None, str] = {
    "42501": "Grant the environment's role what it lacks, then apply again.",
    "55P03": "See in the log, or in pg_stat_activity, who holds the lock, then apply again.",
    "53100": "The server's disk is full: make space, then apply again.",
}


def _what_is_left(account: HalfApplied, rows: Sequence[str] | None, sqlstate: str | None) -> str:
    reached = "" if rows is None else f" The database is at {', '.join(rows) or 'no revision'}."
    if account.in_doubt:
        return f"It ended during a commit: look at the version table before anything else.{reached}"
    if account.is_clean:
        # What is recorded was kept, whatever happened afterwards.
        lost = None if account.revision in account.recorded else account.revision
        kept = f"Nothing of {lost or 'what followed'} was kept."
        return f"{kept}{reached} {_CORRECTIONS.get(sqlstate, _CORRECT)}"
    parts = []
    if account.committed:
        count = len(account.committed)
        several = words.plural(count, "statement")
        parts.append(f"{several} of {account.revision} {'is' if count == 1 else 'are'} committed")
    if account.interrupted is not None:
        parts.append("a statement outside of a transaction failed and may have left something behind")
    return f"Half applied: {' and '.join(parts)}, but {account.revision} is not recorded.{reached}"
