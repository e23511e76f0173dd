"""The web server's connections: HTTP/1.1 as uvicorn speaks it, with an end to what does not get on.

uvicorn ends a connection that is quiet between two requests. For the rest of a request that was begun, and for a client
that does not read its answer, it waits for ever; and it keeps whatever is sent as headers.
"""

from __future__ import annotations

import asyncio
import itertools
import resource
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

#: Bytes that the head of a request (its first line and headers) may have.
LARGEST_HEAD = 64 * 1024
#: Bytes of an answer that a client reads at least, each time that it would be given up.
LEAST_READ = 16 * 1024
#: Open files of this process that are no connections of clients: the store's, the feed's, static files.
OWN_FILES = 128
#: Connections, where the operating system would allow any number.
MOST = 16_384


class Connection(HttpToolsProtocol):
    """One client's connection.

    A request has to be there as a whole, headers and body, in time; so has the beginning of the next one. How long an
    answer takes is not limited (a stream goes on for days), how long a client reads hardly anything of it is. Where
    there are too many connections, the one that has waited longest for its request makes room.
    """

    #: Seconds.
    limit: float = 30.0
    most: int = MOST
    #: Numbers the waits of all connections: many begin at the same reading of the loop's clock.
    _turns = itertools.count()

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        #: The turn at which it began to wait for a request or for the rest of one; None: it does not.
        self.waiting_since: int | None = None
        #: Whether the request that was begun last has come to the end of its headers, and to its own.
        self._headed = self._whole = True
        self._head_bytes = 0
        self._giving_up: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request; too many connections lose one that waits longer."""
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > self.most:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is waited for any more."""
        self._stop_waiting()
        self._read_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; a head without an end is refused."""
        super().data_received(data)
        if not self._headed:
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEAD:
                self._refuse(431)

    def on_message_begin(self) -> None:
        """A request begins: from now on its time runs."""
        super().on_message_begin()
        self._headed = self._whole = False
        self._head_bytes = 0
        self._wait()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; fields that follow the body are nobody's business here, and no headers."""
        if not self._headed:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The body comes next."""
        self._headed = True
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there: it is answered now, unless it was before its end."""
        super().on_message_complete()
        self._whole = True
        if self.cycle.response_complete:
            self._wait()
        else:
            self._stop_waiting()

    def on_response_complete(self) -> None:
        """Wait for the next request, or for the client to take the end of the answer."""
        super().on_response_complete()
        if self._whole and self.cycle.response_complete:
            self._wait()

    def pause_writing(self) -> None:
        """The client reads slower than we write: it gets its time to read on."""
        super().pause_writing()
        if self._unread is None:
            self._watch_reading()

    def resume_writing(self) -> None:
        """The client has read on."""
        super().resume_writing()
        self._read_on()

    def timeout_keep_alive_handler(self) -> None:
        """Close a connection that is quiet between two requests, even if its end is not taken."""
        super().timeout_keep_alive_handler()
        self._wait()

    def _unsupported_upgrade_warning(self) -> None:
        # A server may ignore the wish for another protocol (RFC 9110, 7.8); curl --http2 and others always ask.
        pass

    def _wait(self) -> None:
        self._stop_waiting()
        self.waiting_since = next(self._turns)
        self._giving_up = self.loop.call_later(self.limit, self.give_up, self._unsent())

    def _stop_waiting(self) -> None:
        self.waiting_since = None
        if self._giving_up is not None:
            self._giving_up.cancel()
            self._giving_up = None

    def _watch_reading(self) -> None:
        self._unread = self.loop.call_later(self.limit, self.give_up_reader, self._unsent())

    def _unsent(self) -> int:
        return self.transport.get_write_buffer_size()

    def _read_on(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def give_up(self, unsent: int) -> None:
        """Wait no longer: close the connection; cut it off where the end of an answer is not read either.

        `unsent` is how much of it was there when the waiting began.
        """
        if self._unsent() <= unsent - LEAST_READ:
            self._wait()
        elif self.transport.is_closing() or self._unsent():
            self._stop_waiting()
            self.transport.abort()
        elif self._whole:
            # Nothing was begun, so there is nothing to answer.
            self._close()
        else:
            self._refuse(408)

    def give_up_reader(self, unsent: int) -> None:
        """Cut the connection off, unless its client has read something since there was so much unsent."""
        if self._unsent() <= unsent - LEAST_READ:
            self._watch_reading()
        else:
            self.transport.abort()

    def _refuse(self, status: int) -> None:
        """Answer the request that is not whole, where nothing else is being answered, and close."""
        if self.transport.is_closing():
            return
        answered = self.cycle is None or self.cycle.response_complete
        ours = (
            self._headed and self.cycle is not None and not self.cycle.response_started and not self.pipeline
        )
        if answered or ours:
            self.transport.write(STATUS_LINE[status] + b"content-length: 0\r\nconnection: close\r\n\r\n")
        self._close()

    def _close(self) -> None:
        self.transport.close()
        self._wait()

    def _make_room(self) -> None:
        others = (each for each in self.connections if isinstance(each, Connection) and each is not self)
        waiting = [(each.waiting_since, each) for each in others if each.waiting_since is not None]
        if waiting:
            _, longest = min(waiting, key=lambda each: each[0])
            # It is lost a moment later; until then it is not to be chosen again.
            self.connections.discard(longest)
            longest.transport.abort()


def raise_file_limit() -> int:
    """Let this process open as many files as it may; returns how many connections it can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST + OWN_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        allowed = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, allowed), hard))
        soft = max(soft, allowed)
    return MOST if soft == resource.RLIM_INFINITY else max(OWN_FILES, min(MOST, soft - OWN_FILES))
