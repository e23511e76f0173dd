"""The limiter of every sign-in path. It counts in the store, so that any number of web processes share it.

What is counted is failures, by device where the browser is known under that very name, else by name and address, and
by name from all unknown browsers together (docs/decisions/0013). Nothing is counted by address alone: behind a proxy
all share one. An attempt is recorded as a failure before the password is looked at and forgotten when it was right:
attempts made at the same time cannot all see a clean slate.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import case, delete, func, select, text, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web import words
from web.errors import TooManyAttempts
from web.store.tables import SignInFailureRow

#: Failures count for this long after the last one.
MEMORY = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Allowance:
    """How many failures are free, and how the wait grows after them (it doubles, up to the longest)."""

    free: int
    longest: timedelta

    def wait(self, failures: int) -> timedelta:
        """How long after the last of so many failures the next attempt is refused."""
        if failures < self.free:
            return timedelta(0)
        doubled = timedelta(seconds=1 << min(failures - self.free, 30))
        return min(doubled, self.longest)


#: Of a browser that the person has signed in with.
BY_DEVICE = Allowance(free=5, longest=timedelta(minutes=15))
#: Of unknown browsers at one address.
BY_PLACE = Allowance(free=5, longest=timedelta(minutes=15))
#: Of unknown browsers anywhere: fewer than 100 an hour from however many addresses (OWASP ASVS 4, 2.2.1). Never long,
#: so that who fails at one address hardly delays the person at another.
BY_NAME = Allowance(free=30, longest=timedelta(minutes=1))


@dataclass(frozen=True, slots=True)
class Attempt:
    """An attempt that was let through, by what it is counted."""

    #: What it is counted by alone: a device, or a name and an address.
    own: str
    #: What it shares with other unknown browsers; None for a known one.
    name: str | None = None

    @property
    def keys(self) -> list[str]:
        """All of it, in the order in which rows are locked."""
        return sorted(key for key in (self.own, self.name) if key is not None)


async def begin_attempt(
    engine: AsyncEngine, name: str, address: str | None, *, device: str | None = None
) -> Attempt:
    """Record an attempt, as failed until `forgive` or `take_back` is told otherwise.

    `device` is the number of the device that the browser proved to be under this name. Commits before it returns.
    Attempts that are counted together wait for each other here for an instant.

    Raises:
        TooManyAttempts: the hint says how long to wait. A refused attempt is not counted.
    """
    name = name.strip().lower()
    if device is not None:
        attempt = Attempt(_key("device", device))
        allowances = {attempt.own: BY_DEVICE}
    else:
        shared = _key("name", name)
        attempt = Attempt(_key("place", name, network(address)), shared)
        allowances = {attempt.own: BY_PLACE, shared: BY_NAME}
    async with engine.begin() as connection:
        # Sorted, or two attempts that share both could wait for each other.
        for lock in sorted(map(_lock, allowances)):
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
        wait = await _longest_wait(connection, allowances)
        if wait > timedelta(0):
            seconds = -(-wait // timedelta(seconds=1))
            raise TooManyAttempts(hint=f"Try again in {_in_words(seconds)}.", retry_after=seconds)
        await _count(connection, *attempt.keys)
    return attempt


async def _count(connection: AsyncConnection, *keys: str) -> None:
    """Count one more failure for each of these keys; old ones are forgotten."""
    at = func.clock_timestamp()
    one = insert(SignInFailureRow).values([{"key": key, "failures": 1, "at": at} for key in keys])
    old = SignInFailureRow.at < at - MEMORY
    await connection.execute(
        one.on_conflict_do_update(
            index_elements=[SignInFailureRow.key],
            set_={"failures": case((old, 1), else_=SignInFailureRow.failures + 1), "at": at},
        )
    )


async def forgive(connection: AsyncConnection, attempt: Attempt) -> None:
    """The password was right: forget the failures of this device, or under this name at this address.

    What unknown browsers elsewhere failed under the name stays.
    """
    for key in attempt.keys:
        if key == attempt.own:
            await connection.execute(delete(SignInFailureRow).where(SignInFailureRow.key == key))
        else:
            await _count_down(connection, key)


async def take_back(connection: AsyncConnection, attempt: Attempt) -> None:
    """The password was not looked at: the attempt did not fail."""
    for key in attempt.keys:
        await _count_down(connection, key)


async def count_within(connection: AsyncConnection, what: str, span: timedelta) -> int:
    """Count one more of `what`; returns how many there were in this span of time. Locks the count until the end."""
    now, at = func.now(), SignInFailureRow.at
    over = at < now - span
    counted = insert(SignInFailureRow).values(key=_key("span", what), failures=1, at=now)
    counted = counted.on_conflict_do_update(
        index_elements=[SignInFailureRow.key],
        set_={
            "failures": case((over, 1), else_=SignInFailureRow.failures + 1),
            "at": case((over, now), else_=at),
        },
    )
    so_far: int | None = await connection.scalar(counted.returning(SignInFailureRow.failures))
    assert so_far is not None
    return so_far


def network(address: str | None) -> str:
    """The address to count under: an IPv6 customer has a whole /64; no address is a Unix socket."""
    try:
        parsed = ipaddress.ip_address(address or "")
    except ValueError:
        return address or "unix"
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


async def _longest_wait(connection: AsyncConnection, allowances: dict[str, Allowance]) -> timedelta:
    since = func.clock_timestamp() - SignInFailureRow.at
    rows = await connection.execute(
        select(SignInFailureRow.key, SignInFailureRow.failures, since.label("since")).where(
            SignInFailureRow.key.in_(allowances), since < MEMORY
        )
    )
    waits = (allowances[row.key].wait(row.failures) - max(row.since, timedelta(0)) for row in rows)
    return max(waits, default=timedelta(0))


async def _count_down(connection: AsyncConnection, key: str) -> None:
    await connection.execute(
        update(SignInFailureRow)
        .where(SignInFailureRow.key == key, SignInFailureRow.failures > 0)
        .values(failures=SignInFailureRow.failures - 1)
    )


def _key(kind: str, *parts: str) -> str:
    # People type passwords into the field for the name: what was typed is not kept.
    return hashlib.sha256("\0".join((kind, *parts)).encode("utf-8", "replace")).hexdigest()


def _lock(key: str) -> int:
    digest = hashlib.sha256(f"cleanstart/sign-in/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _in_words(seconds: int) -> str:
    if seconds < 60:
        return words.plural(seconds, "second")
    minutes = -(-seconds // 60)
    return words.plural(minutes, "minute")
