"""Prove baseline: run it anew, and hold its schema against the old migrations, the models and every live database.

Nothing is changed anywhere. Whether a difference may stay is for people to say: here each of them is named.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.acts.history import history_that_runs
from web.comparison.alike import as_on, drift
from web.comparison.ignore_rules import active_rules, sort_out
from web.comparison.sources import Reader, Sourced
from web.comparison.stored_comparisons import sources_of
from web.comparison.unmodelled import can_be_modelled
from web.config import Environment, Project
from web.errors import CleanStartError, Conflict, NotFound, NotSupported, OperationFailed
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.stored_history import load_history
from web.operations.parameters import BaselineJob, Parameters
from web.remedies.baseline import Ground
from web.remedies.proving import Chains, Ran, both_chains, down_and_up, run_chain
from web.remedies.stored_baselines import StoredBaseline, baseline_of, newest_baseline
from web.remedies.stored_proofs import Against, BaselineProof, store_proof
from web.schema.difference import difference, unknown_parts
from web.schema.fingerprint import fingerprint
from web.schema.model import Schema
from web.starting.operation import Offer, Onward, Operation, Told
from web.tools.registry import tool_of

#: Databases that are read at a time.
AT_ONCE = 4


class ProveBaselineParameters(Parameters):
    """What a proof takes."""

    baseline: BaselineJob = None


class ProofFailed(OperationFailed):
    """The baseline cannot be run, or not back; what was found is kept all the same."""

    title = "The baseline was not proven"
    hint = "See what it says, then make the baseline again or put the file right."


#: What is known of a live database: its schema and version rows, or why it could not be read.
Live = tuple[Sourced, tuple[str, ...]] | CleanStartError


async def run(work: Work[ProveBaselineParameters]) -> Outcome:
    """Read every database, run both histories, compare, keep. Differences do not fail it: they are named."""
    project, tool = work.job.project, tool_of(work.job.project)
    if "archive" not in tool.can:
        raise NotSupported(tool.title, "archive")
    async with work.progress.step("read"):
        history = await history_that_runs(work)
        async with work.store.connect() as store:
            stored = await _baseline(store, project, work.job.parameters.baseline)
            source = await load_history(store, project.name)
        live = await _read_live(work)
        grounds = _grounds(work, live)
    async with both_chains(project, history, stored) as chains:
        where = "as it is in the source" if chains.in_source else "as its change set has it"
        await work.progress.log(f"Baseline {stored.baseline.revision}, {where}")
        proof = BaselineProof(
            stored.job_id,
            stored.baseline.revision,
            chains.digest,
            chains.in_source,
            source.digest if source is not None else "",
            replaces=len(stored.manifest["migrations"]),
            tables=tuple(name for name, _ in stored.baseline.rows),
        )
        async with work.progress.step("run"):
            proof, bases, old = await _run_both(work, grounds, chains, proof)
        async with work.progress.step("compare"):
            if bases:
                proof = replace(proof, against=await _compare(work, chains, grounds, bases, old, live))
    async with work.writing() as store:
        await store_proof(store, work.job.id, project.name, proof)
        await announce_change(store, None)
    if proof.refusal is not None:
        raise ProofFailed(f"The baseline {proof.revision} cannot be run: {proof.refusal}")
    return _outcome(proof)


def _outcome(proof: BaselineProof) -> Outcome:
    found = {each.key: len(each.differences) for each in proof.against if each.refusal is None}
    differ = [f"{name}: {words.plural(count, 'difference')}" for name, count in found.items() if count]
    unknown = [f"{each.key}: {each.refusal}" for each in proof.against if each.refusal is not None]
    said = [f"Baseline {proof.revision} runs from nothing in {words.duration(proof.seconds or 0)}."]
    if proof.no_downgrade is not None:
        said.append(f"There is no way down: {proof.no_downgrade}.")
    if proof.rows_differ is not None:
        said.append(f"Look-up rows are others: {proof.rows_differ}.")
    if differ:
        said.append(f"Unlike it: {'; '.join(differ)}.")
    if unknown:
        said.append(f"Not compared: {'; '.join(unknown)}")
    equal = not (differ or unknown or proof.rows_differ)
    if equal:
        said.append("Everything that it stands for is equal to it.")
    return Outcome(
        "Everything is equal"
        if equal
        else "Differences are named"
        if differ
        else "Not everything was compared",
        " ".join(said),
        "" if equal else "Read each difference: repair it, or accept it with a reason.",
        data={"revision": proof.revision, "differences": found},
    )


async def _baseline(store: AsyncConnection, project: Project, job: int | None) -> StoredBaseline:
    """The baseline that is meant. Raises NotFound, Conflict."""
    found = await (newest_baseline(store, project.name) if job is None else baseline_of(store, job))
    if found is None or found.project != project.name:
        raise NotFound(
            f"Job {job} made no baseline of {project.name}."
            if job
            else f"{project.name} has no baseline yet.",
            hint=f"Make one: `cleanstart baseline {project.name}`.",
        )
    if found.baseline.refusal is not None:
        raise Conflict(
            f"Baseline {found.baseline.revision} could not be run when it was made.", hint="Make another."
        )
    return found


async def _read_live(work: Work[ProveBaselineParameters]) -> Mapping[str, Live]:
    """Every environment's schema and version rows, read now."""
    project, turns = work.job.project, asyncio.Semaphore(AT_ONCE)
    reader = Reader(work.configuration, work.store, work.resources.scratch, work.resources.programs)
    found: dict[str, Live] = {}

    async def one(environment: Environment) -> None:
        (source,) = sources_of(project, environment.label)
        async with turns:
            try:
                read = await reader.read(source, project)
                assert read.url is not None
                async with reader.connect(source, read.url) as connection:
                    rows = (await tool_of(project).applied(project, connection)).revisions
                found[environment.name] = read, rows
            except CleanStartError as error:
                await work.progress.log(f"{environment.label}: {error}", level="warning")
                found[environment.name] = error

    async with asyncio.TaskGroup() as reads:
        for each in project.environments.values():
            reads.create_task(one(each))
    return {name: found[name] for name in project.environments}


