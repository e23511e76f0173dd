"""Survey: what a clean start of a project would stand on, read and run in scratch; nothing is changed anywhere."""

from __future__ import annotations

import asyncio
from collections import Counter

from web import addresses, words
from web.acts.history import history_that_runs
from web.acts.scanning import scan
from web.answers.builds import read_numbers
from web.answers.environment import View, view
from web.answers.stored_surveys import store_survey
from web.answers.strategy import STRATEGIES, Surveyed
from web.answers.survey import Survey, SurveyedHistory, SurveyedModels, SurveyedStart
from web.comparison.alike import as_on
from web.comparison.expected import excluded_tables
from web.comparison.sources import Reader, Sourced
from web.comparison.stored_comparisons import sources_of
from web.comparison.unmodelled import can_be_modelled
from web.config import Environment
from web.errors import CleanStartError
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.observe import observe
from web.operations.parameters import Parameters
from web.remedies.baseline import Ground, OldChain, run_old_chain
from web.schema.difference import difference
from web.schema.model import Schema
from web.starting.operation import Offer, Onward, Operation, Told
from web.tools.history import History
from web.tools.registry import tool_of

#: Environments that are looked at at a time.
AT_ONCE = 4


async def run(work: Work[Parameters]) -> Outcome:
    """Look at every environment, run the history from nothing, compare the models, keep it all."""
    project = work.job.project
    async with work.progress.step("look"):
        await _look(work)
    async with work.progress.step("history"):
        history, chain, head, refusal = await _history(work)
        start = SurveyedStart.of(await scan(work))
        views = [await _view(work, each) for each in project.environments.values()]
    async with work.progress.step("models"):
        models = None
        if head is not None and project.tool.models and "models" in tool_of(project).can:
            models = await _models(work, head)
        else:
            await work.progress.log("No models are configured, or there is nothing to compare them with")
    filled = frozenset(name for name, _ in chain.inserted) if chain is not None else frozenset()
    survey = Survey(
        project.name,
        _surveyed_history(history, chain, head, refusal),
        tuple(_surveyed(each, filled) for each in views),
        models,
        project.keeps,
        await _builds(work),
        views[0].source.digest if views and views[0].source is not None else None,
        start,
    )
    async with work.writing() as store:
        await store_survey(store, work.job.id, survey)
        await announce_change(store, None)
    way, reasons = survey.way
    chosen = "; ".join(f"{each.environment}: {STRATEGIES[by.strategy]}" for each, by in survey.strategies)
    return Outcome(
        "A clean start is recommended" if way == "clean start" else "The history can be kept",
        f"{' '.join(reasons)} {chosen}." if chosen else " ".join(reasons),
        f"Begin it: `cleanstart clean-start begin {project.name}`." if way == "clean start" else "",
        data={
            "way": way,
            "strategies": {each.environment: by.strategy for each, by in survey.strategies},
        },
    )


async def _look(work: Work[Parameters]) -> None:
    """Look at every environment now: what was seen before is none of this survey."""
    turns = asyncio.Semaphore(AT_ONCE)

    async def one(environment: Environment) -> None:
        async with turns:
            seen = await observe(
                work.store,
                work.job.project,
                environment,
                work.resources.scratch,
                full=True,
                application_name=work.application_name,
            )
        said = seen.drift.words if seen.reachable else (seen.error or {}).get("message", "not reached")
        await work.progress.log(f"{environment.label}: {said}")

    async with asyncio.TaskGroup() as looks:
        for each in work.job.project.environments.values():
            looks.create_task(one(each))


async def _history(work: Work[Parameters]) -> tuple[History, OldChain | None, Sourced | None, str | None]:
    """The history, what running all of it gave, and why it could not be run."""
    project = work.job.project
    history = await history_that_runs(work)
    await work.progress.log(f"Running {words.plural(len(history), 'migration')} from nothing")
    reader = Reader(work.configuration, work.store, work.resources.scratch, work.resources.programs)
    (source,) = sources_of(project, f"{project.name}@head")
    try:
        head = await reader.read(source, project)
        extensions = tuple(each.name for each in head.schema.extensions)
        ground = Ground(work.resources.scratch, head.schema.server_major, head.roles, extensions)
        chain = await run_old_chain(ground, project, history, head.schema)
    except CleanStartError as error:
        await work.progress.log(f"It cannot be run: {error}", level="warning")
        return history, None, None, str(error)
    return history, chain, head, None


async def _models(work: Work[Parameters], head: Sourced) -> SurveyedModels:
    project = work.job.project
    await work.progress.log("Comparing the models with what the migrations give")
    reader = Reader(work.configuration, work.store, work.resources.scratch, work.resources.programs)
    (source,) = sources_of(project, f"{project.name}:models")
    try:
        modelled = await reader.read(source, project, head)
    except CleanStartError as error:
        return SurveyedModels(str(error))
    found = [
        each for each in difference(as_on(modelled.schema, head.schema), head.schema) if can_be_modelled(each)
    ]
    kinds = Counter(each.kind for each in found)
    unmodelled = (each.object for each in found if each.kind == "table" and each.change == "added")
    return SurveyedModels(None, tuple(sorted(kinds.items())), tuple(unmodelled))


