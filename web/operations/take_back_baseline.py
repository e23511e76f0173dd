"""Take back baseline: lead a source that a baseline was written into back to what it was before."""

from __future__ import annotations

import asyncio

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.acts.in_source import alone_in_source, put_back, root_of, writable_baseline
from web.config import Environment, Project
from web.errors import Conflict
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import read_records
from web.observation.stored_history import load_history, refresh_history
from web.operations.parameters import GIVEN, Parameters
from web.remedies.git_branch import go_back, head_of
from web.remedies.source_files import require_before, write
from web.remedies.stored_baselines import store_written
from web.starting.operation import Offer, Onward, Operation, Told


class TakeBackParameters(Parameters):
    """What taking a baseline back takes."""

    baseline: int | None = Field(
        default=None,
        ge=1,
        lt=2**63,
        title="Baseline",
        description="The job that made it; left empty, the project's newest.",
        json_schema_extra=GIVEN,
    )


async def run(work: Work[TakeBackParameters]) -> Outcome:
    """Lead files, and in git index and HEAD, back; all of it or nothing."""
    async with alone_in_source(work):
        return await _take_back(work)


async def _take_back(work: Work[TakeBackParameters]) -> Outcome:
    job, number = work.job, work.job.parameters.baseline
    async with work.progress.step("check"):
        async with work.store.connect() as store:
            stored = await writable_baseline(store, job.project, number)
        if stored.written is None:
            raise Conflict(f"Baseline {stored.baseline.revision} is not written into the source.")
        root, in_git = root_of(job.project)
        back = stored.change_set.reversed()
        await asyncio.to_thread(require_before, root, back)
    async with work.progress.step("write"):
        head = await head_of(root) if in_git else None
        intent = await work.intend(
            "write", {"baseline": stored.job_id, "root": str(root), "head": head, "branch": None}
        )
        if (commit := stored.written.commit) is not None:
            await go_back(root, stored.change_set, commit)
        else:
            await asyncio.to_thread(write, root, back, prune=True)
        async with work.writing() as store:
            await store_written(store, stored.job_id, None, None)
            await announce_change(store, None)
        await work.receive(intent, {})
    await refresh_history(work.store, job.project)
    stays = f" The branch {commit.branch} is still there." if commit is not None else ""
    return Outcome(
        f"Baseline {stored.baseline.revision} taken back",
        f"{root} holds the old migrations again, as they were.{stays}",
        data={"baseline": stored.job_id, "root": str(root), "files": len(stored.change_set.files)},
    )


async def reconcile(evidence: Evidence[TakeBackParameters]) -> Reconciled:
    """Put back what was begun: the baseline is in the source then, as before."""
    return await put_back(evidence, back=True)


async def require_named(
    store: AsyncConnection,
    project: Project,
    environment: Environment | None,
    parameters: TakeBackParameters,
) -> None:
    """The baseline is this project's. Raises NotFound, Conflict, OperationNotAllowed."""
    await writable_baseline(store, project, parameters.baseline)


_LEFT_BEHIND = "No old migration has that: nothing can be applied to it until the baseline is written again."


async def warns(store: AsyncConnection, project: Project) -> tuple[tuple[str, str], ...]:
    """Databases whose revision the old migrations do not know: the baseline's, or one after it."""
    records = await read_records(store, project.name)
    source = await load_history(store, project.name)
    history = source.history if source is not None else None
    if history is None or not history.archives:
        return ()
    return tuple(
        (
            f"{environment.label} is at {', '.join(known)}",
            _LEFT_BEHIND,
        )
        for environment in project.environments.values()
        if (record := records.get((project.name, environment.name))) is not None
        and record.observed is not None
        and (known := [row for row in record.observed.revisions if row in history])
    )


def told(job: JobRecord) -> Told:
    """The baseline's page, from where it can be written again."""
    number = (job.outcome or {}).get("data", {}).get("baseline")
    if not isinstance(number, int):
        return Told()
    return Told(onward=(Onward("See the baseline", addresses.baseline(number), "scroll-text"),))


TAKE_BACK_BASELINE = Operation(
    name="take-back-baseline",
    title="Taking back a baseline",
    verb="Take the baseline back from the source of",
    parameters=TakeBackParameters,
    permission="baseline",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(
        StepTitle("check", "Compare the source with what was written"),
        StepTitle("write", "Write the files as they were before"),
    ),
    run=run,
    reconcile=reconcile,
    noun="taking back of a baseline",
    icon="history",
    help="Lead a source back to what it was before a baseline was written into it.",
    lead=(
        "The old migrations come back to where they were, and the baseline and its archive go. In a git repository the "
        "branch of before is checked out; the baseline's own branch stays. No database is touched."
    ),
    offers=(Offer("written baseline", "Take it back…"),),
    tells=told,
    require_named=require_named,
    warns=warns,
)
