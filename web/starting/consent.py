"""What is shown before a job that writes version rows and nothing else: whether others have to consent."""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from web.access.approval_requests import given as approvals_given
from web.answers.environment import View
from web.answers.gate import stamp_gate
from web.answers.state_hash import hash_of_view
from web.starting.operation import Before


async def before_rows_are_written(
    store: AsyncConnection, seen: View, kind: str, *, pointless: str = ""
) -> Before:
    """The gate of a stamp, bound to the database as it was seen; `pointless` says why there is no use in it."""
    shown_hash = hash_of_view(kind, seen)
    given = 0
    if seen.record is not None and shown_hash is not None:
        given = await approvals_given(store, seen.record.environment_id, shown_hash)
    gate = stamp_gate(seen.environment, given)
    return Before(
        gate if gate.conditions else None, gate.closed_by, shown_hash=shown_hash, pointless=pointless
    )
