"""What a survey found: the recommendation, every environment with its strategy, the history and the models."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.marks import Action, EnvironmentRef, Fact, Mark


@dataclass(frozen=True, slots=True)
class SurveyedRow:
    """One environment."""

    environment: EnvironmentRef
    mark: Mark
    size: str
    rows: str
    last_write: datetime | None
    strategy: str
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SurveyPage:
    """A survey."""

    project: str
    title: str
    mark: Mark
    reasons: tuple[str, ...]
    surveyed_at: datetime
    rows: tuple[SurveyedRow, ...]
    history: tuple[Fact, ...]
    #: What autogenerate does not see, and the tables that migrations fill: each with its number.
    unseen: tuple[tuple[str, int], ...]
    inserted: tuple[tuple[str, int], ...]
    #: What may migrate at start-up: the first few as `path:line` and what is called; None: not asked.
    start: tuple[tuple[str, str], ...]
    starting: Mark | None
    #: How models stand to migrations; None: not asked.
    models: Mark | None
    models_account: str
    keeps: tuple[str, ...]
    actions: tuple[Action, ...]
