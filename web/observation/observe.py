"""One look at an environment and what is made of it: drift, evidence, an observation in the store.

Whatever is wrong with the target becomes part of the observation; a look never fails because of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy import func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as insert_or
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.comparison.expected import Expected, expected_schema
from web.comparison.ignore_rules import active_rules
from web.comparison.snapshots import store_schema
from web.comparison.stored_differences import compare
from web.config import Environment, Project
from web.errors import CleanStartError, TargetUnavailable
from web.jobs.events import announce_change, storable
from web.observation.facts import Facts
from web.observation.first_seen import keep_evidence
from web.observation.kept_schema import store_kept
from web.observation.proving import settle_what_is_proven
from web.observation.records import Drift, DriftState, Observation, read_drift, without_ignored
from web.observation.stored_history import StoredHistory, refresh_history
from web.observation.target import Known, Seen, load_known, observe_target
from web.postgres.identity import TargetIdentity
from web.postgres.scratch import ScratchServers
from web.schema.difference import unknown_parts
from web.schema.model import Schema
from web.store.tables import EnvironmentRow, EnvironmentStateRow, ObservationRow

#: The source is read at most so often, however many environments a project has.
SOURCE_EVERY: Final = timedelta(seconds=20)
#: A whole look at the target may take this long.
OBSERVE_WITHIN: Final = 300.0


async def observe(
    store: AsyncEngine,
    project: Project,
    environment: Environment,
    scratch: ScratchServers,
    *,
    full: bool = False,
    source_age: timedelta = timedelta(0),
    application_name: str = "cleanstart/observe",
    after_job: int = 0,
) -> Observation:
    """Look at an environment and store what was found. `full` takes a snapshot even where nothing changed.

    The source is read again unless that was done less than `source_age` ago. `after_job` is a job of which nothing
    is alive any more although its end is not written yet: what is seen is seen after it.

    The target's identity is pinned by the first check that reaches it. A database that cannot be reached, or
    is not the pinned one, gives an observation that says so.
    """
    source = await refresh_history(store, project, max_age=source_age)
    known = await load_known(store, environment)
    known = replace(known, ended=max(known.ended, after_job))
    try:
        async with asyncio.timeout(OBSERVE_WITHIN):
            seen = await observe_target(
                store, project, environment, known, source, application_name, full=full
            )
    except TimeoutError:
        late = TargetUnavailable(
            f"Checking the database took longer than {OBSERVE_WITHIN:g} s.",
            hint="See in pg_stat_activity what keeps the server busy, then check again.",
        )
        return await _store_failure(store, known, source, late)
    except CleanStartError as error:
        return await _store_failure(store, known, source, error)
    except (OSError, ValueError) as error:
        # A name that cannot be resolved or encoded; psycopg's own errors are translated already.
        failure = TargetUnavailable(f"The database cannot be reached: {type(error).__name__}.")
        return await _store_failure(store, known, source, failure)
    if seen.schema is None:
        assert known.observation is not None
        drift, fingerprint = known.observation.drift, known.observation.fingerprint
    else:
        drift = await _compare(store, scratch, project, source, seen, seen.schema)
        fingerprint = drift.fingerprint
    stored = await _store_success(store, known, source, seen, fingerprint, drift)
    return await _as_told(store, environment, stored)


async def _as_told(store: AsyncEngine, environment: Environment, observation: Observation) -> Observation:
    """As pages tell it: with what ignore rules cover left out."""
    if observation.drift.state != "drifted":
        return observation
    async with store.connect() as connection:
        rules = await active_rules(connection, environment.project, environment.name)
        found = await read_drift(connection, observation.drift) if rules else ()
    return replace(observation, drift=without_ignored(observation.drift, found, rules))


async def pin_identity(connection: AsyncConnection, environment_id: int, identity: TargetIdentity) -> None:
    """Pin the identity of an environment's target, whatever was pinned before."""
    await connection.execute(
        update(EnvironmentRow)
        .where(EnvironmentRow.id == environment_id)
        .values(
            system_identifier=identity.system_identifier,
            database_oid=identity.database_oid,
            pinned_at=datetime.now(UTC),
        )
    )
    await announce_change(connection, environment_id)