def _grounds(work: Work[ProveBaselineParameters], live: Mapping[str, Live]) -> Mapping[int, Ground]:
    """Where to run both histories: on each major that a database is on; what all of them have exists there."""
    there = [each[0] for each in live.values() if not isinstance(each, CleanStartError)]
    roles = tuple(dict.fromkeys(role for each in there for role in each.roles))
    extensions = tuple(dict.fromkeys(name for each in there for name, _ in each.extensions))
    majors = list(dict.fromkeys(each.schema.server_major for each in there))
    scratch = work.resources.scratch
    if not majors:
        majors = [major for major in range(14, 30) if scratch.available(major)][-1:]
    return {major: Ground(scratch, major, roles, extensions) for major in majors}


async def _run_both(
    work: Work[ProveBaselineParameters], grounds: Mapping[int, Ground], chains: Chains, proof: BaselineProof
) -> tuple[BaselineProof, Mapping[int, Ran], Ran | None]:
    """The baseline on every major, down and up once, and the old migrations where they run."""
    first = next(iter(grounds))
    old: Ran | None = None
    try:
        await work.progress.log(f"Running {words.plural(proof.replaces, 'old migration')} from nothing")
        old = await run_chain(grounds[first], chains.old, tables=proof.tables)
    except CleanStartError as error:
        await work.progress.log(f"The old migrations cannot be run: {error}", level="warning")
        proof = replace(proof, against=(Against("old migrations", refusal=str(error)),))
    bases: dict[int, Ran] = {}
    try:
        for major, ground in grounds.items():
            await work.progress.log(f"Running the baseline on PostgreSQL {major}")
            rows = old.rows if old is not None and major == first else ()
            bases[major] = await run_chain(ground, chains.new, rows=rows)
        no_downgrade = await down_and_up(grounds[first], chains.new, bases[first])
    except CleanStartError as error:
        return replace(proof, refusal=str(error)), {}, old
    return (
        replace(
            proof,
            seconds=bases[first].seconds,
            old_seconds=old.seconds if old is not None else None,
            no_downgrade=no_downgrade,
            rows_differ=bases[first].rows_differ,
        ),
        bases,
        old,
    )


