"""Write baseline: put a baseline's change set into a source that is declared writable, or take it back.

In a git repository it becomes a commit on a branch of its own, which is checked out; elsewhere the files themselves.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import Field
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.config import Environment, Project
from web.errors import Conflict, NotFound, OperationNotAllowed
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.operations.parameters import Parameters
from web.remedies.git_branch import (
    Written,
    commit_on_branch,
    free_branch,
    go_back,
    head_of,
    repository_root,
    restore,
)
from web.remedies.source_files import require_before, standing, write
from web.remedies.stored_baselines import StoredBaseline, baseline_of, store_written
from web.starting.operation import Offer, Onward, Operation, Told
from web.tools.confinement import checkout


class WriteBaselineParameters(Parameters):
    """What writing a baseline takes."""

    baseline: int = Field(
        ge=1,
        lt=2**63,
        title="Baseline",
        description="The job that made it.",
    )
    branch: str = Field(
        default="",
        max_length=200,
        title="Branch",
        description="In a git repository; left empty, it is named after the baseline.",
    )
    back: bool = Field(
        default=False,
        title="Take it back",
        description="Lead the source back to what it was before it was written.",
    )


async def run(work: Work[WriteBaselineParameters]) -> Outcome:
    """Compare the source with what the change set stands on, then write all of it or nothing."""
    job, parameters = work.job, work.job.parameters
    async with work.store.connect() as alone:
        # One at a time in a project's source, until this connection ends.
        free = await alone.scalar(
            text("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))"),
            {"key": f"cleanstart source {job.project.name}"},
        )
        if not free:
            raise Conflict(f"Another job writes into the source of {job.project.name} right now.")
        try:
            if parameters.back:
                return await _take_back(work)
            return await _write(work)
        finally:
            await alone.execute(text("SELECT pg_advisory_unlock_all()"))


async def _write(work: Work[WriteBaselineParameters]) -> Outcome:
    job, parameters = work.job, work.job.parameters
    async with work.progress.step("check"):
        stored = await _stored(work)
        if stored.written is not None:
            raise Conflict(f"Baseline {stored.baseline.revision} is written already.")
        root, in_git = _root(job.project)
        await asyncio.to_thread(require_before, root, stored.change_set)
        await work.progress.log(f"{root} is what the change set of job {parameters.baseline} stands on")
    revision, files = stored.baseline.revision, words.plural(len(stored.change_set.files), "file")
    async with work.progress.step("write"):
        branch = head = None
        if in_git:
            branch = parameters.branch.strip() or await free_branch(root, f"clean-start/{revision}")
            head = await head_of(root)
        intent = await work.intend("write", {"root": str(root), "head": head, "branch": branch})
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
            await store_written(store, parameters.baseline, job.id, written)
            await announce_change(store, None)
        await work.receive(intent, {"commit": written.commit if written else None})
    if written is None:
        return Outcome(
            f"Baseline {revision} written into the source",
            f"{files.capitalize()} of {root} are what the change set says: one migration, and the old ones where their "
            "archive is.",
            "Review and commit it. Databases that have the old migrations are not touched: their rows have to be "
            "exchanged.",
            data={"root": str(root), "files": len(stored.change_set.files)},
        )
    return Outcome(
        f"Baseline {revision} committed on {written.branch}",
        f"Commit {written.commit[:12]} changes {files}, and {root} has that branch checked out now. Before it was at "
        f"{written.previous.removeprefix('refs/heads/')}.",
        f"Review it, push it, and merge it: `git show {written.commit[:12]}`. Databases that have the old migrations "
        "are not touched: their rows have to be exchanged.",
        data={
            "root": str(root),
            "files": len(stored.change_set.files),
            "branch": written.branch,
            "commit": written.commit,
            "previous": written.previous,
        },
    )


async def _take_back(work: Work[WriteBaselineParameters]) -> Outcome:
    job, parameters = work.job, work.job.parameters
    async with work.progress.step("check"):
        stored = await _stored(work)
        if stored.written is None:
            raise Conflict(f"Baseline {stored.baseline.revision} is not written into the source.")
        root, in_git = _root(job.project)
        back = stored.change_set.reversed()
        await asyncio.to_thread(require_before, root, back)
    async with work.progress.step("write"):
        head = await head_of(root) if in_git else None
        intent = await work.intend("write", {"root": str(root), "head": head, "branch": None})
        if (commit := stored.written.commit) is not None:
            await go_back(root, stored.change_set, commit)
        else:
            await asyncio.to_thread(write, root, back, prune=True)
        async with work.writing() as store:
            await store_written(store, parameters.baseline, None, None)
            await announce_change(store, None)
        await work.receive(intent, {})
    stays = f" The branch {commit.branch} is still there." if commit is not None else ""
    return Outcome(
        f"Baseline {stored.baseline.revision} taken back",
        f"{root} holds the old migrations again, as they were.{stays}",
        data={"root": str(root), "files": len(stored.change_set.files)},
    )


async def _stored(work: Work[WriteBaselineParameters]) -> StoredBaseline:
    async with work.store.connect() as store:
        return await _required(store, work.job.project, work.job.parameters.baseline)


async def _required(store: AsyncConnection, project: Project, job: int) -> StoredBaseline:
    """The baseline, where it is this project's and proven, and its source may be written. Raises what it is not."""
    stored = await baseline_of(store, job)
    if stored is None or stored.project != project.name:
        raise NotFound(
            f"Job {job} wrote no baseline of {project.name}.", hint="Make one: `cleanstart baseline`."
        )
    if not stored.baseline.proven:
        raise Conflict(
            "This baseline was not proven.", hint="Complete its file by hand, from the change set."
        )
    if not project.clean_start.write:
        raise OperationNotAllowed(
            f"The source of {project.name} is not declared writable.",
            hint=f"Apply the patch by hand, or set `projects.{project.name}.clean_start.write = true`.",
        )
    return stored


