"""Requests for approval: a list, one that waits, one that is approved, one that has ended, and asking."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

from tests.pages.samples.dialogs import migrate_dialog
from tests.pages.samples.ground import NOW, PRODUCTION, STAGING
from web import addresses
from web.pages.views.approvals import Asking, RequestList, RequestPage, RequestRow, ShownDecision
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Mark, Pages

TITLE = "Apply 3 migrations to clinic/production"
HASH = "9f2c4e71a05b" * 5


def request_list() -> RequestList:
    """Two that wait, and some that do not."""
    marks = [
        Mark("ok", "Used"),
        Mark("failed", "Rejected"),
        Mark("unknown", "Void"),
        Mark("unknown", "Expired"),
        Mark("ok", "Approved"),
    ]
    return RequestList(
        (
            RequestRow(
                12,
                Mark("queued", "Waiting"),
                TITLE,
                PRODUCTION,
                "ada",
                NOW - timedelta(minutes=12),
                "0 of 1",
            ),
            RequestRow(
                11,
                Mark("queued", "Waiting"),
                "Stamp clinic/staging",
                STAGING,
                "token ci",
                NOW - timedelta(hours=3),
                "1 of 2",
            ),
        ),
        tuple(
            RequestRow(
                10 - number, mark, TITLE, PRODUCTION, "grace", NOW - timedelta(days=number + 1), "1 of 1"
            )
            for number, mark in enumerate(marks)
        ),
        Pages("5 requests"),
    )


def request_page(state: Literal["open", "approved", "ended"] = "open") -> RequestPage:
    """A request in one of its states."""
    page = RequestPage(
        number=12,
        title=TITLE,
        where=PRODUCTION,
        mark=Mark("queued", "Waiting"),
        given="0 of 1 approval",
        reason="Release 48 goes out at noon.",
        asked_by="ada",
        asked_at=NOW - timedelta(minutes=12),
        expires_at=NOW + timedelta(hours=23),
        hash=HASH,
        asked=migrate_dialog(),
        decide=addresses.approval_decisions(12),
        withdraw=addresses.approval_withdrawal(12),
    )
    decision = ShownDecision(
        Mark("ok", "Approved"), "grace", NOW - timedelta(minutes=2), "Read it with the on-call."
    )
    if state == "approved":
        return replace(
            page,
            mark=Mark("ok", "Approved"),
            given="1 of 1 approval",
            decisions=(decision,),
            decide=None,
            onward=Action(
                "Apply 3 migrations…",
                addresses.new_job("clinic", "production", "migrate"),
                "arrow-down-to-line",
                primary=True,
            ),
        )
    if state == "ended":
        return replace(
            page,
            mark=Mark("unknown", "Void"),
            asked=None,
            decide=None,
            withdraw=None,
            parameters=(("Revision", "head"),),
            why="What would run is something else now.",
            job=1042,
        )
    return page


def asking(*, refused: bool = False) -> Asking:
    """The question before others are asked."""
    return Asking(
        where=PRODUCTION,
        path=addresses.ask_approval("clinic", "production", "migrate"),
        heading=f"Ask for approval: {TITLE}",
        lead="1 other person has to approve exactly this within 24 h. It is void as soon as what would run changes.",
        dialog=replace(migrate_dialog(), fields=(), confirmation=None, hidden=(("shown_hash", HASH),)),
        longest=500,
        refusal=ErrorView(
            409, "Conflict", "Request 12 asks for this already.", "Somebody else has to decide on it."
        )
        if refused
        else None,
    )
