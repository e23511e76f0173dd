"""Whose password is checked next: known browsers are not behind strangers, nor one address behind another."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from web.access.turns import ALL, AT_ONCE, EACH, Turns
from web.errors import TooManyAttempts


async def take(turns: Turns, order: list[str], whose: str, *, known: bool = False) -> None:
    async with turns.turn(whose, known=known):
        order.append(whose)
        await asyncio.sleep(0)


async def settle(tasks: Iterable[asyncio.Task[None]]) -> list[BaseException | None]:
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_at_most_so_many_at_once() -> None:
    turns, running, most = Turns(), 0, 0

    async def check() -> None:
        nonlocal running, most
        async with turns.turn(str(running), known=False):
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1

    await asyncio.gather(*(check() for _ in range(15)))
    assert most == AT_ONCE
    assert turns.free == AT_ONCE


async def test_addresses_take_turns_and_known_browsers_do_not_wait_for_strangers() -> None:
    turns, order = Turns(free=1), list[str]()
    async with asyncio.TaskGroup() as group, turns.turn("first", known=False):
        for whose in ["flood"] * EACH + ["other"]:
            group.create_task(take(turns, order, whose))
        await asyncio.sleep(0)
        group.create_task(take(turns, order, "ada", known=True))
        await asyncio.sleep(0)
    assert order.index("ada") <= 1
    assert order.index("other") <= 2
    assert order.count("flood") == EACH


async def test_known_browsers_do_not_keep_strangers_waiting_either() -> None:
    turns, order = Turns(free=1), list[str]()
    async with asyncio.TaskGroup() as group, turns.turn("first", known=False):
        for _ in range(EACH):
            group.create_task(take(turns, order, "ada", known=True))
        await asyncio.sleep(0)
        group.create_task(take(turns, order, "stranger"))
        await asyncio.sleep(0)
    assert order.index("stranger") <= 1


async def test_who_waits_is_bounded() -> None:
    turns, order = Turns(free=1), list[str]()
    async with turns.turn("first", known=False):
        flood = [asyncio.create_task(take(turns, order, "flood")) for _ in range(EACH + 5)]
        await asyncio.sleep(0)
        many = [asyncio.create_task(take(turns, order, f"a{number}")) for number in range(ALL)]
        await asyncio.sleep(0)
        known = asyncio.create_task(take(turns, order, "ada", known=True))
        await asyncio.sleep(0)
    results = await settle([*flood, *many])
    refused = [each for each in results if each is not None]
    assert all(isinstance(each, TooManyAttempts) for each in refused)
    assert len(refused) == 5 + EACH
    await known
    assert (turns.free, len(turns.strangers), len(turns.known)) == (1, 0, 0)


async def test_who_goes_away_gives_the_turn_back() -> None:
    turns, order = Turns(free=1), list[str]()
    async with turns.turn("first", known=False):
        gone = asyncio.create_task(take(turns, order, "gone"))
        stays = asyncio.create_task(take(turns, order, "stays"))
        await asyncio.sleep(0)
        gone.cancel()
    late = asyncio.create_task(take(turns, order, "late"))
    with pytest.raises(asyncio.CancelledError):
        await gone
    await asyncio.gather(stays, late)
    assert order == ["stays", "late"]
    assert turns.free == 1

    # Cancelled in the very moment in which the turn was given.
    async with turns.turn("first", known=False):
        given = asyncio.create_task(take(turns, order, "given"))
        await asyncio.sleep(0)
    given.cancel()
    with pytest.raises(asyncio.CancelledError):
        await given
    assert turns.free == 1
