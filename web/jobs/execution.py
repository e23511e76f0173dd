"""One job running in this process: from opening its attempt to its final, true state."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from web.errors import CleanStartError, FencedOff
from web.jobs.attempt import Attempt, open_attempt
from web.jobs.conclusion import Ending, conclude, finish
from web.jobs.ending import Ended, as_json, end_backends, end_process_groups
from web.jobs.events import state_event
from web.jobs.job import BY_SCHEDULE, Intent, JobState, Outcome, Reconciled
from web.jobs.loading import Equipment, LoadedJob, load_job, load_remains
from web.jobs.patience import patiently
from web.jobs.progress import Progress
from web.jobs.reading import read_intents
from web.jobs.witness import WITNESS_WITHIN, WITNESS_WITHIN_CANCELLED, WitnessedJob, observe_before
from web.jobs.work import Evidence, Work

logger = logging.getLogger(__name__)

#: So long a cancelled run is left alone to end what it started, in seconds.
_ALONE = 1.0
#: So long its statements are cancelled; then its backends are terminated.
_CANCEL_FOR = 3.0
#: So long it is waited for until everything is seen gone; then the reaper takes over.
_WAIT = 7.5
#: How long a kind may look at what it did.
RECONCILE_WITHIN = 60.0

Reason = Literal["cancelled", "stopped", "fenced off"]


@dataclass(frozen=True, slots=True)
class Stopped:
    """Why a run did not come to its end, although its worker lived to see that."""

    #: "cancelled" by a person or with the worker, else "failed".
    reason: Literal["cancelled", "failed"]
    #: Who wanted it; empty where it failed.
    why: str = ""
    #: What it failed with, as `described` gives it.
    error: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Write it down for a reaper."""
        return {"reason": self.reason, "why": self.why, "error": self.error}


