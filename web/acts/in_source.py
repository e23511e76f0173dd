"""Writing a change set into a project's source, forth and back: what both ways share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from web.config import Project
from web.errors import Conflict, NotFound, OperationNotAllowed
from web.jobs.job import Reconciled
from web.jobs.work import Evidence, Work
from web.remedies.change_set import ChangeSet
from web.remedies.git_branch import repository_root, restore
from web.remedies.source_files import standing, write
from web.remedies.stored_baselines import baseline_of, newest_baseline
from web.remedies.stored_change_sets import StoredChangeSet, change_set_of, noun_of
from web.remedies.stored_merges import merge_of
from web.tools.confinement import checkout


@asynccontextmanager
async def alone_in_source(work: Work[Any]) -> AsyncIterator[None]:
    """One job at a time writes into a project's source. Raises Conflict."""
    project = work.job.project.name
    async with work.store.connect() as ours:
        free = await ours.scalar(
            text("SELECT pg_try_advisory_lock(hashtextextended(:key, 0))"),
            {"key": f"cleanstart source {project}"},
        )
        if not free:
            raise Conflict(f"Another job writes into the source of {project} right now.")
        try:
            yield
        finally:
            await ours.execute(text("SELECT pg_advisory_unlock_all()"))


async def writable_change_set(
    store: AsyncConnection, project: Project, *, baseline: int | None, merge: int | None
) -> StoredChangeSet:
    """The change set of a job (None: of the newest baseline), where it is this project's and may be written.

    Raises NotFound, Conflict, OperationNotAllowed.
    """
    stored = await _change_set(store, project, baseline, merge)
    if not stored.proven:
        raise Conflict(
            f"This {noun_of(stored)} was not proven.",
            hint="Complete its file by hand, from the change set.",
        )
    if not project.clean_start.write:
        raise OperationNotAllowed(
            f"The source of {project.name} is not declared writable.",
            hint=f"Apply the patch by hand, or set `projects.{project.name}.clean_start.write = true`.",
        )
    return stored


async def _change_set(
    store: AsyncConnection, project: Project, baseline: int | None, merge: int | None
) -> StoredChangeSet:
    stored: StoredChangeSet | None
    if merge is not None:
        stored = await merge_of(store, merge)
        missing = NotFound(
            f"Job {merge} merged no heads of {project.name}.", hint="Merge them: `cleanstart merge-heads`."
        )
    else:
        stored = await (
            newest_baseline(store, project.name) if baseline is None else baseline_of(store, baseline)
        )
        said = f"Job {baseline} wrote no baseline of" if baseline is not None else "There is no baseline of"
        missing = NotFound(f"{said} {project.name}.", hint="Make one: `cleanstart baseline`.")
    if stored is None or stored.project != project.name:
        raise missing
    return stored


def root_of(project: Project) -> tuple[Path, bool]:
    """The folder that paths of a change set begin at, and whether it is a git repository."""
    source = checkout(project, None)
    root = repository_root(source)
    return (root, True) if root is not None else (source.resolve(), False)


async def put_back(evidence: Evidence[Any], *, back: bool) -> Reconciled:
    """Lead files, and in git index and HEAD, back to before a run that had begun to write.

    The intent says whose change set it was, what was checked out (`head`) and which branch was new (`branch`). `back`:
    it was taking it back.
    """
    if not evidence.intents:
        return Reconciled("not done", "Nothing was written.", next_step="Start it again.")
    if not evidence.open_intents:
        return Reconciled("done", "Every file is what the change set says.")
    what = evidence.open_intents[0].what
    async with evidence.store.connect() as store:
        # Older intents say it by another name.
        stored = await change_set_of(store, what.get("made_by", what.get("baseline")))
    if stored is None:
        return Reconciled(
            "unknown", "The change set is not kept any more.", next_step="See what the source holds."
        )
    change: ChangeSet = stored.change_set.reversed() if back else stored.change_set
    root, _ = root_of(evidence.job.project)
    found = await asyncio.to_thread(standing, root, change)
    if found.state == "other":
        return Reconciled(
            "unknown",
            f"{', '.join(found.others[:3])} hold something that neither side of the change set says.",
            next_step="See what the source holds, and mend it by hand.",
        )
    if what["head"] is not None:
        await restore(root, change, what["head"], what["branch"])
    else:
        await asyncio.to_thread(write, root, change.reversed(), prune=not back)
    return Reconciled(
        "not done", "It was ended on the way; every file is as it was before.", next_step="Start it again."
    )
