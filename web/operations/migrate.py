"""Migrate: apply the pending migrations to the target, and tell exactly what became permanent."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from web import words
from web.access.approval_requests import given_to_job
from web.acts.history import history_that_runs, require_one_head
from web.acts.observing import observe_afterwards
from web.acts.opening import open_verified
from web.acts.seen import require_seen
from web.acts.upgrading import (
    WHAT_MIGRATIONS_LEAVE,
    LockPatience,
    invalid_indexes,
    read_trace,
    require_head,
    run_prelude,
    seen_in_schema,
    upgrade,
)
from web.answers.builds import load_build, require_source_is_build
from web.answers.environment import View
from web.answers.gate import Condition, backup_needed, enforced, migration_gate
from web.answers.rehearsed import Rehearsed, read_rehearsal
from web.answers.verdict import archive_day, archived_verdict, verdict
from web.config import Environment, Project
from web.errors import (
    Conflict,
    OperationNotAllowed,
    TargetChanged,
)
from web.jobs.job import Outcome, Reconciled, StepTitle, Unproven
from web.jobs.work import Evidence, Work
from web.observation.first_seen import read_evidence
from web.observation.records import Observed, record_of
from web.observation.stored_history import load_history
from web.operations.parameters import GIVEN, Parameters
from web.postgres.connections import Connection
from web.postgres.identity import require_writable
from web.remedies.old_source import archived_history, old_source
from web.schema.snapshot import read_schema
from web.starting.operation import Before, Offer, Operation, asked_on_production
from web.store.tables import PlanRow
from web.tools.history import Archive, History, Migration
from web.tools.registry import tool_of

NOTHING = "Nothing is pending."
#: Characters of a statement that an account names.
SHOWN = 90


def _said(reason: str | None) -> str | None:
    """A reason, or none where only blanks were given."""
    return (reason or "").strip() or None


class MigrateParameters(Parameters):
    """What a migrate takes."""

    lock_timeout: int = Field(
        default=5,
        ge=1,
        le=600,
        title="Lock timeout in seconds",
        description="Who waits longer for a lock rolls back, and what is not committed is tried again.",
    )
    lock_attempts: int = Field(
        default=3, ge=1, le=20, title="Attempts", description="How often it is tried in all."
    )
    build: int | None = Field(
        default=None,
        ge=1,
        lt=2**63,
        title="Build",
        description="Only where the source ends exactly where this registered build does.",
        json_schema_extra=GIVEN,
    )
    despite_failed_rehearsal: Annotated[str | None, AfterValidator(_said)] = Field(
        default=None,
        max_length=500,
        title="Reason to go on although the rehearsal failed",
        description="For exactly the failure that is shown; on production with an approval. The audit trail keeps it.",
    )


@dataclass(frozen=True, slots=True)
class Found:
    """Where the database is, and the history that is applied to it."""

    history: History
    rows: tuple[str, ...]
    #: The project's own history.
    source: History
    #: What it is the history of, where the database has a part of what a clean start put away.
    archive: Archive | None

    @property
    def pending(self) -> tuple[Migration, ...]:
        """What is applied, in order."""
        return self.history.pending(self.rows)


async def run(work: Work[MigrateParameters]) -> Outcome:
    """Check that everything is as the person saw it, apply, look at the result."""
    job = work.job
    # The lock's connection does nothing that waits; migrations have sessions of their own.
    async with work.target() as connection:
        async with work.progress.step("check"):
            found = await _check(work, connection)
        if not found.pending:
            await work.progress.skip("migrate", "Nothing is pending.")
            return Outcome("Nothing to apply", f"{job.environment.label} has every migration already.")
        if backup_needed(job.environment):
            await open_verified(work)
            # Reading a backup takes its time, and what was checked before that may have changed.
            found = await _check(work, connection, once_more=True)
        history = found.history
        invalid = await invalid_indexes(connection)
        async with work.progress.step("migrate"), _code(work, found) as applying:
            if not found.rows and job.project.tool.prelude and (await read_schema(connection)).is_empty:
                await run_prelude(work)
                # It may have recorded what it made.
                rows = (await tool_of(job.project).applied(job.project, connection)).revisions
                found = replace(found, rows=rows)
            intent = await work.intend(
                "upgrade",
                {
                    "from": list(found.rows),
                    "to": list(history.reaching(history.goal, found.rows)),
                    "pending": [step.revision for step in found.pending],
                    "invalid_indexes": list(invalid),
                },
            )
            patience = LockPatience(job.parameters.lock_timeout, job.parameters.lock_attempts)
            result = await upgrade(applying, "commit", patience, history.targets)
            require_head(work.job.project, history, result)
            await work.receive(intent, {"rows": list(result.applied)})
    async with work.progress.step("observe"):
        seen = await observe_afterwards(work)
    count = len(result.ran)
    title = f"{words.plural(count, 'migration')} applied"
    ends = f"{job.environment.label} is at {history.place(result.applied)}."
    if found.archive is not None:
        ends += f" That is the end of the history that was archived on {archive_day(found.archive)}."
    said = (ends, result.remark or "", seen)
    return Outcome(
        title if count else "The prelude left nothing to apply",
        " ".join(each for each in said if each),
        f"Exchange the version row for the baseline: `cleanstart restamp {job.environment.label}`."
        if found.archive is not None
        else "",
        data={
            "before": list(found.rows),
            "after": list(result.applied),
            "applied": [step.revision for step in result.ran],
            "statements": result.statements,
            "libraries": dict(result.libraries),
            "archive": found.archive.folder if found.archive is not None else None,
        },
    )


@asynccontextmanager
async def _code(work: Work[MigrateParameters], found: Found) -> AsyncIterator[Work[MigrateParameters]]:
    """Give the work on the code that has what is applied: of an archived history, the source as it was."""
    if found.archive is None:
        yield work
        return
    await work.progress.log(f"The migrations are those in {found.archive.folder}")
    async with old_source(work.job.project, found.source, found.archive) as project:
        yield replace(work, job=replace(work.job, project=project))


async def _check(work: Work[MigrateParameters], connection: Connection, *, once_more: bool = False) -> Found:
    """Refuse what may not be applied; what speaks against it and is no reason to refuse is told, once."""
    job = work.job
    source = await history_that_runs(work)
    if job.parameters.build is not None:
        async with work.store.connect() as store:
            build = await load_build(store, job.project.name, job.parameters.build)
        require_source_is_build(build, source, job.environment.follow)
    await require_writable(connection)
    applied = await tool_of(job.project).applied(job.project, connection)
    await require_seen(work, connection, applied.revisions)
    archive = source.unfinished_archive(applied.revisions)
    history = source if archive is None else archived_history(archive)
    require_one_head(history)
    async with work.store.connect() as store:
        record = await record_of(store, job.environment)
        evidence = await read_evidence(store, job.environment_id)
        observed = Observed(True, applied.table_exists, applied.revisions)
        found = archived_verdict(source, observed, evidence=evidence) or verdict(
            history, observed, evidence=evidence
        )
        rehearsed = await read_rehearsal(
            store, job.environment_id, record.observation if record else None, history.heads
        )
        if rehearsed is not None:
            given = await given_to_job(store, job.id, rehearsed.plan_hash)
            rehearsed = replace(rehearsed, approvals=given)
        if rehearsed is not None and rehearsed.succeeded:
            inputs = await asyncio.to_thread(tool_of(job.project).digest_of_inputs, job.project)
            rehearsed = replace(rehearsed, stale=rehearsed.inputs != inputs)
        gate = migration_gate(found, job.environment, record, rehearsed)
        await _require_plan(work, history, applied.revisions)
    # That the database was looked at is not asked: this look is the newest.
    closed = [each for each in gate.closed_by if enforced(each, job.environment) and each.name != "checked"]
    if (reason := job.parameters.despite_failed_rehearsal) is not None:
        left = [each for each in closed if not _excused(work, each, rehearsed)]
        if left != closed and not once_more:
            await work.progress.log(f"Going on in spite of the failed rehearsal: {reason}", level="warning")
        closed = left
    if closed:
        kind = OperationNotAllowed if closed[0].name in ("verified backup", "approval") else Conflict
        said = "; ".join(f"{each.title}: {each.detail or each.state}" for each in closed)
        raise kind(f"Not applied. {said}.", hint=closed[0].way)
    for each in () if once_more else gate.closed_by:
        await work.progress.log(f"{each.title}: {each.detail or each.state}", level="warning")
    return Found(history, applied.revisions, source, archive)


def _excused(work: Work[MigrateParameters], condition: Condition, rehearsed: Rehearsed | None) -> bool:
    """Whether the reason that was given is for this very failure. Raises TargetChanged where it is for another."""
    if not condition.excusable:
        return False
    if rehearsed is None or work.job.shown_hash != rehearsed.plan_hash:
        raise TargetChanged(
            f"The rehearsal failed in another way than the one that a reason was given for: {condition.detail}",
            hint="Read it, then give the reason again.",
        )
    return True


async def _require_plan(work: Work[MigrateParameters], history: History, applied: tuple[str, ...]) -> None:
    """What runs has to be what was rehearsed and shown, where something was."""
    if work.job.shown_hash is None:
        return
    query = (
        select(PlanRow.from_revisions, PlanRow.content)
        .where(PlanRow.environment_id == work.job.environment_id, PlanRow.hash == work.job.shown_hash)
        .limit(1)
    )
    async with work.store.connect() as store:
        row = (await store.execute(query)).one_or_none()
    files = {step.revision: step.digest for step in history.pending(applied)}
    if row is None or set(row.from_revisions) != set(applied) or row.content["files"] != files:
        raise TargetChanged("What would run now is not the plan that you saw.", hint="Rehearse it again.")


async def reconcile(evidence: Evidence[MigrateParameters]) -> Reconciled:
    """By the version rows, which commit with the migrations, and by what was written before each commit."""
    begun = next((intent.what for intent in evidence.intents if intent.step == "upgrade"), None)
    if begun is None:
        prelude = next((intent for intent in evidence.intents if intent.step == "prelude"), None)
        if prelude is not None and prelude.proof is None:
            text = "No migration was applied. The prelude did not come to its end; what it made may be there."
            return Reconciled(
                "unknown" if evidence.reason == "worker died" else "not done",
                text,
                {"open": ["prelude"]},
                "Empty the database, then apply the migrations again.",
                # It ran in a database without a table: what it made is all in the schema.
                Unproven(text, by_check=True),
            )
        return Reconciled(
            "not done",
            "Nothing had been applied: it ended before the first migration.",
            next_step="Apply the migrations again.",
        )
    async with evidence.target() as connection:
        rows = (await tool_of(evidence.job.project).applied(evidence.job.project, connection)).revisions
        invalid = [each for each in await invalid_indexes(connection) if each not in begun["invalid_indexes"]]
    trace = read_trace(evidence.intents, "commit", rows)
    found = {
        "before": begun["from"],
        "rows": list(rows),
        "to": begun["to"],
        "half_applied": list(trace.half),
        "half_applied_of": trace.half_of,
        "invalid_indexes": invalid,
        "open": dict(trace.open) if trace.open else None,
    }
    where = f"The database is at {', '.join(rows) or 'no revision'}."
    # A history without heads (a circle) is no place to have come to.
    if begun["to"] and set(rows) == set(begun["to"]):
        return Reconciled("done", f"All migrations are applied. {where}", found)
    if trace.open is not None and trace.open.get("sql"):
        text = (
            f"{where} A statement that commits by itself was running, and whether it took effect cannot be "
            f"proven: “{_short(trace.open['sql'])}” of {trace.open['revision']}."
        )
        text = _with_remains(text, trace.half, trace.half_of, invalid)
        left = Unproven(text, by_check=seen_in_schema([*trace.half, str(trace.open["sql"])]))
        return Reconciled("unknown", text, found, _way(invalid), left)
    if trace.half or invalid:
        text = f"{where} {trace.half_of or 'A migration'} is half applied: it is not recorded as applied."
        text = _with_remains(text, trace.half, trace.half_of, invalid)
        return Reconciled(
            "unknown" if evidence.reason == "worker died" else "not done",
            text,
            found,
            _way(invalid),
            Unproven(text, by_check=seen_in_schema(trace.half)),
        )
    committed = trace.open is not None and set(trace.open.get("rows", ())) == set(rows)
    if set(rows) == set(begun["from"]):
        if trace.open is not None and not trace.open.get("recorded"):
            text = f"{where} A commit inside {trace.open['revision']} was under way and cannot be proven."
            seen = Unproven(text, by_check=seen_in_schema(trace.open.get("statements", ())))
            return Reconciled("unknown", text, found, "Compare the schema before you go on.", seen)
        return Reconciled(
            "not done",
            f"Nothing was applied: what was begun was rolled back. {where}",
            found,
            "" if evidence.reason == "failed" else "Apply the migrations again.",
        )
    unapplied = [revision for revision in begun["pending"] if revision not in trace.recorded]
    if committed and trace.open is not None:
        unapplied = [revision for revision in unapplied if revision not in trace.open["recorded"]]
    text = f"Part of it was applied, each migration whole. {where} Not applied: {', '.join(unapplied)}."
    return Reconciled(
        "unknown" if evidence.reason == "worker died" else "not done",
        text,
        found,
        "Look at the error, then apply the rest.",
        # The rows of the version table committed with the migrations and account for all of them.
        Unproven(text, by_check=True) if evidence.reason == "worker died" else None,
    )


def _with_remains(text: str, half: Collection[str], half_of: str | None, invalid: Collection[str]) -> str:
    said = [text]
    if half:
        times = Counter(map(_short, half))
        told = [each if number == 1 else f"{each} ({number} times)" for each, number in times.items()]
        said.append(f"Committed of {half_of}: {'; '.join(told)}.")
    if invalid:
        said.append(f"Invalid indexes: {', '.join(invalid)}.")
    return " ".join(said)


def _short(sql: str) -> str:
    """The beginning of a statement, in one line; the whole is in the evidence."""
    line = " ".join(sql.split())
    return line if len(line) <= SHOWN else f"{line[:SHOWN]}…"


def _way(invalid: Collection[str]) -> str:
    drop = f"Drop {', '.join(invalid)}, " if invalid else ""
    return (
        f"{drop}{'see' if drop else 'See'} whether the migration can go on from there: if it can, apply it again; "
        "else undo by hand what is committed of it, or finish it by hand and stamp its revision, with "
        "`cleanstart stamp`."
    )


async def require_named(
    store: AsyncConnection, project: Project, environment: Environment | None, parameters: MigrateParameters
) -> None:
    """The source, as it was last read, is the build that is named. Raises NotFound, SourceIsNotBuild."""
    if parameters.build is None or environment is None:
        return
    build = await load_build(store, project.name, parameters.build)
    source = await load_history(store, project.name)
    require_source_is_build(build, source.history if source is not None else None, environment.follow)


async def before(store: AsyncConnection, seen: View) -> Before:
    """The pending migrations as they were rehearsed, and the gate."""
    return Before(
        seen.gate,
        _held_by(seen),
        excuse=next((each for each in seen.gate.closed_by if each.excusable), None),
        migrations=True,
        shown_hash=seen.rehearsed.plan_hash if seen.rehearsed is not None else None,
        pointless="" if seen.to_apply.pending else NOTHING,
        about=_about(seen),
    )


def _held_by(seen: View) -> tuple[Condition, ...]:
    """What it waits for here. What a reason overrides does not hold it, and what is not enforced is a warning."""
    return tuple(
        each for each in seen.gate.closed_by if enforced(each, seen.environment) and not each.excusable
    )


def closed(seen: View) -> str | None:
    """Why there is nothing to press."""
    if not seen.to_apply.pending:
        return NOTHING
    # Whom to ask for approval, the dialog says.
    held = [each for each in _held_by(seen) if each.name != "approval"]
    return f"{held[0].title}: {held[0].detail or held[0].state}. {held[0].way}" if held else None


def _about(seen: View) -> str:
    """What is not the usual thing about it."""
    if seen.archived is None or seen.archived.archive is None:
        return ""
    count, folder = len(seen.archived.pending), seen.archived.archive.folder
    return f"Applies {words.plural(count, 'archived migration')}, from {folder}, up to the old head."


def _applying(seen: View) -> str:
    pending = len(seen.to_apply.pending)
    one = "migration" if seen.archived is None else "archived migration"
    return f"Apply {words.plural(pending, one)}" if pending else ""


def _asking(seen: View) -> str:
    return f"{_applying(seen) or MIGRATE.verb} to {seen.environment.label}?"


MIGRATE = Operation(
    name="migrate",
    title="Migration",
    verb="Apply migrations",
    parameters=MigrateParameters,
    permission="migrate",
    mutating=True,
    destructive=False,
    steps=(
        StepTitle("check", "Check the database"),
        StepTitle("migrate", "Apply the migrations"),
        StepTitle("observe", "Check the result"),
    ),
    run=run,
    reconcile=reconcile,
    noun="migration",
    icon="arrow-down-to-line",
    help="Apply the pending migrations.",
    lead="The job streams every statement; it can be cancelled, and it ends in its true state.",
    button=_applying,
    submit=_applying,
    heading=_asking,
    keep="Leave it as it is",
    offers=(Offer("environment"), Offer("answer")),
    primary=lambda seen: bool(seen.to_apply.pending),
    closed=closed,
    wants_name=asked_on_production,
    before=before,
    require_named=require_named,
    approved_for=(),
    reason="despite_failed_rehearsal",
    evidence=WHAT_MIGRATIONS_LEAVE,
    code="on the target",
)
