"""A job's end: what it left is looked at, then its final state is written, whoever ends it and however.

The one place for every kind and every ending, so that none can forget it: runs that came to their end, failed or
were cancelled (`execution.py`), and those whose worker died (`reconcile.py`).
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from typing import Any

from web.errors import CleanStartError
from web.jobs.attempt import Attempt
from web.jobs.events import state_event
from web.jobs.failpoints import failpoint
from web.jobs.job import JobState, Unproven
from web.jobs.loading import Equipment, LoadedJob
from web.jobs.witness import WITNESS_WITHIN, Aftermath, WitnessedJob, leave_unseen, observe_after

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Ending:
    """A final state and what is said about it."""

    state: JobState
    title: str
    account: str = ""
    next_step: str = ""
    evidence: dict[str, Any] | None = None
    data: dict[str, Any] | None = None
    error: dict[str, Any] | None = None
    #: What is in doubt from now on.
    leaves: Unproven | None = None

    def as_json(self) -> dict[str, Any]:
        """The job's `outcome`."""
        return {
            "title": self.title,
            "account": self.account,
            "next_step": self.next_step,
            "evidence": self.evidence or {},
            "data": self.data or {},
            "error": self.error,
        }


async def conclude(
    equipment: Equipment,
    loaded: LoadedJob,
    attempt: Attempt,
    verdict: Ending,
    *,
    gone: bool = True,
    within: float = WITNESS_WITHIN,
) -> None:
    """Look at what the job left while its gate is still closed, then write the final state. Raises FencedOff.

    `gone`: nothing of it is alive any more. Where it is not known to be, or where the database does not answer
    within `within` seconds, a look stays owed (`environment_state.seen_job`), and the schedule sees to it.
    """
    aftermath = Aftermath()
    if loaded.kind.mutating:
        witnessed = WitnessedJob(loaded.job, attempt, equipment.store, equipment.resources, loaded.identity)
        if equipment.witness is not None:
            if gone:
                await observe_after(equipment.witness, witnessed, within)
            else:
                # What it started may still be at work: what is there now is not what it leaves.
                await leave_unseen(witnessed, "It was given up before it was seen gone.")
        if gone and equipment.observe_after is not None:
            aftermath = await _observe(equipment, witnessed, within)
    await finish(
        attempt,
        verdict,
        leaves=_left(loaded, verdict),
        aftermath=aftermath,
        renewed=loaded.kind.renews and verdict.state == "succeeded",
    )


async def _observe(equipment: Equipment, witnessed: WitnessedJob, within: float) -> Aftermath:
    """Look at the environment; that this fails only leaves the look owed."""
    assert equipment.observe_after is not None
    try:
        async with asyncio.timeout(within):
            return await equipment.observe_after(witnessed)
    except (TimeoutError, CleanStartError) as error:
        logger.warning("Job %s: the check after it failed (%s).", witnessed.job.id, type(error).__name__)
    except Exception:
        logger.exception("Job %s: the check after it failed.", witnessed.job.id)
    return Aftermath()


def _left(loaded: LoadedJob, verdict: Ending) -> Unproven | None:
    if not loaded.kind.mutating or loaded.kind.harmless:
        return None
    if verdict.leaves is None and verdict.state == "unknown":
        return Unproven(verdict.account)
    return verdict.leaves


async def finish(
    attempt: Attempt,
    verdict: Ending,
    *,
    leaves: Unproven | None = None,
    aftermath: Aftermath | None = None,
    renewed: bool = False,
) -> None:
    """Write the final state, and what it leaves in doubt. Raises FencedOff."""
    failpoint("before-status")
    event = state_event(attempt.next_seq(), verdict.state, verdict.title, {"account": verdict.account})
    steps = {"failed": "failed", "cancelled": "cancelled", "succeeded": "succeeded"}.get(
        verdict.state, "unknown"
    )
    await attempt.finish(
        verdict.state,
        verdict.as_json(),
        last_event=event,
        unfinished_steps=steps,
        leaves=leaves,
        proof=aftermath.proof if aftermath else None,
        renewed=renewed,
    )
    failpoint("after-status")
