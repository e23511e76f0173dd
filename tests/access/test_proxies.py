"""Whose word on the client's address is taken, and what of it."""

from __future__ import annotations

import ipaddress

import pytest

from web.access.proxies import client_address

TRUSTED = tuple(map(ipaddress.ip_network, ("10.0.0.0/24", "192.0.2.7", "2001:db8::/64")))
PROXY = "10.0.0.5"


@pytest.mark.parametrize(
    ("peer", "said", "address"),
    [
        # From anybody else nothing is believed.
        ("203.0.113.9", ["198.51.100.1"], "203.0.113.9"),
        ("10.0.1.5", ["198.51.100.1"], "10.0.1.5"),
        (None, ["198.51.100.1"], None),
        ("testclient", ["198.51.100.1"], "testclient"),
        # One proxy, which appends what it saw to whatever the client sent.
        (PROXY, ["203.0.113.9"], "203.0.113.9"),
        (PROXY, ["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (PROXY, ["10.0.0.9, 203.0.113.9"], "203.0.113.9"),
        (PROXY, ["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        (PROXY, ["203.0.113.9", ""], PROXY),
        (PROXY, ["198.51.100.1,203.0.113.9,  "], PROXY),
        # Several in a row.
        (PROXY, ["198.51.100.1, 203.0.113.9, 192.0.2.7"], "203.0.113.9"),
        (PROXY, ["203.0.113.9, 2001:db8::3", "192.0.2.7, 10.0.0.6"], "203.0.113.9"),
        ("2001:db8::1", ["203.0.113.9"], "203.0.113.9"),
        ("::ffff:10.0.0.5", ["203.0.113.9"], "203.0.113.9"),
        # Nothing but proxies, or nothing at all.
        (PROXY, ["192.0.2.7, 10.0.0.6"], "192.0.2.7"),
        (PROXY, [], PROXY),
        # How proxies write addresses; what is none says nothing.
        (PROXY, ["203.0.113.9:4711"], "203.0.113.9"),
        (PROXY, ["[2001:db8:1::9]:4711"], "2001:db8:1::9"),
        (PROXY, ["[2001:db8:1::9]"], "2001:db8:1::9"),
        (PROXY, ["2001:DB8:1:0::9"], "2001:db8:1::9"),
        (PROXY, ["::ffff:203.0.113.9"], "203.0.113.9"),
        (PROXY, ["203.0.113.9, unknown"], PROXY),
        (PROXY, ["203.0.113.9, unknown, 192.0.2.7"], "192.0.2.7"),
        (PROXY, ["203.0.113.9, _hidden"], PROXY),
        (PROXY, ["999.1.1.1"], PROXY),
        (PROXY, ["203.0.113.9\x00"], PROXY),
        (PROXY, ["10.0.0.9," * 10_000 + "203.0.113.9"], "203.0.113.9"),
    ],
)
def test_the_right_most_address_that_is_no_proxys(peer: str | None, said: list[str], address: str) -> None:
    assert client_address(peer, said, TRUSTED) == address


def test_without_a_trusted_proxy_nothing_is_believed() -> None:
    assert client_address("127.0.0.1", ["203.0.113.9"], ()) == "127.0.0.1"
