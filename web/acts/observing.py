"""Looks that operations take themselves: at the drift that an act starts from, and at what an act has left."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from web.errors import CleanStartError, Conflict, TargetUnavailable
from web.jobs.work import Work
from web.observation.observe import observe
from web.observation.records import Observation


async def observe_anew(work: Work[Any]) -> Observation:
    """Observe the job's environment anew, its whole schema."""
    return await observe(
        work.store,
        work.job.project,
        work.job.environment,
        work.resources.scratch,
        full=True,
        application_name=work.application_name,
    )


async def observe_afterwards(work: Work[Any]) -> str:
    """Say how what an act has left stands; that this fails changes nothing about the act.

    For the account of who has come so far: that the environment is looked at, however a job ends, the engine sees to.
    """
    with suppress(CleanStartError):
        seen = await observe_anew(work)
        if not seen.reachable:
            return "It was not reached afterwards."
        return f"Drift afterwards: {_lowered(seen.drift.words)}."
    return ""


def _lowered(words: str) -> str:
    return words[0].lower() + words[1:]


async def observe_drift(work: Work[Any]) -> Observation:
    """Look, and be sure of the answer: there is drift, or there is none.

    Raises TargetUnavailable, and Conflict where it cannot be told.
    """
    seen = await observe_anew(work)
    if not seen.reachable:
        told = seen.error or {"message": "The database was not reached."}
        raise TargetUnavailable(told["message"], hint=told.get("hint") or None)
    if seen.drift.state not in ("none", "drifted"):
        raise Conflict(seen.drift.reason or seen.drift.words, hint="This starts from known differences.")
    return seen
