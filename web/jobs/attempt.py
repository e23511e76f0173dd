"""One worker's try at a job: opened with a fencing number that is checked at every write to the store.

An attempt may write while its row is not ended and no newer attempt of the job exists. The check takes a
share lock on that row for the length of the write's transaction: whoever ends the attempt waits for writes
that are under way, and no later write gets through.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any, Literal, TypeVar

from sqlalchemy import cast, func, insert, select, update
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.errors import FencedOff
from web.jobs.doubts import open_doubt, settle_renewed
from web.jobs.events import Event, announce_job_change, append_events, state_event, storable
from web.jobs.host import this_host
from web.jobs.job import FINISHED, Intent, JobState, Json, Unproven
from web.jobs.patience import patiently
from web.store.tables import (
    FENCE,
    IntentRow,
    JobAttemptRow,
    JobRow,
    JobStepRow,
    JobTargetRow,
    ReceiptRow,
)

T = TypeVar("T")


class Attempt:
    """An opened attempt: the only way in which a run writes to the store."""

    def __init__(
        self,
        store: AsyncEngine,
        *,
        row_id: int,
        job_id: int,
        number: int,
        fence: int,
        worker: str,
        last_seq: int,
    ) -> None:
        self.store = store
        self.id = row_id
        self.job_id = job_id
        self.number = number
        self.fence = fence
        self.worker = worker
        self.last_seq = last_seq
        self._intents = 0

    @property
    def application_name(self) -> str:
        """The name that every connection of this attempt bears on a target."""
        return application_name(self.job_id, self.number)

    def next_seq(self) -> int:
        """Take the next event number; while an attempt is open nobody else writes events of its job."""
        self.last_seq += 1
        return self.last_seq

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a store transaction that commits only if this attempt may still write. Raises FencedOff."""
        async with self.store.begin() as connection:
            await self.require_current(connection)
            yield connection

    async def require_current(self, connection: AsyncConnection) -> None:
        """Lock this attempt's row for the rest of the transaction. Raises FencedOff."""
        newer = JobAttemptRow.__table__.alias("newer")
        row = await connection.execute(
            select(JobAttemptRow.id)
            .where(
                JobAttemptRow.id == self.id,
                JobAttemptRow.ended_at.is_(None),
                ~select(1)
                .select_from(newer)
                .where(newer.c.job_id == self.job_id, newer.c.fence > self.fence)
                .exists(),
            )
            .with_for_update(read=True, of=JobAttemptRow)
        )
        if row.first() is None:
            raise FencedOff(f"Attempt {self.number} of job {self.job_id} was ended by somebody else.")

    async def write(self, action: Callable[[AsyncConnection], Awaitable[T]]) -> T:
        """Do one write, again and again while the store is away; `action` must be the same when done twice.

        Raises:
            FencedOff: this attempt may not write any more.
        """

        async def once() -> T:
            async with self.writing() as connection:
                return await action(connection)

        return await patiently(once)

    async def intend(self, step: str, what: Json) -> Intent:
        """Write down what a step is about to do; committed when this returns."""
        self._intents += 1
        number = self._intents

        async def action(connection: AsyncConnection) -> Intent:
            values = {"step": step, "what": storable(what)}
            row = (
                await connection.execute(
                    insert_or(IntentRow)
                    .values(job_id=self.job_id, attempt_id=self.id, number=number, **values)
                    .on_conflict_do_update(index_elements=["attempt_id", "number"], set_=values)
                    .returning(IntentRow.id, IntentRow.written_at)
                )
            ).one()
            return Intent(id=row.id, step=step, what=what, written_at=row.written_at)

        return await self.write(action)

    async def receive(self, intent: Intent, proof: Json) -> None:
        """Write down the proof that an intent was carried out."""

        async def action(connection: AsyncConnection) -> None:
            await connection.execute(
                insert_or(ReceiptRow)
                .values(intent_id=intent.id, proof=storable(proof))
                .on_conflict_do_nothing(index_elements=["intent_id"])
            )

        await self.write(action)

    async def record(self, column: Literal["backends", "processes"], entry: dict[str, Any]) -> None:
        """Add a backend (`backends`) or process group (`processes`) to what a reaper would have to end."""

        async def action(connection: AsyncConnection) -> None:
            held = getattr(JobAttemptRow, column)
            await connection.execute(
                update(JobAttemptRow)
                .where(JobAttemptRow.id == self.id, ~held.contains([entry]))
                .values({column: held.op("||")(cast([entry], JSONB))})
            )

        await self.write(action)

    async def finish(
        self,
        state: JobState,
        outcome: Json,
        *,
        last_event: Event,
        unfinished_steps: str = "skipped",
        leaves: Unproven | None = None,
        proof: str | None = None,
        renewed: bool = False,
    ) -> None:
        """End attempt and job in one transaction: state, outcome, steps, gate, last event, what is in doubt.

        Steps that still run get `unfinished_steps`; queued ones are skipped. `leaves` is in doubt from then on,
        unless a look has the `proof` already; `renewed`: nothing is that was before. Raises FencedOff.
        """
        assert state in FINISHED

        async def action(connection: AsyncConnection) -> None:
            await end_job(connection, self.job_id, state, outcome, unfinished_steps=unfinished_steps)
            if leaves is not None:
                await open_doubt(connection, self.job_id, state, leaves, proof)
            if renewed:
                await settle_renewed(connection, self.job_id)
            await append_events(connection, self.job_id, [last_event])
            await connection.execute(
                update(JobAttemptRow)
                .where(JobAttemptRow.id == self.id)
                .values(ended_at=func.now(), outcome=state)
            )

        try:
            await self.write(action)
        except FencedOff:
            # The commit's answer may have been lost with the connection: then our own end fences us off.
            async with self.store.connect() as connection:
                row = (
                    await connection.execute(
                        select(JobAttemptRow.ended_at, JobAttemptRow.outcome).where(
                            JobAttemptRow.id == self.id
                        )
                    )
                ).one()
            if row.ended_at is None or row.outcome != state:
                raise

    async def interrupt(self, outcome: str, event: Event, stopped: Json) -> None:
        """End this attempt but not the job: a reaper goes on with it, and is told why the run `stopped`."""

        async def action(connection: AsyncConnection) -> None:
            await connection.execute(
                update(JobRow).where(JobRow.id == self.job_id).values(state="interrupted", statement=None)
            )
            await append_events(connection, self.job_id, [event])
            await connection.execute(
                update(JobAttemptRow)
                .where(JobAttemptRow.id == self.id)
                .values(ended_at=func.now(), outcome=outcome, stopped=storable(dict(stopped)))
            )
            await announce_job_change(connection, self.job_id)

        # Ended already, by this very write or by the reaper, comes to the same.
        with suppress(FencedOff):
            await self.write(action)


