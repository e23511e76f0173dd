"""What is asked before a job starts. Every job kind gets its dialog from this one value."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.views.drift import ShownRepair
from web.pages.views.environment.head import DoubtNote
from web.pages.views.environment.migrations import Hazard, RehearsedStatement
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Check, EnvironmentRef, Fact, Mark, Option, ProjectRef


@dataclass(frozen=True, slots=True)
class Target:
    """The database that answered when the dialog was opened: resolved, not configured."""

    facts: tuple[Fact, ...]
    #: Whether it is the database that was pinned.
    mark: Mark


@dataclass(frozen=True, slots=True)
class PendingMigration:
    """A migration that would run, in the order in which it would."""

    revision: str
    message: str
    file: str | None = None
    hazards: tuple[Hazard, ...] = ()
    statements: tuple[RehearsedStatement, ...] | None = None


@dataclass(frozen=True, slots=True)
class TableFate:
    """A table that goes, with what is in it."""

    name: str
    rows: float | None
    bytes: int


@dataclass(frozen=True, slots=True)
class FateLine:
    """A kind of thing that goes or stays."""

    words: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class ShownFate:
    """What goes and what stays."""

    goes: tuple[FateLine, ...]
    stays: tuple[FateLine, ...]
    tables: tuple[TableFate, ...] = ()
    #: Tables beyond the ones listed.
    more_tables: int = 0
    last_write: datetime | None = None


@dataclass(frozen=True, slots=True)
class Field:
    """A parameter of the job that the person may choose."""

    name: str
    words: str
    #: `hidden`: it is given, and not asked for.
    kind: Literal["check", "select", "text", "number", "hidden"] = "check"
    value: str = ""
    checked: bool = False
    options: tuple[Option, ...] = ()
    hint: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Confirmation:
    """A name that has to be typed."""

    #: What has to be typed, letter by letter.
    expected: str
    #: `Type the database name` …
    words: str
    #: What was typed when it did not match.
    typed: str = ""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Dialog:
    """One question. Reading the target, the policy and what would run is done before this is made."""

    where: EnvironmentRef | ProjectRef
    #: Where the answer is sent to.
    path: str
    heading: str
    lead: str
    #: Verb and object: `Reset clinic_dev`.
    submit: str
    #: The way out, named for what is kept: `Keep the data`.
    keep: str
    icon: str
    danger: bool = False
    target: Target | None = None
    pending: tuple[PendingMigration, ...] | None = None
    #: Where the SQL comes from: `As rehearsed 4 min ago on PostgreSQL 17`.
    pending_account: str = ""
    fate: ShownFate | None = None
    #: What a revert would run.
    repair: ShownRepair | None = None
    checks: tuple[Check, ...] = ()
    fields: tuple[Field, ...] = ()
    confirmation: Confirmation | None = None
    #: What binds the answer to what was seen: fingerprint, revisions, plan, single-use token.
    hidden: tuple[tuple[str, str], ...] = ()
    #: Why it cannot be started now; the submit button is closed.
    closed: str | None = None
    #: What jobs left in doubt on the database.
    doubts: tuple[DoubtNote, ...] = ()
    #: A refusal of the last try.
    refusal: ErrorView | None = None
