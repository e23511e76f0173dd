"""The worker process: takes jobs from the queue, shows that it lives, cancels, reaps, and stops in order.

What there is to run is handed over by the composition root; how one job runs is in `web.jobs.execution`.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from importlib.metadata import version

import psycopg
from sqlalchemy import event, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncEngine

from web.config import Configuration
from web.jobs.execution import Execution
from web.jobs.heartbeat import DEAD_AFTER, HEARTBEAT
from web.jobs.kind import AnyKind, Kinds
from web.jobs.loading import Equipment
from web.jobs.patience import passes, patiently
from web.jobs.queue import CHANGES, OBSERVATIONS, TASK, connection_parameters, defer, make_app, queue_of
from web.jobs.reconcile import Reaper
from web.jobs.resources import Resources
from web.jobs.witness import ObserveAfter, Witness
from web.store.database import open_store, require_upgraded
from web.store.tables import JobAttemptRow, JobRow, WorkerRow

logger = logging.getLogger(__name__)

#: Requests for cancellation are notified; this often they are also looked up, in seconds.
_LOOK_FOR_CANCELLATIONS = 2.0
#: When it is asked to stop: the seconds that running jobs get to finish, and those to end once they are cancelled.
GRACE, ENDING = 10.0, 20.0
#: What was cancelled and has not ended is cancelled again after so many seconds.
_INSIST = 5.0

Schedule = Callable[[AsyncEngine], Awaitable[None]]


async def run_worker(
    configuration: Configuration,
    kinds: tuple[AnyKind, ...],
    *,
    store_url: str,
    resources: Resources,
    witness: Witness | None = None,
    observe_after: ObserveAfter | None = None,
    concurrency: int = 4,
    observers: int = 4,
    schedule: Schedule | None = None,
    schedule_every: float = 10.0,
    grace: float = GRACE,
    follow_parent: bool = False,
    stop: asyncio.Event | None = None,
    handle_signals: bool = True,
) -> None:
    """Work until SIGTERM or SIGINT (or `stop` is set), then stop in order.

    Args:
        witness: looks at targets before and after mutating jobs.
        observe_after: observes their environments when they end.
        concurrency: how many changing jobs run at once; `observers`: how many of those that only look.
        schedule: called every `schedule_every` seconds by one worker at a time to start what is due.
        grace: how many seconds running jobs get to finish before they are cancelled.
        follow_parent: stop when the parent process dies.
        handle_signals: False where the process has more to stop than this worker.

    Raises:
        StoreNotReady: the store is not at this version's revision.
    """
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    numbers = (signal.SIGTERM, signal.SIGINT) if handle_signals else ()
    for number in numbers:
        loop.add_signal_handler(number, stop.set)
    store = open_store(store_url, pool_size=concurrency + observers + 6)
    event.listen(store.sync_engine, "connect", _limit_idle_transactions)
    try:
        await require_upgraded(store)
        worker = Worker(
            Equipment(store, configuration, Kinds(kinds), resources, worker_name(), witness, observe_after),
            concurrency={CHANGES: concurrency, OBSERVATIONS: observers},
            schedule=schedule,
            schedule_every=schedule_every,
        )
        await worker.run(stop, grace=grace, follow_parent=follow_parent)
    finally:
        await store.dispose()
        for number in numbers:
            loop.remove_signal_handler(number)


def worker_name() -> str:
    """A name that no other process, earlier or later, has."""
    return f"{socket.gethostname()}/{os.getpid()}/{uuid.uuid4().hex[:6]}"


class Worker:
    """A worker process's life."""

    def __init__(
        self,
        equipment: Equipment,
        *,
        concurrency: dict[str, int],
        schedule: Schedule | None,
        schedule_every: float,
    ) -> None:
        self._equipment = equipment
        self._store = equipment.store
        self._concurrency = concurrency
        self._slots = {queue: asyncio.Semaphore(number) for queue, number in concurrency.items()}
        self._schedule = schedule
        self._schedule_every = schedule_every
        self._executions: dict[int, tuple[Execution, asyncio.Task[None]]] = {}
        self._waiting: dict[int, str] = {}
        self._stopping = False
        self._reaper = Reaper(equipment, lambda: self._executions.keys())

    async def run(self, stop: asyncio.Event, *, grace: float, follow_parent: bool) -> None:
        """Work until `stop` is set; then finish or cancel what runs, and say that this worker has stopped."""
        tasks = [asyncio.create_task(self._watch_parent(stop), name="parent")] if follow_parent else []
        if not await self._first_sign_of_life(stop):
            return await _end(tasks)
        lasting: dict[str, Callable[[], Awaitable[None]]] = {
            "heartbeat": self._beat,
            "cancellations": self._watch_cancellations,
            "reaper": self._reaper.run,
            **({"schedule": self._run_schedule} if self._schedule is not None else {}),
        }
        tasks += [asyncio.create_task(self._keep(name, run), name=name) for name, run in lasting.items()]
        fetching = [
            asyncio.create_task(self._keep(queue, partial(self._fetch, queue)), name=queue)
            for queue in self._concurrency
        ]
        try:
            await stop.wait()
        finally:
            self._stopping = True
            await _end(fetching)
            await self._finish_executions(grace)
            await _end(tasks)
            with suppress(Exception):
                async with asyncio.timeout(5), self._store.begin() as connection:
                    await connection.execute(
                        update(WorkerRow)
                        .where(WorkerRow.name == self._equipment.worker)
                        .values(stopped_at=func.now())
                    )

    async def _first_sign_of_life(self, stop: asyncio.Event) -> bool:
        """Write this worker down before it takes anything; False: it was stopped while the store was away."""
        shown = asyncio.create_task(patiently(self._show_life))
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait([shown, stopped], return_when=asyncio.FIRST_COMPLETED)
            if shown.done():
                shown.result()
            return shown.done()
        finally:
            shown.cancel()
            stopped.cancel()

    async def _keep(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run something for as long as the worker lives; after an error again.

        The flag beside cancellation: Procrastinate's worker swallows that one when the store is away.
        """
        while not self._stopping:
            try:
                await run()
            except Exception as error:
                if passes(error):
                    logger.warning("%s: the store does not answer; trying again.", name)
                else:
                    logger.exception("%s failed; starting it again.", name)
            await asyncio.sleep(1.0)

    async def _beat(self) -> None:
        while True:
            async with asyncio.timeout(HEARTBEAT):
                await self._show_life()
            await asyncio.sleep(HEARTBEAT)

    async def _show_life(self) -> None:
        values = {"heartbeat_at": func.now(), "stopped_at": None}
        async with self._store.begin() as connection:
            await connection.execute(
                insert_or(WorkerRow)
                .values(
                    name=self._equipment.worker,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    version=version("cleanstart"),
                    wall=self._equipment.resources.wall,
                )
                .on_conflict_do_update(index_elements=["name"], set_=values)
            )

    async def _fetch(self, lane: str) -> None:
        """Let Procrastinate bring the jobs of one lane. Returns when it has stopped by itself (store away).

        A job's run does not hang on it: while this starts again, runs go on.
        """
        app = make_app(self._store, connections=3)

        @app.task(name=TASK, queue=lane)
        async def run_job(job_id: int) -> None:
            await asyncio.shield(self._execute(job_id, lane))

        async with app.open_async():
            await app.run_worker_async(
                # The lane itself had all jobs before there was a queue for each project.
                queues=[lane, *(queue_of(lane, each) for each in self._equipment.configuration.projects)],
                name=self._equipment.worker,
                concurrency=self._concurrency[lane],
                install_signal_handlers=False,
                update_heartbeat_interval=HEARTBEAT,
                stalled_worker_timeout=DEAD_AFTER,
                shutdown_graceful_timeout=0.2,
                delete_jobs="always",
            )

    def _execute(self, job_id: int, queue: str) -> asyncio.Task[None]:
        if job_id in self._executions:
            return self._executions[job_id][1]
        execution = Execution(self._equipment, job_id)

        async def run() -> None:
            try:
                async with self._slots[queue]:
                    del self._waiting[job_id]
                    await execution.run()
            except Exception as error:
                # The attempt is left open; the reaper finds it without anybody at work and ends it.
                logger.error("Job %s broke off with %s.", job_id, type(error).__name__, exc_info=error)
            finally:
                del self._executions[job_id]

        task = asyncio.create_task(run(), name=f"job {job_id}")
        self._executions[job_id] = (execution, task)
        self._waiting[job_id] = queue
        return task

    async def _finish_executions(self, grace: float) -> None:
        """Wait for running jobs; after `grace` seconds cancel them. The schedule's looks are cancelled at once.

        What only waited for a place here goes back into the queue for other workers.
        """
        waiting, self._waiting = self._waiting, {}
        await _end([self._executions[job_id][1] for job_id in waiting])
        for job_id, queue in waiting.items():
            with suppress(Exception):  # the reaper will find it lost, and say so
                await self._requeue(job_id, queue)
        for execution, _ in list(self._executions.values()):
            if execution.comes_again:
                execution.stop("stopped")
        tasks = [task for _, task in self._executions.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=grace)
        for execution, _ in list(self._executions.values()):
            execution.stop("stopped")
        tasks = [task for _, task in self._executions.values()]
        if tasks:
            await asyncio.wait(tasks, timeout=ENDING)
        await _end([task for _, task in self._executions.values()])

    async def _requeue(self, job_id: int, lane: str) -> None:
        async with asyncio.timeout(5), self._store.begin() as connection:
            project = await connection.scalar(
                select(JobRow.project)
                .where(JobRow.id == job_id, JobRow.state == "queued")
                .with_for_update(of=JobRow)
            )
            if project is not None:
                await defer(connection, job_id, queue_of(lane, project))

    async def _watch_cancellations(self) -> None:
        """Pass on requests for the end of jobs that run here, and notice when one was taken from us."""
        parameters = connection_parameters(self._store)
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            await connection.execute("LISTEN cleanstart_cancel")
            while True:
                await self._pass_on_requests()
                async for _ in connection.notifies(timeout=_LOOK_FOR_CANCELLATIONS, stop_after=1):
                    pass

    async def _pass_on_requests(self) -> None:
        mine = {job_id: execution for job_id, (execution, _) in self._executions.items() if execution.attempt}
        if not mine:
            return
        async with self._store.connect() as connection:
            rows = (
                await connection.execute(
                    select(
                        JobRow.id,
                        JobRow.state,
                        JobRow.cancel_requested_by,
                        JobAttemptRow.fence,
                        JobAttemptRow.ended_at,
                    )
                    .join(JobAttemptRow, JobAttemptRow.job_id == JobRow.id)
                    .where(
                        JobAttemptRow.fence.in_(
                            [each.attempt.fence for each in mine.values() if each.attempt is not None]
                        )
                    )
                )
            ).all()
        for row in rows:
            if row.state == "cancelling":
                mine[row.id].stop("cancelled", row.cancel_requested_by or "")
            elif row.ended_at is not None:
                mine[row.id].stop("fenced off")

    async def _run_schedule(self) -> None:
        """Start what is due, one worker at a time: the lock goes with its transaction, whatever happens."""
        assert self._schedule is not None
        while True:
            async with self._store.begin() as connection:
                mine = await connection.scalar(
                    text("SELECT pg_try_advisory_xact_lock(hashtext('cleanstart schedule'))")
                )
                if mine:
                    await connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = '60s'"))
                    await self._schedule(self._store)
            await asyncio.sleep(self._schedule_every)

    async def _watch_parent(self, stop: asyncio.Event) -> None:
        parent = os.getppid()
        while not stop.is_set():
            if os.getppid() != parent:
                logger.warning("The parent process is gone; stopping.")
                stop.set()
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 1.0)


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks until all have ended: one that was cancelled may still wait for a store that is away."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=_INSIST)
    await asyncio.gather(*tasks, return_exceptions=True)


def _limit_idle_transactions(connection: object, record: object) -> None:
    # SQLAlchemy's adapted connection of the asyncio driver: it looks like a synchronous one.
    cursor = connection.cursor()  # type: ignore[attr-defined]
    # A worker that is frozen inside a transaction with the store is thrown out of it.
    cursor.execute("SET SESSION idle_in_transaction_session_timeout = '10s'")
    cursor.close()
    connection.commit()  # type: ignore[attr-defined]
