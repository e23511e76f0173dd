"""Windows: from the first statement that dismantles something to the last that makes it again, nothing is committed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Protocol


class Windowed(Protocol):
    """As much of an action as is asked here."""

    @property
    def window(self) -> int | None:
        """The window that it opens, closes, or is in."""

    @property
    def alone(self) -> bool:
        """Whether it commits in between."""


@dataclass(slots=True)
class Windows:
    """Which actions are in which window, and which windows are open while actions are put in order."""

    #: By action; None: it is in none.
    of_action: Sequence[int | None]
    #: Actions that an action in a window has to wait for, so that it need not be left for one that commits.
    entries: dict[int, set[int]]
    _sizes: dict[int, int] = field(default_factory=dict)
    _open: dict[int, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls, actions: Sequence[Windowed], waiting: Sequence[set[int]], followers: Sequence[set[int]]
    ) -> Windows:
        """Find them. What a window needs and what itself needs the window is in it, too.

        With all actions of a window taken as one, those are what is in a circle with it.
        """
        one: dict[int, int] = {}
        named = [
            number if each.window is None else one.setdefault(each.window, number)
            for number, each in enumerate(actions)
        ]
        if not one:
            return cls([None] * len(actions), {})
        before: list[set[int]] = [set() for _ in actions]
        after: list[set[int]] = [set() for _ in actions]
        for number, name in enumerate(named):
            before[name] |= {named[each] for each in waiting[number]}
            after[name] |= {named[each] for each in followers[number]}
        circle = _circles(before, after)
        circles = [circle[name] for name in named]
        opened = {circles[number] for number, each in enumerate(actions) if each.window is not None}
        found = [each if each in opened else None for each in circles]
        return cls(found, _entries(actions, waiting, found, circles), _count(found))

    def others_open(self, number: int) -> bool:
        """Tell whether this action would commit while a window is open that it is not in."""
        return any(each != self.of_action[number] for each in self._open)

    def pass_by(self, number: int) -> bool:
        """Note that an action is put next; tell whether that closes a window."""
        window = self.of_action[number]
        if window is None:
            return False
        left = self._open.get(window, self._sizes[window]) - 1
        if left:
            self._open[window] = left
            return False
        self._open.pop(window, None)
        return True

    def close_all(self) -> None:
        """Give up what is open: there is a circle, and whether the server takes it will be seen."""
        self._open.clear()


def _entries(
    actions: Sequence[Windowed],
    waiting: Sequence[set[int]],
    windows: Sequence[int | None],
    circles: Sequence[int],
) -> dict[int, set[int]]:
    """What a window waits for is done before it opens, where it commits or comes after what does."""
    commits: dict[int, bool] = {}
    # Circles are numbered so that what comes before has the lower number.
    for number in sorted(range(len(actions)), key=lambda each: circles[each]):
        commits[circles[number]] = (
            commits.get(circles[number], False)
            or (actions[number].alone and windows[number] is None)
            or any(commits.get(circles[each], False) for each in waiting[number])
        )
    found: dict[int, set[int]] = {}
    for number, window in enumerate(windows):
        if window is not None:
            found.setdefault(window, set()).update(
                each for each in waiting[number] if circles[each] != window and commits[circles[each]]
            )
    return {
        number: found[window] for number, window in enumerate(windows) if window is not None and found[window]
    }


def _count(windows: Collection[int | None]) -> dict[int, int]:
    sizes: dict[int, int] = {}
    for each in windows:
        if each is not None:
            sizes[each] = sizes.get(each, 0) + 1
    return sizes


def _circles(before: Sequence[set[int]], after: Sequence[set[int]]) -> list[int]:
    """Number the strongly connected components in an order in which each can be done (Kosaraju's algorithm)."""
    order: list[int] = []
    seen: set[int] = set()
    for start in range(len(before)):
        _walk(start, before, seen, order)
    circle = [-1] * len(before)
    # What is finished last is needed by most; from there the other way only its own circle is reached.
    done: set[int] = set()
    number = len(before)
    for start in reversed(order):
        if start not in done:
            members: list[int] = []
            _walk(start, after, done, members)
            number -= 1
            for each in members:
                circle[each] = number
    return circle


def _walk(start: int, edges: Sequence[set[int]], seen: set[int], order: list[int]) -> None:
    """Go from one to all that it leads to and are not seen yet, and note each after those."""
    if start in seen:
        return
    seen.add(start)
    path = [(start, iter(edges[start]))]
    while path:
        node, rest = path[-1]
        for each in rest:
            if each not in seen:
                seen.add(each)
                path.append((each, iter(edges[each])))
                break
        else:
            order.append(node)
            path.pop()
