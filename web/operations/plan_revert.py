"""Plan a revert: write what leads the database back to its migrations, and prove it on a scratch copy."""

from __future__ import annotations

from pydantic import Field

from web import addresses, words
from web.acts.counting import count_rows
from web.acts.observing import observe_drift
from web.comparison.alike import as_on
from web.comparison.expected import excluded_tables
from web.comparison.ignore_rules import active_rules, expression, sort_out
from web.comparison.roles import read_roles
from web.comparison.scratch_copy import Original, prove_on_copy
from web.comparison.side_by_side import NotProven, why_not_proven
from web.comparison.snapshots import load_schema
from web.errors import Conflict, Invalid, OperationFailed
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import Observation, read_drift
from web.operations.parameters import Parameters
from web.postgres.identity import read_identity
from web.remedies.counting import not_counted, refused
from web.remedies.repair import store_repair
from web.schema.difference import Difference
from web.schema.keeping import CannotKeep, keeping
from web.schema.model import Schema
from web.schema.proof import Proof
from web.starting.operation import Offer, Onward, Operation, Told


class PlanRevertParameters(Parameters):
    """What the planning of a revert takes."""

    only: str = Field(
        default="",
        max_length=500,
        title="Only these objects",
        description="A name as the Drift page writes it; * stands for any characters. Empty: all of them.",
    )
    with_loss: bool = Field(
        default=False,
        title="Also what loses data",
        description="Drops the tables, columns and values that the migrations do not have. Else they are left.",
    )
    count_timeout: int = Field(
        default=60,
        ge=1,
        le=86400,
        title="Counting, in seconds",
        description="For so long it is counted which rows refuse it. What is not counted then is said.",
    )


async def run(work: Work[PlanRevertParameters]) -> Outcome:
    """Look, prove, store. What was not proven ends the job as failed, with its statements stored."""
    job = work.job
    async with work.progress.step("observe"):
        seen = await observe_drift(work)
        if seen.drift.state == "none":
            return Outcome("Nothing to revert", f"{job.environment.label}: {seen.drift.words}.")
    async with work.progress.step("prove"):
        expected, actual, kept = await _sides(work, seen)
        proof = await _prove(work, expected, actual)
        await _tell(work, proof)
        refusal = why_not_proven(proof)
    async with work.progress.step("count"):
        counted = await count_rows(work, proof.demands, work.job.parameters.count_timeout)
        async with work.writing() as store:
            digest = await store_repair(
                store,
                job.environment_id,
                seen,
                proof,
                kept=kept,
                with_loss=job.parameters.with_loss,
                refusal=refusal,
                counted=counted,
            )
            await announce_change(store, job.environment_id)
    if refusal is not None:
        # An index that is ignored, on a column that is not: only a person can say which of them was meant.
        stands = "What is left alone may stand on what is reverted: revert both, or neither."
        raise NotProven(proof, hint=stands if kept else None)
    number, left = len(proof.statements), len(proof.left)
    stay = "1 difference stays" if left == 1 else f"{left} differences stay"
    remains = f" {stay}: {proof.left[0].reason}" if left else ""
    alone = (
        "1 that is ignored or was not asked for is"
        if len(kept) == 1
        else (f"{len(kept)} that are ignored or were not asked for are")
    )
    ignored = f" {alone} left alone." if kept else ""
    rows, unknown = refused(counted), not_counted(counted)
    if rows is not None:
        ignored += f" Rows refuse it as they are: {rows}"
    elif unknown is not None:
        ignored += f" {unknown}"
    return Outcome(
        f"{words.plural(number, 'statement')} proven" if number else "Nothing to run",
        f"They ran on a scratch copy of {job.environment.label} and left no other difference. "
        f"The database itself was not touched.{remains}{ignored}"
        if number
        else f"Clean Start has no statement for this.{remains}{ignored}",
        "Put these rows right, then plan the revert again: it counts anew."
        if rows
        else "Read the statements, then revert."
        if number
        else "",
        data={"repair": digest, "statements": number, "left": left, "kept": len(kept)},
    )


