"""The proven way back from drift: made once on a scratch copy, stored, and bound by its hash to what runs.

The statements are `web.schema`'s. Running them on a target is for web/operations/revert.py.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import Label, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.inspection.counting import Counted
from web.inspection.observation import Observation
from web.postgres.connections import connect
from web.postgres.dump import dump_database, restore_database
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.schema.ddl.statement import Statement
from web.schema.demands.demand import Demand
from web.schema.difference import Difference
from web.schema.model import Schema
from web.schema.proof import Proof, apply, prove
from web.schema.snapshot import read_schema
from web.schema.statements import statements
from web.store.tables import ApprovalRow, DriftRow, RepairRow


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repair will run: who runs it and in what, as far as its statements depend on that."""

    database: str
    #: None where nothing is connected to: then every owner is written out.
    role: str | None = None
    #: Names that definitions may mention.
    roles: tuple[str, ...] = ()
    #: A copy is made from here; without one it is made from the description alone.
    url: str | None = None


async def prove_on_copy(
    scratch: ScratchServers,
    programs: Sequence[Programs],
    expected: Schema,
    actual: Schema,
    place: Place,
    *,
    destructive: bool = False,
    exclude_tables: Collection[str] = (),
) -> Proof:
    """Run what leads from `actual` to `expected` on a scratch copy of the place. Raises what keeps from making it."""
    major = actual.server_major
    # Between two replays that of nobody in particular too.
    roles = {*place.roles, *owners(expected), *owners(actual)}
    extensions = [each.name for each in actual.extensions]
    async with scratch.database(major, roles=sorted(roles), extensions=extensions) as copy:
        if place.url is not None:
            await _restore(programs, place.url, copy.url, major)
        else:
            await _make(actual, copy.url)
        async with copy.connect(application_name="cleanstart/proof") as connection:
            return await prove(
                connection,
                expected,
                actual,
                destructive=destructive,
                role=place.role,
                database=place.database,
                exclude_tables=exclude_tables,
            )


async def _restore(programs: Sequence[Programs], url: str, scratch_url: str, major: int) -> None:
    with tempfile.TemporaryDirectory(prefix="cleanstart-proof-") as folder:
        file = Path(folder) / "schema.dump"
        for step in (dump_database, restore_database):
            await step(
                programs,
                url if step is dump_database else scratch_url,
                file,
                server_major=major,
                application_name="cleanstart/proof",
                schema_only=True,
            )


async def _make(schema: Schema, url: str) -> None:
    """A copy of what is described only; that it is one is seen by `prove`."""
    async with connect(url, application_name="cleanstart/proof") as connection:
        nothing = await read_schema(connection)
        made = statements(schema, nothing, destructive=True, database=connection.info.dbname)
        await apply(connection, made.statements)


def owners(schema: Schema) -> set[str]:
    """Give the owners that a schema's objects have."""
    return {
        owner
        for objects in (schema.schemas, schema.tables, schema.views, schema.functions, schema.enums)
        for each in objects
        if (owner := getattr(each, "owner", None)) is not None
    }


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
            "statements": [asdict(each) for each in self.statements],
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
        "statements": [asdict(each) for each in proof.statements],
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
        select(DriftRow.differences, RepairRow, _approvals(environment_id))
        .select_from(DriftRow)
        .outerjoin(RepairRow, RepairRow.id == newest)
        .where(
            DriftRow.expected_fingerprint == drift.expected_fingerprint,
            DriftRow.actual_fingerprint == drift.fingerprint,
        )
    )
    row = (await connection.execute(query)).mappings().one_or_none()
    if row is None:
        return (), None
    found = tuple(Difference(**each) for each in row["differences"])
    return found, _repair(row) if row["hash"] is not None else None


async def repair_of(connection: AsyncConnection, environment_id: int, digest: str) -> Repair | None:
    """The repair that a hash binds."""
    return await _read(connection, environment_id, RepairRow.hash == digest)


async def _read(connection: AsyncConnection, environment_id: int, *conditions: Any) -> Repair | None:
    query = (
        select(RepairRow, _approvals(environment_id))
        .where(RepairRow.environment_id == environment_id, *conditions)
        .order_by(RepairRow.id.desc())
        .limit(1)
    )
    # A Core connection gives the entity's columns one by one.
    row = (await connection.execute(query)).mappings().one_or_none()
    return _repair(row) if row is not None else None


def _approvals(environment_id: int) -> Label[int]:
    return (
        select(func.count())
        .where(ApprovalRow.environment_id == environment_id, ApprovalRow.plan_hash == RepairRow.hash)
        .scalar_subquery()
        .label("approvals")
    )


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
