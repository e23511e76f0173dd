"""`serve`, `work`, `up` and `upgrade`: what keeps running on a machine. The demo's own steps are in `demo`."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog
import uvicorn
from starlette.types import ASGIApp

from web.access.users import require_users_or_loopback
from web.app import create_app
from web.cli.connections import Connection, raise_file_limit
from web.cli.store_place import (
    StorePlace,
    configured_place,
    embedded_server,
    prepare_embedded,
    running_url,
)
from web.cli.supervisor import Child, stop_on_signals, supervise
from web.config import Configuration, is_loopback
from web.errors import CleanStartError
from web.inspection.witness import look_again, witness
from web.jobs.feed import Feed
from web.jobs.resources import Resources
from web.jobs.worker import run_worker
from web.operations import KINDS
from web.operations.schedule import scheduled
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import find_programs
from web.postgres.scratch import ScratchServers
from web.store.database import open_store, require_upgraded
from web.store.upgrade import upgrade
from web.walls.layers import find_layers, hide_process

HOST = "127.0.0.1"
PORT = 8321
#: Seconds that requests get to finish once the server was asked to stop; streams are ended at once.
DRAIN = 5
#: Seconds between two looks whether the embedded server still runs.
KEEP_EVERY = 1.0
#: Seconds between two calls of a worker's schedule: so long a look that is owed may wait.
SCHEDULE_EVERY = 2.0
#: Connections that wait while the web server starts, or is busy.
BACKLOG = 2048


class AddressUnavailable(CleanStartError):
    """The server cannot listen on this address."""

    status = 503
    title = "The address cannot be used"


class AddressNotSafe(CleanStartError):
    """The web server would be reached from elsewhere over plain http."""

    title = "The address is not safe"
    hint = (
        'Set public_url = "https://…" in the configuration, with a proxy that ends TLS in front; a container that is '
        'published on loopback only takes "http://localhost:PORT".'
    )

    def __init__(self, host: str) -> None:
        super().__init__(
            f"Listening on {host} without a public_url would show passwords to everybody in between."
        )


def listen(host: str, port: int) -> socket.socket:
    """Open the web server's socket, before anything else is started. Port 0 takes a free one.

    It listens from now on: nobody else gets the port, and who comes early waits for an answer.

    Raises:
        AddressUnavailable: the port is taken, or the address is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        if error.errno == errno.EADDRINUSE:
            raise AddressUnavailable(
                f"Something else listens on {host}:{port}.",
                hint=f"Stop it, or choose another port: --port {port + 1}.",
            ) from error
        raise AddressUnavailable(f"Cannot listen on {host}:{port}: {error.strerror}.") from error
    return sock


class Server(uvicorn.Server):
    """uvicorn's server, which ends open streams first: it would wait for them otherwise."""

    def __init__(self, config: uvicorn.Config, feed: Feed) -> None:
        super().__init__(config)
        self._feed = feed

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End all streams, then shut down."""
        self._feed.end_streams()
        await super().shutdown(sockets)


async def serve(configuration: Configuration, host: str, port: int, *, inherited: int | None = None) -> None:
    """Run the web server until SIGINT or SIGTERM. `inherited` is a bound socket's file descriptor.

    Raises:
        AddressUnavailable, StoreNotReady: it cannot start.
        Refused: nobody has to sign in, and others could reach the address.
    """
    set_up_logging()
    hide_process()
    require_public_url(configuration, host)
    with listen(host, port) if inherited is None else socket.socket(fileno=inherited) as sock:
        await _serve(configuration, sock, host)


async def _serve(configuration: Configuration, sock: socket.socket, host: str) -> None:
    engine = open_store(running_url(configuration))
    try:
        await require_upgraded(engine)
        await require_users_or_loopback(engine, host)
        async with Feed(engine) as feed:
            app = await create_app(
                configuration, engine, feed, kinds=KINDS, bound_to_loopback=is_loopback(host)
            )
            server = Server(server_config(app), feed)

            def stop() -> None:
                server.should_exit = True

            async with following_parent(stop):
                await server.serve(sockets=[sock])
    finally:
        await engine.dispose()


def server_config(
    app: ASGIApp, *, limit: float = Connection.limit, most: int | None = None
) -> uvicorn.Config:
    """How uvicorn serves: no word of a proxy is taken here, and there are no web sockets.

    `limit` is how many seconds a request may take to arrive, `most` how many connections there may be.
    """
    return uvicorn.Config(
        app,
        http=type("Limited", (Connection,), {"limit": limit, "most": most or raise_file_limit()}),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=DRAIN,
        proxy_headers=False,
    )


def require_public_url(configuration: Configuration, host: str) -> None:
    """Refuse to listen where others reach it without saying how: passwords would go over plain http.

    Raises:
        AddressNotSafe: `host` is not loopback and the configuration has no public_url.
    """
    if not is_loopback(host) and configuration.public_url is None:
        raise AddressNotSafe(host)


@asynccontextmanager
async def following_parent(stop: Callable[[], None]) -> AsyncIterator[None]:
    """Call `stop` when the supervisor that started this process is gone."""

    async def watch() -> None:
        while os.getppid() == parent:  # noqa: ASYNC110 (no event tells of it)
            await asyncio.sleep(1.0)
        stop()

    # From the environment: a supervisor that died before this line is noticed too.
    parent = int(os.environ.get("CLEANSTART_PARENT", "0"))
    watcher = asyncio.create_task(watch()) if parent else None
    try:
        yield
    finally:
        if watcher is not None:
            watcher.cancel()


async def work(configuration: Configuration) -> None:
    """Run a worker until SIGINT or SIGTERM, or until its supervisor is gone. Raises StoreNotReady."""
    set_up_logging()
    stop = asyncio.Event()
    hide_process()
    layers = await asyncio.to_thread(find_layers)
    programs = await asyncio.to_thread(find_programs, configuration.programs)
    scratch = ScratchServers(
        configuration.data_directory / "scratch",
        {
            major: place if place == "embedded" else place.read()
            for major, place in configuration.scratch.items()
        },
        programs,
        layers=layers,
        shared=any(project.without_wall for project in configuration.projects.values()),
    )
    try:
        async with following_parent(stop.set):
            await run_worker(
                configuration,
                KINDS,
                store_url=running_url(configuration),
                resources=Resources(programs, scratch, layers.words),
                witness=witness,
                look=look_again,
                schedule=scheduled(configuration),
                schedule_every=SCHEDULE_EVERY,
                stop=stop,
            )
    finally:
        await scratch.stop()


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


def set_up_logging() -> None:
    """Write warnings and what matters as lines to stderr: readable on a terminal, JSON elsewhere."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def say(line: str) -> None:
    """Tell the person at the terminal."""
    with suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