async def _sides(
    work: Work[PlanRevertParameters], seen: Observation
) -> tuple[Schema, Schema, tuple[Difference, ...]]:
    """What the database shall look like, what it looks like, and which differences rules leave alone."""
    drift, environment = seen.drift, work.job.environment
    assert drift.expected_fingerprint is not None
    assert drift.fingerprint is not None
    async with work.store.connect() as store:
        expected = await load_schema(store, drift.expected_fingerprint)
        actual = await load_schema(store, drift.fingerprint)
        rules = await active_rules(store, environment.project, environment.name)
        found = sort_out(await read_drift(store, drift), rules)
    if expected is None or actual is None:
        raise Conflict("The schemas were forgotten meanwhile.", hint="Plan it again.")
    chosen = expression(work.job.parameters.only.strip() or "*")
    kept = (
        *(each for each, _ in found.ignored),
        *(each for each in found.differences if chosen.fullmatch(each.object) is None),
    )
    if len(kept) == len(found.ignored) + len(found.differences):
        raise Invalid(
            f"No difference is one of {work.job.parameters.only}.",
            hint="Write the name as the Drift page does.",
        )
    expected = as_on(expected, actual)
    try:
        return keeping(expected, actual, [each.key for each in kept]), actual, kept
    except CannotKeep as impossible:
        raise OperationFailed(
            f"This cannot be left alone while the rest is reverted: {impossible}.",
            hint="Revert it too (remove its rule, where there is one), or repair by hand.",
        ) from impossible


async def _prove(work: Work[PlanRevertParameters], expected: Schema, actual: Schema) -> Proof:
    async with work.target(lock=False, read_only=True) as connection:
        target = await read_identity(connection)
        roles = tuple(await read_roles(connection))
    await work.progress.log("Running the statements on a scratch copy")
    return await prove_on_copy(
        work.resources.scratch,
        work.resources.programs,
        expected,
        actual,
        Original(target.database, target.user, roles, work.url),
        destructive=work.job.parameters.with_loss,
        exclude_tables=excluded_tables(work.job.project),
    )


async def _tell(work: Work[PlanRevertParameters], proof: Proof) -> None:
    for each in proof.statements:
        await work.progress.log(each.sql, level="debug", data={"sql": True})
        if each.destructive:
            await work.progress.log(f"May lose data: {each.sql}", level="warning")
    for item in proof.left:
        await work.progress.log(
            f"Stays: {item.difference.kind} {item.difference.object}. {item.reason}", level="warning"
        )


async def reconcile(evidence: Evidence[PlanRevertParameters]) -> Reconciled:
    """Planning leaves the target alone."""
    return Reconciled(
        "not done", f"{evidence.job.environment.label} was not touched.", next_step="Plan the revert again."
    )


def told(job: JobRecord) -> Told:
    """The plan is read on the Drift page."""
    path = addresses.environment(*job.place, "drift")
    data = (job.outcome or {}).get("data") or {}
    if data.get("statements"):
        return Told(onward=(Onward("Read the plan", path, "scroll-text", primary=True),))
    return Told(onward=(Onward("See the drift", path, "arrow-up-down"),))


PLAN_REVERT = Operation(
    name="plan-revert",
    title="Revert plan",
    verb="Plan a revert of",
    parameters=PlanRevertParameters,
    permission="plan",
    mutating=False,
    destructive=False,
    steps=(
        StepTitle("observe", "Compare the database with its migrations"),
        StepTitle("prove", "Prove the way back on a scratch copy"),
        StepTitle("count", "Count the rows that refuse it"),
    ),
    run=run,
    reconcile=reconcile,
    help="Prove on a scratch copy what leads a database back to its migrations; the database is only read.",
    lead=(
        "The database is compared with its migrations, and what leads it back is run on a scratch copy. "
        "The database itself is only read."
    ),
    submit="Plan the revert",
    offers=(
        Offer("drift", "Plan a revert…", again="Plan the revert again…"),
        Offer("difference", "Revert only this…"),
    ),
    tells=told,
    code="in scratch",
)
