"""A web server as `cleanstart serve` makes it, with a small application: `python -m tests.cli.small_server LIMIT MOST`.

It says its port, and then whatever the application met.
"""

from __future__ import annotations

import asyncio
import sys

import uvicorn
from starlette.types import Receive, Scope, Send

from web.cli.listening import listen
from web.cli.long_running import set_up_logging
from web.cli.serving import server_config


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """`/stream` never ends, `/large` is 20 MB, `/early` answers without the body; else what came is told."""
    path = scope["path"]
    start = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}
    if path == "/stream":
        await send(start)
        while True:
            await send({"type": "http.response.body", "body": b"still here\n", "more_body": True})
            await asyncio.sleep(0.2)
    body, more = b"", path != "/early"
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            print("gone", path, flush=True)  # noqa: T201
            return
        body, more = body + message["body"], message["more_body"]
    await send(start)
    told = (
        b"x" * 20_000_000 if path == "/large" else b"%d bytes %d headers" % (len(body), len(scope["headers"]))
    )
    await send({"type": "http.response.body", "body": told})
    print("answered", path, flush=True)  # noqa: T201


async def main(limit: float, most: int) -> None:
    """Serve until the process is ended."""
    set_up_logging()
    with listen("127.0.0.1", 0) as sock:
        config = server_config(app, **({"limit": limit} if limit else {}), most=most or None)
        print(sock.getsockname()[1], flush=True)  # noqa: T201
        await uvicorn.Server(config).serve(sockets=[sock])


if __name__ == "__main__":
    asyncio.run(main(float(sys.argv[1]), int(sys.argv[2])))
