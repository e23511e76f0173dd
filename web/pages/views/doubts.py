"""The question before somebody settles what a job left in doubt."""

from __future__ import annotations

from dataclasses import dataclass

from web.pages.views.errors import ErrorView
from web.pages.views.marks import EnvironmentRef


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is in doubt, and the reason for which somebody vouches for it."""

    environment: EnvironmentRef
    #: The job's.
    number: int
    heading: str
    what: str
    #: What else settles it.
    way: str
    #: Characters of a reason.
    longest: int
    reason: str = ""
    refusal: ErrorView | None = None