async def _compare(
    store: AsyncEngine,
    scratch: ScratchServers,
    project: Project,
    source: StoredHistory,
    seen: Seen,
    actual: Schema,
) -> Drift:
    async with store.begin() as connection:
        fingerprint = await store_schema(connection, actual)
    if seen.applied is None:
        return Drift("unknown", str(seen.refusal), fingerprint=fingerprint)
    if source.history is None:
        return Drift("not compared", source.reason, fingerprint=fingerprint)
    if not source.history.complete:
        incomplete = "Part of the history can only be told by the project's own code, which did not answer."
        return Drift("not compared", incomplete, fingerprint=fingerprint)
    rows = seen.applied.revisions
    if (archive := source.history.archive_of(rows)) is not None and archive.is_complete(rows):
        # What it gave is what the baseline gives, which is what the database will be said to be at.
        rows = (archive.baseline,)
    if (part := source.history.unfinished_archive(rows)) is not None:
        reason = (
            f"It has a part of the history in {part.folder}, and is compared once it is at the end of that."
        )
        return Drift("not compared", reason, fingerprint=fingerprint)
    if unknown := source.history.unknown(rows):
        reason = (
            f"No migration of the project has {', '.join(unknown)}, so what it should look like is unknown."
        )
        return Drift("unknown", reason, fingerprint=fingerprint)
    if not seen.applied.revisions and actual.is_empty:
        # The prelude may not have run either, and that is nobody's change.
        return Drift("none", "The database is empty.", 0, fingerprint=fingerprint)
    expected = await _expected(store, scratch, project, source, seen, rows, actual)
    if expected.schema is None or expected.fingerprint is None:
        return Drift("not compared", expected.reason, fingerprint=fingerprint)
    async with store.begin() as connection:
        found = await compare(connection, expected.fingerprint, expected.schema, fingerprint, actual)
    unreadable = unknown_parts(expected.schema, actual)
    blind = f"The role may not read {', '.join(unreadable)}." if unreadable else None
    state: DriftState = "drifted" if found else "unknown" if unreadable else "none"
    return Drift(state, blind, len(found), expected.fingerprint, fingerprint)


async def _expected(
    store: AsyncEngine,
    scratch: ScratchServers,
    project: Project,
    source: StoredHistory,
    seen: Seen,
    rows: Sequence[str],
    actual: Schema,
) -> Expected:
    assert source.history is not None
    return await expected_schema(
        store,
        scratch,
        project,
        source.history,
        rows,
        major=seen.target.major,
        roles=seen.roles,
        extensions=[(each.name, each.version) for each in actual.extensions],
    )


async def _store_success(
    store: AsyncEngine,
    known: Known,
    source: StoredHistory,
    seen: Seen,
    fingerprint: str | None,
    drift: Drift,
) -> Observation:
    applied = seen.applied
    values = {
        "reachable": True,
        "error": seen.refusal.to_store() if seen.refusal else None,
        "server_version": seen.target.server_version,
        "database": seen.target.database,
        "host": f"{seen.target.host}:{seen.target.port}",
        "version_table": applied.table_exists if applied else None,
        "revisions": list(applied.revisions) if applied else [],
        "token": seen.token,
        "fingerprint": fingerprint,
        "expected_fingerprint": drift.expected_fingerprint,
        "drift_state": drift.state,
        "drift_reason": drift.reason,
        "drift_count": drift.count,
        "source_digest": source.digest,
    }
    now = seen.facts.at
    async with store.begin() as connection:
        if known.pinned is None:
            await _pin_first(connection, known.environment_id, seen.target.identity)
        if seen.kept is not None and fingerprint is not None:
            await store_kept(connection, known.environment_id, seen.target.identity, fingerprint, seen.kept)
        if applied is not None and source.history is not None and source.history.complete:
            await keep_evidence(connection, known.environment_id, source.history, applied.revisions, now)
        found = await _append(connection, known, values, now, seen.facts, seen_job=known.ended)
        await settle_what_is_proven(connection, known.environment_id, found, known.ended)
        return found


async def _store_failure(
    store: AsyncEngine, known: Known, source: StoredHistory, error: CleanStartError
) -> Observation:
    """Keep what was known before, and say that this look failed."""
    last = known.observation
    values = {
        "reachable": False,
        "error": error.to_store(),
        "server_version": last.server_version if last else None,
        "database": last.database if last else None,
        "host": last.host if last else None,
        "version_table": last.version_table if last else None,
        "revisions": list(last.revisions) if last else [],
        "token": known.token,
        "fingerprint": last.fingerprint if last else None,
        "expected_fingerprint": None,
        "drift_state": "unknown",
        "drift_reason": error.title,
        "drift_count": None,
        "source_digest": source.digest,
    }
    async with store.begin() as connection:
        # It has seen nothing, so a look that is owed is owed still.
        return await _append(connection, known, values, datetime.now(UTC), known.facts)


