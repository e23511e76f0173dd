"""Differences between two schemas as pages show them, and what can be done about those of an environment."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from web.pages.views.marks import Action, Link, Mark
from web.pages.views.overview import RunningJob


@dataclass(frozen=True, slots=True)
class Headings:
    """What stands over the two sides of a difference."""

    a: str = "Expected, from migrations"
    b: str = "Actual, in the database"


@dataclass(frozen=True, slots=True)
class RuleNote:
    """Why a difference is ignored, as far as it is told beside it."""

    reason: str
    owner: str
    until: datetime
    path: str


@dataclass(frozen=True, slots=True)
class DriftItem:
    """One difference. Side a (what is expected) stands left, b (what is there) right; None: it has no such object."""

    #: `Column note has another type`
    title: str
    object: str
    kind: str
    severity: Literal["structure", "behaviour", "access", "cosmetic"]
    expected: str | None
    actual: str | None
    attribute: str | None = None
    first_seen: datetime | None = None
    #: Both sides are SQL and are shown in code; else they are short values.
    code: bool = False
    #: Where a rule for it is made; None: the person may not, or there is one.
    ignore: Link | None = None
    #: Where the revert of this one alone is planned.
    revert: Link | None = None
    #: The rule that covers it.
    rule: RuleNote | None = None


@dataclass(frozen=True, slots=True)
class DriftGroup:
    """The differences of one table or object."""

    name: str
    items: tuple[DriftItem, ...]


@dataclass(frozen=True, slots=True)
class RepairStatement:
    """A statement of a repair, with what a person should know before it runs."""

    sql: str
    marks: tuple[Mark, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownRepair:
    """The way back from drift, proven or not."""

    mark: Mark
    made_at: datetime
    statements: tuple[RepairStatement, ...]
    #: What stays, with the reasons.
    left: tuple[str, ...] = ()
    #: How many differences it leaves alone: ignored, or not asked for.
    kept: int = 0
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """How the schema that is there differs from the schema that the applied migrations give."""

    state: Literal["same", "different", "not compared", "comparing", "could not compare"]
    mark: Mark
    #: What was compared with what, or why it could not be.
    account: str
    hint: str = ""
    groups: tuple[DriftGroup, ...] = ()
    count: int = 0
    compared_at: datetime | None = None
    compare: Action | None = None
    job: RunningJob | None = None
    #: What can be done about the differences.
    actions: tuple[Action, ...] = ()
    repair: ShownRepair | None = None
    #: What rules cover.
    ignored: tuple[DriftItem, ...] = ()
    headings: Headings = field(default_factory=Headings)
    #: Other pairs of schemas.
    corners: tuple[Link, ...] = ()
