"""The overview: what needs attention, the question, and every environment of every project."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web import addresses
from web.config import Tier
from web.pages.views.marks import Action, EnvironmentRef, Link, Mark, Option, Track


@dataclass(frozen=True, slots=True)
class AttentionItem:
    """Something that needs a person. `subject` is printed in bold before `words`."""

    mark: Mark
    subject: str
    words: str
    detail: str
    link: Link


@dataclass(frozen=True, slots=True)
class RunningJob:
    """A job as a cell shows it."""

    number: int
    #: `61 %, waiting for a lock`
    words: str
    percent: int | None
    mark: Mark


@dataclass(frozen=True, slots=True)
class Cell:
    """One environment at a glance."""

    environment: EnvironmentRef
    #: The verdict against the project's head.
    mark: Mark
    revisions: tuple[str, ...] = ()
    #: Named only where they are not the revisions.
    heads: tuple[str, ...] = ()
    track: Track | None = None
    #: A second condition that holds too: drift, several heads.
    also: Mark | None = None
    build: str | None = None
    #: `backup 2 h ago, verified`, `backup 15 s ago, not verified`, `backup 9 d ago, overdue`
    backup: Mark | None = None
    job: RunningJob | None = None
    #: Why there is no answer: `connection refused`.
    reason: str | None = None
    observed_at: datetime | None = None

    @property
    def id(self) -> str:
        """The element's id, the same in the page and in the stream."""
        return addresses.element_id("cell", self.environment.project, self.environment.name)


@dataclass(frozen=True, slots=True)
class ProjectRow:
    """A project with its environments in the columns of their tiers."""

    name: str
    title: str
    #: `14 revisions · Alembic`
    detail: str
    columns: tuple[tuple[Cell, ...], ...]
    problem: Mark | None = None


@dataclass(frozen=True, slots=True)
class Matrix:
    """Projects by tiers. `dense` gives each environment one line: for more than about sixty of them."""

    tiers: tuple[Tier, ...]
    rows: tuple[ProjectRow, ...]
    dense: bool = False


@dataclass(frozen=True, slots=True)
class AnswerPanel:
    """The answer to "is this build ready for that environment", with the observation it stands on."""

    #: Names the question: the stream swaps the answer only where the same is asked.
    about: str
    mark: Mark
    account: str
    reasons: tuple[str, ...] = ()
    observed_at: datetime | None = None
    link: Link | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """The question box. Without registered builds it asks about the project's source."""

    projects: tuple[Option, ...]
    builds: tuple[Option, ...]
    environments: tuple[Option, ...]
    answer: AnswerPanel | None = None
    #: Somebody has chosen it: the page's stream, which follows the usual question, only says when to ask again.
    chosen: bool = False

    @property
    def asked(self) -> tuple[str, str, int | None]:
        """Project, environment and build that it is about."""
        project, environment, build = (
            next((each.value for each in options if each.selected), "")
            for options in (self.projects, self.environments, self.builds)
        )
        return project, environment, int(build) if build else None


@dataclass(frozen=True, slots=True)
class Filter:
    """Narrowing a long overview; shown from about a dozen environments on."""

    text: str = ""
    only_attention: bool = False
    #: `12 of 214 environments`
    words: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """The whole page. Without projects it tells how to add the first one."""

    project_count: int
    environment_count: int
    attention: tuple[AttentionItem, ...]
    matrix: Matrix
    question: Question | None = None
    check_all: Action | None = None
    filter: Filter | None = None
    #: The oldest observation on the page.
    observed_at: datetime | None = None
    config_file: str | None = None
