"""Requests for approval: their list, one of them, and the question before asking."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.dialogs import Dialog
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, EnvironmentRef, Mark, Pages


@dataclass(frozen=True, slots=True)
class RequestRow:
    """A request in the list."""

    number: int
    mark: Mark
    title: str
    where: EnvironmentRef
    asked_by: str
    asked_at: datetime
    #: `1 of 2`.
    given: str


@dataclass(frozen=True, slots=True)
class RequestList:
    """The requests that wait, and those that do not any more."""

    waiting: tuple[RequestRow, ...]
    ended: tuple[RequestRow, ...]
    pages: Pages


@dataclass(frozen=True, slots=True)
class ShownDecision:
    """What somebody answered."""

    mark: Mark
    by: str
    at: datetime
    note: str = ""


@dataclass(frozen=True, slots=True)
class RequestPage:
    """One request, with what the decider has to see."""

    number: int
    title: str
    where: EnvironmentRef
    mark: Mark
    #: `1 of 2 approvals`.
    given: str
    reason: str
    asked_by: str
    asked_at: datetime
    expires_at: datetime
    hash: str
    #: What it was asked for with, in words.
    parameters: tuple[tuple[str, str], ...] = ()
    decisions: tuple[ShownDecision, ...] = ()
    #: What would run, as the dialog shows it; None: the request has ended.
    asked: Dialog | None = None
    #: Where the answer is sent to; None: there is nothing to decide, or not for this person.
    decide: str | None = None
    #: Why this person may not decide.
    may_not: str | None = None
    #: Where it can be taken back.
    withdraw: str | None = None
    #: What is to be done now that it is approved.
    onward: Action | None = None
    #: Why it ended.
    why: str = ""
    #: The job that it was used for.
    job: int | None = None
    #: Characters of a note.
    longest: int = 500


@dataclass(frozen=True, slots=True)
class Asking:
    """The question before others are asked."""

    where: EnvironmentRef
    path: str
    heading: str
    #: How many have to consent, and for how long the request holds.
    lead: str
    #: What would run, as the job's own dialog shows it; its fields are those that the approval binds.
    dialog: Dialog
    longest: int
    reason: str = ""
    #: A failed rehearsal is passed over only for a reason.
    reason_needed: bool = False
    closed: str | None = None
    refusal: ErrorView | None = None
