"""A project's ignore rules, and the form of a new one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, EnvironmentRef, Mark, Option


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule, in force or not any more."""

    number: int
    pattern: str
    #: `column`, `type`: what else it asks of a difference.
    asks: tuple[str, ...]
    #: None: every environment.
    environment: EnvironmentRef | None
    reason: str
    owner: str
    mark: Mark
    until: datetime
    created_at: datetime
    created_by: str
    remove: Action | None = None


@dataclass(frozen=True, slots=True)
class RuleList:
    """All rules of a project; those in force come first."""

    project: str
    project_title: str
    rows: tuple[RuleRow, ...]
    #: Whether the person may make and remove rules.
    open: bool


@dataclass(frozen=True, slots=True)
class RuleForm:
    """A new rule as far as it is filled in."""

    project: str
    project_title: str
    environments: tuple[Option, ...]
    kind: str
    pattern: str
    attribute: str
    reason: str
    owner: str
    #: `2026-12-31`
    until: str
    #: The first and the last day that may be chosen.
    earliest: str
    latest: str
    refusal: ErrorView | None = None
