"""The proven way back from drift: made once on a scratch copy, stored, and bound by its hash to what runs.

The statements are `web.schema`'s. Running them on a target is for web/operations/revert.py.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.access.approval_requests import given_column
from web.comparison import stored_differences
from web.observation.records import Observation
from web.remedies.counting import Counted
from web.schema.ddl.statement import Statement
from web.schema.demands.demand import Demand
from web.schema.difference import Difference
from web.schema.proof import Proof
from web.store.tables import RepairRow


@dataclass(frozen=True, slots=True)
class NotRepaired:
    """A difference that stays, and why."""

    difference: Difference
    reason: str


@dataclass(frozen=True, slots=True)
class Repair:
    """A stored repair of one environment."""

    hash: str
    #: What the environment looked like, and what it shall look like.
    actual_fingerprint: str
    expected_fingerprint: str
    revisions: tuple[str, ...]
    statements: tuple[Statement, ...]
    left: tuple[NotRepaired, ...]
    #: Differences that are left alone: ignored, or not asked for.
    kept: tuple[Difference, ...]
    #: Whether statements that lose rows or values were asked for.
    with_loss: bool
    #: Why it may not run; None: it was proven.
    refusal: str | None
    made_at: datetime
    approvals: int = 0
    #: What rows can refuse, as it was counted when this was made.
    counted: tuple[Counted, ...] = ()

    @property
    def loses(self) -> bool:
        """Whether running it may lose rows or values."""
        return any(each.destructive for each in self.statements)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "hash": self.hash,
            "proven": self.refusal is None,
            "refusal": self.refusal,
            "statements": [each.to_json() for each in self.statements],
            "left": [{**each.difference.to_json(), "reason": each.reason} for each in self.left],
            "kept": [each.to_json() for each in self.kept],
            "rows": [each.to_json() for each in self.counted],
            "made_at": self.made_at.isoformat(),
        }


async def store_repair(
    connection: AsyncConnection,
    environment_id: int,
    observation: Observation,
    proof: Proof,
    *,
    kept: Sequence[Difference],
    with_loss: bool,
    refusal: str | None,
    counted: Sequence[Counted] = (),
) -> str:
    """Store what a proof found for an observation's schema; returns the hash that binds it."""
    drift = observation.drift
    assert drift.fingerprint is not None
    assert drift.expected_fingerprint is not None
    content = {
        "statements": [each.to_json() for each in proof.statements],
        "left": [{"difference": asdict(each.difference), "reason": each.reason} for each in proof.left],
        "kept": [asdict(each) for each in kept],
        "with_loss": with_loss,
        "refusal": refusal,
    }
    bound = [drift.fingerprint, drift.expected_fingerprint, content]
    digest = hashlib.sha256(json.dumps(bound, sort_keys=True).encode()).hexdigest()
    # What was counted changes with the rows; the statements that somebody consented to are the same.
    content["counted"] = [asdict(each) for each in counted]
    await connection.execute(
        insert(RepairRow).values(
            environment_id=environment_id,
            hash=digest,
            revisions=sorted(observation.revisions),
            expected_fingerprint=drift.expected_fingerprint,
            actual_fingerprint=drift.fingerprint,
            content=content,
        )
    )
    return digest


async def read_repair(
    connection: AsyncConnection, environment_id: int, observation: Observation | None
) -> Repair | None:
    """The newest repair for what was last seen there; None: there is none, or the schema is another one now."""
    if observation is None or observation.drift.state != "drifted":
        return None
    drift = observation.drift
    return await _read(
        connection,
        environment_id,
        RepairRow.actual_fingerprint == drift.fingerprint,
        RepairRow.expected_fingerprint == drift.expected_fingerprint,
        RepairRow.revisions == sorted(observation.revisions),
    )


async def read_drift_and_repair(
    connection: AsyncConnection, environment_id: int, observation: Observation
) -> tuple[tuple[Difference, ...], Repair | None]:
    """The differences of an observation and the newest repair of them, in one query."""
    drift = observation.drift
    newest = (
        select(RepairRow.id)
        .where(
            RepairRow.environment_id == environment_id,
            RepairRow.actual_fingerprint == drift.fingerprint,
            RepairRow.expected_fingerprint == drift.expected_fingerprint,
            RepairRow.revisions == sorted(observation.revisions),
        )
        .order_by(RepairRow.id.desc())
        .limit(1)
        .scalar_subquery()
    )
    query = (
        select(stored_differences.ROWS, RepairRow, given_column(environment_id, RepairRow.hash))
        .select_from(stored_differences.TABLE)
        .outerjoin(RepairRow, RepairRow.id == newest)
        .where(stored_differences.is_pair(drift.expected_fingerprint, drift.fingerprint))
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return (), None
    found = stored_differences.as_differences(row["differences"])
    return found, _repair(row) if row["hash"] is not None else None


async def repair_of(connection: AsyncConnection, environment_id: int, digest: str) -> Repair | None:
    """The repair that a hash binds."""
    return await _read(connection, environment_id, RepairRow.hash == digest)


async def _read(connection: AsyncConnection, environment_id: int, *conditions: Any) -> Repair | None:
    query = (
        select(RepairRow, given_column(environment_id, RepairRow.hash))
        .where(RepairRow.environment_id == environment_id, *conditions)
        .order_by(RepairRow.id.desc())
        .limit(1)
    )
    # A Core connection gives the entity's columns one by one.
    row = (await connection.execute(query)).mappings().one_or_none()
    return _repair(row) if row is not None else None


def _repair(row: Mapping[Any, Any]) -> Repair:
    content = row["content"]
    return Repair(
        hash=row["hash"],
        actual_fingerprint=row["actual_fingerprint"],
        expected_fingerprint=row["expected_fingerprint"],
        revisions=tuple(row["revisions"]),
        statements=tuple(Statement(**each) for each in content["statements"]),
        left=tuple(NotRepaired(Difference(**each["difference"]), each["reason"]) for each in content["left"]),
        kept=tuple(Difference(**each) for each in content["kept"]),
        with_loss=content["with_loss"],
        refusal=content["refusal"],
        made_at=row["made_at"],
        approvals=row["approvals"],
        counted=tuple(
            Counted(**{**each, "demand": Demand(**each["demand"])}) for each in content.get("counted", ())
        ),
    )
