"""The peer of the bench `streams`: a StreamingResponse for each reader, one LISTEN connection, nothing else.

`python -m bench.peer FILE SOCKET`: the file holds the store's URL, the socket is a bound one's descriptor.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psycopg
import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

URL = Path(sys.argv[1]).read_text() if len(sys.argv) > 1 else ""
readers: set[asyncio.Queue[bytes]] = set()


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[None]:
    """Listen for as long as the application runs."""
    async with await psycopg.AsyncConnection.connect(URL, autocommit=True) as connection:
        await connection.execute("LISTEN cleanstart_job")
        listening = asyncio.create_task(listen(connection))
        yield
        listening.cancel()


async def listen(connection: psycopg.AsyncConnection) -> None:
    """Pass on whatever is heard."""
    async for heard in connection.notifies():
        message = f"id: {json.loads(heard.payload)['seq']}\ndata: {heard.payload}\n\n".encode()
        for queue in readers:
            queue.put_nowait(message)


app = FastAPI(lifespan=lifespan, openapi_url=None)


@app.get("/readyz")
async def ready() -> dict[str, bool]:
    """It is."""
    return {"ready": True}


@app.get("/stream")
async def stream() -> StreamingResponse:
    """Everything that is heard from now on."""
    return StreamingResponse(body(), media_type="text/event-stream")


async def body() -> AsyncGenerator[bytes]:
    """One reader's messages."""
    queue: asyncio.Queue[bytes] = asyncio.Queue()
    readers.add(queue)
    try:
        yield b": open\n\n"
        while True:
            yield await queue.get()
    finally:
        readers.discard(queue)


if __name__ == "__main__":
    server = uvicorn.Server(
        uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=1)
    )
    server.run(sockets=[socket.socket(fileno=int(sys.argv[2]))])
