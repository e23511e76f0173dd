"""Writes what a worker would have observed into a store, for tests of what is made of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.config import Environment
from web.jobs.start import environment_row
from web.observation.stored_history import manifest_digest
from web.store.tables import (
    BackupRow,
    EnvironmentStateRow,
    HistoryRow,
    ObservationRow,
)
from web.tools.history import History


async def store_history(connection: AsyncConnection, project: str, history: History) -> None:
    content = history.to_json()
    await connection.execute(
        insert(HistoryRow).values(
            project=project, digest=manifest_digest(content), content=content, read_at=datetime.now(UTC)
        )
    )


async def store_observation(
    connection: AsyncConnection, environment: Environment, *revisions: str, **more: Any
) -> int:
    """One look that found these revisions; returns the environment's key."""
    environment_id, _ = await environment_row(connection, environment.project, environment.name)
    now = datetime.now(UTC)
    at = now - more.pop("age", timedelta(0))
    values = {
        "environment_id": environment_id,
        "digest": uuid4().hex,
        "first_observed_at": at,
        "last_observed_at": at,
        "reachable": True,
        "version_table": True,
        "revisions": list(revisions),
        "drift_state": "none",
        **more,
    }
    observation_id = await connection.scalar(
        insert(ObservationRow).values(values).returning(ObservationRow.id)
    )
    await connection.execute(
        insert(EnvironmentStateRow).values(
            environment_id=environment_id, observation_id=observation_id, observed_at=at
        )
    )
    return environment_id


async def store_backup(
    connection: AsyncConnection,
    environment_id: int,
    *,
    age: timedelta = timedelta(0),
    state: str = "verified",
) -> None:
    created = datetime.now(UTC) - age
    await connection.execute(
        insert(BackupRow).values(
            id=uuid4(),
            environment_id=environment_id,
            key=uuid4().hex,
            size=1,
            sha256="0" * 64,
            manifest_version=1,
            manifest={},
            state=state,
            created_at=created,
            verified_at=created if state == "verified" else None,
        )
    )
