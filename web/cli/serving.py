"""`serve`: the web server, on its own or as a child of `up`."""

from __future__ import annotations

import socket

import uvicorn
from starlette.types import ASGIApp

from web.access.users import require_users_or_loopback
from web.app import create_app
from web.cli.connections import Connection, raise_file_limit
from web.cli.listening import listen, require_public_url
from web.cli.long_running import following_parent, set_up_logging
from web.cli.store_place import running_url
from web.config import Configuration, is_loopback
from web.jobs.feed import Feed
from web.operations import KINDS
from web.store.database import open_store, require_upgraded
from web.walls.layers import hide_process

#: Seconds that requests get to finish once the server was asked to stop; streams are ended at once.
DRAIN = 5


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
