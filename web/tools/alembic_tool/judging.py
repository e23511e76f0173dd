"""What the end of a run of Alembic means: decided by version rows and acknowledged commits.

How the process left (its exit code, a signal, that it would not go) is a remark on an outcome, never the outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from web.config import AlembicSettings
from web.errors import CleanStartError
from web.postgres.identity import KnownDatabase
from web.postgres.urls import parameters
from web.tools.account import HalfApplied
from web.tools.alembic_tool.applied import read_applied
from web.tools.conversation import Run, VersionTable, place_in_words
from web.tools.ending import UpgradeResult, UpgradeStopped

#: What a version table holds, by table.
Rows = Mapping[VersionTable, tuple[str, ...]]


async def judge(
    tool: AlembicSettings, database: KnownDatabase, run: Run, waits: Sequence[str], *, upwards: bool = True
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
        applied = tuple(dict.fromkeys(row for found in rows.values() for row in found))
        return UpgradeResult(
            tuple(run.finished_revisions),
            applied,
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
    tool: AlembicSettings, database: KnownDatabase, run: Run
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


def _reason(tool: AlembicSettings, run: Run, waits: Sequence[str], unread: CleanStartError | None) -> str:
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


def _remark(tool: AlembicSettings, run: Run) -> str | None:
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