async def _compare(
    work: Work[ProveBaselineParameters],
    chains: Chains,
    grounds: Mapping[int, Ground],
    bases: Mapping[int, Ran],
    old: Ran | None,
    live: Mapping[str, Live],
) -> tuple[Against, ...]:
    project = work.job.project
    first = next(iter(bases))
    base = bases[first].schema
    found = []
    if old is not None:
        found.append(Against("old migrations", differences=difference(as_on(base, old.schema), old.schema)))
    else:
        found.append(Against("old migrations", refusal="They cannot be run from nothing."))
    if project.tool.models and "models" in tool_of(project).can:
        found.append(await _models(work, base))
    for name, there in live.items():
        if isinstance(there, CleanStartError):
            found.append(Against("environment", name, refusal=str(there)))
            continue
        found.append(await _environment(work, chains, grounds, bases, name, there))
        count = words.plural(len(found[-1].differences), "difference")
        await work.progress.log(f"{project.name}/{name}: {found[-1].refusal or count}")
    return tuple(found)


async def _models(work: Work[ProveBaselineParameters], base: Schema) -> Against:
    project = work.job.project
    reader = Reader(work.configuration, work.store, work.resources.scratch, work.resources.programs)
    head, models = sources_of(project, f"{project.name}@head", f"{project.name}:models")
    try:
        made = await reader.read(models, project, Sourced(head, base))
    except CleanStartError as error:
        return Against("models", refusal=str(error))
    differences = difference(as_on(base, made.schema), made.schema)
    return Against("models", differences=tuple(each for each in differences if can_be_modelled(each)))


async def _environment(
    work: Work[ProveBaselineParameters],
    chains: Chains,
    grounds: Mapping[int, Ground],
    bases: Mapping[int, Ran],
    name: str,
    there: tuple[Sourced, tuple[str, ...]],
) -> Against:
    """Against the baseline; a database that lacks some of the old migrations against what it has of them."""
    read, rows = there
    major = read.schema.server_major
    found = Against("environment", name, revisions=rows, fingerprint=fingerprint(read.schema))
    expected = bases[major].schema
    if strange := [
        each for each in rows if each not in chains.old.history and each not in chains.new.history
    ]:
        return replace(found, refusal=f"It is at {', '.join(strange)}, which neither history has.")
    if not any(each in chains.new.end for each in rows):
        lacking = chains.old.history.followed(work.job.project.follow).pending(rows)
        if lacking:
            found = replace(found, lacks=len(lacking))
            try:
                expected = (await run_chain(grounds[major], chains.old, end=rows)).schema
            except CleanStartError as error:
                return replace(found, refusal=f"What it has of the old migrations cannot be run: {error}")
    if blind := unknown_parts(expected, read.schema):
        return replace(found, refusal=f"Its role may not read {', '.join(blind)}.")
    async with work.store.connect() as store:
        rules = await active_rules(store, work.job.project.name, name)
    by_rule = sort_out(drift(expected, read.schema), rules)
    return replace(found, differences=tuple(by_rule.differences), ignored=len(by_rule.ignored))


async def reconcile(evidence: Evidence[ProveBaselineParameters]) -> Reconciled:
    """A proof leaves databases and source alone."""
    return Reconciled("not done", "Nothing was proven.", next_step="Prove it again.")


async def require_named(
    store: AsyncConnection,
    project: Project,
    environment: Environment | None,
    parameters: ProveBaselineParameters,
) -> None:
    """There is a baseline to be proven. Raises NotFound, Conflict."""
    await _baseline(store, project, parameters.baseline)


def told(job: JobRecord) -> Told:
    """The comparisons are read on a page of their own."""
    ended = job.outcome or {}
    if not (ended.get("data") or (ended.get("error") or {}).get("type") == ProofFailed.__name__):
        return Told()
    return Told(onward=(Onward("See the proof", addresses.proof(job.id), "list-checks", primary=True),))


PROVE_BASELINE = Operation(
    name="prove-baseline",
    title="Proof of a baseline",
    verb="Prove the baseline of",
    parameters=ProveBaselineParameters,
    permission="baseline",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(
        StepTitle("read", "Read every database"),
        StepTitle("run", "Run the baseline and the old migrations"),
        StepTitle("compare", "Compare each with the baseline"),
    ),
    run=run,
    reconcile=reconcile,
    noun="proof of a baseline",
    icon="list-checks",
    help="Run a baseline anew, and compare it with the old migrations, the models and every live database.",
    lead=(
        "The baseline is run from nothing, down and up again, and its schema is compared with what the old migrations "
        "give, with the models, and with every live database. Nothing is changed."
    ),
    offers=(
        Offer("proven baseline", "Prove it against everything…"),
        Offer("written baseline", "Prove it against everything…"),
    ),
    tells=told,
    require_named=require_named,
    code="in scratch",
)
