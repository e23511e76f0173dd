"""What a cut-over job found: places that migrate, by when they run, and what replaces them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.marks import Action, Mark


@dataclass(frozen=True, slots=True)
class FoundPlace:
    """One place."""

    #: `path:line`.
    place: str
    text: str
    #: What is called, and by what.
    what: str
    mark: Mark


@dataclass(frozen=True, slots=True)
class FoundGroup:
    """Places that run at the same time."""

    key: str
    title: str
    #: What to do about them, each sentence once.
    instead: tuple[str, ...]
    places: tuple[FoundPlace, ...]


@dataclass(frozen=True, slots=True)
class CutOverPage:
    """The whole page."""

    job: int
    project: str
    title: str
    mark: Mark
    files: int
    made_at: datetime
    groups: tuple[FoundGroup, ...]
    #: Path and reason.
    skipped: tuple[tuple[str, str], ...]
    further: int
    actions: tuple[Action, ...]
