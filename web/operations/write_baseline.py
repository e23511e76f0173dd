"""Write baseline: put a baseline's change set into a source that is declared writable.

In a git repository it becomes a commit on a branch of its own, which is checked out; elsewhere the files themselves.
"""

from __future__ import annotations

import asyncio

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.acts.in_source import alone_in_source, put_back, root_of, writable_baseline
from web.answers.verdict import verdict
from web.config import Environment, Project
from web.errors import Conflict
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import read_records
from web.observation.stored_history import load_history, refresh_history
from web.operations.parameters import GIVEN, Parameters
from web.remedies.git_branch import Written, commit_on_branch, free_branch, head_of
from web.remedies.source_files import require_before, write
from web.remedies.stored_baselines import StoredBaseline, store_written
from web.starting.operation import Offer, Onward, Operation, Told


class WriteBaselineParameters(Parameters):
    """What writing a baseline takes."""

    baseline: int | None = Field(
        default=None,
        ge=1,
        lt=2**63,
        title="Baseline",
        description="The job that made it; left empty, the project's newest.",
        json_schema_extra=GIVEN,
    )
    branch: str = Field(
        default="",
        max_length=200,
        title="Branch",
        description="In a git repository; left empty, it is named after the baseline.",
    )


async def run(work: Work[WriteBaselineParameters]) -> Outcome:
    """Compare the source with what the change set stands on, then write all of it or nothing."""
    async with alone_in_source(work):
        return await _write(work)


async def _write(work: Work[WriteBaselineParameters]) -> Outcome:
    job, parameters = work.job, work.job.parameters
    async with work.progress.step("check"):
        async with work.store.connect() as store:
            stored = await writable_baseline(store, job.project, parameters.baseline)
        if stored.written is not None:
            raise Conflict(f"Baseline {stored.baseline.revision} is written already.")
        root, in_git = root_of(job.project)
        await asyncio.to_thread(require_before, root, stored.change_set)
        await work.progress.log(f"{root} is what the change set of job {stored.job_id} stands on")
    revision, files = stored.baseline.revision, words.plural(len(stored.change_set.files), "file")
    async with work.progress.step("write"):
        branch = head = None
        if in_git:
            branch = parameters.branch.strip() or await free_branch(root, f"clean-start/{revision}")
            head = await head_of(root)
        intent = await work.intend(
            "write", {"baseline": stored.job_id, "root": str(root), "head": head, "branch": branch}
        )
        written: Written | None = None
        if branch is not None:
            written = await commit_on_branch(
                root,
                stored.change_set,
                branch=branch,
                message=_message(stored, job.id),
                author=job.requested_by,
            )
        else:
            await asyncio.to_thread(write, root, stored.change_set)
        async with work.writing() as store:
            await store_written(store, stored.job_id, job.id, written)
            await announce_change(store, None)
        await work.receive(intent, {"commit": written.commit if written else None})
    # Pages and gates know at once what is in the source now.
    await refresh_history(work.store, job.project)
    if written is None:
        return Outcome(
            f"Baseline {revision} written into the source",
            f"{files.capitalize()} of {root} are what the change set says: one migration, and the old ones where their "
            "archive is.",
            "Review and commit it. Databases that have the old migrations are not touched: their rows have to be "
            "exchanged.",
            data={"baseline": stored.job_id, "root": str(root), "files": len(stored.change_set.files)},
        )
    return Outcome(
        f"Baseline {revision} committed on {written.branch}",
        f"Commit {written.commit[:12]} changes {files}, and {root} has that branch checked out now. Before it was at "
        f"{written.previous.removeprefix('refs/heads/')}.",
        f"Review it, push it, and merge it: `git show {written.commit[:12]}`. Databases that have the old migrations "
        "are not touched: their rows have to be exchanged.",
        data={
            "baseline": stored.job_id,
            "root": str(root),
            "files": len(stored.change_set.files),
            "branch": written.branch,
            "commit": written.commit,
            "previous": written.previous,
        },
    )


def _message(stored: StoredBaseline, job: int) -> str:
    count = words.plural(len(stored.manifest["migrations"]), "migration")
    kept = next((each["kept"] for each in stored.manifest["migrations"] if each["kept"]), None)
    where = (
        "They lie in an archive, with a manifest that maps each revision to the baseline."
        if kept
        else "They are deleted; the dashboard keeps them."
    )
    return (
        f"Replace {count} by the baseline {stored.baseline.revision}\n\n{where} From nothing it gives exactly "
        f"{stored.source},\nas a scratch database showed.\n\nClean Start, jobs {stored.job_id} and {job}\n"
    )


async def reconcile(evidence: Evidence[WriteBaselineParameters]) -> Reconciled:
    """Put back what was begun: the store holds both sides of every file."""
    return await put_back(evidence, back=False)


async def require_named(
    store: AsyncConnection,
    project: Project,
    environment: Environment | None,
    parameters: WriteBaselineParameters,
) -> None:
    """The baseline is there, proven, and may be written. Raises NotFound, Conflict, OperationNotAllowed."""
    await writable_baseline(store, project, parameters.baseline)


_CATCHES_UP = (
    "They are applied from the archive afterwards, before its version row can be exchanged. Without an archive in the "
    "change set, apply them first."
)


async def warns(store: AsyncConnection, project: Project) -> tuple[tuple[str, str], ...]:
    """Databases that do not have all of the history: what they lack comes from the archive afterwards."""
    records = await read_records(store, project.name)
    source = await load_history(store, project.name)
    found = []
    for environment in project.environments.values():
        record = records.get((project.name, environment.name))
        standing = verdict(
            source.history if source else None,
            record.observed if record else None,
            follow=environment.follow,
        )
        if standing.standing in ("unreachable", "not known", "unknown revision"):
            found.append((f"{environment.label}: {standing.words.lower()}", standing.sentence))
        elif standing.pending and standing.revisions:
            count = words.plural(len(standing.pending), "migration")
            found.append((f"{environment.label} lacks {count}", _CATCHES_UP))
    return tuple(found)


def told(job: JobRecord) -> Told:
    """The baseline's page says where it is written, and has the way back."""
    number = (job.outcome or {}).get("data", {}).get("baseline")
    if not isinstance(number, int):
        return Told()
    return Told(onward=(Onward("See the baseline", addresses.baseline(number), "scroll-text"),))


WRITE_BASELINE = Operation(
    name="write-baseline",
    title="Writing of a baseline",
    verb="Write the baseline into the source of",
    parameters=WriteBaselineParameters,
    permission="baseline",
    mutating=False,
    destructive=False,
    belongs_to="project",
    steps=(
        StepTitle("check", "Compare the source with what the change set stands on"),
        StepTitle("write", "Write the files"),
    ),
    run=run,
    reconcile=reconcile,
    noun="writing of a baseline",
    icon="git-branch",
    help="Write a baseline's change set into a source that is declared writable; in git as a commit on a branch.",
    lead=(
        "The change set is written into the project's source, all of it or nothing. In a git repository it becomes a "
        "commit on a branch of its own, which is checked out; nothing is pushed. No database is touched."
    ),
    offers=(Offer("proven baseline", "Write it into the source…"),),
    tells=told,
    require_named=require_named,
    warns=warns,
)
