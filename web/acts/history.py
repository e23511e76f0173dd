"""The history that a job goes by, read anew: may it run?"""

from __future__ import annotations

from typing import Any

from web.errors import SeveralHeads, SourceInvalid
from web.jobs.work import Work
from web.observation.stored_history import StoredHistory, refresh_history
from web.tools.history import History


async def history_that_runs(work: Work[Any]) -> History:
    """The history as it is followed where the job runs, known to the last file and without a problem.

    Raises SourceInvalid.
    """
    return (await source_that_runs(work))[1]


async def source_that_runs(work: Work[Any]) -> tuple[StoredHistory, History]:
    """The same, with the reading of the source that it is of. Raises SourceInvalid."""
    source = await refresh_history(work.store, work.job.project)
    history = source.history
    if history is None:
        raise SourceInvalid(source.reason or "")
    if not history.complete:
        raise SourceInvalid(
            "Part of the history can only be told by the project's code, which did not answer."
        )
    history = history.followed(follow_of(work))
    if history.problems:
        raise SourceInvalid(f"The migrations would not run: {' '.join(history.problems)}")
    return source, history


def require_one_head(history: History) -> None:
    """Which of several heads to go to is not guessed. Raises SeveralHeads."""
    if history.is_ambiguous:
        raise SeveralHeads(history.heads, separate=not history.share_a_base)


def follow_of(work: Work[Any]) -> tuple[str, ...]:
    """Which heads are meant where the job runs."""
    return work.job.project.follow if work.job.place is None else work.job.environment.follow
