"""The limiter of every sign-in path. It counts in the store, so that any number of web processes share it.

An attempt is recorded as a failure before the password is looked at and forgotten when it was right: attempts
made at the same time cannot all see a clean slate. Proxy headers are not looked at, they can be made up.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.errors import TooManyAttempts
from web.store.tables import SignInFailureRow

#: Failures older than this are forgotten.
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


#: Against guessing one person's password, from wherever.
BY_NAME = Allowance(free=5, longest=timedelta(minutes=15))
#: Against trying one password on many names. Behind a proxy all share an address: freer, and never long.
BY_ADDRESS = Allowance(free=30, longest=timedelta(minutes=1))


async def begin_attempt(engine: AsyncEngine, name: str, address: str | None) -> int:
    """Record an attempt, as failed until `forgive` is told otherwise; returns its id.

    Commits before it returns. Attempts of one name or one address wait for each other here for an instant.

    Raises:
        TooManyAttempts: the hint says how long to wait. A refused attempt is not counted.
    """
    keys = _digest(name), _network(address)
    async with engine.begin() as connection:
        # Sorted, or two attempts that share both keys could wait for each other.
        for lock in sorted(_lock_key(kind, key) for kind, key in zip(("name", "address"), keys, strict=True)):
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": lock})
        wait = max(
            await _wait(connection, SignInFailureRow.name == keys[0], BY_NAME),
            await _wait(connection, SignInFailureRow.address == keys[1], BY_ADDRESS),
        )
        if wait > timedelta(0):
            seconds = -(-wait // timedelta(seconds=1))
            raise TooManyAttempts(hint=f"Try again in {_in_words(seconds)}.", retry_after=seconds)
        attempt: int | None = await connection.scalar(
            insert(SignInFailureRow)
            .values(name=keys[0], address=keys[1], at=func.clock_timestamp())
            .returning(SignInFailureRow.id)
        )
    assert attempt is not None
    return attempt


async def forgive(connection: AsyncConnection, name: str) -> None:
    """Forget the failures under a name whose password was right, and everybody's old ones.

    Other names' failures from the same address stay: one good account buys no guesses at others.
    """
    await connection.execute(
        delete(SignInFailureRow).where(
            (SignInFailureRow.name == _digest(name)) | (SignInFailureRow.at < func.now() - MEMORY)
        )
    )


async def _wait(connection: AsyncConnection, which: ColumnElement[bool], allowance: Allowance) -> timedelta:
    row = (
        await connection.execute(
            select(
                func.count().label("failures"),
                (func.clock_timestamp() - func.max(SignInFailureRow.at)).label("since"),
            ).where(which, SignInFailureRow.at > func.now() - MEMORY)
        )
    ).one()
    needed, since = allowance.wait(row.failures), row.since or timedelta(0)
    return max(needed - max(since, timedelta(0)), timedelta(0))


def _digest(name: str) -> str:
    # People type passwords into the field for the name: what was typed is not kept.
    return hashlib.sha256(name.strip().lower().encode("utf-8", "replace")).hexdigest()


def _network(address: str | None) -> str:
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


def _lock_key(kind: str, key: str) -> int:
    digest = hashlib.sha256(f"cleanstart/sign-in/{kind}/{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def _in_words(seconds: int) -> str:
    if seconds < 60:
        return "1 second" if seconds == 1 else f"{seconds} seconds"
    minutes = -(-seconds // 60)
    return "1 minute" if minutes == 1 else f"{minutes} minutes"
