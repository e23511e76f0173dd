"""A project's clean start: its steps with their proofs, what can be started or accepted in each, and the report."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.differences import DriftGroup
from web.pages.views.marks import Action, EnvironmentRef, Fact, Link, Mark, Option, Pages


@dataclass(frozen=True, slots=True)
class ShownProof:
    """One thing that has to be so."""

    mark: Mark
    account: str
    job: int | None
    at: datetime | None
    #: Names it in the form with which somebody answers for it; empty: there is none.
    about: str = ""
    #: Who answers for it, and why.
    accepted: str = ""
    #: What its mark says, for who does not see it.
    state: str = ""
    #: What that form says.
    asks: str = "Accept it with a reason…"
    #: What can be started for this alone.
    ways: tuple[Action, ...] = ()


@dataclass(frozen=True, slots=True)
class ShownDifference:
    """One difference that somebody may answer for."""

    about: str
    words: str
    #: What is expected, and what is there.
    sides: str


@dataclass(frozen=True, slots=True)
class ShownEnvironment:
    """What a run does with one environment."""

    environment: EnvironmentRef
    strategy: str
    reasons: tuple[str, ...]
    undo: str
    #: Other strategies; empty: nothing can be chosen any more.
    options: tuple[Option, ...]


@dataclass(frozen=True, slots=True)
class ShownStep:
    """One step."""

    number: int
    name: str
    title: str
    lead: str
    #: `ok`, `current`, `locked`: how its node looks.
    look: str
    mark: Mark
    proofs: tuple[ShownProof, ...]
    actions: tuple[Action, ...]
    differences: tuple[ShownDifference, ...] = ()
    #: How many more there are.
    more: int = 0
    links: tuple[Link, ...] = ()
    #: What is done with each environment is chosen in it.
    chooses: bool = False


@dataclass(frozen=True, slots=True)
class CleanStartPage:
    """A run."""

    project: str
    title: str
    heading: str
    lead: str
    run: int
    #: It goes on.
    open: bool
    ended: str
    begun_at: datetime
    begun_by: str
    steps: tuple[ShownStep, ...]
    #: What the current one is, and where it is on the line.
    standing: str
    proven: int
    environments: tuple[ShownEnvironment, ...]
    #: Who reads it may change it.
    changes: bool
    #: It can be ended as done.
    complete: bool
    #: It has ended, and who reads it may begin another one.
    another: bool = False
    #: Earlier ones.
    others: tuple[Link, ...] = ()


@dataclass(frozen=True, slots=True)
class NoCleanStartPage:
    """A project without a run: what one would be, and how it begins."""

    project: str
    title: str
    #: What the newest survey recommends, with its reasons; None: there is none.
    recommended: Mark | None
    reasons: tuple[str, ...]
    survey: Link | None
    environments: tuple[ShownEnvironment, ...]
    actions: tuple[Action, ...]
    changes: bool


@dataclass(frozen=True, slots=True)
class ReportPage:
    """The report of a run, to be read and printed."""

    project: str
    title: str
    run: int
    mark: Mark
    facts: tuple[Fact, ...]
    environments: tuple[tuple[str, str, str, str], ...]
    steps: tuple[tuple[str, tuple[ShownProof, ...]], ...]
    accepted: tuple[tuple[str, str, str], ...]
    done: tuple[tuple[datetime, str, str, int | None], ...]
    keeps: tuple[str, ...]
    archive: str


@dataclass(frozen=True, slots=True)
class ShownComparison:
    """One schema beside the baseline's."""

    title: str
    mark: Mark
    account: str
    groups: tuple[DriftGroup, ...]


@dataclass(frozen=True, slots=True)
class ProofPage:
    """A proof of a baseline."""

    project: str
    revision: str
    mark: Mark
    account: str
    made_at: datetime
    proofs: tuple[ShownProof, ...]
    comparisons: tuple[ShownComparison, ...]
    pages: Pages | None
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class RehearsedRow:
    """What was done to the copy of one environment."""

    environment: str
    strategy: str
    mark: Mark
    refusal: str
    #: Each with its detail and how long it took.
    acts: tuple[tuple[str, str, str], ...]
    #: Statements that may lose data.
    loses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RehearsedPage:
    """What was done to copies."""

    project: str
    revision: str
    made_at: datetime
    mark: Mark
    environments: tuple[RehearsedRow, ...]
