"""Cut-over: what migrates a project's databases at start-up, found in its source; nothing is changed anywhere."""

from __future__ import annotations

from web import addresses, words
from web.acts.scanning import scan
from web.cutover.findings import Scan
from web.cutover.stored_scans import CutOver, store_cut_over
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.starting.operation import Offer, Onward, Operation, Told

#: Findings and skipped files that the log names.
LOGGED = 20


async def run(work: Work[Parameters]) -> Outcome:
    """Read the source and keep what was found."""
    project = work.job.project
    async with work.progress.step("source"):
        source = await _scan(work)
    found = CutOver(project.name, source)
    async with work.writing() as store:
        await store_cut_over(store, work.job.id, found)
        await announce_change(store, None)
    at_start = len(source.of("start-up"))
    return Outcome(
        f"{words.plural(at_start, 'place')} may migrate at start-up"
        if at_start
        else "Nothing migrates at start-up",
        _account(source),
        "Take them out, and let a task ask the dashboard once for each deployment: "
        f"`cleanstart cut-over-task {project.name} --form compose --output FOLDER`."
        if at_start
        else "",
        data={"start_up": at_start, "deployment": len(source.of("deployment")), "files": source.files},
    )


async def _scan(work: Work[Parameters]) -> Scan:
    found = await scan(work)
    for each in found.findings[:LOGGED]:
        said = f"{each.place}: {each.what} ({each.when}, {each.by})"
        await work.progress.log(said, level="warning" if each.when == "start-up" else "info")
    for skipped in found.skipped[:LOGGED]:
        await work.progress.log(f"Not read: {skipped.path}, {skipped.reason}")
    return found


def _account(source: Scan) -> str:
    said = [f"{words.plural(source.files, 'file')} read."]
    at_start = source.of("start-up")
    if at_start:
        first = at_start[0]
        said.append(f"{first.what} in {first.place}{', and others' if len(at_start) > 1 else ''}.")
    if others := len(source.findings) - len(at_start):
        said.append(f"{words.plural(others, 'place')} in deployments, or run by hand.")
    if left := len(source.skipped) + source.further:
        said.append(f"{words.plural(left, 'file or finding', 'files or findings')} left out.")
    return " ".join(said)


async def reconcile(evidence: Evidence[Parameters]) -> Reconciled:
    """Reading leaves source and databases alone."""
    return Reconciled("not done", "Nothing was kept.", next_step="Look again.")


def told(job: JobRecord) -> Told:
    """What was found is read on a page of its own."""
    if not (job.outcome or {}).get("data"):
        return Told()
    return Told(
        onward=(Onward("See what was found", addresses.cut_over(job.id), "list-checks", primary=True),)
    )


CUT_OVER = Operation(
    name="cut-over",
    title="Cut-over",
    verb="Prepare the cut-over of",
    parameters=Parameters,
    permission="observe",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(StepTitle("source", "Read the source"),),
    run=run,
    reconcile=reconcile,
    noun="cut-over",
    icon="list-checks",
    help="Find what migrates at an application's start, and how one task for each deployment replaces it.",
    lead=(
        "The source is read for what migrates at start-up, in deployments and by hand; nothing of it is run. The page "
        "has the task that asks this dashboard instead, once for each deployment. Nothing is changed."
    ),
    offers=(
        Offer("project", "Prepare the cut-over…"),
        Offer("surveyed project", "Prepare the cut-over…"),
        Offer("cut over", "Look again…"),
    ),
    tells=told,
)
