"""Merge heads: one migration that joins several heads, proven whatever order their branches have. All in scratch."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from web import addresses, words
from web.acts.history import source_that_runs
from web.config import Project
from web.errors import Conflict, NotSupported, OperationFailed, ScratchUnavailable
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import Record, read_records
from web.operations.parameters import Parameters, one_line
from web.postgres.scratch import ScratchServers
from web.remedies.archiving import added
from web.remedies.baseline import Ground
from web.remedies.merging import Merge, Reached, joined, prove
from web.remedies.stored_merges import store_merge
from web.starting.operation import Offer, Onward, Operation, Told
from web.tools.history import History
from web.tools.registry import tool_of

#: Characters of a message, which names the file too.
LONGEST = 100
#: Majors that there may be a scratch server of, the oldest that is supported first.
MAJORS = range(14, 30)


def _one_line(message: str) -> str:
    return one_line(message) if message else ""


class MergeHeadsParameters(Parameters):
    """What a merge takes."""

    message: Annotated[str, AfterValidator(_one_line)] = Field(
        default="",
        max_length=LONGEST,
        title="Message",
        description="What the migration is called; left empty, it names the heads.",
    )


class MergeNotProven(OperationFailed):
    """The written merge cannot be vouched for; it is kept all the same."""

    title = "The merge was not proven"
    hint = (
        "Let one branch depend on the other, or have only one of them change what both do; then merge again. Or take "
        "the file as a beginning, and complete it by hand."
    )


async def run(work: Work[MergeHeadsParameters]) -> Outcome:
    """Read, write, prove, keep. What was not proven ends the job as failed, with its file kept."""
    job, project = work.job, work.job.project
    tool = tool_of(project)
    if "merge" not in tool.can:
        raise NotSupported(tool.title, "merge")
    async with work.progress.step("read"):
        _require_one_meant(project)
        source, history = await source_that_runs(work)
        heads = _mergeable(history)
        async with work.store.connect() as store:
            records = await read_records(store, project.name)
        ground = Ground(work.resources.scratch, _major(project, records, work.resources.scratch))
    message = job.parameters.message or default_message(heads)
    async with work.progress.step("write"):
        await work.progress.log(f"Writing “{message}” in the project's own form")
        async with joined(project, history, heads, message) as made:
            merge = await prove(ground, made, heads, work.progress.log)
            merge = replace(
                merge,
                history=source.digest,
                environments=tuple(_reached(project, made.after, records)),
            )
        change = await asyncio.to_thread(added, project, merge.path, merge.text)
        async with work.writing() as store:
            await store_merge(store, job.id, project.name, merge, change)
            await announce_change(store, None)
    for remark in merge.remarks:
        await work.progress.log(remark, level="warning")
    for order in merge.orders:
        for each in order.differences:
            await work.progress.log(
                f"{order.words}: {each.kind} {each.object} {each.change}", level="warning"
            )
    if (why_not := merge.why_not) is not None:
        raise MergeNotProven(why_not)
    return Outcome(
        f"Merge {merge.revision} written",
        _account(merge),
        f"Apply its change set to the repository: `cleanstart change-set {job.id} --output FOLDER`, then "
        "`git apply merge.patch`.",
        data={
            "revision": merge.revision,
            "path": merge.path,
            "heads": list(heads),
            "orders": [list(each.heads) for each in merge.orders],
            "pending": {each.environment: list(each.pending) for each in merge.environments},
        },
    )


def default_message(heads: Sequence[str]) -> str:
    """What a merge is called that nobody has named: after its heads, where these can stand in a file's name."""
    named = f"Merge {', '.join(heads)}"
    try:
        return one_line(named) if len(named) <= LONGEST else f"Merge {len(heads)} heads"
    except PydanticCustomError:
        return f"Merge {len(heads)} heads"


def _require_one_meant(project: Project) -> None:
    """Refuse what is meant to have several heads, here or in an environment. Raises Conflict."""
    places = {project.name: project.follow}
    places |= {each.label: each.follow for each in project.environments.values()}
    followed = next(((name, follow) for name, follow in places.items() if follow), None)
    if followed is not None:
        raise Conflict(
            f"Several heads are meant: {followed[0]} follows {', '.join(followed[1])}.",
            hint="To have one head, take `follow` out of the configuration first.",
        )


