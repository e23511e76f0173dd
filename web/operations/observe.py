"""Observe: one look at an environment, asked for by a person or by the clock."""

from __future__ import annotations

from datetime import timedelta

from web.answers.environment import view
from web.jobs.job import BY_SCHEDULE, Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.observe import SOURCE_EVERY, observe
from web.observation.timeline import read_timeline
from web.operations.parameters import Parameters
from web.starting.operation import Operation, Told

#: Entries of the timeline that a look with news makes sure are compared.
NEWEST = 5


class ObserveParameters(Parameters):
    """What a look takes."""

    #: Take a snapshot of the schema even where nothing seems to have changed.
    full: bool = False


async def run(work: Work[ObserveParameters]) -> Outcome:
    """Look. A database that cannot be reached is a finding, not a failure."""
    job = work.job
    async with work.progress.step("observe"):
        seen = await observe(
            work.store,
            job.project,
            job.environment,
            work.resources.scratch,
            full=job.parameters.full,
            # Who asks wants to know of the file that was written just now; the clock asks for every environment.
            source_age=SOURCE_EVERY if job.requested_by == BY_SCHEDULE else timedelta(0),
            application_name=work.application_name,
        )
    async with work.store.connect() as connection:
        shown = await view(connection, work.configuration, job.environment.project, job.environment.name)
        if seen.since == seen.observed_at:
            # Something is new: what differs from before is found here, so that no page has to.
            await read_timeline(work.store, connection, shown.record, limit=NEWEST, first=0)
    doubts = shown.record.doubts if shown.record else ()
    told = [shown.summary.sentence, f"{seen.drift.words}.", *(f"In doubt: {each.words}." for each in doubts)]
    return Outcome(
        shown.summary.words,
        " ".join(told),
        # What kept from looking says itself what to do about it, as it does where another job fails of it.
        seen.error["hint"] if seen.error else "",
        data={
            "verdict": shown.verdict.standing,
            "status": shown.summary.status,
            "drift": seen.drift.state,
            "revisions": list(seen.revisions),
        },
    )


async def reconcile(evidence: Evidence[ObserveParameters]) -> Reconciled:
    """A look changes nothing."""
    return Reconciled(
        "not done",
        f"{evidence.job.environment.label} was not checked to the end.",
        next_step="Check again.",
    )


def told(job: JobRecord) -> Told:
    """A look ends well whatever it finds; how the environment stands is what it says."""
    outcome = job.outcome or {}
    status = (outcome.get("data") or {}).get("status")
    if job.state != "succeeded" or not status:
        return Told()
    return Told(mark=(status, str(outcome.get("title") or "Succeeded")))


OBSERVE = Operation(
    name="observe",
    title="Check",
    verb="Check now",
    parameters=ObserveParameters,
    permission="observe",
    mutating=False,
    destructive=False,
    steps=(StepTitle("observe", "Check the database"),),
    run=run,
    reconcile=reconcile,
    help="Check a database now: revisions, schema, drift.",
    observes=True,
    tells=told,
    code="in scratch",
    joins=True,
)