async def _changed_revisions(
    connection: AsyncConnection, environment_id: int, values: Mapping[str, Any]
) -> dict[str, Any]:
    """What the version rows were before, where this look finds others; nothing where it cannot tell."""
    if not values["reachable"] or values["version_table"] is None:
        return {}
    last = (
        await connection.execute(
            select(ObservationRow.revisions, ObservationRow.last_observed_at)
            .where(
                ObservationRow.environment_id == environment_id,
                ObservationRow.reachable,
                ObservationRow.version_table.is_not(None),
            )
            .order_by(ObservationRow.id.desc())
            .limit(1)
        )
    ).one_or_none()
    if last is None or sorted(last.revisions or ()) == sorted(values["revisions"]):
        return {}
    return {"revisions_before": list(last.revisions or ()), "revisions_seen_until": last.last_observed_at}


async def _append(
    connection: AsyncConnection,
    known: Known,
    values: dict[str, Any],
    now: datetime,
    facts: Facts | None,
    *,
    seen_job: int | None = None,
) -> Observation:
    """A new observation where something changed, else a later time on the last one; then the state's row.

    The environment's row is locked, so that looks that overlap are stored one after the other.
    """
    values = storable(values)
    digest = hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
    await connection.execute(
        select(EnvironmentRow.id).where(EnvironmentRow.id == known.environment_id).with_for_update()
    )
    last = (
        await connection.execute(
            select(ObservationRow.id, ObservationRow.digest, ObservationRow.first_observed_at)
            .where(ObservationRow.environment_id == known.environment_id)
            .order_by(ObservationRow.id.desc())
            .limit(1)
        )
    ).one_or_none()
    if last is not None and last.digest == digest:
        observation_id, since = last.id, last.first_observed_at
        await connection.execute(
            update(ObservationRow).where(ObservationRow.id == last.id).values(last_observed_at=now)
        )
    else:
        since = now
        observation_id = await connection.scalar(
            insert(ObservationRow)
            .values(
                environment_id=known.environment_id,
                digest=digest,
                first_observed_at=now,
                last_observed_at=now,
                **values,
                **await _changed_revisions(connection, known.environment_id, values),
            )
            .returning(ObservationRow.id)
        )
    state = {
        "observation_id": observation_id,
        "observed_at": now,
        "facts": storable(facts.to_json()) if facts else {},
        **({} if seen_job is None else {"seen_job": seen_job}),
    }
    await connection.execute(
        insert_or(EnvironmentStateRow)
        .values(environment_id=known.environment_id, **state)
        .on_conflict_do_update(
            index_elements=["environment_id"],
            set_=state,
            # A look that began before a job's end never takes the place of one that came after it.
            where=(EnvironmentStateRow.observed_at <= now)
            & (func.coalesce(EnvironmentStateRow.seen_job, 0) <= known.ended),
        )
    )
    await announce_change(connection, known.environment_id)
    return Observation(
        id=observation_id,
        observed_at=now,
        since=since,
        reachable=values["reachable"],
        error=values["error"],
        server_version=values["server_version"],
        database=values["database"],
        host=values["host"],
        version_table=values["version_table"],
        revisions=tuple(values["revisions"]),
        fingerprint=values["fingerprint"],
        drift=Drift(
            values["drift_state"],
            values["drift_reason"],
            values["drift_count"],
            values["expected_fingerprint"],
            values["fingerprint"],
        ),
        source_digest=values["source_digest"],
    )


async def _pin_first(connection: AsyncConnection, environment_id: int, identity: TargetIdentity) -> None:
    """Pin what the first look reached, unless another look was quicker."""
    await connection.execute(
        update(EnvironmentRow)
        .where(EnvironmentRow.id == environment_id, EnvironmentRow.system_identifier.is_(None))
        .values(
            system_identifier=identity.system_identifier,
            database_oid=identity.database_oid,
            pinned_at=datetime.now(UTC),
        )
    )
