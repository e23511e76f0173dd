"""Two sources of a project's schema side by side."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from web.pages.views.differences import DriftGroup
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Mark, Option, Pages
from web.pages.views.overview import RunningJob


@dataclass(frozen=True, slots=True)
class ComparisonPage:
    """The choice of two sources and what came of comparing them."""

    project: str
    project_title: str
    a: str
    b: str
    #: What may be chosen, in words.
    sources: tuple[Option, ...]
    state: Literal["not chosen", "not compared", "same", "different", "could not compare"]
    mark: Mark
    groups: tuple[DriftGroup, ...] = ()
    #: Where more differences are.
    pages: Pages | None = None
    #: What one side's role may not read.
    unknown: tuple[str, ...] = ()
    compared_at: datetime | None = None
    error: ErrorView | None = None
    job: RunningJob | None = None
    #: Why nobody can compare here now.
    closed: str | None = None
