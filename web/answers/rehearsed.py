"""The newest rehearsal that stands on where a database is now, as gate, pages and jobs read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access.approval_requests import given_column
from web.observation.records import Observation
from web.store.tables import PlanRow


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """The newest rehearsal that stands on where the database is now, and how many consent to its plan."""

    plan_hash: str
    #: `succeeded`, `failed`, or `not held`: then nothing can be said about the migrations.
    outcome: str
    made_at: datetime
    #: Digest of each file that was rehearsed, by revision.
    files: dict[str, str]
    message: str | None
    approvals: int
    #: The whole plan, in the shape that `web.plans` owns.
    content: Mapping[str, Any] = field(default_factory=dict)
    #: What to do about the message.
    hint: str = ""
    #: Whether what it stood on has changed since, besides the migrations; known only to who can read files.
    stale: bool = False

    @property
    def inputs(self) -> str | None:
        """The digest of what it stood on."""
        return self.content.get("inputs")

    @property
    def succeeded(self) -> bool:
        return self.outcome == "succeeded"

    @property
    def words(self) -> str:
        """How it ended, as the beginning of a sentence."""
        return {
            "succeeded": "Rehearsed",
            "failed": "The rehearsal failed",
            "not held": "Could not rehearse",
        }[self.outcome]


async def read_rehearsal(
    connection: AsyncConnection, environment_id: int, observation: Observation | None, heads: tuple[str, ...]
) -> Rehearsed | None:
    """The newest plan from the observed revisions to these heads, with the number of its approvals."""
    if observation is None:
        return None
    query = (
        select(PlanRow.hash, PlanRow.content, PlanRow.made_at, given_column(environment_id, PlanRow.hash))
        .where(
            PlanRow.environment_id == environment_id,
            PlanRow.from_revisions == sorted(observation.revisions),
            PlanRow.to_revisions == sorted(heads),
        )
        .order_by(PlanRow.id.desc())
        .limit(1)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    plan_hash, content, made_at, count = row
    failure = content.get("failure") or {}
    return Rehearsed(
        plan_hash=plan_hash,
        # Plans of before the two were told apart say only whether it succeeded.
        outcome=content.get("outcome") or ("succeeded" if content["succeeded"] else "failed"),
        made_at=made_at,
        files=content["files"],
        message=failure.get("message"),
        approvals=count,
        content=content,
        hint=failure.get("hint") or "",
    )