def _mergeable(history: History) -> tuple[str, ...]:
    """The heads to be joined. Raises Conflict where there is nothing to join."""
    heads = history.heads
    if len(heads) < 2:
        said = f"one head, {heads[0]}" if heads else "no migration"
        raise Conflict(f"The history has {said}: there is nothing to merge.")
    if not history.share_a_base:
        raise Conflict(
            f"The heads {', '.join(heads)} share no base, so there is nothing to merge.",
            hint="Say with `follow` which are meant.",
        )
    return heads


def _major(project: Project, records: Mapping[tuple[str, str], Record], scratch: ScratchServers) -> int:
    """The major of the database nearest to production that was seen; else the newest there is for scratch."""
    order = {"production": 0, "staging": 1, "development": 2}
    for each in sorted(project.environments.values(), key=lambda one: order[one.tier]):
        record = records.get((project.name, each.name))
        if record is not None and record.observation is not None and record.observation.major is not None:
            return record.observation.major
    found = [major for major in MAJORS if scratch.available(major)]
    if not found:
        raise ScratchUnavailable(MAJORS[0])
    return found[-1]


def _reached(
    project: Project, history: History, records: Mapping[tuple[str, str], Record]
) -> Sequence[Reached]:
    """What a migrate would apply to each environment, as it was last seen."""
    found = []
    for each in project.environments.values():
        record = records.get((project.name, each.name))
        seen = record.observation if record is not None else None
        if seen is None or not seen.reachable or seen.version_table is None:
            remark = (
                "It was not seen yet."
                if seen is None
                else "It could not be reached."
                if not seen.reachable
                else "Its version table could not be read."
            )
            found.append(Reached(each.name, remark=remark))
            continue
        rows, at = seen.revisions, seen.observed_at.isoformat()
        if strange := history.unknown(rows):
            remark = f"It is at {', '.join(strange)}, which no migration has."
            found.append(Reached(each.name, rows, at, remark=remark))
        else:
            pending = tuple(one.revision for one in history.pending(rows))
            found.append(Reached(each.name, rows, at, pending))
    return found


def _account(merge: Merge) -> str:
    """What was seen, in sentences."""
    orders = words.plural(len(merge.orders), "order")
    every = f"in all {orders} of the branches" if merge.every_order else f"in {orders} of the branches"
    same = f"On PostgreSQL {merge.major} the schema is the same {every}, from nothing, and before the merge."
    said = [f"It follows {', '.join(merge.heads)} and does nothing itself.", same]
    if not merge.every_order:
        said.append("Each branch came first once, and every two of them in both orders.")
    if merge.column_orders:
        said.append(
            f"Only the columns of {', '.join(merge.column_orders)} come in another order where the branches do."
        )
    said.append(
        "Down to the heads and up again gives the same."
        if merge.no_downgrade is None
        else f"There is no way down: {merge.no_downgrade}."
    )
    said += (
        f"A migrate of {each.environment} would apply {', '.join(each.pending)}."
        for each in merge.environments
        if each.pending
    )
    return " ".join(said)


async def reconcile(evidence: Evidence[MergeHeadsParameters]) -> Reconciled:
    """A merge leaves databases and source alone."""
    return Reconciled("not done", "Nothing was written.", next_step="Merge the heads again.")


def told(job: JobRecord) -> Told:
    """What was written is read on a page of its own, proven or not."""
    ended = job.outcome or {}
    if not (ended.get("data") or (ended.get("error") or {}).get("type") == MergeNotProven.__name__):
        return Told()
    return Told(onward=(Onward("See the merge", addresses.merge(job.id), "scroll-text", primary=True),))


MERGE_HEADS = Operation(
    name="merge-heads",
    title="Merge of heads",
    verb="Merge the heads of",
    parameters=MergeHeadsParameters,
    permission="plan",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(
        StepTitle("read", "Read the migrations"),
        StepTitle("write", "Write the merge and prove it"),
    ),
    run=run,
    reconcile=reconcile,
    noun="merge of heads",
    icon="git-branch",
    help="Write one migration that joins the heads of a project's history, and prove it in all orders of the branches.",
    lead=(
        "One migration is written in the project's own style that follows all heads, and run in scratch after the "
        "branches, whichever comes first. Nothing is written into the source: you get a change set with one new file."
    ),
    offers=(Offer("several heads", "Merge the heads…"),),
    tells=told,
    code="in scratch",
)
