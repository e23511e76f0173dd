"""The migration that an adoption wrote, with its proof."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.differences import DriftGroup
from web.pages.views.marks import Action, EnvironmentRef, Mark, Pages


@dataclass(frozen=True, slots=True)
class AdoptionPage:
    """One written migration."""

    job: int
    environment: EnvironmentRef
    revision: str
    down: str
    #: Where it belongs in the project's source.
    file: str
    text: str
    mark: Mark
    account: str
    made_at: datetime
    #: What it makes official.
    count: int
    groups: tuple[DriftGroup, ...]
    #: Where more differences are.
    pages: Pages | None = None
    #: What it does not say, with the reasons.
    left: tuple[str, ...] = ()
    no_downgrade: str | None = None
    loses: bool = False
    actions: tuple[Action, ...] = ()
