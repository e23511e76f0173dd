"""Whose password is checked next.

A check takes a core for a tenth of a second and 64 MiB on purpose: whoever sends thousands would make others wait.
Browsers that somebody has signed in with have a lane of their own; in the other lane addresses take turns.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from web.errors import TooManyAttempts

#: Checks that run at once in one web process.
AT_ONCE = 2
#: Checks that wait, of one user's known browsers or of one address: a few seconds' worth.
EACH = 20
#: Checks that wait in a lane, of whomever.
ALL = 400

#: Those who wait, by whose turn it is.
Lane = OrderedDict[str, deque[asyncio.Future[None]]]


@dataclass(slots=True)
class Turns:
    """The turns of one web process."""

    free: int = AT_ONCE
    known: Lane = field(default_factory=OrderedDict)
    strangers: Lane = field(default_factory=OrderedDict)
    _favours: itertools.cycle[bool] = field(default_factory=lambda: itertools.cycle((True, False)))

    @asynccontextmanager
    async def turn(self, whose: str, *, known: bool) -> AsyncIterator[None]:
        """Wait for one's turn and hold it for the length of a block.

        Raises:
            TooManyAttempts: too many wait already.
        """
        if self.free:
            self.free -= 1
        else:
            await self._wait(self.known if known else self.strangers, whose)
        try:
            yield
        finally:
            self._pass_on()

    async def _wait(self, lane: Lane, whose: str) -> None:
        if len(lane.get(whose, ())) >= EACH or sum(map(len, lane.values())) >= ALL:
            raise TooManyAttempts("Too many sign-ins are being checked.", hint="Try again in a moment.")
        turn = asyncio.get_running_loop().create_future()
        lane.setdefault(whose, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        """Give the turn to whoever is next, known browsers and strangers alternately where both wait."""
        lanes = (self.known, self.strangers) if next(self._favours) else (self.strangers, self.known)
        for lane in lanes:
            while lane:
                whose, waiting = lane.popitem(last=False)
                turn = waiting.popleft()
                if waiting:
                    # Behind all others of the lane.
                    lane[whose] = waiting
                if not turn.done():
                    turn.set_result(None)
                    return
        self.free += 1
