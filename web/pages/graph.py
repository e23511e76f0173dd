"""The picture of a history: which lane each revision stands in and which lines run through its row.

Rows are listed newest first and may grow, so a row draws only its own piece: lines change lanes in the fixed band
above the node and run straight below it. Reading a history is left to `web.tools`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Bend:
    """A line through the band above a node, from lane to lane."""

    start: int
    end: int
    pending: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A line below the band, down to the next row; it leaves its node sideways where `start` is another lane."""

    start: int
    lane: int
    pending: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One revision's piece of the picture."""

    revision: str
    lane: int
    bends: tuple[Bend, ...]
    runs: tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """All rows and the number of lanes they need."""

    rows: tuple[Row, ...]
    lanes: int


def lay_out(revisions: Iterable[tuple[str, Sequence[str]]], pending: Collection[str] = ()) -> Graph:
    """Lay out revisions with their parents, newest first; parents that are not listed end in nothing."""
    listed = list(revisions)
    known = {revision for revision, _ in listed}
    #: What each open lane leads down to, and whether the line towards it is pending.
    open_lanes: list[tuple[str, bool] | None] = []
    rows = []
    width = 1
    for revision, parents in listed:
        arriving = [lane for lane, line in enumerate(open_lanes) if line is not None and line[0] == revision]
        lane = arriving[0] if arriving else _free(open_lanes)
        bends = [
            Bend(start, lane if start in arriving else start, line[1])
            for start, line in enumerate(open_lanes)
            if line is not None
        ]
        for done in arriving:
            open_lanes[done] = None
        waits = revision in pending
        runs = [Run(start, start, line[1]) for start, line in enumerate(open_lanes) if line is not None]
        for position, parent in enumerate(parent for parent in parents if parent in known):
            target = lane if position == 0 else _leading_to(parent, open_lanes)
            while target >= len(open_lanes):
                open_lanes.append(None)
            open_lanes[target] = (parent, waits)
            runs.append(Run(lane, target, waits))
        width = max(width, lane + 1, *(run.lane + 1 for run in runs), *(bend.start + 1 for bend in bends))
        rows.append(Row(revision, lane, tuple(bends), tuple(runs)))
    return Graph(tuple(rows), width)


def _leading_to(parent: str, lanes: list[tuple[str, bool] | None]) -> int:
    there = (lane for lane, line in enumerate(lanes) if line is not None and line[0] == parent)
    return next(there, _free(lanes))


def _free(lanes: list[tuple[str, bool] | None]) -> int:
    return next((lane for lane, line in enumerate(lanes) if line is None), len(lanes))
