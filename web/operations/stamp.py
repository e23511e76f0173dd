"""Stamp: record a revision as applied without running it, where the schema is already what it gives.

A stamp that would be a lie is refused: the schema that the migrations up to the revision give is compared first.
"""

from __future__ import annotations

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web.acts.history import history_that_runs, require_one_head
from web.acts.matching import require_schema
from web.acts.observing import observe_afterwards
from web.acts.seen import require_seen
from web.acts.version_rows import judged_by_rows, require_consent
from web.answers.environment import View
from web.errors import Conflict, Invalid, OperationFailed
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.postgres.identity import require_writable
from web.starting.consent import before_rows_are_written
from web.starting.operation import Before, Offer, Operation, asked
from web.tools.confinement import on_target
from web.tools.events import AboutToCommit, Connected, Launched, RunnerEvent
from web.tools.history import History
from web.tools.registry import tool_of


class StampParameters(Parameters):
    """What a stamp takes."""

    revision: str = Field(
        default="head",
        min_length=1,
        max_length=200,
        pattern=r"^[A-Za-z0-9_.-]+$",
        title="Revision",
        description="What is recorded as applied: head, or a revision of the project's history.",
    )


async def run(work: Work[StampParameters]) -> Outcome:
    """Check that the stamp would be true, write it, look at the result."""
    job = work.job
    async with work.target() as connection:
        async with work.progress.step("check"):
            history = await history_that_runs(work)
            targets = _targets(history, job.parameters.revision)
            wanted = ", ".join(targets)
            await require_writable(connection)
            before = (await tool_of(job.project).applied(job.project, connection)).revisions
            await require_seen(work, connection, before)
            await require_consent(work, history)
            rows = dict.fromkeys(row for each in targets for row in history.rows_at(each))
            goal = history.reaching(tuple(rows), before)
            if set(before) == set(goal):
                await work.progress.skip("stamp", "It is recorded already.")
                return Outcome("Nothing to stamp", f"{job.environment.label} is at {wanted} already.")
            await require_schema(work, connection, history, goal, f"the migrations up to {wanted} give")
        async with work.progress.step("stamp"):
            intent = await work.intend("stamp", {"from": list(before), "to": list(goal)})
            # One head of a branch after the other: each leaves those of the others where they are.
            for number, revision in enumerate(targets):
                result = await tool_of(job.project).stamp(
                    job.project,
                    confinement=await on_target(job.project, work.database),
                    revision=revision,
                    purge=bool(history.unknown(before)) and number == 0,
                    on_event=_Heard(work).hear,
                    application_name=work.application_name,
                    acknowledge=_Heard(work).acknowledge,
                )
            if result.remark is not None:
                await work.progress.log(result.remark, level="warning")
            if set(history.effective(result.applied)) != set(goal):
                raise OperationFailed(
                    f"{tool_of(job.project).title} came to its end, but {history.place(result.applied)} is recorded."
                )
            await work.receive(intent, {"rows": list(result.applied)})
    async with work.progress.step("observe"):
        seen = await observe_afterwards(work)
    return Outcome(
        "Stamped",
        f"{job.environment.label} is recorded at {wanted}, before at {history.place(before)}. {seen}",
        data={"before": list(before), "after": list(goal)},
    )


def _targets(history: History, wanted: str) -> tuple[str, ...]:
    """The revisions that the database is recorded at; more than one where several heads are meant."""
    if wanted in ("head", "heads"):
        require_one_head(history)
        if not history.heads:
            raise Conflict("The project has no migrations.")
        return history.heads
    if history.get(wanted) is None:
        raise Invalid(
            f"No migration of the project is called “{wanted}”.", hint="`cleanstart history` lists them."
        )
    return (wanted,)


class _Heard:
    """Records what the runner starts, so that a reaper can see it gone."""

    def __init__(self, work: Work[StampParameters]) -> None:
        self._work = work

    async def hear(self, event: RunnerEvent) -> None:
        match event:
            case Launched(process_group):
                await self._work.process_group(process_group)
            case Connected(pid, backend_start):
                await self._work.backend(pid, backend_start)
            case _:
                pass

    async def acknowledge(self, event: AboutToCommit) -> None:
        """The intent that names the rows was written before; an attempt that was replaced may not commit."""
        await self._work.require_current()


async def reconcile(evidence: Evidence[StampParameters]) -> Reconciled:
    """By the version rows, which are all that a stamp writes."""
    return await judged_by_rows(evidence, "stamp", "Stamp again.")


async def before(store: AsyncConnection, seen: View) -> Before:
    """Whether others have to consent."""
    return await before_rows_are_written(store, seen, STAMP.name)


STAMP = Operation(
    name="stamp",
    title="Stamp",
    verb="Stamp",
    parameters=StampParameters,
    permission="stamp",
    mutating=True,
    destructive=False,
    steps=(
        StepTitle("check", "Compare the schema with what the revision gives"),
        StepTitle("stamp", "Record the revision"),
        StepTitle("observe", "Check the result"),
    ),
    run=run,
    reconcile=reconcile,
    help="Record a revision as applied without running anything, where the schema is what it gives.",
    lead=(
        "The revision is recorded as applied, and nothing is run. It is refused where the schema is not what the "
        "migrations up to it give."
    ),
    keep="Leave it as it is",
    offers=(Offer("migrations", "Stamp…", hidden=True), Offer("written migration", "Stamp…")),
    wants_name=asked,
    before=before,
    approved_for=("revision",),
    code="on the target",
)
