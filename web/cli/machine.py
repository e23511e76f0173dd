"""`up` and `upgrade`: the store on one machine, with a web server and a worker as processes of their own."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from web.cli.listening import listen, require_public_url
from web.cli.long_running import say
from web.cli.store_place import StorePlace, configured_place, embedded_server, prepare_embedded
from web.cli.supervisor import Child, stop_on_signals, supervise
from web.config import Configuration
from web.errors import CleanStartError
from web.postgres.embedded import EmbeddedServer
from web.store.upgrade import upgrade
from web.walls.layers import hide_process

#: Seconds between two looks whether the embedded server still runs.
KEEP_EVERY = 1.0


async def upgrade_store(configuration: Configuration) -> str:
    """Upgrade the store and grant the runtime role what it needs; returns the revision.

    An embedded store that is not running is started for it.
    """
    place = configured_place(configuration)
    if place is not None:
        return await upgrade(place.owner_url, place.runtime_role)
    server = embedded_server(configuration)
    await server.start()
    try:
        place = await prepare_embedded(server)
        return await upgrade(place.owner_url, place.runtime_role)
    finally:
        await server.stop()


@asynccontextmanager
async def running_store(configuration: Configuration) -> AsyncIterator[StorePlace]:
    """The store, upgraded; an embedded one runs for as long as this is open."""
    hide_process()
    place = configured_place(configuration)
    if place is not None:
        await upgrade(place.owner_url, place.runtime_role)
        yield place
        return
    server = embedded_server(configuration)
    await server.start()
    try:
        place = await prepare_embedded(server)
        await upgrade(place.owner_url, place.runtime_role)
        async with kept_running(server):
            yield place
    finally:
        await server.stop()


@asynccontextmanager
async def kept_running(server: EmbeddedServer) -> AsyncIterator[None]:
    """Start an embedded server again whenever it ends by itself (killed, out of memory), for the length of a block."""

    async def watch() -> None:
        while True:
            await asyncio.sleep(KEEP_EVERY)
            if server.pid is None:
                say("PostgreSQL has ended; it is started again.")
                with suppress(CleanStartError):
                    # Gives back what is still held in the dead one's name.
                    await server.stop(immediate=True)
                    await server.start()

    watcher = asyncio.create_task(watch())
    try:
        yield
    finally:
        watcher.cancel()
        with suppress(asyncio.CancelledError):
            await watcher


async def up(configuration: Configuration, host: str, port: int) -> int:
    """Run store, web server and worker on this machine until Ctrl-C; returns the exit code."""
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    require_public_url(configuration, host)
    sock = listen(host, port)
    try:
        async with running_store(configuration):
            say(f"Clean Start is at http://{host}:{sock.getsockname()[1]}")
            return await run_processes(configuration, sock, host, stopping)
    finally:
        sock.close()


async def run_processes(
    configuration: Configuration, sock: socket.socket, host: str, stopping: asyncio.Event
) -> int:
    """Run the web server on a bound socket, and a worker, until `stopping` is set."""
    file = ["--config", str(configuration.file)] if configuration.file else []
    port = str(sock.getsockname()[1])
    descriptor = str(sock.fileno())
    return await supervise(
        [
            Child(
                "web",
                ("serve", *file, "--host", host, "--port", port, "--inherited", descriptor),
                (sock.fileno(),),
            ),
            Child("worker", ("worker", *file)),
        ],
        stopping=stopping,
    )
