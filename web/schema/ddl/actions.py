"""Put what has to be done into an order that the server accepts."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from web.schema.ddl.statement import Statement
from web.schema.finding import Difference


class Rank(IntEnum):
    """When something is done, unless what it needs says otherwise: add, then alter, then drop."""

    RENAME = 0
    #: Take away what stands in the way and comes back.
    DISMANTLE = 1
    #: Extensions bring types and functions whose names are not known here.
    EXTENSION = 2
    TYPE = 3
    TABLE = 4
    ALTER = 5
    INDEX = 6
    REFERENCE = 7
    #: Views, triggers, policies and whatever else stands on tables.
    ON_TOP = 8
    ACCESS = 9
    DROP = 10
    #: Drops that take rows or values with them.
    LOSE = 11
    #: Extensions that go, and event triggers that come: they would fire on all that is before.
    LAST = 12


@dataclass(frozen=True, slots=True)
class Action:
    """Statements that belong together, and the names that they give, need, free and remove."""

    rank: Rank
    statements: tuple[Statement, ...]
    #: What it is done for.
    difference: Difference | None = None
    gives: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    #: What its object mentioned before and need not afterwards.
    frees: frozenset[str] = frozenset()
    removes: frozenset[str] = frozenset()


def in_order(actions: Sequence[Action]) -> list[Action]:
    """Sort by what needs what, then by rank, then as they came (Kahn's algorithm).

    Where there is a circle the lowest rank goes first: whether the server takes it is seen when it is run.
    """
    waiting, followers = _edges(actions)
    free = [(action.rank, number) for number, action in enumerate(actions) if not waiting[number]]
    heapq.heapify(free)
    left = set(range(len(actions)))
    made: list[Action] = []
    while left:
        if not free:
            number = min(left, key=lambda each: (actions[each].rank, each))
            waiting[number].clear()
            heapq.heappush(free, (actions[number].rank, number))
        _, number = heapq.heappop(free)
        if number not in left:
            continue
        left.discard(number)
        made.append(actions[number])
        for follower in followers[number]:
            waiting[follower].discard(number)
            if not waiting[follower] and follower in left:
                heapq.heappush(free, (actions[follower].rank, follower))
    return made


def _edges(actions: Sequence[Action]) -> tuple[list[set[int]], list[set[int]]]:
    given, freed, removed = (_by_name(actions, each) for each in ("gives", "frees", "removes"))
    waiting: list[set[int]] = [set() for _ in actions]
    for number, action in enumerate(actions):
        for name in action.needs - action.gives:
            waiting[number].update(given[name])
        for name in action.removes:
            waiting[number].update(freed[name])
        for name in action.gives - action.removes:
            waiting[number].update(removed[name])
        waiting[number].discard(number)
    followers: list[set[int]] = [set() for _ in actions]
    for number, before in enumerate(waiting):
        for each in before:
            followers[each].add(number)
    return waiting, followers


def _by_name(actions: Iterable[Action], where: str) -> defaultdict[str, set[int]]:
    found: defaultdict[str, set[int]] = defaultdict(set)
    for number, action in enumerate(actions):
        for name in getattr(action, where):
            found[name].add(number)
    return found
