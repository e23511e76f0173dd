"""What a look proves about what jobs left in doubt: which of it may be settled, and by what.

A look sees version rows and the schema. It proves nothing about rows, so whether a doubt may be settled by one is
said by the kind of job that left it (`web.jobs.job.Unproven`).
"""

from __future__ import annotations

from sqlalchemy.ext.asyncio import AsyncConnection

from web.jobs.doubts import BY_CHECK, for_a_look, settle
from web.jobs.witness import SchemaSeen, read_schemas_seen
from web.observation.records import Observation


def proof_of(seen: Observation, before: SchemaSeen | None) -> str | None:
    """What is proven by what was seen after a job: all of what is recorded is there and nothing else, or none of it.

    `before` is what was seen right before the job. Differences that ignore rules cover are differences here.
    """
    if not seen.reachable or seen.version_table is None:
        return None
    at = ", ".join(seen.revisions) or "no revision"
    if seen.drift.state == "none" and not seen.drift.ignored:
        return f"The database is at {at} and has exactly the schema that its migrations give."
    unchanged = (
        before is not None
        and before.fingerprint is not None
        and before.revisions is not None
        and before.fingerprint == seen.fingerprint
        and set(before.revisions) == set(seen.revisions)
    )
    return f"The database is at {at} and has the schema that it had before the job." if unchanged else None


async def settle_what_is_proven(
    connection: AsyncConnection, environment_id: int, seen: Observation, up_to: int
) -> None:
    """Settle what this look, which came after the job `up_to`, proves of the environment's doubts."""
    for job_id in await for_a_look(connection, environment_id, up_to):
        before, _ = await read_schemas_seen(connection, job_id)
        if (proof := proof_of(seen, before)) is not None:
            await settle(connection, job_id, by=BY_CHECK, reason=proof)
