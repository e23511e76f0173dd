"""The sign-in limiter: progressive, in parallel, not to be talked round, and no weapon against others."""

from __future__ import annotations

import asyncio
import math
import time
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from web.access.limiter import (
    BY_DEVICE,
    BY_NAME,
    BY_PLACE,
    Attempt,
    begin_attempt,
    count_within,
    forgive,
    take_back,
)
from web.errors import TooManyAttempts

#: Name, address, and the device that the browser is known as.
Who = tuple[str, str | None] | tuple[str, str | None, str]


async def begin(engine: AsyncEngine, who: Who) -> Attempt:
    name, address, *known_as = who
    return await begin_attempt(engine, name, address, device=known_as[0] if known_as else None)


async def attempts(engine: AsyncEngine, *all_of_them: Who) -> int:
    """How many of these attempts, made at once, get through."""
    results = await asyncio.gather(*(begin(engine, who) for who in all_of_them), return_exceptions=True)
    assert all(isinstance(result, Attempt | TooManyAttempts) for result in results), results
    return sum(isinstance(result, Attempt) for result in results)


async def age(engine: AsyncEngine, by: str) -> None:
    """Make all failures older: what a clock would do."""
    async with engine.begin() as connection:
        await connection.execute(text(f"UPDATE sign_in_failure SET at = at - interval '{by}'"))


async def fail(engine: AsyncEngine, who: Who, times: int) -> Attempt:
    """Fail so many times, each as soon as it is allowed."""
    for _ in range(times):
        attempt = await begin(engine, who)
        await age(engine, "15 minutes")
    return attempt


async def at_once(engine: AsyncEngine, free: int, *all_of_them: Who) -> None:
    """Check that of these attempts the free ones get through, and one more for each wait that has passed."""
    started = time.monotonic()
    through = await attempts(engine, *all_of_them)
    waits = int(math.log2(time.monotonic() - started + 1))
    assert free <= through <= free + waits


def test_the_wait_doubles_up_to_the_longest() -> None:
    for allowance in (BY_PLACE, BY_DEVICE):
        seconds = [allowance.wait(failures).total_seconds() for failures in range(17)]
        assert seconds == [0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900]
        assert allowance.wait(10**9) == timedelta(minutes=15)
    assert BY_NAME.wait(29) == timedelta(0)
    assert BY_NAME.wait(10**9) == timedelta(minutes=1)


def test_fewer_than_a_hundred_guesses_an_hour_from_however_many_addresses() -> None:
    guesses, elapsed = 0, timedelta(0)
    while elapsed <= timedelta(hours=1):
        guesses += 1
        elapsed += BY_NAME.wait(guesses)
    assert guesses < 100


async def test_a_hundred_at_once_under_one_name_from_one_address(store: AsyncEngine) -> None:
    for name in ("ada", "there is nobody of this name"):
        await at_once(store, BY_PLACE.free, *[(name, "10.0.0.1")] * 100)


async def test_a_hundred_at_once_under_one_name_from_everywhere(store: AsyncEngine) -> None:
    await at_once(store, BY_NAME.free, *(("ada", f"10.0.{number}.1") for number in range(100)))


async def test_a_hundred_at_once_from_one_device(store: AsyncEngine) -> None:
    await at_once(store, BY_DEVICE.free, *(("ada", f"10.0.{number}.1", "known") for number in range(100)))


async def test_nobody_is_slowed_by_others_at_the_same_address(store: AsyncEngine) -> None:
    assert await attempts(store, *((f"user{number}", "10.0.0.1") for number in range(100))) == 100
    await fail(store, ("eve", "10.0.0.1"), 20)
    await age(store, "-15 minutes")
    assert await attempts(store, ("eve", "10.0.0.1")) == 0
    assert await attempts(store, ("ada", "10.0.0.1")) == 1


async def test_a_known_device_is_not_slowed_by_strangers_nor_they_by_it(store: AsyncEngine) -> None:
    await fail(store, ("ada", "10.0.0.1"), 20)
    await at_once(store, BY_NAME.free - 20, *(("ada", f"10.1.{number}.1") for number in range(50)))
    await age(store, "-15 minutes")
    assert await attempts(store, ("ada", "10.0.0.1"), ("ada", "10.2.0.1")) == 0
    assert await attempts(store, ("ada", "10.0.0.1", "known")) == 1
    await fail(store, ("bob", "10.0.0.1", "known to bob"), 20)
    await age(store, "-15 minutes")
    assert await attempts(store, ("bob", "10.0.0.1", "known to bob")) == 0
    assert await attempts(store, ("bob", "10.0.0.1"), ("bob", "10.0.0.1", "his other one")) == 2


