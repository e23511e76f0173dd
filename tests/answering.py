"""An application of the tests that answers over HTTP as it is told to."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Handle = Callable[[BaseHTTPRequestHandler], None]


def well(request: BaseHTTPRequestHandler) -> None:
    """Answer 200."""
    status(request, 200)


def status(request: BaseHTTPRequestHandler, code: int, **headers: str) -> None:
    """Answer with a status and no body."""
    request.send_response(code)
    for name, value in {"Content-Length": "0", **headers}.items():
        request.send_header(name, value)
    request.end_headers()


@contextmanager
def answering(handle: Handle = well, *, port: int = 0) -> Iterator[str]:
    """A server on a free port (or on this one), as its address; gone with all its connections afterwards."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            handle(self)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/healthz"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
