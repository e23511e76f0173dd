"""Rehearse: the pending migrations run in a scratch copy of the target's schema; the target is only read."""

from __future__ import annotations

from functools import partial
from types import MappingProxyType

from web import words
from web.answers.environment import View
from web.errors import OperationFailed, SourceInvalid
from web.jobs.events import announce_change
from web.jobs.job import BY_SCHEDULE, Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.observation.stored_history import refresh_history
from web.operations.parameters import Parameters
from web.plans.plan import Plan
from web.plans.rehearsal import Stage, all_but_passing, nothing, rehearse
from web.remedies.old_source import archived_history, old_source
from web.starting.operation import Offer, Operation
from web.tools.registry import tool_of


class RehearsalFailed(OperationFailed):
    """A migration was refused in the scratch copy."""

    title = "The rehearsal failed"
    hint = "Correct the migration, or see whether it needs rows, which the scratch copy lacks. Then rehearse again."


class CouldNotRehearse(OperationFailed):
    """Nothing was seen to run, so nothing is said about the migrations."""

    title = "Could not rehearse"
    hint = "Put that right, then rehearse again."


async def run(work: Work[Parameters]) -> Outcome:
    """Hold the rehearsal and store its plan. What a person asks for is always held; the schedule repeats no failure.

    A rehearsal that failed, or that could not be held, ends the job as failed, with its plan stored.
    """
    job = work.job
    async with work.progress.step("read"):
        source = await refresh_history(work.store, job.project)
        if source.history is None:
            raise SourceInvalid(source.reason or "")
    stage = Stage(work.store, work.resources.scratch, work.resources.programs, work.application_name)
    async with work.progress.step("rehearse"), work.target(lock=False) as connection:
        rows = (await tool_of(job.project).applied(job.project, connection)).revisions
        archive = source.history.unfinished_archive(rows)
        if archive is not None:
            await work.progress.log(f"The database has a part of the history in {archive.folder}")
        plan = await rehearse(
            stage,
            job.project,
            job.environment_id,
            source.history.followed(job.environment.follow) if archive is None else archived_history(archive),
            connection,
            work.url,
            tell=work.progress.log,
            keeps=all_but_passing if job.requested_by == BY_SCHEDULE else nothing,
            run_as=None if archive is None else partial(old_source, job.project, source.history, archive),
        )
        for migration in plan.migrations:
            await work.progress.log(f"{migration.revision} {migration.message}".strip())
            for statement in migration.statements:
                await work.progress.log(
                    statement.sql, level="debug", data={"seconds": statement.seconds, "sql": True}
                )
            for hazard in migration.hazards:
                await work.progress.log(hazard.words, level="warning")
    async with work.store.begin() as connection_to_store:
        await announce_change(connection_to_store, job.environment_id)
    _require_held(plan)
    count = len(plan.ran)
    title = "Rehearsed" if count == 1 else f"{count} migrations rehearsed"
    if not count:
        title = "Nothing is pending" if not plan.migrations else "The prelude left nothing to rehearse"
    return Outcome(
        title,
        f"{words.plural(plan.statements, 'statement')} ran in a scratch database. "
        "The database itself was not touched.",
        data={
            "outcome": plan.outcome,
            "plan_hash": plan.hash,
            "migrations": count,
            "statements": plan.statements,
        },
    )


def _require_held(plan: Plan) -> None:
    """Say which of the two it was that went wrong. Raises RehearsalFailed, CouldNotRehearse."""
    failure = plan.failure
    if failure is None:
        return
    if failure.held:
        raise RehearsalFailed(f"{failure.message} The database itself was not touched.")
    then = f"{failure.hint} Then rehearse again." if failure.hint else None
    raise CouldNotRehearse(f"{failure.message} The database itself was not touched.", hint=then)


async def reconcile(evidence: Evidence[Parameters]) -> Reconciled:
    """A rehearsal leaves the target alone."""
    return Reconciled(
        "not done", f"{evidence.job.environment.label} was not touched.", next_step="Rehearse again."
    )


def _again(seen: View) -> str:
    return "Rehearse again" if seen.rehearsed else "Rehearse"


REHEARSE = Operation(
    name="rehearse",
    title="Rehearsal",
    verb="Rehearse",
    parameters=Parameters,
    permission="observe",
    mutating=False,
    destructive=False,
    steps=(StepTitle("read", "Read the migrations"), StepTitle("rehearse", "Run them in a scratch copy")),
    run=run,
    reconcile=reconcile,
    noun="rehearsal",
    help="Run the pending migrations in a scratch copy, and tell what each statement locks and rewrites.",
    offers=(Offer("migrations", again="Rehearse again"), Offer("archived part", again="Rehearse again")),
    at_once=True,
    meets=MappingProxyType({"rehearsal": _again}),
    code="in scratch",
    joins=True,
)
