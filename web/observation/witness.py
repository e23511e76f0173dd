"""Looks at a target's schema before and after a mutating job, and at its environment when the job ends.

The engine says when (web.jobs.conclusion). Mostly it is one query for the token: where that is the last look's, the
schema is the one that was read then.
"""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import select

from web.comparison.expected import excluded_tables
from web.comparison.snapshots import store_schema
from web.errors import CleanStartError
from web.jobs.witness import Aftermath, SchemaSeen, WitnessedJob, read_schemas_seen
from web.observation.changes import find_changes
from web.observation.observe import observe
from web.observation.proving import proof_of
from web.postgres.connections import Connection, connect
from web.postgres.identity import require_identity
from web.schema.snapshot import read_schema
from web.schema.token import read_token
from web.store.tables import EnvironmentStateRow, ObservationRow
from web.tools.registry import tool_of


async def witness(witnessed: WitnessedJob) -> SchemaSeen:
    """Read the schema, or know it again by its token; after a job also find what has changed.

    Raises CleanStartError for whatever keeps from it.
    """
    job, before = witnessed.job, witnessed.before
    async with connect(
        job.environment.url.read(),
        application_name=witnessed.attempt.application_name,
        read_only=True,
        lock_timeout="5s",
        statement_timeout="60s",
    ) as connection:
        if witnessed.identity is not None:
            await require_identity(connection, witnessed.identity)
        begun = datetime.now(UTC)
        revisions = await _revisions(witnessed, connection)
        token = await read_token(connection)
        fingerprint = await _known(witnessed, token)
        if fingerprint is None:
            schema = await read_schema(connection, exclude_tables=excluded_tables(job.project))
            async with witnessed.store.begin() as store:
                fingerprint = await store_schema(store, schema)
    if before is not None and before.fingerprint is not None:
        await find_changes(witnessed.store, [(before.fingerprint, fingerprint)])
    # What was there before lasts until the job begins; what is there after it, from its end on.
    return SchemaSeen(begun if before else datetime.now(UTC), token, fingerprint, revisions)


async def observe_again(witnessed: WitnessedJob) -> Aftermath:
    """Look at the environment as the schedule does, and say what that proves of what the job has left."""
    job = witnessed.job
    seen = await observe(
        witnessed.store,
        job.project,
        job.environment,
        witnessed.resources.scratch,
        application_name=witnessed.attempt.application_name,
        after_job=job.id,
    )
    async with witnessed.store.connect() as store:
        before, _ = await read_schemas_seen(store, job.id)
    return Aftermath(proof_of(seen, before))


async def _revisions(witnessed: WitnessedJob, connection: Connection) -> tuple[str, ...] | None:
    try:
        return (await tool_of(witnessed.job.project).applied(witnessed.job.project, connection)).revisions
    except CleanStartError:
        return None


async def _known(witnessed: WitnessedJob, token: str) -> str | None:
    """The fingerprint that goes with a token, if the last look or the one before the job saw the same."""
    if witnessed.before is not None and witnessed.before.token == token:
        return witnessed.before.fingerprint
    query = (
        select(ObservationRow.fingerprint)
        .join(EnvironmentStateRow, EnvironmentStateRow.observation_id == ObservationRow.id)
        .where(
            EnvironmentStateRow.environment_id == witnessed.job.environment_id,
            ObservationRow.token == token,
            ObservationRow.reachable,
        )
    )
    async with witnessed.store.connect() as store:
        found: str | None = await store.scalar(query)
    return found
