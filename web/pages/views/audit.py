"""The audit trail."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.marks import EnvironmentRef, Link, Mark, Option, Pages


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One entry; `hash` covers the entry before it."""

    number: int
    at: datetime
    actor: str
    #: `Started migrate to build #48`
    what: str
    hash: str
    environment: EnvironmentRef | None = None
    #: What it was about where it is no environment.
    object: str = ""
    result: Mark | None = None
    evidence: Link | None = None


@dataclass(frozen=True, slots=True)
class AuditList:
    """The entries, newest first."""

    rows: tuple[AuditRow, ...]
    #: Whether the chain is intact.
    chain: Mark
    pages: Pages
    text: str = ""
    only_refused: bool = False
    projects: tuple[Option, ...] = ()
    filtered: bool = False
