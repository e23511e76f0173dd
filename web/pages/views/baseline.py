"""The baseline that a job wrote: the file, its proof, what it replaces and what a repository has to change."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.differences import DriftGroup
from web.pages.views.marks import Action, Check, Mark, Pages


@dataclass(frozen=True, slots=True)
class ReplacedMigration:
    """One of the old migrations."""

    revision: str
    message: str
    #: Where its file was, and where it is kept; empty: it is deleted.
    path: str
    kept: str


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A table with rows that the baseline may bring along."""

    name: str
    rows: int
    #: They are in it.
    carried: bool


@dataclass(frozen=True, slots=True)
class RowsForm:
    """Which rows come along, and where one asks for another choice."""

    #: The dialog, and what of it stays as it was.
    path: str
    chosen: tuple[tuple[str, str], ...]
    tables: tuple[LookupTable, ...]
    account: str


@dataclass(frozen=True, slots=True)
class BaselinePage:
    """A baseline."""

    job: int
    project: str
    revision: str
    file: str
    text: str
    mark: Mark
    account: str
    made_at: datetime
    #: What was proven, and how.
    proofs: tuple[Check, ...]
    replaced: tuple[ReplacedMigration, ...]
    archive: str
    #: Unlike the old head, and so lost or new by it.
    against_head: tuple[DriftGroup, ...] = ()
    count: int = 0
    #: Where more differences are.
    pages: Pages | None = None
    left: tuple[str, ...] = ()
    #: Where it stands in the source; None: only the patch leads there.
    written: str | None = None
    actions: tuple[Action, ...] = ()
    rows: RowsForm | None = None