def _root(project: Project) -> tuple[Path, bool]:
    """The folder that paths of a change set begin at, and whether it is a git repository."""
    source = checkout(project, None)
    root = repository_root(source)
    return (root, True) if root is not None else (source.resolve(), False)


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
    """Lead files, and in git index and HEAD, back to before: the store holds both sides of every file."""
    parameters, project = evidence.job.parameters, evidence.job.project
    async with evidence.store.connect() as store:
        stored = await baseline_of(store, parameters.baseline)
    if stored is None or not evidence.intents:
        return Reconciled("not done", "Nothing was written.", next_step="Write it again.")
    if not evidence.open_intents:
        return Reconciled("done", "Every file is what the change set says.")
    root, _ = _root(project)
    change = stored.change_set.reversed() if parameters.back else stored.change_set
    found = await asyncio.to_thread(standing, root, change)
    if found.state == "other":
        return Reconciled(
            "unknown",
            f"{', '.join(found.others[:3])} hold something that neither side of the change set says.",
            next_step="See what the source holds, and mend it by hand.",
        )
    what = evidence.open_intents[0].what
    if what["head"] is not None:
        await restore(root, change, what["head"], what["branch"])
    else:
        await asyncio.to_thread(write, root, change.reversed(), prune=not parameters.back)
    return Reconciled(
        "not done", "It was ended on the way; every file is as it was before.", next_step="Start it again."
    )


async def require_named(
    store: AsyncConnection,
    project: Project,
    environment: Environment | None,
    parameters: WriteBaselineParameters,
) -> None:
    """The baseline is there, proven, and may be written. Raises NotFound, Conflict, OperationNotAllowed."""
    await _required(store, project, parameters.baseline)


def told(job: JobRecord) -> Told:
    """The baseline's page says where it is written, and has the way back."""
    number = job.parameters.get("baseline")
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
    offers=(Offer("written baseline", "Write it into the source…", again="Take it back…"),),
    tells=told,
    require_named=require_named,
)
