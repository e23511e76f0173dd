"""What a web process knows of running jobs at once: one LISTEN connection, any number of followers.

A follower has a position, not a queue: new events are read once per job into a short shared memory, and who
is behind it reads from the store until it has caught up. So nobody misses or gets twice anything, a slow
reader costs nothing, and no follower holds a database session while it waits.
"""

from __future__ import annotations

import asyncio
import json
import logging
from bisect import bisect_right
from collections.abc import AsyncGenerator, Callable
from functools import partial
from types import TracebackType
from typing import Any, Self, TypeVar

import psycopg
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncEngine

from web.jobs.events import Event
from web.jobs.job import FINISHED
from web.jobs.patience import passes, patiently
from web.jobs.queue import connection_parameters
from web.jobs.reading import read_events
from web.store.tables import JobRow

logger = logging.getLogger(__name__)

R = TypeVar("R")

#: Events of a job that are kept for its followers.
_KEPT = 1000
#: Events that are read from the store at once.
_PAGE = 500
#: The listening connection is tried this often when nothing arrives, in seconds.
_TRY = 15.0


class Feed:
    """The listening side of a web process: `async with` it for the life of the application."""

    def __init__(self, store: AsyncEngine) -> None:
        self._store = store
        self._channels: dict[int, _Channel] = {}
        self._watchers: set[_Watcher] = set()
        self._listening = False
        self._closing = False
        self._listener: asyncio.Task[None] | None = None
        self._heard = asyncio.Event()

    @property
    def listening(self) -> bool:
        """Whether news of the store arrive at present."""
        return self._listening

    @property
    def followers(self) -> int:
        """How many streams are open."""
        return sum(channel.followers for channel in self._channels.values()) + len(self._watchers)

    async def __aenter__(self) -> Self:
        self._listener = asyncio.create_task(self._listen_on(), name="job feed")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end_streams()
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.gather(self._listener, return_exceptions=True)
        for channel in list(self._channels.values()):
            await channel.close()

    def end_streams(self) -> None:
        """End all followers now: a web server waits for open streams before it stops."""
        self._closing = True
        for channel in self._channels.values():
            channel.wake_all()
        for watcher in self._watchers:
            watcher.wake.set()

    def follow(self, job_id: int, *, after: int = 0) -> AsyncGenerator[Event]:
        """Follow a job's log from a sequence number; ends after the event that says how the job ended."""
        return self.follow_rendered(job_id, after=after, render=_as_it_is)

    async def follow_rendered(
        self, job_id: int, *, after: int = 0, render: Callable[[Event], R]
    ) -> AsyncGenerator[R]:
        """Like `follow`, but yields `render(event)`, called once per event and shared by all who pass it.

        Pass one and the same function for all readers, not a new lambda each time.
        """
        channel = await self._join(job_id)
        seq = after
        try:
            while not self._closing:
                wake = channel.wake
                if seq < channel.start:
                    events = await patiently(partial(self._read, job_id, seq))
                    if not events:
                        seq = channel.start
                        continue
                else:
                    events = channel.after(seq)
                for event in events:
                    seq = event.seq
                    yield channel.rendered(event, render)
                    if _is_last(event) or self._closing:
                        return
                if not events:
                    if channel.finished and seq >= channel.seq:
                        return
                    await wake.wait()
        finally:
            await self._leave(channel)

    async def changes(self) -> AsyncGenerator[frozenset[int] | None]:
        """Yield the environments of which something changed since the last time; None: perhaps all."""
        watcher = _Watcher()
        self._watchers.add(watcher)
        try:
            while not self._closing:
                await watcher.wake.wait()
                watcher.wake.clear()
                changed, watcher.changed = watcher.changed, set()
                everything, watcher.everything = watcher.everything, False
                if everything:
                    yield None
                elif changed:
                    yield frozenset(changed)
        finally:
            self._watchers.discard(watcher)

    async def wait_until_listening(self) -> None:
        """Wait for the first connection (start-up checks and tests)."""
        await self._heard.wait()

    async def _read(self, job_id: int, seq: int) -> list[Event]:
        async with self._store.connect() as connection:
            return list(await read_events(connection, job_id, after=seq, limit=_PAGE))

    async def _join(self, job_id: int) -> _Channel:
        channel = self._channels.get(job_id)
        if channel is None:
            channel = self._channels[job_id] = _Channel(self._store, job_id)
        channel.followers += 1
        try:
            await channel.ready()
        except BaseException:
            await self._leave(channel)
            raise
        return channel

    async def _leave(self, channel: _Channel) -> None:
        channel.followers -= 1
        if channel.followers == 0:
            if self._channels.get(channel.job_id) is channel:
                del self._channels[channel.job_id]
            await channel.close()

    async def _listen_on(self) -> None:
        pause = 0.1
        while True:
            try:
                await self._listen()
            except Exception as error:
                if not passes(error):
                    logger.exception("The job feed failed; it starts again.")
                elif self._listening:
                    logger.warning("The job feed lost the store; trying again.")
            pause = 0.1 if self._listening else min(pause * 2, 2.0)
            self._listening = False
            await asyncio.sleep(pause)

    async def _listen(self) -> None:
        parameters = connection_parameters(self._store)
        async with await psycopg.AsyncConnection.connect(**parameters, autocommit=True) as connection:
            await connection.execute("LISTEN cleanstart_job")
            await connection.execute("LISTEN cleanstart_change")
            self._listening = True
            self._heard.set()
            # What was said while nobody listened.
            for channel in self._channels.values():
                channel.poke()
            for watcher in self._watchers:
                watcher.everything = True
                watcher.wake.set()
            while True:
                async for notification in connection.notifies(timeout=_TRY):
                    self._hear(notification.channel, notification.payload)
                await connection.execute("SELECT 1")

    def _hear(self, name: str, payload: str) -> None:
        said = json.loads(payload)
        if name == "cleanstart_job":
            channel = self._channels.get(said["job"])
            if channel is not None:
                channel.poke()
            return
        for watcher in self._watchers:
            if said["environment"] is None:
                watcher.everything = True
            else:
                watcher.changed.add(said["environment"])
            watcher.wake.set()


