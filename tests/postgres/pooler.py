"""A small connection pooler that speaks PostgreSQL's protocol, as PgBouncer does in both of its modes.

No package brings PgBouncer itself. What counts here is as there: a process id that is made up at sign-in, and sessions
of the server that are handed to whoever begins a transaction, the last one used first, or kept while a client stays.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

import psycopg

Mode = Literal["transaction", "session"]
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]

SSL_REQUEST, GSS_REQUEST = 80877103, 80877104
TOLD = ("server_version", "client_encoding", "standard_conforming_strings", "integer_datetimes", "DateStyle")


@dataclass(slots=True)
class Pooler:
    """It listens on loopback; `url` is what a client uses."""

    mode: Mode
    size: int
    #: Signed in by psycopg, which then keeps its hands off.
    sessions: list[psycopg.Connection] = field(default_factory=list)
    #: Free sessions: the last one used is the next one used.
    free: asyncio.LifoQueue[Stream] = field(default_factory=asyncio.LifoQueue)
    clients: set[asyncio.Task[None]] = field(default_factory=set)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one client to its end."""
        task = asyncio.current_task()
        assert task is not None
        self.clients.add(task)
        try:
            with suppress(asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
                await self._welcome(reader, writer)
                await self._relay(reader, writer)
        finally:
            self.clients.discard(task)
            writer.close()

    async def _welcome(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            length, code = struct.unpack("!II", await reader.readexactly(8))
            await reader.readexactly(length - 8)
            if code not in (SSL_REQUEST, GSS_REQUEST):
                break
            writer.write(b"N")
        writer.write(_message(b"R", struct.pack("!I", 0)))
        known = self.sessions[0].pgconn
        for name in TOLD:
            value = known.parameter_status(name.encode()) or b""
            writer.write(_message(b"S", name.encode() + b"\0" + value + b"\0"))
        writer.write(_message(b"K", struct.pack("!II", 2_000_000_000 + len(self.clients), 0)))
        writer.write(_message(b"Z", b"I"))

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server: Stream | None = None
        try:
            while True:
                message = await _read(reader)
                if message[:1] == b"X":
                    return
                server = server or await self.free.get()
                server[1].write(message)
                if message[:1] not in (b"Q", b"S"):
                    continue
                state = await _until_ready(server[0], writer)
                if self.mode == "transaction" and state == b"I":
                    self.free.put_nowait(server)
                    server = None
        finally:
            if server is not None:
                if self.mode == "session":
                    server[1].write(_message(b"Q", b"DISCARD ALL\0"))
                    await _until_ready(server[0], None)
                self.free.put_nowait(server)


@asynccontextmanager
async def pooling(url: str, mode: Mode, *, size: int = 2) -> AsyncIterator[Pooler]:
    """Run one in front of this database."""
    pooler = Pooler(mode, size)
    listener = socket.create_server(("127.0.0.1", 0))
    server = await asyncio.start_server(pooler.serve, sock=listener)
    pooler.url = f"postgresql://postgres@127.0.0.1:{listener.getsockname()[1]}/{quote('any')}"
    try:
        for _ in range(size):
            session = psycopg.connect(url, autocommit=True)
            pooler.sessions.append(session)
            sock = socket.socket(fileno=os.dup(session.pgconn.socket))
            sock.setblocking(False)
            pooler.free.put_nowait(await asyncio.open_connection(sock=sock))
        yield pooler
    finally:
        server.close()
        for task in tuple(pooler.clients):
            task.cancel()
        await asyncio.gather(*pooler.clients, return_exceptions=True)
        while not pooler.free.empty():
            pooler.free.get_nowait()[1].close()
        for session in pooler.sessions:
            session.close()


def _message(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("!I", len(content) + 4) + content


async def _read(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readexactly(5)
    return head + await reader.readexactly(struct.unpack("!I", head[1:])[0] - 4)


async def _until_ready(reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> bytes:
    """Pass on what the server says until it waits again; its state of transaction."""
    while True:
        message = await _read(reader)
        if writer is not None:
            writer.write(message)
        if message[:1] == b"Z":
            return message[5:6]
