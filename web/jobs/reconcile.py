"""The reaper: finds jobs that nobody works on, ends what they left alive, has the kind say how they ended.

Mostly their worker is dead; or a run stopped and its worker could not see that nothing of it is left.

Every worker runs one. A job is claimed by opening the next attempt, whose fence shuts out the one before and
any other reaper; no lock is held meanwhile, so a reaper that dies or freezes is itself replaced. It never
runs a job again.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, func, or_, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.orm import aliased

from web.errors import CleanStartError, FencedOff, IdentityMismatch, SecretUnavailable, TargetUnavailable
from web.jobs.attempt import Attempt, end_job, insert_attempt, next_fence
from web.jobs.conclusion import Ending, conclude, finish
from web.jobs.ending import Ended, as_json, end_backends, end_process_groups
from web.jobs.events import announce_job_change, append_events, state_event
from web.jobs.execution import Stopped, described, judge, reconcile
from web.jobs.heartbeat import DEAD_AFTER
from web.jobs.job import JobState, Unproven
from web.jobs.loading import Equipment, LoadedJob, load_job, load_remains
from web.jobs.patience import passes, patiently
from web.jobs.reading import read_intents, read_job
from web.store.tables import JobAttemptRow, JobRow, WorkerRow

logger = logging.getLogger(__name__)

#: Between two looks for jobs without a living worker, and between two tries to see backends gone; seconds.
EVERY = 5.0
#: So long a job of a project that this worker does not know is left to workers that do.
FOR_ITS_OWN = timedelta(hours=1)
#: Outcome of an attempt that a living worker lost hold of: its log says why.
BROKE_OFF = "broke off"

# Queued jobs that no queue will ever bring: never deferred, or fetched by a worker that is dead.
# Returns ids. A restarted store gives its workers time to show themselves.
_LOST = text(
    """
    SELECT j.id FROM job j
     WHERE j.state = 'queued'
       AND greatest(j.requested_at, pg_postmaster_start_time()) < now() - make_interval(secs => :dead)
       AND NOT EXISTS (
           SELECT FROM procrastinate_jobs q
             LEFT JOIN procrastinate_workers w ON w.id = q.worker_id
            WHERE (q.args->>'job_id')::bigint = j.id
              AND (q.status = 'todo'
                   OR q.status = 'doing' AND w.last_heartbeat > now() - make_interval(secs => :dead)))
    """
).bindparams(bindparam("dead", DEAD_AFTER))

# Takes finished jobs out of the queue that a dead worker left there as "doing".
_TIDY = text(
    """
    DELETE FROM procrastinate_jobs q
     USING job j
     WHERE q.status = 'doing'
       AND (q.args->>'job_id')::bigint = j.id
       AND j.state NOT IN ('queued', 'running', 'cancelling')
       AND NOT EXISTS (SELECT FROM procrastinate_workers w
                        WHERE w.id = q.worker_id
                          AND w.last_heartbeat > now() - make_interval(secs => :dead))
    """
).bindparams(bindparam("dead", DEAD_AFTER))


@dataclass(frozen=True, slots=True)
class Abandoned:
    """An unfinished job whose newest attempt nobody works on any more."""

    job_id: int
    attempt_id: int
    worker: str


class Reaper:
    """Looks every five seconds; each claimed job is worked on beside the looking."""

    def __init__(self, equipment: Equipment, running: Callable[[], Collection[int]]) -> None:
        self._equipment = equipment
        self._running = running
        self._claimed: dict[int, tuple[Attempt, asyncio.Task[None]]] = {}

    async def run(self) -> None:
        """Look until cancelled; an absent store only delays."""
        try:
            while True:
                try:
                    await self.look()
                except Exception as error:
                    if not passes(error):
                        logger.exception("The reaper failed; it goes on.")
                await asyncio.sleep(EVERY)
        finally:
            await self._release()

    async def look(self) -> None:
        """Claim what is abandoned, end what the queue has lost."""
        async with self._equipment.store.connect() as connection:
            abandoned = await self._abandoned(connection)
            lost = (await connection.execute(_LOST)).scalars().all()
        for job in abandoned:
            if job.job_id not in self._claimed and (attempt := await self._claim(job)) is not None:
                task = asyncio.create_task(self._reap(attempt, job), name=f"reap job {job.job_id}")
                self._claimed[job.job_id] = (attempt, task)
                task.add_done_callback(partial(self._done, job.job_id))
        for job_id in lost:
            if job_id not in self._running():
                await self._end_lost(job_id)
        async with self._equipment.store.begin() as connection:
            await connection.execute(_TIDY)

    def _done(self, job_id: int, task: asyncio.Task[None]) -> None:
        self._claimed.pop(job_id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            # The attempt stays open under this worker's name; the next look finds it without anybody at work.
            logger.error("Reaping job %s failed with %s.", job_id, type(error).__name__, exc_info=error)

    async def _release(self) -> None:
        """Give up what is claimed, so that another worker need not wait until this one counts as dead."""
        claimed = list(self._claimed.values())
        for _, task in claimed:
            task.cancel()
        await asyncio.gather(*(task for _, task in claimed), return_exceptions=True)
        for attempt, _ in claimed:
            try:
                async with attempt.writing() as connection:
                    await connection.execute(
                        update(JobAttemptRow)
                        .where(JobAttemptRow.id == attempt.id)
                        .values(ended_at=func.now(), outcome="released")
                    )
            except Exception as error:
                logger.warning("Job %s could not be released (%s).", attempt.job_id, type(error).__name__)

    async def _abandoned(self, connection: AsyncConnection) -> list[Abandoned]:
        newer = aliased(JobAttemptRow)
        rows = await connection.execute(
            select(JobRow.id, JobAttemptRow.id.label("attempt_id"), JobAttemptRow.worker)
            .join(JobAttemptRow, JobAttemptRow.job_id == JobRow.id)
            .where(
                JobRow.state.in_(("running", "cancelling", "interrupted")),
                or_(
                    JobRow.project.in_(self._equipment.configuration.projects),
                    # Its own workers would have come by now; whoever finds it says that it is not known how it ended.
                    ~select(1)
                    .where(
                        WorkerRow.name == JobAttemptRow.worker,
                        WorkerRow.heartbeat_at > func.now() - FOR_ITS_OWN,
                    )
                    .exists(),
                ),
                ~select(1).where(newer.job_id == JobRow.id, newer.fence > JobAttemptRow.fence).exists(),
                or_(_abandoned_attempt(), JobAttemptRow.worker == self._equipment.worker),
            )
        )
        # An attempt of this very worker is abandoned when nobody here works on it.
        here = {*self._running(), *self._claimed}
        return [
            Abandoned(row.id, row.attempt_id, row.worker)
            for row in rows
            if row.worker != self._equipment.worker or row.id not in here
        ]

    async def _claim(self, job: Abandoned) -> Attempt | None:
        """End the attempt and open the next one in one transaction; None where it is not abandoned."""
        store = self._equipment.store
        ours = job.worker == self._equipment.worker
        async with store.begin() as connection:
            # The attempt first, then the job: the order in which attempts write.
            locked = await connection.execute(
                select(JobAttemptRow.id, JobAttemptRow.ended_at)
                .where(JobAttemptRow.id == job.attempt_id, *([] if ours else [_abandoned_attempt()]))
                .with_for_update(of=JobAttemptRow, skip_locked=True)
            )
            if (held := locked.one_or_none()) is None:
                return None
            row = (
                await connection.execute(
                    select(JobRow.state, JobRow.last_seq).where(JobRow.id == job.job_id).with_for_update()
                )
            ).one()
            newest = await connection.scalar(
                select(func.max(JobAttemptRow.id)).where(JobAttemptRow.job_id == job.job_id)
            )
            if row.state not in {"running", "cancelling", "interrupted"} or newest != job.attempt_id:
                return None
            if held.ended_at is None:
                await connection.execute(
                    update(JobAttemptRow)
                    .where(JobAttemptRow.id == job.attempt_id)
                    .values(ended_at=func.now(), outcome=BROKE_OFF if ours else "worker died")
                )
            fence = await next_fence(connection)
            attempt = await insert_attempt(
                connection, store, job.job_id, fence, self._equipment.worker, row.last_seq
            )
            await connection.execute(
                update(JobRow).where(JobRow.id == job.job_id).values(state="interrupted", statement=None)
            )
            gone = f"Worker {job.worker} is gone. " if held.ended_at is None and not ours else ""
            event = state_event(attempt.next_seq(), "interrupted", f"{gone}Finding out how far it came.")
            await append_events(connection, job.job_id, [event])
            await announce_job_change(connection, job.job_id)
        return attempt

    async def _reap(self, attempt: Attempt, job: Abandoned) -> None:
        try:
            try:
                loaded = await patiently(lambda: self._load(job.job_id))
            except CleanStartError as error:
                account = f"It could not be found out how it ended. {error}"
                verdict = Ending("unknown", "Not known how it ended", account, error=described(error))
                await finish(attempt, verdict, leaves=await self._unloaded(job.job_id, account))
                return
            ended = await self._see_gone(attempt, loaded)
            verdict = await self._judge(attempt, loaded, ended)
            await conclude(self._equipment, loaded, attempt, verdict, gone=ended is not None)
        except FencedOff:
            logger.warning("Reaping job %s was taken over by another worker.", job.job_id)

    async def _unloaded(self, job_id: int, account: str) -> Unproven | None:
        """What a job leaves in doubt of which nothing is known but its row: its kind, say, is of another version."""
        async with self._equipment.store.connect() as connection:
            record = await read_job(connection, job_id)
        kind = self._equipment.kinds.by_name.get(record.kind)
        return Unproven(account) if record.mutating and not (kind and kind.harmless) else None

    async def _load(self, job_id: int) -> LoadedJob:
        async with self._equipment.store.connect() as connection:
            return await load_job(connection, self._equipment, job_id)

    async def _see_gone(self, attempt: Attempt, loaded: LoadedJob) -> Ended | None:
        """End everything that the job's attempts left alive; for as long as it takes. None when given up."""
        job_id = attempt.job_id
        everything = Ended()
        waiting_for = ""

        async def read() -> Any:
            async with self._equipment.store.connect() as connection:
                numbers = list(range(1, attempt.number))
                remains = await load_remains(connection, job_id, numbers)
                return remains, await read_intents(connection, job_id)

        while True:
            remains, intents = await patiently(read)
            groups = await end_process_groups(remains)
            everything.ended += groups.ended
            problem = ", ".join(groups.left)
            try:
                if loaded.job.place is not None:
                    url = loaded.job.environment.url.read()
                    backends = await end_backends(url, loaded.identity, remains)
                    everything.ended += backends.ended
                    problem = ", ".join(groups.left + backends.left)
            except (TargetUnavailable, IdentityMismatch, SecretUnavailable) as error:
                if not (remains.backends or remains.groups or intents) or not loaded.kind.mutating:
                    return everything  # it never reached the target, or could not change it
                problem = str(error)
            if not problem:
                return everything
            if not loaded.kind.mutating:
                everything.left.append(problem)
                return everything
            if await patiently(lambda: self._given_up(job_id)):
                return None
            if problem != waiting_for:
                waiting_for = problem
                await self._tell(attempt, f"Waiting until everything it started is seen gone: {problem}")
            await asyncio.sleep(EVERY)

    async def _judge(self, attempt: Attempt, loaded: LoadedJob, ended: Ended | None) -> Ending:
        async def read() -> Any:
            async with self._equipment.store.connect() as connection:
                return await read_intents(connection, attempt.job_id), await read_end_of_run(
                    connection, attempt.job_id
                )

        intents, (outcome, stopped) = await patiently(read)
        if ended is None:
            return Ending(
                "unknown",
                "Not known how it ended",
                f"{loaded.record.cancel_requested_by or 'Somebody'} gave it up before it was seen gone.",
                "Look at the database, and at its sessions, before you do anything else with it.",
                evidence={"open": [intent.step for intent in intents if intent.proof is None]},
            )
        if stopped is not None:
            # The run lived to say what stopped it; only what it had left was to be seen gone.
            return await judge(self._equipment, loaded, attempt, intents, stopped, ended)
        reconciled = await reconcile(self._equipment, loaded, attempt, intents, "worker died")
        states: dict[str, JobState] = {"done": "succeeded", "not done": "not done", "unknown": "unknown"}
        titles = {"done": "Done", "not done": "Not done", "unknown": "Not known how it ended"}
        return Ending(
            states[reconciled.state],
            titles[reconciled.state],
            f"{'It broke off inside its worker' if outcome == BROKE_OFF else 'The worker that ran it died'}. "
            f"{reconciled.account}",
            reconciled.next_step,
            evidence={**reconciled.evidence, "remains": as_json(ended)},
            leaves=reconciled.leaves,
        )

    async def _given_up(self, job_id: int) -> bool:
        """Whether a person asked for the end after the job was interrupted."""
        async with self._equipment.store.connect() as connection:
            since = (
                select(func.min(JobAttemptRow.started_at))
                .where(JobAttemptRow.job_id == job_id, JobAttemptRow.number > 1)
                .scalar_subquery()
            )
            found = await connection.scalar(
                select(JobRow.cancel_requested_at > since).where(JobRow.id == job_id)
            )
            return bool(found)

    async def _tell(self, attempt: Attempt, said: str) -> None:
        event = state_event(attempt.next_seq(), "interrupted", said)

        async def action(connection: AsyncConnection) -> None:
            await append_events(connection, attempt.job_id, [event])

        await attempt.write(action)

    async def _end_lost(self, job_id: int) -> None:
        """End a queued job that no worker will ever get."""
        async with self._equipment.store.begin() as connection:
            row = (
                await connection.execute(
                    select(JobRow.last_seq)
                    .where(JobRow.id == job_id, JobRow.state == "queued")
                    .with_for_update(skip_locked=True)
                )
            ).one_or_none()
            if row is None:
                return
            account = "The queue lost it before it began; nothing was done."
            await end_job(connection, job_id, "not done", {"title": "Not done", "account": account})
            await append_events(
                connection,
                job_id,
                [state_event(row.last_seq + 1, "not done", "Not done", {"account": account})],
            )


