"""Cut-over: what migrates at an application's start-up, and what the application's role may. It changes nothing."""

from __future__ import annotations

from collections.abc import Iterator

from web import addresses, words
from web.acts.scanning import scan
from web.comparison.sources import Reader
from web.comparison.stored_comparisons import sources_of
from web.config import Environment
from web.cutover.application_role import CheckedRole, check_role
from web.cutover.findings import Scan
from web.cutover.stored_scans import CutOver, store_cut_over
from web.errors import CleanStartError
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.starting.operation import Offer, Onward, Operation, Told

#: Findings and skipped files that the log names.
LOGGED = 20


async def run(work: Work[Parameters]) -> Outcome:
    """Read the source, ask the databases about the application's role, and keep what was found."""
    project = work.job.project
    async with work.progress.step("source"):
        source = await _scan(work)
    named = [each for each in project.environments.values() if each.application_role is not None]
    roles: list[CheckedRole] = []
    if named:
        async with work.progress.step("roles"):
            roles = [await _checked(work, each) for each in named]
    else:
        await work.progress.skip("roles", "No environment has an application_role.")
    found = CutOver(project.name, source, tuple(roles))
    async with work.writing() as store:
        await store_cut_over(store, work.job.id, found)
        await announce_change(store, None)
    at_start = len(source.of("start-up"))
    return Outcome(
        f"{words.plural(at_start, 'place')} may migrate at start-up"
        if at_start
        else "Nothing migrates at start-up",
        " ".join([*_account(source), *_account_of_roles(roles)]),
        "Take them out, and let a task ask the dashboard once for each deployment: "
        f"`cleanstart cut-over-task {project.name} --form compose --output FOLDER`."
        if at_start
        else "",
        data={
            "start_up": at_start,
            "deployment": len(source.of("deployment")),
            "files": source.files,
            "roles": {each.environment: each.state for each in roles},
        },
    )


async def _scan(work: Work[Parameters]) -> Scan:
    found = await scan(work)
    for each in found.findings[:LOGGED]:
        said = f"{each.place}: {each.what} ({each.when}, {each.by})"
        await work.progress.log(said, level="warning" if each.when == "start-up" else "info")
    for skipped in found.skipped[:LOGGED]:
        await work.progress.log(f"Not read: {skipped.path}, {skipped.reason}")
    return found


async def _checked(work: Work[Parameters], environment: Environment) -> CheckedRole:
    """The application's role on one environment; where that cannot be asked, why."""
    assert environment.application_role is not None
    role, project = environment.application_role, work.job.project
    reader = Reader(work.configuration, work.store, work.resources.scratch, work.resources.programs)
    (source,) = sources_of(project, environment.label)
    try:
        async with reader.connect(source, environment.url.read()) as connection:
            found = await check_role(connection, environment.name, role)
    except CleanStartError as error:
        found = CheckedRole(environment.name, role, refusal=str(error))
    await work.progress.log(
        f"{environment.label}: {' '.join(found.account)}",
        level="info" if found.state == "met" else "warning",
    )
    return found


def _account(source: Scan) -> Iterator[str]:
    yield f"{words.plural(source.files, 'file')} read."
    at_start = source.of("start-up")
    if at_start:
        first = at_start[0]
        yield f"{first.what} in {first.place}{', and others' if len(at_start) > 1 else ''}."
    if others := len(source.findings) - len(at_start):
        yield f"{words.plural(others, 'place')} in deployments, or run by hand."
    if left := len(source.skipped) + source.further:
        yield f"{words.plural(left, 'file or finding', 'files or findings')} left out."


def _account_of_roles(roles: list[CheckedRole]) -> Iterator[str]:
    for each in roles:
        if each.state != "met":
            yield f"On {each.environment}: {each.account[0]}"


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
    steps=(
        StepTitle("source", "Read the source"),
        StepTitle("roles", "Look at the application's role"),
    ),
    run=run,
    reconcile=reconcile,
    noun="cut-over",
    icon="list-checks",
    help="Find what migrates at an application's start, and how one task for each deployment replaces it.",
    lead=(
        "The source is read for what migrates at start-up, in deployments and by hand; nothing of it is run. Where an "
        "environment names the application's role, it is proven that the role can change no schema. The page has the "
        "task that asks this dashboard instead, once for each deployment. Nothing is changed."
    ),
    offers=(
        Offer("project", "Prepare the cut-over…"),
        Offer("surveyed project", "Prepare the cut-over…"),
        Offer("cut over", "Look again…"),
    ),
    tells=told,
)