async def _view(work: Work[Parameters], environment: Environment) -> View:
    async with work.store.connect() as store:
        return await view(store, work.configuration, environment.project, environment.name, tables=True)


async def _builds(work: Work[Parameters]) -> tuple[int, ...]:
    async with work.store.connect() as store:
        return await read_numbers(store, work.job.project.name, limit=10)


def _surveyed(seen: View, filled: frozenset[str]) -> Surveyed:
    """An environment as it was seen; `filled` are the tables whose rows migrations insert."""
    observation, verdict, facts = seen.observation, seen.verdict, seen.facts
    own = None
    if facts is not None:
        bookkeeping = excluded_tables(seen.project)
        own = sum(
            each.rows or 0
            for each in facts.stored
            if f"{each.schema}.{each.name}" not in (*filled, *bookkeeping) and each.name not in bookkeeping
        )
    return Surveyed(
        environment=seen.environment.name,
        tier=seen.environment.tier,
        may_reset=seen.environment.reset is not None and seen.environment.tier != "production",
        reachable=observation is not None and observation.reachable,
        words=seen.summary.words,
        sentence=verdict.sentence,
        revisions=verdict.revisions,
        pending=len(verdict.pending),
        # A row of an archived history is known, whatever else is to be done there.
        unknown=verdict.unknown if verdict.standing == "unknown revision" else (),
        edited=verdict.edited,
        drift=observation.drift.state if observation is not None and observation.reachable else None,
        differences=observation.drift.count if observation is not None else None,
        size=facts.size if facts else None,
        rows=facts.rows if facts else None,
        own_rows=own,
        last_write=facts.last_write.isoformat() if facts and facts.last_write else None,
        build=seen.record.build.number if seen.record and seen.record.build else None,
        identity=seen.record.identity if seen.record else None,
        fingerprint=observation.fingerprint if observation is not None else None,
    )


def _surveyed_history(
    history: History, chain: OldChain | None, head: Sourced | None, refusal: str | None
) -> SurveyedHistory:
    oldest = history.migrations[0] if history.migrations else None
    return SurveyedHistory(
        migrations=len(history),
        heads=history.heads,
        branches=len({label for each in history.migrations for label in each.labels}),
        oldest=(oldest.revision, oldest.created) if oldest is not None else None,
        problems=history.problems,
        seconds=chain.seconds if chain is not None else None,
        refusal=refusal,
        inserted=chain.inserted if chain is not None else (),
        unseen=tuple(_unseen(head.schema)) if head is not None else (),
    )


def _unseen(schema: Schema) -> list[tuple[str, int]]:
    """What autogenerate does not see, by kind (Alembic's documentation, "What does Autogenerate Detect")."""
    counted = {
        "extension": sum(each.name != "plpgsql" for each in schema.extensions),
        "enum": len(schema.enums),
        "domain": len(schema.domains),
        "composite type": len(schema.composite_types),
        "function": len(schema.functions),
        "view": len(schema.views),
        "materialized view": len(schema.materialized_views),
        "trigger": sum(len(each.triggers) for each in schema.tables),
        "policy": sum(len(each.policies) for each in schema.tables),
        "rule": sum(len(each.rules) for each in schema.tables),
        "table with row security": sum(each.row_security for each in schema.tables),
        "partition": sum(each.partition_bound is not None for each in schema.tables),
        "event trigger": len(schema.event_triggers),
        "publication": len(schema.publications),
    }
    return [(kind, count) for kind, count in counted.items() if count]


async def reconcile(evidence: Evidence[Parameters]) -> Reconciled:
    """A survey leaves databases and source alone."""
    return Reconciled("not done", "Nothing was kept.", next_step="Survey again.")


def told(job: JobRecord) -> Told:
    """The survey is read on a page of its own."""
    if not (job.outcome or {}).get("data"):
        return Told()
    return Told(
        onward=(
            Onward("See the survey", addresses.survey(job.id), "activity", primary=True),
            Onward("Clean start", addresses.clean_start(job.project), "sparkles"),
        )
    )


SURVEY = Operation(
    name="survey",
    title="Survey",
    verb="Survey",
    parameters=Parameters,
    permission="observe",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(
        StepTitle("look", "Look at every environment"),
        StepTitle("history", "Run the history from nothing"),
        StepTitle("models", "Compare the models"),
    ),
    run=run,
    reconcile=reconcile,
    noun="survey",
    icon="activity",
    help="Say what a clean start of a project would stand on, and what it would do with each environment.",
    lead=(
        "Every environment is looked at, the history is run from nothing in scratch, and the models are compared. At "
        "the end stands what is recommended for each environment. Nothing is changed."
    ),
    offers=(Offer("project", "Survey…"), Offer("clean start", "Survey…")),
    tells=told,
    code="in scratch",
)
