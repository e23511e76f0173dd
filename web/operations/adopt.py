"""Adopt: write the migration that makes what is live official, and prove it in scratch; the target is only read."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.acts.history import history_that_runs
from web.acts.observing import observe_drift
from web.answers.environment import View
from web.comparison.ignore_rules import active_rules
from web.comparison.roles import read_roles
from web.comparison.snapshots import load_schema
from web.errors import Conflict, NotSupported, OperationFailed, SeveralHeads
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import Observation
from web.operations.parameters import Parameters, one_line
from web.postgres.identity import read_identity
from web.remedies.adopting import Live, adopt
from web.remedies.adoption import Adoption, store_adoption
from web.starting.operation import Before, Offer, Onward, Operation, Told
from web.tools.history import History
from web.tools.registry import tool_of


class AdoptParameters(Parameters):
    """What an adoption takes."""

    message: Annotated[str, AfterValidator(one_line)] = Field(
        default="adopt what is live",
        min_length=1,
        max_length=100,
        title="Message",
        description="What the migration is called.",
    )
    only: str = Field(
        default="",
        max_length=500,
        title="Only these objects",
        description="A name as the Drift page writes it; * stands for any characters. Empty: all of them.",
    )
    branch: str = Field(
        default="",
        max_length=200,
        title="Branch",
        description="Of several that are followed, the one that it belongs to: a label or a revision.",
    )


class AdoptionNotProven(OperationFailed):
    """The written migration does not give the live schema; it is kept all the same."""

    title = "The migration was not proven"
    hint = "Take the file as a beginning, and complete it by hand."


async def run(work: Work[AdoptParameters]) -> Outcome:
    """Look, write, prove, store. What was not proven ends the job as failed, with its file stored."""
    job, tool = work.job, tool_of(work.job.project)
    if "write a migration" not in tool.can:
        raise NotSupported(tool.title, "write a migration")
    async with work.progress.step("observe"):
        seen = await observe_drift(work)
        if seen.drift.state == "none":
            return Outcome("Nothing to adopt", f"{job.environment.label}: {seen.drift.words}.")
        history = await _history(work, seen)
    async with work.progress.step("write"):
        adoption = await _adopt(work, seen, history)
        if adoption is None:
            return Outcome("Nothing to adopt", f"{job.environment.label}: {seen.drift.words}.")
        async with work.writing() as store:
            await store_adoption(store, job.environment_id, job.id, adoption)
            await announce_change(store, job.environment_id)
    for item, reason in adoption.left:
        await work.progress.log(f"Left: {item.kind} {item.object}. {reason}", level="warning")
    for remark in adoption.remarks:
        await work.progress.log(remark, level="warning")
    if adoption.no_downgrade_detail is not None:
        await work.progress.log(f"No way back: {adoption.no_downgrade_detail}", level="warning")
    if not adoption.proven:
        said = adoption.refusal or (
            "Run after the old head in scratch, it leaves a difference: the "
            f"{adoption.remaining[0].kind} {adoption.remaining[0].object}."
        )
        raise AdoptionNotProven(said)
    count, out = len(adoption.adopted), len(adoption.left) + len(adoption.ignored)
    what = words.plural(count, "difference")
    but = "" if not out else f", but for {out} that {'is' if out == 1 else 'are'} left out of it"
    return Outcome(
        f"Migration {adoption.revision} written",
        f"It makes {what} official: the old head plus it gives exactly the schema of {job.environment.label}{but}, "
        "as a scratch database showed.",
        f"Put it into the source as `{adoption.path}`; then stamp {job.environment.label}, where it is so already, and "
        "apply it everywhere else.",
        data={
            "revision": adoption.revision,
            "path": adoption.path,
            "differences": count,
            "no_downgrade": adoption.no_downgrade,
            "no_downgrade_detail": adoption.no_downgrade_detail,
        },
    )


def cannot(seen: View) -> str | None:
    """Why nothing can be written here; None: it can."""
    tool = tool_of(seen.project)
    return None if "write a migration" in tool.can else str(NotSupported(tool.title, "write a migration"))


async def before(store: AsyncConnection, seen: View) -> Before:
    """It needs a tool whose migrations can be written."""
    return Before(pointless=cannot(seen) or "")


async def _history(work: Work[AdoptParameters], seen: Observation) -> History:
    """The history, with the one head that the migration follows; the database has to be at its heads.

    Raises Conflict, SeveralHeads, SourceInvalid.
    """
    history = await history_that_runs(work)
    if history.is_ambiguous:
        raise SeveralHeads(history.heads, separate=not history.share_a_base)
    branch = work.job.parameters.branch.strip()
    heads = history.heads_of(branch) if branch else history.branch_heads
    if branch and not heads:
        raise Conflict(f"No branch or revision of the history is called “{branch}”.")
    if len(heads) > 1:
        raise Conflict(
            f"The history ends in {len(heads)} branches: {', '.join(heads)}.",
            hint="Say with `branch` which of them the new migration belongs to, by its label or a revision.",
        )
    if not history.is_at_head(seen.revisions):
        raise Conflict(
            f"{work.job.environment.label} is not at the head of its migrations, and a new one would follow that.",
            hint="Apply what is pending first.",
        )
    return replace(history, branch_heads=heads)


async def _adopt(work: Work[AdoptParameters], seen: Observation, history: History) -> Adoption | None:
    drift, environment = seen.drift, work.job.environment
    assert drift.expected_fingerprint is not None
    assert drift.fingerprint is not None
    async with work.store.connect() as store:
        migrated = await load_schema(store, drift.expected_fingerprint)
        live = await load_schema(store, drift.fingerprint)
        rules = await active_rules(store, environment.project, environment.name)
    if migrated is None or live is None:
        raise Conflict("The schemas were forgotten meanwhile.", hint="Adopt again.")
    async with work.target(lock=False, read_only=True) as connection:
        target = await read_identity(connection)
        roles = tuple(await read_roles(connection))
    # Where it is at every head, the project's own command need not be able to go anywhere else.
    every = set(history.effective(seen.revisions)) == set(history.heads) and history.targets is None
    rows = None if every and len(history.heads) == 1 else tuple(seen.revisions)
    await work.progress.log("Writing the migration and running it in scratch")
    return await adopt(
        work.resources.scratch,
        work.job.project,
        history,
        migrated,
        Live(live, target.user, roles, target.major, rows),
        rules,
        work.job.parameters.message,
        work.job.parameters.only,
    )


async def reconcile(evidence: Evidence[AdoptParameters]) -> Reconciled:
    """An adoption leaves the target and the source alone."""
    return Reconciled("not done", "Nothing was written.", next_step="Adopt again.")


def told(job: JobRecord) -> Told:
    """What was written is read on a page of its own, proven or not."""
    ended = job.outcome or {}
    written = ended.get("data") or (ended.get("error") or {}).get("type") == AdoptionNotProven.__name__
    if not written:
        return Told()
    path = addresses.adoption(job.id)
    return Told(onward=(Onward("See the migration", path, "scroll-text", primary=True),))


ADOPT = Operation(
    name="adopt",
    title="Adoption",
    verb="Adopt the drift of",
    parameters=AdoptParameters,
    permission="plan",
    mutating=False,
    destructive=False,
    steps=(
        StepTitle("observe", "Compare the database with its migrations"),
        StepTitle("write", "Write the migration and prove it"),
    ),
    run=run,
    reconcile=reconcile,
    noun="adoption",
    icon="git-branch",
    help="Write a migration that gives what a database has and its migrations do not, and prove it in scratch.",
    lead=(
        "A migration is written in the project's own style that gives what this database has, and run in scratch "
        "after the old head. The database is only read, and nothing is written into the source."
    ),
    submit="Write the migration",
    closed=cannot,
    before=before,
    offers=(Offer("drift", "Adopt…"), Offer("difference", "Adopt only this…")),
    tells=told,
    code="in scratch",
)
