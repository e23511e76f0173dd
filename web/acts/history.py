"""The history that a job goes by, read anew: may it run?"""

from __future__ import annotations

from typing import Any

from web.errors import SeveralHeads, SourceInvalid
from web.jobs.work import Work
from web.observation.stored_history import refresh_history
from web.tools.history import History


async def history_that_runs(work: Work[Any]) -> History:
    """The project's history, known to the last file and without a problem. Raises SourceInvalid."""
    source = await refresh_history(work.store, work.job.project)
    history = source.history
    if history is None:
        raise SourceInvalid(source.reason or "")
    if not history.complete:
        raise SourceInvalid(
            "Part of the history can only be told by the project's code, which did not answer."
        )
    if history.problems:
        raise SourceInvalid(f"The migrations would not run: {' '.join(history.problems)}")
    return history


def require_one_head(history: History) -> None:
    """Which of several heads to go to is not guessed. Raises SeveralHeads."""
    if len(history.heads) > 1:
        raise SeveralHeads(history.heads)
