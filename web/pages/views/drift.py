"""Drift of an environment as its tab shows it, and what can be done about it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.views.differences import DriftGroup, DriftItem
from web.pages.views.marks import Action, Link, Mark, Pages
from web.pages.views.overview import RunningJob


@dataclass(frozen=True, slots=True)
class RepairStatement:
    """A statement of a repair, with what a person should know before it runs."""

    sql: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownCount:
    """What refuses a repair, or may, and the query that gives it."""

    words: str
    query: str | None


@dataclass(frozen=True, slots=True)
class ShownRepair:
    """The way back from drift, proven or not."""

    mark: Mark
    made_at: datetime
    #: The first ones, each by itself.
    statements: tuple[RepairStatement, ...]
    #: How many there are in all.
    count: int
    #: All others, as one text.
    rest: str = ""
    #: What stays, with the reasons.
    left: tuple[str, ...] = ()
    #: How many differences it leaves alone: ignored, or not asked for.
    kept: int = 0
    refusal: str | None = None
    #: Of what rows can refuse what they do refuse, or what was not counted.
    rows: tuple[ShownCount, ...] = ()
    #: How much it is in all that they can refuse.
    demands: int = 0


@dataclass(frozen=True, slots=True)
class DriftTab:
    """How the schema that is there differs from the schema that the applied migrations give."""

    state: Literal["same", "different", "not compared", "comparing", "could not compare"]
    mark: Mark
    #: What was compared with what, or why it could not be.
    account: str
    hint: str = ""
    groups: tuple[DriftGroup, ...] = ()
    count: int = 0
    #: Where more differences are.
    pages: Pages | None = None
    compared_at: datetime | None = None
    compare: Action | None = None
    job: RunningJob | None = None
    #: What can be done about the differences.
    actions: tuple[Action, ...] = ()
    repair: ShownRepair | None = None
    #: What rules cover.
    ignored: tuple[DriftItem, ...] = ()
    #: How many they are in all.
    ignored_count: int = 0
    #: Other pairs of schemas.
    corners: tuple[Link, ...] = ()
