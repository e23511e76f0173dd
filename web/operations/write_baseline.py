"""Write baseline: put the change set of a baseline, or of a merge of heads, into a source that is declared writable.

In a git repository it becomes a commit on a branch of its own, which is checked out; elsewhere the files themselves.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.acts.in_source import alone_in_source, put_back, root_of, writable_change_set
from web.answers.verdict import verdict
from web.config import Environment, Project
from web.errors import Conflict
from web.jobs.events import announce_change
from web.jobs.job import Outcome, Reconciled, StepTitle
from web.jobs.reading import JobRecord
from web.jobs.work import Evidence, Work
from web.observation.records import read_records
from web.observation.stored_history import load_history, refresh_history
from web.operations.parameters import OfChangeSet
from web.remedies.git_branch import Written, commit_on_branch, free_branch, head_of
from web.remedies.source_files import require_before, write
from web.remedies.stored_baselines import StoredBaseline
from web.remedies.stored_change_sets import StoredChangeSet, noun_of, store_written
from web.remedies.stored_merges import StoredMerge
from web.starting.operation import Offer, Onward, Operation, Told


class WriteBaselineParameters(OfChangeSet):
    """What writing a change set takes."""

    branch: str = Field(
        default="",
        max_length=200,
        title="Branch",
        description="In a git repository; left empty, it is named after the revision.",
    )


async def run(work: Work[WriteBaselineParameters]) -> Outcome:
    """Compare the source with what the change set stands on, then write all of it or nothing."""
    async with alone_in_source(work):
        return await _write(work)


async def _write(work: Work[WriteBaselineParameters]) -> Outcome:
    job, parameters = work.job, work.job.parameters
    async with work.progress.step("check"):
        async with work.store.connect() as store:
            stored = await writable_change_set(
                store, job.project, baseline=parameters.baseline, merge=parameters.merge
            )
        noun, revision = noun_of(stored), stored.revision
        if stored.written is not None:
            raise Conflict(f"{noun.capitalize()} {revision} is written already.")
        if isinstance(stored, StoredMerge):
            await _require_merged(work, stored)
        root, in_git = root_of(job.project)
        await asyncio.to_thread(require_before, root, stored.change_set)
        await work.progress.log(f"{root} is what the change set of job {stored.job_id} stands on")
    files = words.plural(len(stored.change_set.files), "file")
    async with work.progress.step("write"):
        branch = head = None
        if in_git:
            branch = parameters.branch.strip() or await free_branch(root, f"clean-start/{revision}")
            head = await head_of(root)
        intent = await work.intend(
            "write", {"made_by": stored.job_id, "root": str(root), "head": head, "branch": branch}
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
            await store_written(store, stored, job.id, written)
            await announce_change(store, None)
        await work.receive(intent, {"commit": written.commit if written else None})
    # Pages and gates know at once what is in the source now.
    await refresh_history(work.store, job.project)
    if written is None:
        return Outcome(
            f"{noun.capitalize()} {revision} written into the source",
            f"What the change set says is in {root} now, in {files}: {_what(stored)}.",
            f"Review and commit it. {_databases(stored)}",
            data={noun: stored.job_id, "root": str(root), "files": len(stored.change_set.files)},
        )
    return Outcome(
        f"{noun.capitalize()} {revision} committed on {written.branch}",
        f"Commit {written.commit[:12]} changes {files}, and {root} has that branch checked out now. Before it was at "
        f"{written.previous.removeprefix('refs/heads/')}.",
        f"Review it, push it, and merge it: `git show {written.commit[:12]}`. {_databases(stored)}",
        data={
            noun: stored.job_id,
            "root": str(root),
            "files": len(stored.change_set.files),
            "branch": written.branch,
            "commit": written.commit,
            "previous": written.previous,
        },
    )


async def _require_merged(work: Work[WriteBaselineParameters], stored: StoredMerge) -> None:
    """One new file fits anywhere; what was proven of it stands on the migrations that it joins. Raises Conflict."""
    source = await refresh_history(work.store, work.job.project)
    if source.digest != stored.merge.history:
        raise Conflict("The migrations are not those that were merged.", hint="Merge the heads again.")


def _what(stored: StoredChangeSet) -> str:
    if isinstance(stored, StoredBaseline):
        return "one migration, and the old ones where their archive is"
    return f"one migration that follows {', '.join(stored.merge.heads)}"


def _databases(stored: StoredChangeSet) -> str:
    if isinstance(stored, StoredBaseline):
        return "Databases that have the old migrations are not touched: their rows have to be exchanged."
    return "A database gets it with its next migrate."


def _message(stored: StoredChangeSet, job: int) -> str:
    jobs = f"Clean Start, jobs {stored.job_id} and {job}\n"
    if not isinstance(stored, StoredBaseline):
        ways = words.plural(len(stored.merge.orders), "order")
        return (
            f"Merge the heads {', '.join(stored.merge.heads)}\n\nIn {ways} of the branches, and from nothing, scratch "
            f"databases\nhave the same schema after it.\n\n{jobs}"
        )
    count = words.plural(len(stored.manifest["migrations"]), "migration")
    kept = next((each["kept"] for each in stored.manifest["migrations"] if each["kept"]), None)
    where = (
        "They lie in an archive, with a manifest that maps each revision to the baseline."
        if kept
        else "They are deleted; the dashboard keeps them."
    )
    return (
        f"Replace {count} by the baseline {stored.baseline.revision}\n\n{where} From nothing it gives exactly "
        f"{stored.source},\nas a scratch database showed.\n\n{jobs}"
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
    """The change set is there, proven, and may be written. Raises NotFound, Conflict, OperationNotAllowed."""
    await writable_change_set(store, project, baseline=parameters.baseline, merge=parameters.merge)


_CATCHES_UP = (
    "They are applied from the archive afterwards, before its version row can be exchanged. Without an archive in the "
    "change set, apply them first."
)


async def warns(
    store: AsyncConnection, project: Project, chosen: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Databases that do not have all of what a baseline replaces: what they lack comes from the archive afterwards."""
    if chosen.get("merge"):
        return ()
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
    """The page of what was written says where, and has the way back."""
    return Told(onward=onward_of((job.outcome or {}).get("data", {})))


def onward_of(data: Mapping[str, Any]) -> tuple[Onward, ...]:
    """The way to the page of a change set, which the data of a job's end name by its sort."""
    pages = (("baseline", addresses.baseline), ("merge", addresses.merge))
    return tuple(
        Onward(f"See the {noun}", page(number), "scroll-text")
        for noun, page in pages
        if isinstance(number := data.get(noun), int)
    )


WRITE_BASELINE = Operation(
    name="write-baseline",
    title="Writing of a change set",
    verb="Write the change set into the source of",
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
    noun="writing of a change set",
    icon="git-branch",
    help=(
        "Write the change set of a baseline, or of a merge of heads, into a source that is declared writable; in git "
        "as a commit on a branch."
    ),
    lead=(
        "The change set is written into the project's source, all of it or nothing. In a git repository it becomes a "
        "commit on a branch of its own, which is checked out; nothing is pushed. No database is touched."
    ),
    offers=(
        Offer("proven baseline", "Write it into the source…"),
        Offer("proven merge", "Write it into the source…"),
    ),
    tells=told,
    require_named=require_named,
    warns=warns,
)
