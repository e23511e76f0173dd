"""Compare: any two sources of a project's schema side by side, for the page that shows them; both are only read."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.comparison.side_by_side import compare_sources
from web.comparison.sources import Reader, Source
from web.comparison.stored_comparisons import require_kept, sources_of, store_comparison, store_failure
from web.config import Environment, Project
from web.errors import CleanStartError
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.starting.operation import Offer, Onward, Operation, Told


class CompareParameters(Parameters):
    """What a comparison takes: sources as people write them."""

    a: str = Field(
        default="",
        max_length=300,
        title="What is expected",
        description="PROJECT/ENVIRONMENT, PROJECT@head, PROJECT@REVISION, backup:ID or snapshot:ID. "
        "Empty: PROJECT@head.",
    )
    b: str = Field(
        default="", max_length=300, title="What is there", description="The same. Empty: this environment."
    )


async def run(work: Work[CompareParameters]) -> Outcome:
    """Read both, compare, store."""
    job = work.job
    project, parameters = job.project, job.parameters
    async with work.progress.step("compare"):
        a, b = _sources(project, job.environment, parameters)
        async with work.store.connect() as store:
            a, b = await require_kept(store, project, a, b)
        reader = Reader(work.configuration, work.store, work.resources.scratch, work.resources.programs)
        try:
            found = await compare_sources(reader, a, b)
        except CleanStartError as error:
            async with work.writing() as store:
                await store_failure(store, project.name, a, b, error)
                await announce_change(store, job.environment_id)
            raise
        async with work.writing() as store:
            await store_comparison(store, project.name, found)
            await announce_change(store, job.environment_id)
    count = len(found.differences)
    blind = (
        f" Not compared, because the role may not read it: {', '.join(found.unknown)}."
        if found.unknown
        else ""
    )
    return Outcome(
        words.plural(count, "difference") if count else "No difference",
        f"Between {a.text} and {b.text}.{blind}",
        data={"a": a.text, "b": b.text, "differences": count},
    )


async def reconcile(evidence: Evidence[CompareParameters]) -> Reconciled:
    """A comparison leaves both sides alone."""
    return Reconciled("not done", "Nothing was touched.", next_step="Compare again.")


async def require_named(
    store: AsyncConnection, project: Project, environment: Environment, parameters: CompareParameters
) -> None:
    """Both sources are the project's."""
    await require_kept(store, project, *_sources(project, environment, parameters))


def _sources(project: Project, environment: Environment, parameters: CompareParameters) -> tuple[Source, ...]:
    return sources_of(project, parameters.a or f"{project.name}@head", parameters.b or environment.label)


def told(job: JobRecord) -> Told:
    """The differences are on the comparison's page."""
    data = (job.outcome or {}).get("data")
    if not data:
        return Told()
    path = addresses.comparison(job.project, str(data.get("a")), str(data.get("b")))
    return Told(onward=(Onward("See the comparison", path, "arrow-up-down"),))


COMPARE = Operation(
    name="compare",
    title="Comparison",
    verb="Compare",
    parameters=CompareParameters,
    permission="observe",
    mutating=False,
    destructive=False,
    steps=(StepTitle("compare", "Read both schemas and compare them"),),
    run=run,
    reconcile=reconcile,
    help="Compare any two of databases, revisions, models, backups and snapshots.",
    offers=(Offer("comparison"),),
    tells=told,
    code="in scratch",
    require_named=require_named,
)