class Execution:
    """A job that this process has taken. `run` it once; `stop` may be called at any time."""

    def __init__(self, equipment: Equipment, job_id: int) -> None:
        self.job_id = job_id
        self.attempt: Attempt | None = None
        #: Whether the schedule asked for it and it changes nothing: it is asked for again when it was cut short.
        self.comes_again = False
        self._equipment = equipment
        self._stop = asyncio.Event()
        self._reason: Reason | None = None
        self._by = ""

    def stop(self, reason: Reason, by: str = "") -> None:
        """Ask the run to end: because of a person, because this worker stops, or because it was replaced."""
        if self._reason is None or reason == "fenced off":
            self._reason, self._by = reason, by
        self._stop.set()

    async def run(self) -> None:
        """Run the job to a final state. Returns at once if somebody else has taken or ended it."""
        self.attempt = await open_attempt(self._equipment.store, self.job_id, self._equipment.worker)
        if self.attempt is None:
            return
        try:
            await self._run(self.attempt)
        except FencedOff:
            logger.warning("Attempt %s of job %s was fenced off.", self.attempt.number, self.job_id)

    async def _run(self, attempt: Attempt) -> None:
        try:
            loaded = await patiently(self._load)
        except CleanStartError as error:
            await finish(
                attempt, Ending("not done", "Not begun", f"{error}", error.hint, error=described(error))
            )
            return None
        self.comes_again = loaded.job.requested_by == BY_SCHEDULE and not loaded.kind.mutating
        progress = Progress(attempt, {step.name: step.title for step in loaded.kind.steps})
        work = Work(
            job=loaded.job,
            attempt=attempt,
            progress=progress,
            configuration=self._equipment.configuration,
            resources=self._equipment.resources,
            store=self._equipment.store,
            identity=loaded.identity,
        )
        run = asyncio.ensure_future(self._witnessed(work, loaded))
        try:
            ended = await self._await_end(run, attempt, loaded, progress)
            if ended.left and loaded.kind.mutating:
                verdict = None
            else:
                verdict = await self._judge(run, attempt, loaded, ended)
                if verdict.state == "succeeded":
                    await self._tell_error(run, progress)
        finally:
            await progress.close()
        if verdict is None:
            return await self._hand_over(attempt, self._stopped(run), ended)
        within = WITNESS_WITHIN if self._reason is None else WITNESS_WITHIN_CANCELLED
        return await conclude(self._equipment, loaded, attempt, verdict, within=within)

    async def _witnessed(self, work: Work[Any], loaded: LoadedJob) -> Outcome:
        """Run the kind; where it may change something, look at the target first."""
        if self._equipment.witness is not None and loaded.kind.mutating:
            resources, store = self._equipment.resources, self._equipment.store
            witnessed = WitnessedJob(loaded.job, work.attempt, store, resources, loaded.identity)
            await observe_before(self._equipment.witness, witnessed)
        return await loaded.kind.run(work)

    async def _load(self) -> LoadedJob:
        async with self._equipment.store.connect() as connection:
            return await load_job(connection, self._equipment, self.job_id)

    async def _await_end(
        self, run: asyncio.Future[Outcome], attempt: Attempt, loaded: LoadedJob, progress: Progress
    ) -> Ended:
        """Wait for the run's end, or end it when asked to; then see gone whatever it left behind."""
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            either: list[asyncio.Future[Any]] = [run, stop]
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
        if run.done() and not run.cancelled() and run.exception() is None:
            return Ended()
        if not run.done():
            if self._reason == "fenced off":
                # Whoever replaced this attempt has ended its backends; what is written here counts no more.
                run.cancel()
                await asyncio.wait({run}, timeout=_ALONE)
                raise FencedOff
            with suppress(FencedOff):
                await progress.log(f"Cancelling: {self._why()}.", level="warning")
            run.cancel()
            await asyncio.wait({run}, timeout=_ALONE)
        ending = asyncio.ensure_future(self._end_remains(attempt, loaded))
        both: list[asyncio.Future[Any]] = [run, ending]
        await asyncio.wait(both, timeout=_WAIT)
        if not ending.done():
            ending.cancel()
            await asyncio.wait({ending}, timeout=1.0)
            return Ended(left=["what it started could not be seen gone in time"])
        if not run.done():
            return Ended(ended=ending.result().ended, left=["the run itself does not end"])
        return ending.result()

    async def _end_remains(self, attempt: Attempt, loaded: LoadedJob) -> Ended:
        """Signal the process groups, cancel the statements, and see it all gone."""

        async def read() -> Any:
            async with self._equipment.store.connect() as connection:
                return await load_remains(connection, self.job_id, [attempt.number])

        remains = await patiently(read)
        if not remains.backends and not remains.groups:
            return Ended()
        groups = await end_process_groups(remains, within=_WAIT)
        if loaded.job.place is None:
            return Ended(groups.ended, groups.left)
        try:
            url = loaded.job.environment.url.read()
            backends = await end_backends(url, loaded.identity, remains, cancel_for=_CANCEL_FOR, within=_WAIT)
        except CleanStartError as error:
            return Ended(groups.ended, [*groups.left, f"backends could not be looked at: {error}"])
        return Ended(groups.ended + backends.ended, groups.left + backends.left)

    async def _judge(
        self, run: asyncio.Future[Outcome], attempt: Attempt, loaded: LoadedJob, ended: Ended
    ) -> Ending:
        """Say how it ended: the run itself where it came to its end, else the kind by looking."""
        if run.done() and not run.cancelled():
            error = run.exception()
            if error is None:
                outcome = run.result()
                return Ending(
                    "succeeded", outcome.title, outcome.account, outcome.next_step, data=dict(outcome.data)
                )
            if isinstance(error, FencedOff):
                raise error
        intents = await patiently(self._intents)
        return await judge(self._equipment, loaded, attempt, intents, self._stopped(run), ended)

    async def _tell_error(self, run: asyncio.Future[Outcome], progress: Progress) -> None:
        """What a run that is done ended with all the same belongs into the log: in the account it would contradict."""
        if run.done() and not run.cancelled() and (error := run.exception()) is not None:
            message = described(error)["message"]
            await progress.log(f"After its acts it ended with an error: {message}", level="warning")

    def _stopped(self, run: asyncio.Future[Outcome]) -> Stopped:
        """Why the run ended without an outcome, or has to."""
        error = run.exception() if run.done() and not run.cancelled() else None
        about = None if error is None or isinstance(error, asyncio.CancelledError) else described(error)
        if self._reason is not None:
            return Stopped("cancelled", self._why(), about)
        return Stopped("failed", error=about) if about is not None else Stopped("cancelled")

    async def _hand_over(self, attempt: Attempt, stopped: Stopped, ended: Ended) -> None:
        """Leave the job to the reaper, its gate closed, because something of the run may still be alive."""
        left = ", ".join(ended.left)
        said = f" {stopped.error['message']}" if stopped.error else ""
        event = state_event(attempt.next_seq(), "interrupted", f"Not yet seen gone: {left}.{said}")
        await attempt.interrupt("left behind", event, stopped.to_json())

    async def _intents(self) -> tuple[Intent, ...]:
        async with self._equipment.store.connect() as connection:
            return await read_intents(connection, self.job_id)

    def _why(self) -> str:
        if self._reason == "cancelled":
            return f"{self._by or 'somebody'} asked for it"
        return "the worker is stopping"


