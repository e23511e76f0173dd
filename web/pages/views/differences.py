"""Differences between two schemas: drift on its tab, and what changed on a job's page and the timeline."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.views.marks import Action, Link


@dataclass(frozen=True, slots=True)
class RuleNote:
    """Why a difference is ignored, as far as it is told beside it."""

    reason: str
    owner: str
    until: datetime
    path: str


@dataclass(frozen=True, slots=True)
class DriftItem:
    """One difference. Expected (or before) stands left, actual (or after) right; None: that side has no such object."""

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
    #: What the left side is called, and the right one.
    headings: tuple[str, str] = ("Expected, from migrations", "Actual, in the database")
    #: Where a rule for it is made; None: the person may not, or there is one.
    ignore: Link | None = None
    #: What can be begun about this one alone.
    ways: tuple[Action, ...] = ()
    #: The rule that covers it.
    rule: RuleNote | None = None


@dataclass(frozen=True, slots=True)
class DriftGroup:
    """The differences of one table or object."""

    name: str
    items: tuple[DriftItem, ...]


@dataclass(frozen=True, slots=True)
class Snapshots:
    """The two stored schemas that a change lies between, by fingerprint."""

    before: str
    after: str