async def test_who_fails_at_one_address_for_a_day_delays_another_one_by_a_minute(store: AsyncEngine) -> None:
    await fail(store, ("ada", "10.0.0.1"), 100)
    await age(store, "-15 minutes")
    with pytest.raises(TooManyAttempts) as caught:
        await begin_attempt(store, "ada", "10.0.0.2")
    assert 50 < caught.value.retry_after <= 60
    await age(store, "1 minute")
    assert await attempts(store, ("ada", "10.0.0.2"), ("ada", "10.0.0.1")) == 1


async def test_spellings_of_one_name(store: AsyncEngine) -> None:
    spellings = ["ada", "ADA", " ada ", "Ada"]
    await at_once(store, BY_PLACE.free, *((spellings[number % 4], "10.1.0.1") for number in range(20)))


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
    await at_once(store, BY_PLACE.free, *(("ada", address) for address in addresses))


async def test_waiting_lets_one_more_through(store: AsyncEngine) -> None:
    await fail(store, ("ada", "10.0.0.1"), 13)
    await age(store, "-15 minutes")
    with pytest.raises(TooManyAttempts, match="wait") as caught:
        await begin_attempt(store, "ada", "10.0.0.1")
    assert 240 < caught.value.retry_after <= 256
    assert caught.value.hint == "Try again in 5 minutes."
    assert await attempts(store, *[("ada", "10.0.0.1")] * 10) == 0
    await age(store, "256 seconds")
    assert await attempts(store, *[("ada", "10.0.0.1")] * 10) == 1


async def test_refused_attempts_do_not_make_the_wait_longer(store: AsyncEngine) -> None:
    await fail(store, ("ada", "10.0.0.1"), 10)
    await age(store, "-15 minutes")
    assert await attempts(store, *[("ada", "10.0.0.1")] * 30) == 0
    await age(store, "32 seconds")
    assert await attempts(store, ("ada", "10.0.0.1")) == 1


async def test_old_failures_are_forgotten(store: AsyncEngine) -> None:
    await fail(store, ("ada", "10.0.0.1"), 40)
    await age(store, "25 hours")
    for _ in range(BY_PLACE.free):
        await begin_attempt(store, "ada", "10.0.0.1")


async def test_success_forgives_its_own_failures_and_no_others(store: AsyncEngine) -> None:
    await fail(store, ("ada", "10.0.0.9"), BY_NAME.free - 1)
    await age(store, "-15 minutes")
    right = await begin_attempt(store, "ada", "10.0.0.1")
    async with store.begin() as connection:
        await forgive(connection, right)
    assert await attempts(store, ("ada", "10.0.0.9")) == 0
    # What failed elsewhere still stands: one more is free anywhere.
    assert await attempts(store, *[("ada", "10.0.0.1")] * 3) == 1


async def test_an_attempt_that_is_taken_back_did_not_fail(store: AsyncEngine) -> None:
    for _ in range(50):
        attempt = await begin_attempt(store, "ada", "10.0.0.1")
        async with store.begin() as connection:
            await take_back(connection, attempt)
    async with store.connect() as connection:
        assert await connection.scalar(text("SELECT sum(failures) FROM sign_in_failure")) == 0


async def test_forgiving_and_failing_at_once(store: AsyncEngine) -> None:
    async def right(number: int) -> None:
        attempt = await begin_attempt(store, "ada", f"10.0.{number % 3}.1")
        async with store.begin() as connection:
            await forgive(connection, attempt)

    for _ in range(2):
        results = await asyncio.gather(*(right(number) for number in range(40)), return_exceptions=True)
        assert {type(each) for each in results} <= {type(None), TooManyAttempts}


async def test_counting_within_a_span(store: AsyncEngine) -> None:
    for expected in (1, 2, 3):
        async with store.begin() as connection:
            assert await count_within(connection, "things", timedelta(hours=1)) == expected
    await age(store, "61 minutes")
    async with store.begin() as connection:
        assert await count_within(connection, "things", timedelta(hours=1)) == 1


async def test_what_was_typed_is_not_kept(store: AsyncEngine) -> None:
    await begin_attempt(store, "hunter2 typed into the wrong field", "10.0.0.1")
    async with store.connect() as connection:
        rows = (await connection.execute(text("SELECT * FROM sign_in_failure"))).all()
    assert len(rows) == 2
    assert "hunter2" not in repr(rows)


async def test_names_that_no_text_column_would_take(store: AsyncEngine) -> None:
    assert await attempts(store, ("a\0b", "10.0.0.1"), ("\ud800", "10.0.0.1")) == 2
