"""What the end of a run of migrations means: decided by version rows and acknowledged commits.

How the process left (its exit code, a signal, that it would not go) is a remark on an outcome, never the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from web.config import AlembicTool
from web.errors import CleanStartError, MigrationFailed
from web.postgres.identity import KnownDatabase
from web.postgres.urls import parameters
from web.tools.account import HalfApplied
from web.tools.alembic_applied import read_applied
from web.tools.conversation import Run, VersionTable, place_in_words
from web.tools.events import RevisionFinished

#: What a version table holds, by table.
Rows = Mapping[VersionTable, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class UpgradeResult:
    """An upgrade that came to its end and is committed."""

    #: What was seen to run, in order, each with its seconds.
    revisions: tuple[RevisionFinished, ...]
    #: Version rows as they were read afterwards.
    heads: tuple[str, ...]
    #: How many statements were executed, Alembic's own included.
    statements: int
    #: Versions of the project's alembic and sqlalchemy.
    libraries: Mapping[str, str]
    #: What was odd about how the process left, in one sentence; None: nothing.
    remark: str | None = None
    #: Whether it was ended from outside before it said that it was done: what follows the last migration in env.py
    #: may not have run.
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
        several = "1 statement" if count == 1 else f"{count} statements"
        parts.append(f"{several} of {account.revision} {'is' if count == 1 else 'are'} committed")
    if account.interrupted is not None:
        parts.append("a statement outside of a transaction failed and may have left something behind")
    return f"Half applied: {' and '.join(parts)}, but {account.revision} is not recorded.{reached}"


async def judge(
    tool: AlembicTool, database: KnownDatabase, run: Run, waits: Sequence[str], *, upwards: bool = True
) -> UpgradeResult:
    """Say whether the database is where Alembic meant to lead it. Raises UpgradeStopped.

    The run's sessions are gone. `upwards`: a revision that has a row was applied by this run, if it ran it at all.
    """
    rows, unread = await _read_rows(tool, database, run)
    readable = {table: found for table, found in rows.items() if not _is_several(run, table)}
    if upwards:
        run.account.settle({revision for found in readable.values() for revision in found})
    account = run.half_applied
    if unread is None and _arrived(run, rows, account, upwards=upwards):
        heads = tuple(dict.fromkeys(row for found in rows.values() for row in found))
        return UpgradeResult(
            tuple(run.finished_revisions),
            heads,
            run.statements,
            run.libraries,
            _remark(tool, run),
            run.cut_off,
        )
    failure = run.failure
    revision = failure.revision if failure else account.revision
    raise UpgradeStopped(
        revision if failure or revision not in account.recorded else None,
        " ".join(filter(None, [_reason(tool, run, waits, unread), _elsewhere(database, run)])),
        account=account,
        rows=next(iter(readable.values()), None),
        sqlstate=failure.sqlstate if failure else None,
        places=failure.places if failure else (),
        begun=account.revision is not None,
        cut_off=run.cut_off,
    )


async def _read_rows(
    tool: AlembicTool, database: KnownDatabase, run: Run
) -> tuple[Rows, CleanStartError | None]:
    """What every version table that Alembic worked on holds now; and why that could not be seen."""
    found: dict[VersionTable, tuple[str, ...]] = {}
    if not run.plans:
        return found, None
    try:
        async with database.connect(application_name="cleanstart/versions") as connection:
            for table in run.plans:
                where = replace(tool, version_table=table.name, version_table_schema=table.schema)
                found[table] = (await read_applied(connection, where)).revisions
    except CleanStartError as error:
        return found, error
    return found, None


def _is_several(run: Run, table: VersionTable) -> bool:
    """One name found through several search paths (a table per tenant): there only the commits tell."""
    return table.schema is None and len(run.plans[table]) > 1


def _arrived(run: Run, rows: Rows, account: HalfApplied, *, upwards: bool) -> bool:
    """Whether every version table holds the rows that Alembic meant to leave there."""
    finished = {one.revision for one in run.finished_revisions}
    for table, plans in run.plans.items():
        planned = [revision for plan in plans for revision in plan]
        if set(rows[table]) == set(run.versions[table]) and finished.issuperset(planned):
            continue
        if _is_several(run, table):
            if set(planned) <= set(account.recorded):
                continue
        elif upwards and planned and planned[-1] in rows[table]:
            # It ended between the last commit and the report of it.
            continue
        return False
    return bool(run.plans)


def _reason(tool: AlembicTool, run: Run, waits: Sequence[str], unread: CleanStartError | None) -> str:
    if run.timed_out:
        return " ".join([f"it did not come to its end within {tool.time_limit} and was ended.", *waits])
    if run.failure is not None:
        return run.failure.message
    if run.exit_code != 0 and not run.lingered:
        tail = run.stderr_tail.strip() or "no message"
        return f"the command ended with exit code {run.exit_code}: {tail}"
    if not run.plans:
        return "the command ended without an error, but it never ran Alembic on the database."
    if unread is not None:
        return f"the command ended without an error, but the version table could not be read: {unread}"
    return "the command ended without an error, but the version table does not say that it is done."


def _elsewhere(database: KnownDatabase, run: Run) -> str | None:
    """Where the project's code tried to connect, if that is not where it should; in scratch nothing else answers."""
    if run.unreachable is None or run.unreachable == place_in_words(parameters(database.url)):
        return None
    return (
        f"The project's code tried to connect to {run.unreachable}; this run may open {database.called} only."
    )


def _remark(tool: AlembicTool, run: Run) -> str | None:
    """What a person should know of an end that changes nothing about the outcome."""
    if run.timed_out:
        how = f"the process did not come to its end within {tool.time_limit} and was ended"
    elif run.failure is not None:
        how = f"the project's code ended with an error: {run.failure.message}"
    elif run.lingered:
        how = "the process did not leave when it was done, and was ended"
    elif run.exit_code != 0:
        how = f"the process ended with exit code {run.exit_code}"
    elif not run.finished:
        how = "the process left before Alembic came to its end"
    else:
        return None
    return f"What Alembic planned is applied, but {how.rstrip('.')}."
