"""Restamp: exchange the version rows of an archived history for the baseline that replaces it.

Nothing of the baseline is run. It is refused where the schema is not what the baseline gives, and where the database
has not all of the archived history. A baseline that a later clean start has archived is led to like any other, and from
there the rest of its history is applied.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

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
from web.remedies.old_source import archived_history, old_source
from web.starting.consent import before_rows_are_written
from web.starting.operation import Before, Offer, Operation, asked
from web.tools.history import Archive, History
from web.tools.registry import tool_of


async def run(work: Work[Parameters]) -> Outcome:
    """Find the archive, compare the schema, exchange the rows, look at the result."""
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
            archive, old = _archive(history, before)
            after = (archive.baseline, *(row for row in before if row not in old))
            await work.progress.log(
                f"{', '.join(old)} is the end of {len(archive.history)} migrations in {archive.folder}"
            )
            async with _with_baseline(work, history, archive) as (there, gives):
                await require_schema(
                    there, connection, gives, (archive.baseline,), f"the baseline {archive.baseline} gives"
                )
        async with work.progress.step("exchange"):
            intent = await work.intend("exchange", {"from": list(before), "to": list(after)})
            await work.require_current()
            await tool.exchange_applied(job.project, connection, before, after)
            await work.receive(intent, {"rows": list(after)})
    async with work.progress.step("observe"):
        seen = await observe_afterwards(work)
    return Outcome(
        "Restamped",
        f"{job.environment.label} is recorded at the baseline {archive.baseline}. It was at {', '.join(old)}, the end "
        f"of the history that was archived on {archive_day(archive)}. {seen}",
        data={"before": list(before), "after": list(after), "archive": archive.folder},
    )


def _archive(history: History, rows: tuple[str, ...]) -> tuple[Archive, tuple[str, ...]]:
    """The archive that a database is at the end of, and its rows that are of that. Raises Conflict."""
    old = tuple(row for row in rows if row not in history)
    if not old:
        raise Conflict(
            f"The database is at {', '.join(rows) or 'no revision'}, which no archive has.",
            hint="There is nothing to exchange.",
        )
    archive = history.archive_of(old)
    if archive is None:
        raise Conflict(
            f"No archive of the project has {', '.join(old)}.",
            hint="An archive is a folder with a manifest.json beside the migrations: a baseline's change set makes it.",
        )
    if archive.baseline not in history and history.archive_of((archive.baseline,)) is None:
        raise Conflict(
            f"The baseline {archive.baseline}, which replaces {archive.folder}, is no migration of the project.",
            hint="Bring its file back, or merge the change set that has it.",
        )
    if not archive.is_complete(old):
        has, count = len(archive.history.implied(old)), len(archive.history)
        raise Conflict(
            f"The database has {has} of the {count} archived migrations; the baseline stands for all of them.",
            hint="Apply the rest, with `cleanstart migrate`, then restamp.",
        )
    return archive, old


@asynccontextmanager
async def _with_baseline(
    work: Work[Parameters], history: History, archive: Archive
) -> AsyncIterator[tuple[Work[Parameters], History]]:
    """The job and the history with the baseline in it: that of the source, or of a later archive that has it by now."""
    later = None if archive.baseline in history else history.archive_of((archive.baseline,))
    if later is None:
        yield work, history
        return
    await work.progress.log(f"The baseline {archive.baseline} is archived itself by now, in {later.folder}")
    async with old_source(work.job.project, history, later) as project:
        yield replace(work, job=replace(work.job, project=project)), archived_history(later)


async def reconcile(evidence: Evidence[Parameters]) -> Reconciled:
    """By the version rows, which are all that it writes, in one transaction."""
    return await judged_by_rows(evidence, "exchange", "Restamp again.")


async def before(store: AsyncConnection, seen: View) -> Before:
    """Whether there is something to exchange, and whether others have to consent."""
    pointless = "" if seen.verdict.standing == "before the clean start" else _NOTHING
    return await before_rows_are_written(store, seen, RESTAMP.name, pointless=pointless)


_NOTHING = "The database is at no archived history: there is nothing to exchange."


def closed(seen: View) -> str | None:
    """Only a database at the end of an archived history has something to exchange."""
    if seen.verdict.standing != "before the clean start":
        return _NOTHING
    return None if seen.verdict.is_at_the_old_head else seen.verdict.sentence


def first(seen: View) -> bool:
    """It is the next thing to do wherever it can be done."""
    return seen.verdict.is_at_the_old_head


RESTAMP = Operation(
    name="restamp",
    title="Restamp",
    verb="Restamp",
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
    help="Exchange the version rows of an archived history for the baseline in its place, where the schema is that.",
    lead=(
        "The version rows of the archived history are exchanged for the baseline, in one transaction, and nothing is "
        "run. It is refused where the schema is not exactly what the baseline gives."
    ),
    keep="Leave it as it is",
    offers=(Offer("archived history", "Restamp…"),),
    primary=first,
    closed=closed,
    wants_name=asked,
    before=before,
    approved_for=(),
    code="in scratch",
)
