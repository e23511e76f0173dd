"""Before and after every mutating job somebody looks at its target, whatever becomes of the job.

Who looks, and how, the composition root hands over. What cannot be seen is kept as such, with the reason:
a job's promise never hangs on the look, since the kind itself says better what it cannot do without.
When that is, is said in `conclusion.py`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.errors import CleanStartError
from web.jobs.attempt import Attempt
from web.jobs.events import storable
from web.jobs.job import Job
from web.jobs.resources import Resources
from web.postgres.identity import TargetIdentity
from web.store.tables import JobSchemaRow

Moment = Literal["before", "after"]

#: So long a look may take; a job that was cancelled has to end soon.
WITNESS_WITHIN = 60.0
WITNESS_WITHIN_CANCELLED = 2.0


@dataclass(frozen=True, slots=True)
class SchemaSeen:
    """What was seen of a target: its schema by fingerprint, or why not."""

    at: datetime
    token: str | None = None
    fingerprint: str | None = None
    #: None: not known.
    revisions: tuple[str, ...] | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class WitnessedJob:
    """A target right before a job, or once nothing of the job is alive any more."""

    job: Job[Any]
    attempt: Attempt
    store: AsyncEngine
    resources: Resources
    identity: TargetIdentity | None
    #: After the job: what was seen before it.
    before: SchemaSeen | None = None


@dataclass(frozen=True, slots=True)
class Aftermath:
    """What a look at the environment found right after a job, as far as it matters to what the job leaves."""

    #: What settles a doubt that a look may settle, in one sentence; None: it found no such thing.
    proof: str | None = None


#: Reads what the target is; raises whatever keeps from it.
Witness = Callable[[WitnessedJob], Awaitable[SchemaSeen]]
#: Looks at the environment as the schedule does, and keeps what it finds as seen after the job.
ObserveAfter = Callable[[WitnessedJob], Awaitable[Aftermath]]


async def observe_before(witness: Witness, witnessed: WitnessedJob) -> None:
    """Keep what the target is before the job touches it. Raises FencedOff, nothing else."""
    await _keep(witnessed, "before", await _observe(witness, witnessed, WITNESS_WITHIN))


async def observe_after(witness: Witness, witnessed: WitnessedJob, within: float = WITNESS_WITHIN) -> None:
    """Keep what the target is after the job. Raises FencedOff, nothing else."""

    async def read(connection: AsyncConnection) -> SchemaSeen | None:
        return (await read_schemas_seen(connection, witnessed.job.id))[0]

    before = await witnessed.attempt.write(read)
    seen = await _observe(witness, replace(witnessed, before=before), within)
    await _keep(witnessed, "after", seen)


async def leave_unseen(witnessed: WitnessedJob, reason: str) -> None:
    """Keep that nobody checked after the job, and why. Raises FencedOff."""
    await _keep(witnessed, "after", SchemaSeen(datetime.now(UTC), reason=reason))


async def read_schemas_seen(
    connection: AsyncConnection, job_id: int
) -> tuple[SchemaSeen | None, SchemaSeen | None]:
    """What was seen before and after a job; None: nobody came to look."""
    row = (
        await connection.execute(select(JobSchemaRow.__table__).where(JobSchemaRow.job_id == job_id))
    ).one_or_none()
    return (None, None) if row is None else (schema_seen(row, "before"), schema_seen(row, "after"))


def schema_seen(row: Any, moment: Moment) -> SchemaSeen | None:
    """One side of a row of `job_schema`."""
    at, token, fingerprint, revisions, reason = (
        getattr(row, f"{moment}_{name}") for name in ("at", "token", "fingerprint", "revisions", "reason")
    )
    if at is None:
        return None
    return SchemaSeen(at, token, fingerprint, None if revisions is None else tuple(revisions), reason)


async def _observe(witness: Witness, witnessed: WitnessedJob, within: float) -> SchemaSeen:
    begun = datetime.now(UTC)
    try:
        async with asyncio.timeout(within):
            return await witness(witnessed)
    except TimeoutError:
        return SchemaSeen(begun, reason=f"Reading it took longer than {within:g} s.")
    except CleanStartError as error:
        return SchemaSeen(begun, reason=str(error))
    except Exception as error:
        # Not ours to describe: its words may hold anything.
        return SchemaSeen(begun, reason=f"Reading it failed ({type(error).__name__}).")


async def _keep(witnessed: WitnessedJob, moment: Moment, seen: SchemaSeen) -> None:
    values = storable(
        {
            f"{moment}_token": seen.token,
            f"{moment}_fingerprint": seen.fingerprint,
            f"{moment}_revisions": None if seen.revisions is None else list(seen.revisions),
            f"{moment}_reason": seen.reason,
        }
    )
    values = {**values, f"{moment}_at": seen.at}

    async def action(connection: AsyncConnection) -> None:
        await connection.execute(
            insert(JobSchemaRow)
            .values(job_id=witnessed.job.id, **values)
            .on_conflict_do_update(index_elements=["job_id"], set_=values)
        )

    await witnessed.attempt.write(action)
