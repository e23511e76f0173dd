"""Baseline: one fresh migration in place of a whole history, proven in scratch; the source is only read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.acts.history import history_that_runs, require_one_head
from web.comparison.alike import as_on
from web.comparison.sources import CouldNotCompare, Reader, Source, Sourced
from web.comparison.stored_comparisons import sources_of
from web.config import Environment, Project
from web.errors import Conflict, Invalid, NotSupported, OperationFailed
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters, one_line
from web.remedies.archiving import change_set, plan_archive
from web.remedies.baseline import Baseline, Ground, make_baseline, run_old_chain
from web.remedies.lookup_rows import (
    MOST_OFFERED,
    MOST_ROWS,
    TableRows,
    count_lookups,
    parse_tables,
    read_rows,
)
from web.remedies.stored_baselines import OldHead, store_baseline
from web.schema.difference import difference
from web.starting.operation import Offer, Onward, Operation, Told
from web.tools.history import History
from web.tools.registry import tool_of


class BaselineParameters(Parameters):
    """What a baseline takes."""

    source: str = Field(
        default="head",
        max_length=300,
        title="From",
        description="What it shall give: head (what all migrations give), models, or an environment.",
        json_schema_extra={"flag": "--from"},
    )
    message: Annotated[str, AfterValidator(one_line)] = Field(
        default="baseline",
        min_length=1,
        max_length=100,
        title="Message",
        description="What the migration is called.",
    )
    archive: bool = Field(
        default=True,
        title="Keep the old migrations in an archive",
        description="In a folder beside the migrations; else they are deleted. The dashboard keeps them either way.",
    )
    rows: Annotated[tuple[str, ...], BeforeValidator(parse_tables)] = Field(
        default=(),
        max_length=MOST_OFFERED,
        title="Rows of these tables",
        description=(
            f"Look-up tables whose rows come along, up to {MOST_ROWS:,} of each, as they are where the schema is read: "
            "public.country, public.role."
        ),
    )


class BaselineNotProven(OperationFailed):
    """The written baseline does not give the schema; it is kept all the same."""

    title = "The baseline was not proven"
    hint = "Take the file as a beginning, and complete it by hand."


async def run(work: Work[BaselineParameters]) -> Outcome:
    """Read, write, prove, keep. What was not proven ends the job as failed, with its file kept."""
    job, tool = work.job, tool_of(work.job.project)
    project, parameters = job.project, job.parameters
    if "archive" not in tool.can:
        raise NotSupported(tool.title, "archive")
    async with work.progress.step("read"):
        history = await history_that_runs(work)
        require_one_head(history)
        if beside := [each.revision for each in history.migrations if not history.counts(each.revision)]:
            raise Conflict(
                f"A baseline replaces the whole history, and {beside[-1]} leads to no head that is followed.",
                hint='Follow every head (`follow = "heads"`), or take the other branches out of the project.',
            )
        reader = Reader(work.configuration, work.store, work.resources.scratch, work.resources.programs)
        source = _source(project, parameters)
        wanted = await reader.read(source, project)
        extensions = tuple(each.name for each in wanted.schema.extensions)
        ground = Ground(work.resources.scratch, wanted.schema.server_major, wanted.roles, extensions)
        old, rows = await _old_head(work, reader, ground, history, source, wanted)
        archive = await asyncio.to_thread(
            plan_archive, project, history, datetime.now(UTC).date(), keep=parameters.archive
        )
        await work.progress.log(
            f"{words.plural(len(history), 'migration')} will be replaced by one that gives {source.text}"
        )
        if rows:
            listed = ", ".join(f"{each.table} ({len(each.rows)})" for each in rows)
            await work.progress.log(f"Rows come along: {listed}")
    async with work.progress.step("write"):
        kept = {new: content for _, new, content in archive.files if archive.folder is not None}
        baseline = await make_baseline(
            ground, project, history, wanted.schema, parameters.message, kept=kept, rows=rows
        )
        change, manifest = await asyncio.to_thread(change_set, project, history, baseline, archive)
        async with work.writing() as store:
            await store_baseline(
                store,
                job.id,
                project.name,
                baseline,
                source=source.text,
                old=old,
                manifest=manifest,
                change_set=change,
            )
            await announce_change(store, None)
    for item, reason in baseline.left:
        await work.progress.log(f"Left: {item.kind} {item.object}. {reason}", level="warning")
    if not baseline.proven:
        first = next(iter(baseline.remaining), None)
        raise BaselineNotProven(
            baseline.refusal or f"Run in scratch, it leaves a difference: the {first.kind} {first.object}."  # type: ignore[union-attr]
        )
    return Outcome(
        f"Baseline {baseline.revision} written",
        _account(baseline, source, old),
        f"Apply its change set to the repository: `cleanstart change-set {job.id} --output FOLDER`, then "
        "`git apply baseline.patch`.",
        data={
            "revision": baseline.revision,
            "path": baseline.path,
            "replaces": len(history),
            "statements": baseline.statements,
            "rows": dict(baseline.rows),
            "old_head_differences": None if old.refusal is not None else len(old.differences),
        },
    )


def _account(baseline: Baseline, source: Source, old: OldHead) -> str:
    """What was seen, in sentences."""
    but = f", but for {len(baseline.left)} that are left out of it" if baseline.left else ""
    took = words.duration(baseline.seconds or 0)
    said = [f"From nothing it gives exactly {source.text}{but}, as a scratch database showed in {took}."]
    if old.seconds is not None:
        said.append(f"The old migrations took {words.duration(old.seconds)}.")
    if baseline.rows:
        total = sum(count for _, count in baseline.rows)
        said.append(
            f"{words.plural(total, 'row')} of {words.plural(len(baseline.rows), 'look-up table')} came along, and one "
            "more could be inserted after them."
        )
    said.append(
        "Going down empties the database again, and up again gives the same."
        if baseline.no_downgrade is None
        else f"There is no way down: {baseline.no_downgrade}."
    )
    if old.refusal is not None:
        said.append(
            f"The old migrations cannot be run from nothing, so nothing is known of what they give: {old.refusal}"
        )
    elif old.differences:
        said.append(
            f"A database at the old head differs from it in {words.plural(len(old.differences), 'place')}: see what "
            "that would lose or bring."
        )
    return " ".join(said)


def _source(project: Project, parameters: BaselineParameters) -> Source:
    """Where the schema is read: of this project alone. Raises Invalid, NotFound."""
    given = parameters.source.strip()
    if given in ("head", "heads"):
        text = f"{project.name}@{given}"
    elif given == "models":
        text = f"{project.name}:models"
    else:
        text = given if "/" in given or "@" in given or ":" in given else f"{project.name}/{given}"
    (source,) = sources_of(project, text)
    if source.kind not in ("revision", "models", "live"):
        raise Invalid(
            f"A baseline is made from head, models or an environment, not from “{given}”.",
            hint="Back up and restore is another way to move data.",
        )
    return source


async def _old_head(
    work: Work[BaselineParameters],
    reader: Reader,
    ground: Ground,
    history: History,
    source: Source,
    wanted: Sourced,
) -> tuple[OldHead, tuple[TableRows, ...]]:
    """How the old migrations stand to what the baseline will give, and the rows that come along."""
    project, tables = work.job.project, work.job.parameters.rows
    (head,) = sources_of(project, f"{project.name}@head")
    if source == head:
        chain = await run_old_chain(ground, project, history, wanted.schema, tables)
        return OldHead(seconds=chain.seconds, offered=chain.inserted), chain.rows
    rows: tuple[TableRows, ...] = ()
    offered: tuple[tuple[str, int], ...] = ()
    if source.kind == "live":
        assert wanted.url is not None
        async with reader.connect(source, wanted.url) as connection:
            offered = await count_lookups(connection, wanted.schema)
            rows = await read_rows(connection, wanted.schema, tables)
    await work.progress.log(f"Comparing {source.text} with what the migrations give")
    try:
        there = await reader.read(head, project, wanted)
    except CouldNotCompare as error:
        await work.progress.log(f"They cannot be run from nothing: {error}", level="warning")
        return OldHead(refusal=str(error), offered=offered), rows
    found = difference(as_on(there.schema, wanted.schema), wanted.schema)
    for each in found[:20]:
        await work.progress.log(
            f"Unlike the migrations: {each.kind} {each.object} {each.change}", level="warning"
        )
    chain = await run_old_chain(ground, project, history, there.schema)
    return OldHead(found, None, chain.seconds, offered), rows


async def reconcile(evidence: Evidence[BaselineParameters]) -> Reconciled:
    """A baseline leaves databases and source alone."""
    return Reconciled("not done", "Nothing was written.", next_step="Make the baseline again.")


async def require_named(
    store: AsyncConnection, project: Project, environment: Environment | None, parameters: BaselineParameters
) -> None:
    """The source is the project's, and holds rows where some are to come along. Raises Invalid, NotFound."""
    if _source(project, parameters).kind == "models" and parameters.rows:
        raise Invalid(
            "Models hold no rows.",
            hint="Make the baseline from head or an environment, or leave the rows out of it.",
        )


def told(job: JobRecord) -> Told:
    """What was written is read on a page of its own, proven or not."""
    ended = job.outcome or {}
    written = ended.get("data") or (ended.get("error") or {}).get("type") == BaselineNotProven.__name__
    if not written:
        return Told()
    return Told(onward=(Onward("See the baseline", addresses.baseline(job.id), "scroll-text", primary=True),))


BASELINE = Operation(
    name="baseline",
    title="Baseline",
    verb="Make a baseline of",
    parameters=BaselineParameters,
    permission="baseline",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(
        StepTitle("read", "Read the migrations and the schema"),
        StepTitle("write", "Write the baseline and prove it"),
    ),
    run=run,
    reconcile=reconcile,
    noun="baseline",
    icon="git-branch",
    help="Write one migration that gives a project's schema from nothing, in place of all others, and prove it.",
    lead=(
        "One migration is written in the project's own style that gives the schema from nothing, and run in scratch. "
        "Nothing is written into the source: you get a change set, which also puts the old migrations into an archive."
    ),
    offers=(Offer("project", "Make a baseline…"), Offer("surveyed project", "Make a baseline…")),
    tells=told,
    require_named=require_named,
    code="in scratch",
)
