"""Put what has to be done into an order that the server accepts."""

from __future__ import annotations

import heapq
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from web.schema.ddl.statement import Statement, in_transaction
from web.schema.ddl.windows import Windows
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
    #: The same for all that dismantle something and make it again: a commit between them would lose it.
    window: int | None = None

    @property
    def alone(self) -> bool:
        """Whether it commits in between."""
        return any(each.alone for each in self.statements)


def in_order(actions: Sequence[Action]) -> list[Action]:
    """Sort by what needs what, then by rank, then as they came (Kahn's algorithm).

    What commits by itself comes before a window or after it. Where it can only come inside (a key on a column that
    is altered there, and that a view made again stands on) it takes the form that runs in a transaction.
    Where there is a circle the lowest rank goes first: whether the server takes it is seen when it is run.
    """
    waiting, followers = _edges(actions)
    windows = Windows.of(actions, waiting, followers)
    actions = [
        replace(action, statements=tuple(map(in_transaction, action.statements)))
        if action.alone and windows.of_action[number] is not None
        else action
        for number, action in enumerate(actions)
    ]
    for number, before in windows.entries.items():
        waiting[number] |= before
        for each in before:
            followers[each].add(number)
    free = [(action.rank, number) for number, action in enumerate(actions) if not waiting[number]]
    heapq.heapify(free)
    #: Free, but it would commit while a window is open.
    later: list[tuple[Rank, int]] = []
    left = set(range(len(actions)))
    made: list[Action] = []
    while left:
        if not free:
            if later:
                heapq.heappush(free, later.pop())
                windows.close_all()
            else:
                number = min(left, key=lambda each: (actions[each].rank, each))
                waiting[number].clear()
                heapq.heappush(free, (actions[number].rank, number))
        rank, number = heapq.heappop(free)
        if number not in left:
            continue
        if actions[number].alone and windows.others_open(number):
            later.append((rank, number))
            continue
        left.discard(number)
        made.append(actions[number])
        for follower in followers[number]:
            waiting[follower].discard(number)
            if not waiting[follower] and follower in left:
                heapq.heappush(free, (actions[follower].rank, follower))
        if windows.pass_by(number):
            for put_off in later:
                heapq.heappush(free, put_off)
            later.clear()
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
