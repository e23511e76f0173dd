"""Pin: take the database that the URL leads to now for the environment's, after it was moved or made again."""

from __future__ import annotations

from pydantic import Field
from sqlalchemy import select

from web.answers.environment import view
from web.errors import Conflict, Invalid, TargetChanged
from web.jobs.job import FINISHED, Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.observation.observe import observe, pin_identity
from web.operations.parameters import Parameters
from web.postgres.connections import connect
from web.postgres.identity import read_identity
from web.starting.operation import Offer, Operation
from web.store.tables import JobRow


class PinParameters(Parameters):
    """What a pin takes."""

    identity: str | None = Field(
        default=None,
        title="Identity",
        description="System identifier and oid of the new database, as the last check of it said: 7412…/16384.",
        max_length=64,
        pattern=r"^\d+/\d+$",
    )


async def run(work: Work[PinParameters]) -> Outcome:
    """Pin the identity that the person named, if it is the one that is there, and look."""
    job = work.job
    async with work.progress.step("pin"):
        await _require_idle(work)
        # Not Work.target: that refuses a database that is not the pinned one.
        async with connect(
            work.url, application_name=work.application_name, read_only=True, statement_timeout="30s"
        ) as connection:
            found = await read_identity(connection)
        place = f"{found.database} on {found.host}:{found.port}, which is {found.identity.as_text}"
        if job.parameters.identity is None:
            raise Invalid(
                f"The URL leads to {place}, and nobody said that this is the one.",
                hint=f"If it is, pin it with --identity {found.identity.as_text}.",
            )
        if found.identity.as_text != job.parameters.identity:
            raise TargetChanged(f"The URL leads to {place}, not {job.parameters.identity}.")
        async with work.writing() as store:
            await pin_identity(store, job.environment_id, found.identity)
    async with work.progress.step("observe"):
        await observe(
            work.store,
            job.project,
            job.environment,
            work.resources.scratch,
            full=True,
            application_name=work.application_name,
        )
        async with work.store.connect() as store:
            shown = await view(store, work.configuration, job.environment.project, job.environment.name)
    return Outcome(
        "Pinned",
        f"{job.environment.label} is {found.database} on {found.host}:{found.port}. {shown.summary.sentence} "
        "Backups of the database before it do not count for this one.",
        # By this the timeline knows a job that pinned.
        data={"identity": found.identity.as_text},
    )


async def _require_idle(work: Work[PinParameters]) -> None:
    query = select(JobRow.id, JobRow.kind).where(
        JobRow.environment_id == work.job.environment_id, JobRow.mutating, JobRow.state.not_in(FINISHED)
    )
    async with work.store.connect() as connection:
        row = (await connection.execute(query.limit(1))).one_or_none()
    if row is not None:
        raise Conflict(
            f"Job {row.id} ({row.kind}) is not finished, and it goes by the database that is pinned.",
            hint="Wait for its end, or cancel it.",
        )


async def reconcile(evidence: Evidence[PinParameters]) -> Reconciled:
    """What is pinned is written in one act, and the next look shows it."""
    return Reconciled(
        "not done",
        "It did not come to its end.",
        next_step="See on the environment's page which database is pinned; where it is not the new one, pin it again.",
    )


PIN = Operation(
    name="pin",
    title="Pin",
    verb="Pin the database of",
    parameters=PinParameters,
    permission="pin",
    mutating=False,
    destructive=False,
    steps=(StepTitle("pin", "Pin the database's identity"), StepTitle("observe", "Check it")),
    run=run,
    reconcile=reconcile,
    help="Pin the database that answers now as the one of the environment, where it was replaced on purpose.",
    offers=(Offer("another database", "Pin the new database…"),),
)
