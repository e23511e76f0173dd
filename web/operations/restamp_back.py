"""Restamp back: write the archived history's version rows in place of its baseline's, the way back of a restamp.

Nothing is run. It is refused where anything was applied after the baseline, and where the schema is not what it gives.
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from web.acts.history import history_that_runs
from web.acts.matching import require_schema
from web.acts.observing import observe_afterwards
from web.acts.seen import require_seen
from web.acts.version_rows import judged_by_rows, require_consent
from web.answers.environment import View
from web.answers.verdict import archive_day
from web.errors import Conflict, NotSupported
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.postgres.identity import require_writable
from web.starting.consent import before_rows_are_written
from web.starting.operation import Before, Offer, Operation, asked
from web.tools.history import Archive, History
from web.tools.registry import tool_of


async def run(work: Work[Parameters]) -> Outcome:
    """Find the archive of the baseline, compare the schema, exchange the rows, look at the result."""
    job, tool = work.job, tool_of(work.job.project)
    if "archive" not in tool.can:
        raise NotSupported(tool.title, "archive")
    async with work.target() as connection:
        async with work.progress.step("check"):
            history = await history_that_runs(work)
            await require_writable(connection)
            before = (await tool.applied(job.project, connection)).revisions
            await require_seen(work, connection, before)
            await require_consent(work, history)
            archive = _archive(history, before)
            after = (*archive.history.goal, *(row for row in before if row != archive.baseline))
            await require_schema(
                work, connection, history, (archive.baseline,), f"the baseline {archive.baseline} gives"
            )
        async with work.progress.step("exchange"):
            intent = await work.intend("exchange", {"from": list(before), "to": list(after)})
            await work.require_current()
            await tool.exchange_applied(job.project, connection, before, after)
            await work.receive(intent, {"rows": list(after)})
    async with work.progress.step("observe"):
        seen = await observe_afterwards(work)
    return Outcome(
        "Restamped back",
        f"{job.environment.label} is recorded at {', '.join(archive.history.goal)} again, the end of the history that "
        f"was archived on {archive_day(archive)}. It was at the baseline {archive.baseline}. {seen}",
        data={"before": list(before), "after": list(after), "archive": archive.folder},
    )


def _archive(history: History, rows: tuple[str, ...]) -> Archive:
    """The archive whose baseline a database is at, with nothing after it. Raises Conflict."""
    found = next((each for each in history.archives if each.baseline in rows), None)
    if found is not None:
        return found
    passed = next(
        (each for each in history.archives if each.baseline in history.implied(rows)),
        None,
    )
    if passed is not None:
        raise Conflict(
            f"Migrations were applied after the baseline {passed.baseline}: the database is at {', '.join(rows)}.",
            hint="The archived history does not have them, so that its rows would be untrue.",
        )
    raise Conflict(
        f"The database is at {', '.join(rows) or 'no revision'}, which is the baseline of no archive.",
        hint="There is nothing to write back.",
    )


async def reconcile(evidence: Evidence[Parameters]) -> Reconciled:
    """By the version rows, which are all that it writes, in one transaction."""
    return await judged_by_rows(evidence, "exchange", "Restamp back again.")


async def before(store: AsyncConnection, seen: View) -> Before:
    """Whether there is something to write back, and whether others have to consent."""
    pointless = closed(seen) or ""
    return await before_rows_are_written(store, seen, RESTAMP_BACK.name, pointless=pointless)


def closed(seen: View) -> str | None:
    """Only a database that is exactly at a baseline can go back."""
    if seen.is_at_a_baseline:
        return None
    return "The database is at the baseline of no archive: there is nothing to write back."


RESTAMP_BACK = Operation(
    name="restamp-back",
    title="Restamp back",
    verb="Restamp back",
    parameters=Parameters,
    permission="stamp",
    mutating=True,
    destructive=False,
    steps=(
        StepTitle("check", "Compare the schema with what the baseline gives"),
        StepTitle("exchange", "Exchange the version rows"),
        StepTitle("observe", "Check the result"),
    ),
    run=run,
    reconcile=reconcile,
    help="Write the archived history's version rows back in place of its baseline's: the way back of restamp.",
    lead=(
        "The baseline's version row is exchanged for the end of the archived history again, in one transaction, and "
        "nothing is run. It is refused where anything was applied since, and where the schema is another."
    ),
    keep="Leave it at the baseline",
    offers=(Offer("at a baseline", "Back to the archived history…", hidden=True),),
    closed=closed,
    wants_name=asked,
    before=before,
    approved_for=(),
    code="in scratch",
)