def application_name(job_id: int, attempt: int) -> str:
    """What `pg_stat_activity` shows for the connections of an attempt."""
    return f"cleanstart/{job_id}/{attempt}"


async def open_attempt(store: AsyncEngine, job_id: int, worker: str) -> Attempt | None:
    """Take a queued job: its state becomes running. None where it is not queued (any more)."""

    async def take() -> int:
        async with store.begin() as connection:
            return await next_fence(connection)

    fence = await patiently(take)

    async def once() -> Attempt | None:
        async with store.begin() as connection:
            job = (
                await connection.execute(
                    select(JobRow.state, JobRow.last_seq).where(JobRow.id == job_id).with_for_update()
                )
            ).one_or_none()
            mine = (
                await connection.execute(
                    select(JobAttemptRow.id, JobAttemptRow.number).where(JobAttemptRow.fence == fence)
                )
            ).one_or_none()
            if job is not None and mine is not None:  # the commit's answer was lost
                return Attempt(
                    store,
                    row_id=mine.id,
                    job_id=job_id,
                    number=mine.number,
                    fence=fence,
                    worker=worker,
                    last_seq=job.last_seq,
                )
            if job is None or job.state != "queued":
                return None
            attempt = await insert_attempt(connection, store, job_id, fence, worker, job.last_seq)
            await connection.execute(
                update(JobRow).where(JobRow.id == job_id).values(state="running", started_at=func.now())
            )
            await append_events(connection, job_id, [state_event(attempt.next_seq(), "running")])
            await announce_job_change(connection, job_id)
            return attempt

    return await patiently(once)


async def insert_attempt(
    connection: AsyncConnection, store: AsyncEngine, job_id: int, fence: int, worker: str, last_seq: int
) -> Attempt:
    """Insert the next attempt of a job whose row the caller has locked."""
    number = (
        await connection.scalar(
            select(func.coalesce(func.max(JobAttemptRow.number), 0) + 1).where(JobAttemptRow.job_id == job_id)
        )
    ) or 1
    row_id = await connection.scalar(
        insert(JobAttemptRow)
        .values(job_id=job_id, number=number, fence=fence, worker=worker, host=this_host())
        .returning(JobAttemptRow.id)
    )
    assert row_id is not None
    return Attempt(
        store, row_id=row_id, job_id=job_id, number=number, fence=fence, worker=worker, last_seq=last_seq
    )


async def next_fence(connection: AsyncConnection) -> int:
    """Take the next fencing number."""
    fence: int | None = await connection.scalar(select(FENCE.next_value()))
    assert fence is not None
    return fence


async def end_job(
    connection: AsyncConnection,
    job_id: int,
    state: JobState,
    outcome: Json,
    *,
    unfinished_steps: str = "skipped",
) -> None:
    """Write a job's final state, release its gate, tell the pages; the caller has made sure that it may."""
    await connection.execute(
        update(JobRow)
        .where(JobRow.id == job_id)
        .values(
            state=state,
            finished_at=func.now(),
            outcome=storable(outcome),
            step=None,
            statement=None,
        )
    )
    await connection.execute(
        update(JobStepRow)
        .where(JobStepRow.job_id == job_id, JobStepRow.state == "running")
        .values(state=unfinished_steps, finished_at=func.now())
    )
    await connection.execute(
        update(JobStepRow)
        .where(JobStepRow.job_id == job_id, JobStepRow.state == "queued")
        .values(state="skipped")
    )
    await connection.execute(
        update(JobTargetRow).where(JobTargetRow.job_id == job_id).values(unfinished=False)
    )
    await announce_job_change(connection, job_id)
