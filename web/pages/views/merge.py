"""The merge of heads that a job wrote: the file, its proof, and what it means for each environment."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.differences import DriftGroup
from web.pages.views.marks import Action, Check, Mark, Pages


@dataclass(frozen=True, slots=True)
class MergedEnvironment:
    """What a migrate would apply to an environment with the merge in the source."""

    name: str
    path: str
    #: The revisions that were last seen, and when; None: it was not seen.
    revisions: tuple[str, ...]
    seen_at: datetime | None
    pending: tuple[str, ...]
    #: Why that is not known, or that there is nothing; empty: `pending` says it.
    remark: str = ""


@dataclass(frozen=True, slots=True)
class MergePage:
    """A merge of heads."""

    job: int
    project: str
    revision: str
    #: What it follows.
    heads: tuple[str, ...]
    file: str
    text: str
    mark: Mark
    account: str
    made_at: datetime
    #: What was proven, and how.
    proofs: tuple[Check, ...]
    environments: tuple[MergedEnvironment, ...]
    remarks: tuple[str, ...] = ()
    #: What differs, and between what.
    unlike: str = ""
    groups: tuple[DriftGroup, ...] = ()
    count: int = 0
    #: Where more differences are.
    pages: Pages | None = None
    #: Where it stands in the source; None: only the patch leads there.
    written: str | None = None
    actions: tuple[Action, ...] = ()
