"""Looking at a target: who it is, its revisions and token, its facts; its schema where something has changed.

What is made of it, the comparison and what is stored, is left to `observe.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.comparison.expected import excluded_tables
from web.comparison.roles import read_roles
from web.comparison.second_connection import second_connection
from web.config import Environment, Project
from web.errors import CleanStartError, IdentityMismatch
from web.jobs.start import environment_row
from web.observation.facts import Facts, read_facts
from web.observation.kept_schema import load_kept
from web.observation.records import Observation, read_records
from web.observation.stored_history import StoredHistory
from web.postgres.connections import connect_to_observe
from web.postgres.identity import ResolvedTarget, TargetIdentity, read_identity
from web.schema.model import Schema
from web.schema.refresh import Kept, read_kept, refresh
from web.schema.token import read_token
from web.store.tables import EnvironmentStateRow, JobRow, JobTargetRow, ObservationRow
from web.tools.protocol import Applied
from web.tools.registry import tool_of

#: A snapshot is taken at least so often, whatever the token says.
FULL_EVERY: Final = timedelta(hours=20)
#: Tables, rows and sizes are read at most so often while nothing changes.
TABLES_EVERY: Final = timedelta(minutes=10)
#: What could not be compared for a passing reason is tried again after this.
RETRY_EVERY: Final = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Known:
    """What the store has from earlier looks."""

    environment_id: int
    pinned: TargetIdentity | None
    token: str | None
    observation: Observation | None
    facts: Facts | None
    #: The newest job that could have changed the target and has ended, by its number: what is seen is seen after it.
    ended: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What this look found on the target."""

    target: ResolvedTarget
    applied: Applied | None
    #: Why the version table could not be read.
    refusal: CleanStartError | None
    token: str
    facts: Facts
    #: None: nothing changed, so nothing was read.
    kept: Kept | None
    roles: Sequence[str]

    @property
    def schema(self) -> Schema | None:
        """The schema, where something changed."""
        return self.kept.schema if self.kept is not None else None


async def load_known(store: AsyncEngine, environment: Environment) -> Known:
    """What the store has; the environment's row is made where there is none yet."""
    async with store.begin() as connection:
        environment_id, pinned = await environment_row(connection, environment.project, environment.name)
        # Rules come and go; what a look found stays what it is.
        records = await read_records(connection, environment.project, environment.name, as_stored=True)
        row = (
            await connection.execute(
                select(ObservationRow.token, EnvironmentStateRow.facts, EnvironmentStateRow.seen_job)
                .join(EnvironmentStateRow, EnvironmentStateRow.observation_id == ObservationRow.id)
                .where(EnvironmentStateRow.environment_id == environment_id)
            )
        ).one_or_none()
        ended = await newest_ended(connection, pinned) if pinned is not None else None
    return Known(
        environment_id,
        pinned,
        row.token if row else None,
        records[environment.project, environment.name].observation,
        Facts.from_json(row.facts) if row else None,
        # What an earlier look came after, this one does as well.
        max(ended or 0, (row.seen_job if row else None) or 0),
    )


async def newest_ended(connection: AsyncConnection, target: TargetIdentity) -> int | None:
    """The newest job with a beginning and an end that could have changed this target."""
    query = (
        select(func.max(JobTargetRow.job_id))
        .join(JobRow, JobRow.id == JobTargetRow.job_id)
        .where(
            JobTargetRow.system_identifier == target.system_identifier,
            JobTargetRow.database_oid == target.database_oid,
            ~JobTargetRow.unfinished,
            JobRow.started_at.is_not(None),
        )
    )
    found: int | None = await connection.scalar(query)
    return found


async def observe_target(
    store: AsyncEngine,
    project: Project,
    environment: Environment,
    known: Known,
    source: StoredHistory,
    application_name: str,
    *,
    full: bool,
) -> Seen:
    """Look once. Where something changed, only that is read; everything if that is asked for, or is due.

    Raises CleanStartError for whatever keeps from it.
    """
    async with connect_to_observe(environment.url.read(), application_name=application_name) as connection:
        target = await read_identity(connection)
        if known.pinned is not None and target.identity != known.pinned:
            raise IdentityMismatch(
                f"The URL leads to {target.database} on {target.host}:{target.port}, which is "
                f"{target.identity.as_text}; pinned is {known.pinned.as_text}.",
                target.identity.as_text,
            )
        applied: Applied | None = None
        refusal: CleanStartError | None = None
        try:
            applied = await tool_of(project).applied(project, connection)
        except CleanStartError as error:
            refusal = error
        token = await read_token(connection)
        same = not full and _same(known, source, applied, token)
        now = datetime.now(UTC)
        earlier = known.facts
        if not same or earlier is None or now - (earlier.tables_at or now) > TABLES_EVERY:
            earlier = None
        facts = await read_facts(connection, earlier=earlier)
        if same:
            assert known.facts is not None
            return Seen(
                target, applied, refusal, token, replace(facts, schema_at=known.facts.schema_at), None, ()
            )
        earlier_kept, kept = None, None
        if not full and _part_will_do(known):
            earlier_kept = await load_kept(store, known.environment_id, target.identity)
        if earlier_kept is not None:
            kept = await refresh(connection, earlier_kept, excluded_tables(project))
            if kept.tokens == earlier_kept.tokens and token != known.token:
                # Something changed, and nothing that was kept tells what.
                kept = None
        if kept is None:
            async with second_connection(
                connection, environment.url.read(), application_name=application_name
            ) as second:
                kept = await read_kept(connection, excluded_tables(project), second)
        read_at = known.facts.schema_at if kept.partial and known.facts is not None else now
        roles = await read_roles(connection)
        return Seen(target, applied, refusal, token, replace(facts, schema_at=read_at), kept, roles)


def _part_will_do(known: Known) -> bool:
    """Whether the schema was last read whole not long ago, and nothing waits for it to be read again."""
    if known.facts is None or known.facts.schema_at is None or known.observation is None:
        return False
    age = datetime.now(UTC) - known.facts.schema_at
    return age < FULL_EVERY and known.observation.drift.state != "not compared"


def _same(known: Known, source: StoredHistory, applied: Applied | None, token: str) -> bool:
    """Whether the last snapshot and its comparison still hold."""
    last, facts = known.observation, known.facts
    if last is None or facts is None or facts.schema_at is None or not last.reachable:
        return False
    age = datetime.now(UTC) - facts.schema_at
    if last.drift.state == "not compared" and age > RETRY_EVERY:
        return False
    return (
        token != ""
        and token == known.token
        and last.fingerprint is not None
        and last.source_digest == source.digest
        and last.version_table == (applied.table_exists if applied else None)
        and last.revisions == (applied.revisions if applied else ())
        and age < FULL_EVERY
    )
