"""Two job kinds as somebody would add them: a file with the values, an entry in KINDS, and nothing anywhere else."""

from __future__ import annotations

from types import MappingProxyType

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.answers.environment import View
from web.answers.gate import Condition, Gate
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.starting.operation import Before, Offer, Onward, Operation, Told, asked


class GreetParameters(Parameters):
    """What a greeting takes."""

    name: str = Field(min_length=1, max_length=20, title="Whom", description="The name that is greeted.")
    loud: bool = Field(default=False, title="Loudly", description="In capitals.")
    in_spite: str | None = Field(
        default=None, title="Reason to greet all the same", description="It is kept."
    )


async def greet(work: Work[GreetParameters]) -> Outcome:
    """Say hello in the database's own session."""
    async with work.progress.step("greet"), work.target() as connection:
        intent = await work.intend("greet", {"name": work.job.parameters.name})
        row = await (
            await connection.execute("SELECT 'Hello, ' || %s", [work.job.parameters.name])
        ).fetchone()
        assert row is not None
        said = row[0].upper() if work.job.parameters.loud else row[0]
        await work.receive(intent, {"said": said})
    return Outcome("Greeted", f"{said}.", data={"said": said})


async def was_it_said(evidence: Evidence[GreetParameters]) -> Reconciled:
    """Only the receipt tells."""
    if evidence.open_intents:
        return Reconciled("unknown", "It may have been said.", {"whom": evidence.job.parameters.name})
    return Reconciled("not done", "Nothing was said.", next_step="Greet again.")


async def before(store: AsyncConnection, seen: View) -> Before:
    """Where there is nobody, a reason is wanted; where nobody has looked, nothing is said."""
    checked = Condition("checked", "Checked", "met" if seen.observation else "not met", way="Check it.")
    tables = Condition("tables", "It has tables", "met" if seen.table_count else "not met", way="Fill it.")
    return Before(
        Gate((checked, tables)),
        () if seen.observation else (checked,),
        excuse=None if seen.table_count else tables,
        shown_hash="a plan",
    )


def told(job: JobRecord) -> Told:
    """Where to go after a greeting."""
    path = addresses.environment(*job.place, "jobs")
    return Told(("drift", "Said aloud"), (Onward("Greet somebody else", path, "history", primary=True),))


GREET = Operation(
    name="greet",
    title="Greeting",
    verb="Greet",
    parameters=GreetParameters,
    permission="backup",
    mutating=True,
    destructive=False,
    harmless=True,
    steps=(StepTitle("greet", "Say hello"),),
    run=greet,
    reconcile=was_it_said,
    noun="greeting",
    icon="history",
    help="Say hello to a database.",
    lead="Somebody says hello in {environment}.",
    button="Greet the tables",
    submit="Say hello",
    heading="Say hello?",
    keep="Say nothing",
    offers=(Offer("environment"),),
    wants_name=asked,
    before=before,
    reason="in_spite",
    tells=told,
    evidence=MappingProxyType({"whom": ("warn", "It was meant for")}),
)


class CountParameters(Parameters):
    """What a count takes."""

    least: int = Field(default=0, ge=0, title="At least")


async def count(work: Work[CountParameters]) -> Outcome:
    """Count what the project has."""
    async with work.progress.step("count"):
        number = len(work.job.project.environments)
    return Outcome("Counted", f"{work.job.project.title} has {number}.", data={"environments": number})


async def nothing_to_find(evidence: Evidence[CountParameters]) -> Reconciled:
    """It changes nothing."""
    return Reconciled("not done", "Nothing was counted.", next_step="Count again.")


COUNT = Operation(
    name="count",
    title="Count",
    verb="Count",
    parameters=CountParameters,
    permission="observe",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(StepTitle("count", "Count the environments"),),
    run=count,
    reconcile=nothing_to_find,
    help="Count the environments of a project.",
    lead="The environments of {project} are counted.",
    offers=(Offer("project", "Count the environments…"),),
)