class _Watcher:
    """One reader of `changes`."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.changed: set[int] = set()
        self.everything = False


class _Channel:
    """One followed job: its newest events, read once for all its followers."""

    def __init__(self, store: AsyncEngine, job_id: int) -> None:
        self.job_id = job_id
        self.followers = 0
        self.wake = asyncio.Event()
        self.finished = False
        #: Everything after `start` up to `seq` is in memory.
        self.start = 0
        self.seq = 0
        self._store = store
        self._events: list[Event] = []
        self._rendered: dict[tuple[int, Any], Any] = {}
        self._poked = asyncio.Event()
        self._ready = asyncio.Event()
        self._reader = asyncio.create_task(self._run(), name=f"feed of job {job_id}")

    async def ready(self) -> None:
        """Wait until the position is known from which on events are kept."""
        await self._ready.wait()

    def poke(self) -> None:
        """There may be something new."""
        self._poked.set()

    def wake_all(self) -> None:
        """Let every follower look again."""
        woken, self.wake = self.wake, asyncio.Event()
        woken.set()

    def after(self, seq: int) -> list[Event]:
        """The kept events after a position that is not before `start`."""
        return self._events[bisect_right(self._events, seq, key=_seq) :]

    def rendered(self, event: Event, render: Callable[[Event], R]) -> R:
        """`render(event)`, computed once for as long as the event is kept."""
        if render is _as_it_is or event.seq <= self.start:
            return render(event)
        key = (event.seq, render)
        if key not in self._rendered:
            self._rendered[key] = render(event)
        made: R = self._rendered[key]
        return made

    async def close(self) -> None:
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def _run(self) -> None:
        self.start = self.seq = await patiently(self._position)
        self._ready.set()
        while True:
            await self._poked.wait()
            self._poked.clear()
            while new := await patiently(self._read):
                self._keep(new)
                self.wake_all()

    async def _position(self) -> int:
        async with self._store.connect() as connection:
            row = (
                await connection.execute(
                    select(JobRow.last_seq, JobRow.state).where(JobRow.id == self.job_id)
                )
            ).one_or_none()
        self.finished = row is None or row.state in FINISHED
        return 0 if row is None else int(row.last_seq)

    async def _read(self) -> list[Event]:
        async with self._store.connect() as connection:
            return list(await read_events(connection, self.job_id, after=self.seq, limit=_PAGE))

    def _keep(self, new: list[Event]) -> None:
        self._events += new
        self.seq = new[-1].seq
        self.finished = self.finished or _is_last(new[-1])
        if len(self._events) > 2 * _KEPT:
            self.start = self._events[-_KEPT - 1].seq
            del self._events[:-_KEPT]
            self._rendered = {key: made for key, made in self._rendered.items() if key[0] > self.start}


def _as_it_is(event: Event) -> Event:
    return event


def _seq(event: Event) -> int:
    return event.seq


def _is_last(event: Event) -> bool:
    return event.kind == "state" and event.data is not None and event.data.get("state") in FINISHED
