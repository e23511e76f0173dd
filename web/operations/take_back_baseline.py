"""Take back baseline: lead a source that a change set was written into back to what it was before."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncConnection

from web.acts.in_source import alone_in_source, put_back, root_of, writable_change_set
from web.config import Environment, Project
from web.errors import Conflict
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import read_records
from web.observation.stored_history import load_history, refresh_history
from web.operations.parameters import OfChangeSet
from web.operations.write_baseline import onward_of
from web.remedies.git_branch import go_back, head_of
from web.remedies.source_files import require_before, write
from web.remedies.stored_baselines import StoredBaseline
from web.remedies.stored_change_sets import noun_of, store_written
from web.remedies.stored_merges import StoredMerge, merge_of
from web.starting.operation import Offer, Operation, Told


async def run(work: Work[OfChangeSet]) -> Outcome:
    """Lead files, and in git index and HEAD, back; all of it or nothing."""
    async with alone_in_source(work):
        return await _take_back(work)


async def _take_back(work: Work[OfChangeSet]) -> Outcome:
    job, which = work.job, work.job.parameters
    async with work.progress.step("check"):
        async with work.store.connect() as store:
            stored = await writable_change_set(store, job.project, baseline=which.baseline, merge=which.merge)
        noun = noun_of(stored)
        if stored.written is None:
            raise Conflict(f"{noun.capitalize()} {stored.revision} is not written into the source.")
        root, in_git = root_of(job.project)
        back = stored.change_set.reversed()
        await asyncio.to_thread(require_before, root, back)
    async with work.progress.step("write"):
        head = await head_of(root) if in_git else None
        intent = await work.intend(
            "write", {"made_by": stored.job_id, "root": str(root), "head": head, "branch": None}
        )
        if (commit := stored.written.commit) is not None:
            await go_back(root, stored.change_set, commit)
        else:
            await asyncio.to_thread(write, root, back, prune=True)
        async with work.writing() as store:
            await store_written(store, stored, None, None)
            await announce_change(store, None)
        await work.receive(intent, {})
    await refresh_history(work.store, job.project)
    stays = f" The branch {commit.branch} is still there." if commit is not None else ""
    there = "the old migrations" if isinstance(stored, StoredBaseline) else "all heads"
    return Outcome(
        f"{noun.capitalize()} {stored.revision} taken back",
        f"{root} holds {there} again, as they were.{stays}",
        data={noun: stored.job_id, "root": str(root), "files": len(stored.change_set.files)},
    )


async def reconcile(evidence: Evidence[OfChangeSet]) -> Reconciled:
    """Put back what was begun: the change set is in the source then, as before."""
    return await put_back(evidence, back=True)


async def require_named(
    store: AsyncConnection,
    project: Project,
    environment: Environment | None,
    parameters: OfChangeSet,
) -> None:
    """The change set is this project's. Raises NotFound, Conflict, OperationNotAllowed."""
    await writable_change_set(store, project, baseline=parameters.baseline, merge=parameters.merge)


async def _merge(store: AsyncConnection, project: Project, number: str) -> StoredMerge | None:
    """The project's merge of this number, as a query of the page may name it; what is no number names none."""
    try:
        wanted = OfChangeSet.model_validate({"merge": number or None}).merge
    except ValidationError:
        return None
    found = await merge_of(store, wanted) if wanted is not None else None
    return found if found is not None and found.project == project.name else None


async def warns(
    store: AsyncConnection, project: Project, chosen: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Databases whose revision no migration has afterwards: what is taken back, or one that comes after it."""
    records = await read_records(store, project.name)
    source = await load_history(store, project.name)
    history = source.history if source is not None else None
    merge = await _merge(store, project, chosen.get("merge", ""))
    if history is None or not (merge is not None or history.archives):
        return ()
    # After a baseline all of the history comes after it.
    after = [
        each.revision
        for each in history.migrations
        if merge is None or merge.revision in history.ancestors([each.revision])
    ]
    left_behind = (
        f"No migration has that then: nothing can be applied to it until the {'merge' if merge else 'baseline'} is "
        "written again."
    )
    return tuple(
        (
            f"{environment.label} is at {', '.join(known)}",
            left_behind,
        )
        for environment in project.environments.values()
        if (record := records.get((project.name, environment.name))) is not None
        and record.observed is not None
        and (known := [row for row in record.observed.revisions if row in after])
    )


def told(job: JobRecord) -> Told:
    """The page of what was written, from where it can be written again."""
    return Told(onward=onward_of((job.outcome or {}).get("data", {})))


TAKE_BACK_BASELINE = Operation(
    name="take-back-baseline",
    title="Taking back a change set",
    verb="Take the change set back from the source of",
    parameters=OfChangeSet,
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
    noun="taking back of a change set",
    icon="history",
    help="Lead a source back to what it was before a change set was written into it: of a baseline, or of a merge.",
    lead=(
        "What the change set moved or removed comes back to where it was, and what it brought goes. In a git "
        "repository the branch of before is checked out; the change set's own branch stays. No database is touched."
    ),
    offers=(Offer("written baseline", "Take it back…"), Offer("written merge", "Take it back…")),
    tells=told,
    require_named=require_named,
    warns=warns,
)
