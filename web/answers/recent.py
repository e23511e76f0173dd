"""The overview for what surrounds every page: read at most every two seconds, whoever asks.

Reading it costs more than most pages. What a page is about it reads itself; its navigation may be this old.
"""

from __future__ import annotations

import asyncio
import secrets
from collections import OrderedDict
from dataclasses import dataclass
from time import monotonic

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.answers.overview import NounOf, Overview, read_overview
from web.config import Configuration
from web.jobs.reading import live_workers
from web.observation.history_cache import Histories

#: Seconds that an answer of `recent` may be old.
OLD = 2.0
#: Seconds between two readings for streams, which hear of every change at once.
PACE = 0.5
#: Readings that are kept for streams of pages that were made from them.
KEPT = 50


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The overview of all projects, and how many workers are alive."""

    overview: Overview
    live_workers: int
    #: When the reading began, by the monotonic clock.
    began: float
    #: Names this reading in this process.
    mark: str


class RecentOverview:
    """Reads the overview for many at once: who comes while it is being read waits for the next answer."""

    def __init__(
        self, store: AsyncEngine, configuration: Configuration, histories: Histories, noun_of: NounOf = str
    ) -> None:
        self._store = store
        self._configuration = configuration
        self._histories = histories
        self._noun_of = noun_of
        self._newest: Surroundings | None = None
        self._kept: OrderedDict[str, Overview] = OrderedDict()
        self._changed = 0.0
        # Two, because who waits for the first holds a connection, and who holds the second waits for one.
        self._by_pages = asyncio.Lock()
        self._by_streams = asyncio.Lock()

    def forget(self) -> None:
        """This process has changed something: the next answer is read after it."""
        self._changed = monotonic()

    def kept(self, mark: str) -> Overview | None:
        """An earlier reading; None where it is too long ago or another process's."""
        return self._kept.get(mark)

    async def recent(self, connection: AsyncConnection) -> Surroundings:
        """What was read within the last two seconds, and after anything that this process changed."""
        return await self._read_once(connection, max(monotonic() - OLD, self._changed))

    async def fresh(self, connection: AsyncConnection) -> Surroundings:
        """What is there now."""
        return await self._read_once(connection, monotonic())

    async def fresh_for_streams(self) -> Surroundings:
        """What is there now, half a second later at most, without a connection of the caller's."""
        asked = monotonic()
        async with self._by_streams:
            if self._newest is None or self._newest.began < asked:
                if self._newest is not None:
                    await asyncio.sleep(self._newest.began + PACE - monotonic())
                async with self._store.connect() as connection:
                    return await self._read(connection)
            return self._newest

    async def _read_once(self, connection: AsyncConnection, since: float) -> Surroundings:
        if self._newest is not None and self._newest.began >= since:
            return self._newest
        async with self._by_pages:
            if self._newest is not None and self._newest.began >= since:
                return self._newest
            return await self._read(connection)

    async def _read(self, connection: AsyncConnection) -> Surroundings:
        began = monotonic()
        overview = await read_overview(
            connection, self._configuration, histories=self._histories, noun_of=self._noun_of
        )
        read = Surroundings(overview, await live_workers(connection), began, secrets.token_hex(6))
        self._kept[read.mark] = overview
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        if self._newest is None or self._newest.began < began:
            self._newest = read
        return read
