"""The address that the web server listens on: taken before anything else is started, refused where it is not safe."""

from __future__ import annotations

import errno
import socket

from web.config import Configuration, is_loopback
from web.errors import CleanStartError

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


def require_public_url(configuration: Configuration, host: str) -> None:
    """Refuse to listen where others reach it without saying how: passwords would go over plain http.

    Raises:
        AddressNotSafe: `host` is not loopback and the configuration has no public_url.
    """
    if not is_loopback(host) and configuration.public_url is None:
        raise AddressNotSafe(host)