_TITLES: dict[str, str] = {
    "succeeded": "Done",
    "failed": "The operation failed",
    "cancelled": "Cancelled",
    "not done": "Not done",
    "unknown": "Not known how it ended",
}


def _sentence(text: str) -> str:
    """With its full stop, so that another one can follow."""
    text = text.rstrip()
    return text if not text or text[-1] in ".!?:…" else f"{text}."


async def judge(
    equipment: Equipment,
    loaded: LoadedJob,
    attempt: Attempt,
    intents: tuple[Intent, ...],
    stopped: Stopped,
    ended: Ended,
) -> Ending:
    """Say how a run ended that did not come to its end: what was carried out decides, not how the run left.

    Also where there is a receipt for everything the kind says so, by looking; only a run that had begun nothing leaves
    nothing to find out.
    """
    if not intents:
        return _plain(stopped, ended)
    return _reconciled(stopped, await reconcile(equipment, loaded, attempt, intents, stopped.reason), ended)


def _reconciled(stopped: Stopped, found: Reconciled, ended: Ended) -> Ending:
    """The kind's answer; what a run that is done ended with all the same is only evidence."""
    states: dict[str, JobState] = {"done": "succeeded", "unknown": "unknown", "not done": stopped.reason}
    state = states[found.state]
    about = None if stopped.error is None else dict(stopped.error)
    evidence = {
        **found.evidence,
        **({"ended_with": about["title"]} if about and state == "succeeded" else {}),
        **({"remains": as_json(ended)} if ended.ended or ended.left else {}),
    }
    about = about if state != "succeeded" else None
    failure = about if stopped.reason == "failed" else None
    said = [failure["message"]] if failure else []
    if stopped.reason == "cancelled" and stopped.why:
        said.append(
            f"It was cancelled when that was done: {stopped.why}."
            if state == "succeeded"
            else f"Cancelled: {stopped.why}."
        )
    return Ending(
        state,
        failure["title"] if failure and state == "failed" else _TITLES[state],
        " ".join(_sentence(each) for each in (*said, found.account)),
        found.next_step or (failure["hint"] if failure else ""),
        evidence=evidence,
        error=about,
        leaves=found.leaves,
    )


def _plain(stopped: Stopped, ended: Ended) -> Ending:
    """It had begun nothing, so nothing has to be found out."""
    what = "Nothing had been changed."
    evidence = {"remains": as_json(ended)} if ended.ended or ended.left else None
    error = stopped.error
    if stopped.reason == "failed" and error is not None:
        return Ending(
            "failed", error["title"], error["message"], error["hint"], evidence=evidence, error=dict(error)
        )
    why = f"{stopped.why[0].upper()}{stopped.why[1:]}. " if stopped.why else ""
    return Ending("cancelled", _TITLES["cancelled"], f"{why}{what}", evidence=evidence)


async def reconcile(
    equipment: Equipment,
    loaded: LoadedJob,
    attempt: Attempt,
    intents: tuple[Intent, ...],
    reason: Literal["worker died", "cancelled", "failed"],
) -> Reconciled:
    """Ask the kind how a job ended. What it cannot find out in time, or by an error, is unknown."""
    evidence: Evidence[Any] = Evidence(
        job=loaded.job,
        reason=reason,
        intents=intents,
        configuration=equipment.configuration,
        resources=equipment.resources,
        store=equipment.store,
        identity=loaded.identity,
        attempt=attempt,
    )
    try:
        async with asyncio.timeout(RECONCILE_WITHIN):
            return await loaded.kind.reconcile(evidence)
    except FencedOff:
        raise
    except TimeoutError:
        why = f"Looking took longer than {RECONCILE_WITHIN:g} s."
    except Exception as error:
        why = described(error)["message"]
    return Reconciled(
        "unknown",
        f"It could not be found out how it ended. {why}",
        {"open": [{"step": intent.step, "what": dict(intent.what)} for intent in evidence.open_intents]},
        "Look at the database before you do anything else with it.",
    )


def described(error: BaseException) -> dict[str, Any]:
    """An error as pages may show it. One that is not ours is a bug, and its text is not shown."""
    if isinstance(error, CleanStartError):
        return {
            "type": type(error).__name__,
            "title": error.title,
            "message": str(error),
            "hint": error.hint,
        }
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    logger.error("A job ended with %s.\n%s", type(error).__name__, where)
    return {
        "type": type(error).__name__,
        "title": "Something went wrong",
        "message": f"An unexpected {type(error).__name__}; the worker's log says where.",
        "hint": "Please report this.",
    }
