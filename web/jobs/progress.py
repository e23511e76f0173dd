"""What a running job tells: log lines, steps, a measure, the present statement.

Lines are gathered for at most 100 ms or 200 lines and written in one transaction, in order, each under its
sequence number. `flush` waits until everything told so far is in the store; step edges and intents do so.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection

from web.jobs.attempt import Attempt
from web.jobs.events import Event, append_events, storable
from web.jobs.job import Json
from web.store.tables import JobRow, JobStepRow

#: A line waits no longer than this for others to be written with it.
GATHER = 0.1
#: As many lines are written at once at most; whoever tells more waits.
BATCH = 200
#: A measure is written at most so often, in seconds.
MEASURE_EVERY = 0.25
#: Longer lines are cut.
LONGEST = 20_000

Level = Literal["debug", "info", "warning", "error"]


@dataclass(slots=True)
class Head:
    """The present step, measure and statement, as the job's row shows them."""

    step: str | None = None
    done: int | None = None
    total: int | None = None
    unit: str | None = None
    statement: str | None = None


@dataclass(slots=True)
class StepChange:
    """A change of a step's row that is written with the event that tells of it."""

    name: str
    title: str
    values: dict[str, Any] = field(default_factory=dict)


class Progress:
    """The voice of one attempt. Every method raises FencedOff once the attempt was ended by somebody else."""

    def __init__(self, attempt: Attempt, titles: Json) -> None:
        self._attempt = attempt
        self._titles = titles
        self._head = Head()
        self._waiting: list[tuple[Event, StepChange | None]] = []
        self._measured_at = 0.0
        self._measure_waits = False
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._told = 0
        self._written = 0
        self._advanced = asyncio.Condition()
        self._failure: BaseException | None = None
        self._closing = False
        self._writer = asyncio.create_task(self._write_all(), name=f"progress of job {attempt.job_id}")

    async def log(self, text: str, *, level: Level = "info", data: Json | None = None) -> None:
        """Add a line to the job's log. Never hand over a secret: what is told is shown."""
        await self._tell("log", text, level=level, data=data)

    async def statement(self, sql: str | None, *, data: Json | None = None) -> None:
        """Say which statement runs now; None when it has ended."""
        self._head.statement = sql[:LONGEST] if sql else None
        await self._tell("statement", sql or "", data=data)

    async def at(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Say how far the present step is, as often as one likes: it is written four times a second."""
        self._raise()
        self._head.done, self._head.total, self._head.unit = done, total, unit
        now = asyncio.get_running_loop().time()
        if now - self._measured_at < MEASURE_EVERY and done != total:
            if not self._measure_waits:
                self._measure_waits = True
                delay = MEASURE_EVERY - (now - self._measured_at)
                asyncio.get_running_loop().call_later(delay, self._tell_measure)
            return
        self._measured_at = now
        self._measure_waits = False
        await self._tell("progress", data=self._measure())

    @asynccontextmanager
    async def step(self, name: str) -> AsyncIterator[None]:
        """Run a block as a named step: running, then succeeded, failed or cancelled as the block ends."""
        await self._change_step(name, "running")
        try:
            yield
        except asyncio.CancelledError:
            await self._leave_step(name, "cancelled")
            raise
        except BaseException:
            await self._leave_step(name, "failed")
            raise
        await self._change_step(name, "succeeded")

    async def skip(self, name: str, why: str = "") -> None:
        """Say that a step is not needed this time."""
        await self._change_step(name, "skipped", detail=why or None)

    async def flush(self) -> None:
        """Wait until everything told so far is in the store."""
        self._raise()
        goal = self._told
        self._hurry.set()
        self._wake.set()
        async with self._advanced:
            await self._advanced.wait_for(lambda: self._written >= goal or self._failure is not None)
        self._raise()

    async def close(self) -> None:
        """Write what is left and stop writing. Raises nothing: the attempt's end is written by others."""
        self._closing = True
        self._hurry.set()
        self._wake.set()
        with suppress(Exception):
            await self._writer

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _measure(self) -> dict[str, Any]:
        return {"done": self._head.done, "total": self._head.total, "unit": self._head.unit}

    def _tell_measure(self) -> None:
        # A timer's callback: the last measure before a pause is told as well.
        if self._measure_waits and not self._closing:
            self._measure_waits = False
            self._measured_at = asyncio.get_running_loop().time()
            self._add("progress", "", "info", self._measure(), None)

    async def _change_step(self, name: str, state: str, *, detail: str | None = None) -> None:
        values: dict[str, Any] = {"state": state, "detail": detail}
        if state == "running":
            self._head = Head(step=name)
            values |= {"started_at": func.now(), "finished_at": None}
        else:
            self._head.statement = None
            values |= {"finished_at": func.now()}
        self._measure_waits = False
        title = str(self._titles.get(name, name))
        self._add("step", title, "info", {"step": name, "state": state}, StepChange(name, title, values))
        await self.flush()

    async def _leave_step(self, name: str, state: str) -> None:
        # The error that ends the step is what counts; being fenced off while saying so is not news.
        with suppress(Exception):
            await asyncio.shield(self._change_step(name, state))

    async def _tell(
        self, kind: str, text: str = "", *, level: str = "info", data: Json | None = None
    ) -> None:
        self._raise()
        self._add(kind, text, level, data, None)
        if len(self._waiting) >= BATCH:
            await self.flush()

    def _add(self, kind: str, text: str, level: str, data: Json | None, step: StepChange | None) -> None:
        if len(text) > LONGEST:
            text = text[:LONGEST] + " …"
        event = Event(self._attempt.next_seq(), datetime.now(UTC), kind, level, text, data)
        self._waiting.append((event, step))
        self._told += 1
        self._wake.set()
        if len(self._waiting) >= BATCH:
            self._hurry.set()

    async def _write_all(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._waiting:
                    with suppress(TimeoutError):
                        await asyncio.wait_for(self._hurry.wait(), GATHER)
                self._hurry.clear()
                while self._waiting:
                    batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
                    await self._write(batch)
                if self._closing:
                    return
        except BaseException as error:
            self._failure = error
            raise
        finally:
            async with self._advanced:
                self._advanced.notify_all()

    async def _write(self, batch: list[tuple[Event, StepChange | None]]) -> None:
        head = self._head
        values = {
            "step": head.step,
            "done": head.done,
            "total": head.total,
            "unit": head.unit,
            "statement": storable(head.statement),
        }

        async def action(connection: AsyncConnection) -> None:
            await append_events(connection, self._attempt.job_id, [event for event, _ in batch])
            for _, step in batch:
                if step is not None:
                    await self._write_step(connection, step)
            await connection.execute(update(JobRow).where(JobRow.id == self._attempt.job_id).values(**values))

        await self._attempt.write(action)
        async with self._advanced:
            self._written += len(batch)
            self._advanced.notify_all()

    async def _write_step(self, connection: AsyncConnection, step: StepChange) -> None:
        # A kind may run a step that it did not announce: it comes last.
        last = JobStepRow.__table__.alias("last")
        position = select(func.coalesce(func.max(last.c.position), 0) + 1)
        await connection.execute(
            insert_or(JobStepRow)
            .values(
                job_id=self._attempt.job_id,
                name=step.name,
                title=step.title,
                position=position.where(last.c.job_id == self._attempt.job_id).scalar_subquery(),
                **step.values,
            )
            .on_conflict_do_update(index_elements=["job_id", "name"], set_=step.values)
        )