async def read_end_of_run(connection: AsyncConnection, job_id: int) -> tuple[str | None, Stopped | None]:
    """How the attempt that ran the job ended, and why it stopped; later ones only found out."""
    row = (
        await connection.execute(
            select(JobAttemptRow.outcome, JobAttemptRow.stopped)
            .where(JobAttemptRow.job_id == job_id)
            .order_by(JobAttemptRow.number)
            .limit(1)
        )
    ).one()
    return row.outcome, None if row.stopped is None else Stopped(**row.stopped)


def _abandoned_attempt() -> ColumnElement[bool]:
    """Whether an attempt is ended or its worker stopped or died.

    A worker's silence counts from the start of the store's server at the earliest: while that was away,
    nobody could give a sign of life.
    """
    limit = func.now() - func.make_interval(0, 0, 0, 0, 0, 0, DEAD_AFTER)
    alive = (
        select(1)
        .where(
            WorkerRow.name == JobAttemptRow.worker,
            WorkerRow.stopped_at.is_(None),
            func.greatest(WorkerRow.heartbeat_at, func.pg_postmaster_start_time()) > limit,
        )
        .exists()
    )
    return or_(JobAttemptRow.ended_at.is_not(None), and_(JobAttemptRow.ended_at.is_(None), ~alive))
