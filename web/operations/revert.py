"""Revert: run the proven repair on the environment, in the transactions in which it was proven.

Only what a person has seen runs: the repair's hash comes with the job, and the schema has to be the one that the
repair was made for.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace

import psycopg
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.access.approval_requests import given_to_job
from web.acts.blockers import blockers_told
from web.acts.counting import count_rows
from web.acts.observing import observe_afterwards
from web.acts.opening import open_verified
from web.answers.environment import View
from web.answers.gate import backup_needed, repair_gate
from web.comparison.alike import as_on
from web.comparison.expected import excluded_tables
from web.comparison.snapshots import load_schema
from web.errors import Conflict, OperationFailed, OperationNotAllowed, TargetChanged
from web.jobs.failpoints import failpoint
from web.jobs.job import Outcome, Reconciled, StepTitle, Unproven
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import record_of
from web.operations.parameters import Parameters
from web.postgres.connections import Connection, describe_error
from web.postgres.identity import require_writable
from web.remedies.counting import not_counted, refused
from web.remedies.repair import Repair, read_repair, repair_of
from web.schema.ddl.statement import Statement, transactions
from web.schema.difference import Difference, difference
from web.schema.fingerprint import fingerprint
from web.schema.proof import SESSION
from web.schema.snapshot import read_schema
from web.starting.operation import Before, Offer, Onward, Operation, Told, asked
from web.tools.registry import tool_of

#: So many statements of a transaction are named in its intent, each cut to this length.
NAMED, LONGEST = 50, 500


class RevertParameters(Parameters):
    """What a revert takes; which repair it runs comes with the plan that was seen."""

    lock_timeout: int = Field(
        default=5,
        ge=1,
        le=600,
        title="Lock timeout in seconds",
        description="A statement that waits longer for a lock is rolled back with its transaction, and tried again.",
    )
    lock_attempts: int = Field(
        default=3, ge=1, le=20, title="Attempts", description="How often each transaction is tried in all."
    )
    count_timeout: int = Field(
        default=60,
        ge=1,
        le=86400,
        title="Counting, in seconds",
        description="Before the first statement it is counted for so long which rows refuse one.",
    )
    uncounted: bool = Field(
        default=False,
        title="Also where rows were not counted",
        description="Else nothing runs where that was not possible. What rows refuse is rolled back.",
    )


class RowsRefuse(OperationFailed):
    """There are rows that a statement would be refused for; nothing was run."""

    title = "Rows refuse it"
    hint = "Put these rows right, then plan the revert again."


class NotCounted(OperationFailed):
    """It is not known whether there are rows that a statement would be refused for; nothing was run."""

    title = "Not counted"
    hint = "Give it more time (count_timeout), or revert also where rows were not counted (uncounted)."


class RevertStopped(OperationFailed):
    """The server did not take a statement; its transaction was rolled back."""

    title = "The revert stopped"

    def __init__(self, done: int, total: int, statement: str, reason: str) -> None:
        self.done, self.total = done, total
        where = f"after {done} of {total} transactions" if done else "in the first transaction"
        super().__init__(
            f"{where.capitalize()}, “{' '.join(statement.split())[:120]}”: {reason.rstrip('.')}.",
            hint="Plan the revert again: it starts from what is there now.",
        )


async def run(work: Work[RevertParameters]) -> Outcome:
    """Check that the repair is for what is there, run it, look at the result."""
    job = work.job
    # The lock's connection does nothing that waits; the statements have a session of their own.
    async with work.target() as connection:
        async with work.progress.step("check"):
            repair = await _check(work, connection)
        async with work.progress.step("count"):
            await _count(work, repair)
        async with work.progress.step("revert"):
            if repair.loses or backup_needed(job.environment):
                await open_verified(work)
                # Reading a backup takes its time, and what was checked before that may have changed.
                await _require_unchanged(work, connection, repair)
            await _apply(work, repair)
    async with work.progress.step("observe"):
        seen = await observe_afterwards(work)
    count = len(repair.statements)
    return Outcome(
        "Reverted",
        f"{count} statement{'s' if count != 1 else ''} ran on {job.environment.label}. {seen}".strip(),
        data={"repair": repair.hash, "statements": count},
    )


async def _check(work: Work[RevertParameters], connection: Connection) -> Repair:
    """Everything that allows it, as it is now. Raises Conflict, OperationNotAllowed, TargetChanged."""
    job = work.job
    if job.shown_hash is None:
        raise Conflict("Nobody has seen what would run.", hint="Plan the revert, read it, then start it.")
    await require_writable(connection)
    async with work.store.connect() as store:
        repair = await repair_of(store, job.environment_id, job.shown_hash)
        record = await record_of(store, job.environment)
        given = await given_to_job(store, job.id, job.shown_hash)
    if repair is None:
        raise TargetChanged("There is no such repair.", hint="Plan the revert again.")
    gate = repair_gate(job.environment, record, replace(repair, approvals=given))
    # That the database was looked at is not asked: this look is the newest. Rows are counted anew.
    if closed := [each for each in gate.closed_by if each.name not in ("checked", "rows")]:
        said = "; ".join(f"{each.title}: {each.detail or each.state}" for each in closed)
        raise OperationNotAllowed(f"Nothing was run. {said}.", hint=closed[0].way)
    await _require_unchanged(work, connection, repair)
    return repair


async def _require_unchanged(work: Work[RevertParameters], connection: Connection, repair: Repair) -> None:
    """The database is still the one that the repair was made for. Raises TargetChanged."""
    job = work.job
    applied = await tool_of(job.project).applied(job.project, connection)
    if set(applied.revisions) != set(repair.revisions):
        raise TargetChanged(
            f"The repair is for {', '.join(repair.revisions) or 'no revision'}; the database is at "
            f"{', '.join(applied.revisions) or 'no revision'}.",
            hint="Plan the revert again.",
        )
    schema = await read_schema(connection, exclude_tables=excluded_tables(job.project))
    if fingerprint(schema) != repair.actual_fingerprint:
        raise TargetChanged(
            "The schema is not the one that the repair was made for.", hint="Plan the revert again."
        )


async def _count(work: Work[RevertParameters], repair: Repair) -> None:
    """Count anew: rows came and went since the plan. Raises RowsRefuse, NotCounted."""
    demands = [each.demand for each in repair.counted]
    found = await count_rows(work, demands, work.job.parameters.count_timeout)
    if (said := refused(found)) is not None:
        raise RowsRefuse(f"Nothing was run. {said}")
    if (said := not_counted(found)) is not None and not work.job.parameters.uncounted:
        raise NotCounted(f"Nothing was run. {said}")


async def _apply(work: Work[RevertParameters], repair: Repair) -> None:
    patience = f"{work.job.parameters.lock_timeout}s"
    groups = transactions(repair.statements)
    async with (
        work.target(lock=False, lock_timeout=patience, settings=SESSION) as session,
        blockers_told(work, [session.info.backend_pid]),
    ):
        for number, group in enumerate(groups):
            intent = await work.intend(
                "revert",
                {
                    "transaction": number + 1,
                    "of": len(groups),
                    "statements": [each.sql[:LONGEST] for each in group[:NAMED]],
                },
            )
            await _run(work, session, group, number, len(groups))
            failpoint("after-transaction", str(number + 1))
            await work.receive(intent, {"committed": True})
            await work.progress.at(number + 1, len(groups), "transactions")
    await work.progress.statement(None)


async def _run(
    work: Work[RevertParameters], session: Connection, group: tuple[Statement, ...], done: int, total: int
) -> None:
    """Run one transaction; after a lock timeout again, with a pause. Raises RevertStopped."""
    parameters = work.job.parameters
    for attempt in range(1, parameters.lock_attempts + 1):
        current = group[0].sql
        try:
            if len(group) == 1:
                await work.progress.statement(current)
                await session.execute(current.encode())
                return
            async with session.transaction():
                for each in group:
                    current = each.sql
                    await work.progress.statement(current)
                    await session.execute(current.encode())
            return
        except psycopg.errors.LockNotAvailable as error:
            # What runs concurrently is no transaction: its beginning stays behind.
            if attempt == parameters.lock_attempts or "CONCURRENTLY" in current:
                raise RevertStopped(done, total, current, str(describe_error(error, work.url))) from error
        except psycopg.Error as error:
            raise RevertStopped(done, total, current, str(describe_error(error, work.url))) from error
        pause = 2 ** (attempt - 1)
        await work.progress.log(
            f"A lock was not obtained within {parameters.lock_timeout} s, and the transaction was rolled back. Trying "
            f"again in {pause} s ({attempt} of {parameters.lock_attempts}).",
            level="warning",
        )
        await asyncio.sleep(pause)


async def reconcile(evidence: Evidence[RevertParameters]) -> Reconciled:
    """By the schema itself: what of the planned differences is gone, what is there, and what is new."""
    job = evidence.job
    if not any(intent.step == "revert" for intent in evidence.intents) or job.shown_hash is None:
        return Reconciled("not done", "It ended before the first statement.", next_step="Revert again.")
    async with evidence.store.connect() as store:
        repair = await repair_of(store, job.environment_id, job.shown_hash)
        before = await load_schema(store, repair.actual_fingerprint) if repair else None
        expected = await load_schema(store, repair.expected_fingerprint) if repair else None
    if repair is None or before is None or expected is None:
        return Reconciled("unknown", "What the repair was made for is not stored any more.")
    async with evidence.target() as connection:
        now = await read_schema(connection, exclude_tables=excluded_tables(job.project))
    stay = {each.difference.key for each in repair.left} | {each.key for each in repair.kept}
    planned = {each.key: each for each in difference(as_on(expected, before), before) if each.key not in stay}
    there = {each.key: each for each in difference(as_on(expected, now), now)}
    open_ones = [each for key, each in planned.items() if key in there]
    new = [each for key, each in there.items() if key not in planned and key not in stay]
    news = [_named(each) for each in new]
    found = {
        "differences": len(planned),
        "still_there": [_named(each) for each in open_ones],
        "new": news,
        "transactions": sum(intent.proof is not None for intent in evidence.intents),
    }
    if not open_ones and not new:
        return Reconciled("done", "Every difference that it was to revert is gone.", found)
    if fingerprint(now) == repair.actual_fingerprint:
        return Reconciled(
            "not done",
            "Nothing took effect: the schema is what it was.",
            found,
            "" if evidence.reason == "failed" else "Revert again.",
        )
    said = f"{len(planned) - len(open_ones)} of {len(planned)} differences are gone."
    if new:
        said += f" New since: {'; '.join(news[:5])}."
    return Reconciled(
        "unknown" if evidence.reason == "worker died" else "not done",
        f"Part of it took effect. {said}",
        found,
        "Plan the revert again: it starts from what is there now.",
        Unproven(f"Part of the revert took effect. {said}", by_check=True),
    )


def _named(item: Difference) -> str:
    return f"{item.kind} {item.object}{f', {item.attribute}' if item.attribute else ''} {item.change}"


async def before(store: AsyncConnection, seen: View) -> Before:
    """The proven statements, and what they stand on."""
    record = seen.record
    repair = await read_repair(store, record.environment_id, seen.observation) if record is not None else None
    gate = repair_gate(seen.environment, record, repair)
    return Before(gate, gate.closed_by, repair=repair, shown_hash=repair.hash if repair is not None else None)


def told(job: JobRecord) -> Told:
    """Whether the database is back is for the Drift page to show."""
    path = addresses.environment(*job.place, "drift")
    return Told(onward=(Onward("See the drift", path, "arrow-up-down"),))


REVERT = Operation(
    name="revert",
    title="Revert",
    verb="Revert the drift of",
    parameters=RevertParameters,
    permission="repair",
    mutating=True,
    destructive=False,
    steps=(
        StepTitle("check", "Check the database"),
        StepTitle("count", "Count the rows that refuse it"),
        StepTitle("revert", "Run the proven statements"),
        StepTitle("observe", "Check the result"),
    ),
    run=run,
    reconcile=reconcile,
    icon="history",
    help="Run the proven statements that lead a database back to its migrations.",
    lead=(
        "The statements below run on the database itself, in the transactions in which they were proven, "
        "and only if its schema is still the one that they were made for."
    ),
    keep="Leave it as it is",
    offers=(Offer("repair", "Revert…"),),
    wants_name=asked,
    before=before,
    approved_for=(),
    runs_what_was_shown=True,
    tells=told,
)
