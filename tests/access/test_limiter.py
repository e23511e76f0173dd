"""The sign-in limiter: progressive, in parallel, and not to be talked round."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from web.access.limiter import BY_ADDRESS, BY_NAME, begin_attempt, forgive
from web.errors import TooManyAttempts


async def attempts(engine: AsyncEngine, *pairs: tuple[str, str | None]) -> int:
    """How many of these attempts, made at once, get through."""
    results = await asyncio.gather(
        *(begin_attempt(engine, name, address) for name, address in pairs), return_exceptions=True
    )
    assert all(isinstance(result, int | TooManyAttempts) for result in results), results
    return sum(isinstance(result, int) for result in results)


async def age(engine: AsyncEngine, by: str) -> None:
    """Make all failures older: what a clock would do."""
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE sign_in_failure SET at = at - interval '{by}'"))


def test_the_wait_doubles_up_to_the_longest() -> None:
    seconds = [BY_NAME.wait(failures).total_seconds() for failures in range(17)]
    assert seconds == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
    assert BY_NAME.wait(10**9) == timedelta(minutes=15)
    assert BY_ADDRESS.wait(29) == timedelta(0)
    assert BY_ADDRESS.wait(10**9) == timedelta(minutes=1)


async def fail(engine: AsyncEngine, name: str, address: str, times: int) -> None:
    """Fail so many times, each as soon as it is allowed."""
    for _ in range(times):
        await begin_attempt(engine, name, address)
        await age(engine, "15 minutes")


async def at_once(engine: AsyncEngine, free: int, *pairs: tuple[str, str | None]) -> None:
    """Check that of these attempts the free ones get through, and one more for each wait that has passed."""
    started = time.monotonic()
    through = await attempts(engine, *pairs)
    waits = int(math.log2(time.monotonic() - started + 1))
    assert free <= through <= free + waits


async def test_a_hundred_at_once_under_one_name(store: AsyncEngine) -> None:
    await at_once(store, BY_NAME.free, *(("ada", f"10.0.{number}.1") for number in range(100)))


async def test_a_hundred_at_once_from_one_address(store: AsyncEngine) -> None:
    await at_once(store, BY_ADDRESS.free, *((f"user{number}", "10.0.0.1") for number in range(100)))


async def test_spellings_of_one_name(store: AsyncEngine) -> None:
    spellings = ["ada", "ADA", " ada ", "Ada"]
    await at_once(store, BY_NAME.free, *((spellings[number % 4], f"10.1.{number}.1") for number in range(20)))


@pytest.mark.parametrize(
    "addresses",
    [
        [f"2001:db8:0:1::{number:x}" for number in range(50)],
        ["10.9.9.9", "::ffff:10.9.9.9"] * 25,
        [None] * 50,
    ],
    ids=["one customer's IPv6 network", "IPv4 in two forms", "a Unix socket"],
)
async def test_spellings_of_one_address(store: AsyncEngine, addresses: list[str | None]) -> None:
    pairs = [(f"user{number}", address) for number, address in enumerate(addresses)]
    await at_once(store, BY_ADDRESS.free, *pairs)


async def test_waiting_lets_one_more_through(store: AsyncEngine) -> None:
    await fail(store, "ada", "10.0.0.1", 13)
    await age(store, "-15 minutes")
    with pytest.raises(TooManyAttempts, match="wait") as caught:
        await begin_attempt(store, "ada", "10.0.0.1")
    assert 240 < caught.value.retry_after <= 256
    assert caught.value.hint == "Try again in 5 minutes."
    assert await attempts(store, *[("ada", "10.0.0.1")] * 10) == 0
    await age(store, "256 seconds")
    assert await attempts(store, *[("ada", "10.0.0.1")] * 10) == 1
    assert await attempts(store, ("ada", "10.0.0.2"), ("bob", "10.0.0.1")) == 1


async def test_refused_attempts_do_not_make_the_wait_longer(store: AsyncEngine) -> None:
    await fail(store, "ada", "10.0.0.1", 10)
    await age(store, "-15 minutes")
    assert await attempts(store, *[("ada", "10.0.0.1")] * 30) == 0
    await age(store, "32 seconds")
    assert await attempts(store, ("ada", "10.0.0.1")) == 1


async def test_old_failures_are_forgotten(store: AsyncEngine) -> None:
    await fail(store, "ada", "10.0.0.1", 14)
    await age(store, "25 hours")
    for _ in range(BY_NAME.free):
        await begin_attempt(store, "ada", "10.0.0.1")


async def test_success_forgives_one_name_and_no_other(store: AsyncEngine) -> None:
    await fail(store, "ada", "10.0.0.1", 14)
    await fail(store, "bob", "10.0.0.1", 14)
    await age(store, "-15 minutes")
    async with store.begin() as connection:
        await forgive(connection, "Ada")
    assert await attempts(store, ("ada", "10.0.0.1")) == 1
    assert await attempts(store, ("bob", "10.0.0.1")) == 0


async def test_what_was_typed_is_not_kept(store: AsyncEngine) -> None:
    await begin_attempt(store, "hunter2 typed into the wrong field", "10.0.0.1")
    async with store.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM sign_in_failure"))).all()
    assert len(rows) == 1
    assert "hunter2" not in repr(rows)


async def test_names_that_no_text_column_would_take(store: AsyncEngine) -> None:
    assert await attempts(store, ("a\0b", "10.0.0.1"), ("\ud800", "10.0.0.1")) == 2
