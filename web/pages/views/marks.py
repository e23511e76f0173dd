"""The small values that all pages share: a status with its words, a reference to an environment, an action."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Literal

from web import addresses
from web.config import Tier

#: Every status has a glyph of its own in `static/icons.svg`; what is not known (`down`, `unknown`) has no colour.
Status = Literal[
    "ok",
    "pending",
    "drift",
    "ahead",
    "down",
    "unknown",
    "warn",
    "failed",
    "blocked",
    "wait",
    "queued",
    "cancelled",
    "running",
]


@dataclass(frozen=True, slots=True)
class Mark:
    """A status in words. The words stand alone; glyph and colour only repeat them."""

    status: Status
    words: str


@dataclass(frozen=True, slots=True)
class EnvironmentRef:
    """An environment as pages name and link it."""

    project: str
    name: str
    tier: Tier

    @property
    def label(self) -> str:
        """The name as people write and type it."""
        return f"{self.project}/{self.name}"

    @property
    def path(self) -> str:
        """The environment's page."""
        return addresses.environment(self.project, self.name)


@dataclass(frozen=True, slots=True)
class ProjectRef:
    """A whole project, where a job may belong to that instead of one of its environments."""

    project: str

    @property
    def label(self) -> str:
        """The name as people write it."""
        return self.project

    @property
    def path(self) -> str:
        """The project's page."""
        return addresses.project(self.project)

    #: It has none.
    name: str = ""
    tier: None = None


@dataclass(frozen=True, slots=True)
class Link:
    """Words that lead somewhere."""

    words: str
    path: str


@dataclass(frozen=True, slots=True)
class Action:
    """A button: a link that opens a dialog or page, or a form that posts at once."""

    #: Verb and object, with "…" where something opens first.
    words: str
    path: str
    icon: str
    #: `dialog` opens as a dialog over the page and as a page without script.
    method: Literal["dialog", "page", "post"] = "dialog"
    primary: bool = False
    danger: bool = False
    #: Why the button is closed and what opens it; None: it is open.
    closed: str | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One condition with its evidence."""

    mark: Mark
    #: The short fact at the end of the line.
    end: str | None = None
    #: A sentence below: why it does not hold, what opens it.
    account: str | None = None
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """A label over a mark, a value and a moment, whichever of them are there."""

    label: str
    value: str = ""
    mark: Mark | None = None
    #: An id, an address or a clock: shown in mono.
    mono: bool = False
    moment: datetime | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A sortable column's head."""

    words: str
    #: Where sorting by it leads; None: not sortable.
    path: str | None = None
    sorted: Literal["ascending", "descending"] | None = None
    numeric: bool = False


@dataclass(frozen=True, slots=True)
class Option:
    """One choice of a select."""

    value: str
    words: str
    selected: bool = False


@dataclass(frozen=True, slots=True)
class Pages:
    """Where in a long list a page stands."""

    words: str
    newer: str | None = None
    older: str | None = None
    #: What the ways to both are called.
    labels: tuple[str, str] = ("Newer", "Older")


@dataclass(frozen=True, slots=True)
class Track:
    """Where a database stands on the line to the head: steps behind it, or ahead of it; None: not known."""

    applied: int
    pending: int = 0
    ahead: int = 0
    lost: bool = False


#: How a job's state (the store's word) is shown where no more is known about it.
JOB_MARKS: Mapping[str, Mark] = MappingProxyType(
    {
        "queued": Mark("queued", "Queued"),
        "running": Mark("running", "Running"),
        "cancelling": Mark("running", "Cancelling"),
        "interrupted": Mark("unknown", "Interrupted, being looked into"),
        "succeeded": Mark("ok", "Finished"),
        "failed": Mark("failed", "Failed"),
        "cancelled": Mark("cancelled", "Cancelled"),
        "not done": Mark("cancelled", "Interrupted, not done"),
        "unknown": Mark("unknown", "Interrupted, outcome not known"),
    }
)

#: How a step's state (the store's word) is shown.
STEP_MARKS: Mapping[str, Mark] = MappingProxyType(
    {
        "queued": Mark("queued", "not started"),
        "running": Mark("running", "running"),
        "succeeded": Mark("ok", "done"),
        "failed": Mark("failed", "failed"),
        "cancelled": Mark("cancelled", "cancelled"),
        "skipped": Mark("cancelled", "not run"),
        "unknown": Mark("unknown", "not known"),
    }
)
