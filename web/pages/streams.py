"""Server-sent events: how a page's stream is written, kept alive, and ended when it must be.

A stream holds no store connection between two messages. It ends when the server stops, when whatever it
follows is complete, and within seconds after the person's session has ended.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from time import monotonic

from fastapi import Request
from fastapi.responses import StreamingResponse

from web.access.permissions import Principal, may
from web.access.principals import present
from web.dashboard import Dashboard

#: How often it is looked up whether the person may still read, in seconds.
CHECK_EVERY = 3.5
#: A comment keeps proxies from closing a quiet stream, in seconds.
PULSE = 15.0
#: What ends a line of an event for the browser; other Unicode line ends are part of the text.
LINE_ENDS = re.compile(r"\r\n|\r|\n")
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


@dataclass(frozen=True, slots=True)
class Message:
    """One event: unnamed ones are swapped by htmx, named ones only trigger."""

    data: str
    event: str | None = None
    #: Where a reconnect goes on.
    id: int | None = None

    def encode(self) -> bytes:
        """The event as it is sent (HTML standard, 9.2.5)."""
        lines = []
        if self.id is not None:
            lines.append(f"id: {self.id}")
        if self.event is not None:
            lines.append(f"event: {self.event}")
        lines += [f"data: {line}" for line in LINE_ENDS.split(self.data)]
        return ("\n".join(lines) + "\n\n").encode()


def stream_response(
    board: Dashboard, who: Principal, permission: str, project: str | None, messages: AsyncGenerator[Message]
) -> StreamingResponse:
    """Send the messages for as long as the person may see them. `project` None: on some project or other."""
    return StreamingResponse(
        _body(board, who, permission, project, messages), media_type="text/event-stream", headers=HEADERS
    )


def resume_after(request: Request, after: int) -> int:
    """The number of the last event that the browser has: its own word when it reconnects, else the page's."""
    said = request.headers.get("last-event-id", "")
    return max(after, int(said)) if re.fullmatch("[0-9]{1,18}", said) else after


async def _body(
    board: Dashboard, who: Principal, permission: str, project: str | None, messages: AsyncGenerator[Message]
) -> AsyncGenerator[bytes]:
    yield b"retry: 1000\n: open\n\n"
    checked = sent = monotonic()
    upcoming: asyncio.Task[Message | None] | None = None
    try:
        while True:
            upcoming = upcoming or asyncio.ensure_future(_next(messages))
            await asyncio.wait({upcoming}, timeout=max(0.0, CHECK_EVERY - (monotonic() - checked)))
            if monotonic() - checked >= CHECK_EVERY:
                now = await _present(board, who)
                if now is None or not _may_see(now, permission, project):
                    yield Message("", event="signed-out").encode()
                    return
                if now.grants != who.grants:
                    # The browser comes back at once, and is shown what the person may see by now.
                    return
                checked = monotonic()
            if upcoming.done():
                message = upcoming.result()
                if message is None:
                    return
                upcoming, sent = None, monotonic()
                yield message.encode()
            elif monotonic() - sent >= PULSE:
                sent = monotonic()
                yield b": still here\n\n"
    finally:
        if upcoming is not None:
            upcoming.cancel()
            await asyncio.gather(upcoming, return_exceptions=True)
        await messages.aclose()


async def _next(messages: AsyncGenerator[Message]) -> Message | None:
    return await anext(messages, None)


async def _present(board: Dashboard, who: Principal) -> Principal | None:
    """Who the person is by now; asked once for all of their streams, and the answer is a second old at most."""
    key = ("present", who.session, who.token_id, int(monotonic()))
    try:
        return await board.shared.once(key, lambda: present(board.store, who))
    except Exception:
        # The store does not answer: the stream has nothing new to tell either, and is checked again.
        return who


def _may_see(who: Principal, permission: str, project: str | None) -> bool:
    return may(who, permission, project) if project is not None else bool(who.grants)
