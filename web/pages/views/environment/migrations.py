"""The Migrations tab, and a migration as its rehearsal executed it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.graph import Graph
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Mark


@dataclass(frozen=True, slots=True)
class Hazard:
    """What a statement would do to people who use the database."""

    mark: Mark


@dataclass(frozen=True, slots=True)
class RehearsedStatement:
    """A statement as the rehearsal executed it."""

    sql: str
    seconds: float | None = None
    hazards: tuple[Hazard, ...] = ()


@dataclass(frozen=True, slots=True)
class MigrationRow:
    """One migration: applied, pending, or unknown (in the database, not in the project)."""

    revision: str
    message: str
    state: Literal["applied", "pending", "unknown"]
    mark: Mark
    #: The file, relative to the source.
    file: str | None = None
    created: str | None = None
    #: `first seen 10 Nov 2026`, `edited after apply`
    note: Mark | None = None
    applied_at: datetime | None = None
    #: The database stands here.
    here: bool = False
    head: bool = False
    labels: tuple[str, ...] = ()
    #: Revisions that have to be applied first, from other branches.
    depends_on: tuple[str, ...] = ()
    hazards: tuple[Hazard, ...] = ()
    #: None: not rehearsed.
    statements: tuple[RehearsedStatement, ...] | None = None


@dataclass(frozen=True, slots=True)
class MigrationsTab:
    """The history as seen from this environment, newest first; unknown revisions come before all."""

    rows: tuple[MigrationRow, ...]
    graph: Graph
    applied: int
    pending: int
    unknown: int
    heads: tuple[str, ...]
    #: Why a migrate is refused before it starts: several heads, a revision without file.
    refusals: tuple[ErrorView, ...] = ()
    #: What the reader of the history could not make out.
    problems: tuple[str, ...] = ()
    #: `Rehearsed 4 min ago on PostgreSQL 17`, `Not rehearsed yet`, `Rehearsal failed: …`
    rehearsal: Mark | None = None
    #: What can be done about those that are pending.
    actions: tuple[Action, ...] = ()
    #: Without version table: nothing was ever migrated here.
    never_migrated: bool = False
    empty_because: str | None = None
