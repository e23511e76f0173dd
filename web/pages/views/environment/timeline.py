"""The Timeline tab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.differences import DriftGroup, Snapshots
from web.pages.views.marks import Link, Mark, Pages


@dataclass(frozen=True, slots=True)
class TimelineEntry:
    """One change of the schema, or the first look."""

    key: str
    #: Who: `By nobody we know`, or `By` and the job.
    mark: Mark
    #: What: `2 columns added, 1 index removed`.
    what: str
    at: datetime
    #: It was not yet so then; None: the moment is known.
    since: datetime | None = None
    account: str = ""
    #: The job, or those of which it is not known.
    jobs: tuple[Link, ...] = ()
    requested_by: str = ""
    #: None: not known.
    revisions_before: tuple[str, ...] | None = None
    revisions_after: tuple[str, ...] | None = None
    #: None: nothing was before.
    snapshots: Snapshots | None = None
    count: int = 0
    groups: tuple[DriftGroup, ...] = ()
    #: Differences that are not listed.
    more: int = 0
    out_of_band: bool = False


@dataclass(frozen=True, slots=True)
class TimelineTab:
    """When the schema changed and by whom, newest first."""

    entries: tuple[TimelineEntry, ...]
    pages: Pages
