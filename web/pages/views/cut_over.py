"""What a cut-over job found: places that migrate, by when they run, and what replaces them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Check, Mark


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
class ShownFile:
    """A file of the task, in full."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class ShownTask:
    """The task that migrates instead, for one way to deploy."""

    form: str
    title: str
    account: str
    files: tuple[ShownFile, ...]
    #: Where they are downloaded.
    path: str


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
    #: The application's role, by environment.
    roles: tuple[Check, ...]
    tasks: tuple[ShownTask, ...]
    #: Why there are none.
    no_tasks: ErrorView | None
    actions: tuple[Action, ...]
