"""The client's address behind proxies that the configuration trusts. Pure functions; `requests` brings the request.

Only `X-Forwarded-For` is read, and only from a trusted peer: each proxy appends the address that it saw, so that what
stands right of the first untrusted address is said by those who are trusted, and everything left of it may be made up.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from web.config import Network

#: An address with a port, as some proxies write it.
WITH_PORT = re.compile(r"\[(?P<six>[0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|(?P<four>[0-9.]+):[0-9]{1,5}")


def client_address(peer: str | None, forwarded: Sequence[str], trusted: Iterable[Network]) -> str | None:
    """The address to hold responsible: the right-most one that is no trusted proxy's.

    `forwarded` holds the values of the `X-Forwarded-For` headers in their order. Where a trusted proxy says nothing,
    or something that is no address, it is the address of that proxy.
    """
    address = peer
    said = (each for value in reversed(forwarded) for each in reversed(value.split(",")))
    while is_trusted(address, trusted):
        before = _parse(next(said, ""))
        if before is None:
            break
        address = before
    return address


def is_trusted(address: str | None, trusted: Iterable[Network]) -> bool:
    """Whether this is a proxy that the configuration names."""
    parsed = ipaddress.ip_address(known) if (known := _parse(address or "")) else None
    return parsed is not None and any(parsed in network for network in trusted)


def _parse(text: str) -> str | None:
    """The address in its usual form, without a port; None where it is none."""
    text = text.strip()
    if match := WITH_PORT.fullmatch(text):
        text = match["six"] or match["four"]
    try:
        parsed = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return str(parsed)
