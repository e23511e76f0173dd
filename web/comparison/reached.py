"""Whether a replay is what was asked for: which version rows it reached, which migrations were seen to run."""

from __future__ import annotations

from collections.abc import Collection

from web.errors import OperationFailed
from web.tools.ending import UpgradeResult
from web.tools.history import History


class NotReached(OperationFailed):
    """A replay ended at other version rows than it was to reach: what it made is not what was asked for."""

    title = "The replay did not reach what was asked for"
    hint = (
        "Where a prelude makes what the newest migration gives, and stamps that, nothing older can be made. Else "
        "see whether the project's code goes where it is told to."
    )


class NotRun(OperationFailed):
    """A migration that was to be tried was never seen to run."""

    title = "The migration was never run"
    hint = (
        "See whether the project's own code goes to migrations elsewhere, or runs its tool with another configuration "
        "than the one that Clean Start is told of."
    )


def require_reached(history: History, asked: Collection[str], result: UpgradeResult) -> None:
    """Refuse a replay that ended elsewhere, or was cut off. Raises NotReached.

    Compared is what stands for them in a database: one row may stand for several revisions.
    """
    if result.cut_off:
        raise NotReached(f"The replay was ended before it was done. {result.remark}")
    if set(history.effective(asked)) != set(history.effective(result.applied)):
        raise NotReached(
            f"A replay up to {', '.join(sorted(asked)) or 'no revision'} came to "
            f"{', '.join(result.applied) or 'no revision'}."
        )


def require_run(revision: str, result: UpgradeResult) -> None:
    """Refuse what is about to be said of a migration that was not seen to come to its end. Raises NotRun."""
    ran = [one.revision for one in result.ran]
    if revision not in ran:
        what = f"it ran {', '.join(ran[-3:])}" if ran else "it ran none"
        raise NotRun(f"The project's migration tool did not run {revision}; {what}.")
