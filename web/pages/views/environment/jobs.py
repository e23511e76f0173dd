"""The Jobs tab."""

from __future__ import annotations

from dataclasses import dataclass

from web.pages.views.jobs import JobRow
from web.pages.views.marks import Pages


@dataclass(frozen=True, slots=True)
class JobsTab:
    """The environment's jobs, newest first."""

    rows: tuple[JobRow, ...]
    pages: Pages
