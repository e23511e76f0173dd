"""What became of a project since its clean start: migrations, drift, who changed revisions, seconds from empty."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.answers.stored_surveys import newest_survey
from web.comparison.ignore_rules import rules_by_environment, sort_out
from web.comparison.stored_differences import read_all_differences
from web.config import Project
from web.observation.records import DriftState, Record
from web.observation.revision_changes import RevisionChange, changed_since_clean_start
from web.observation.stored_history import StoredHistory
from web.store.tables import ObservationRow, RunRow


@dataclass(frozen=True, slots=True)
class EnvironmentSince:
    """One environment since then."""

    environment: str
    #: As of the last look; None: it was never checked.
    drift: DriftState | None
    #: Since when no look has found a difference; None: there is one, or it is not known.
    without_drift_since: datetime | None
    #: The last change of its version rows; None: they are those of then.
    change: RevisionChange | None = None

    def to_json(self) -> dict[str, object]:
        """JSON of the API."""
        since = self.without_drift_since
        return {
            "environment": self.environment,
            "drift": self.drift,
            "without_drift_since": since.isoformat() if since else None,
            "revision_change": self.change.to_json() if self.change else None,
        }


@dataclass(frozen=True, slots=True)
class SinceThen:
    """A project since the clean start that was done last."""

    run_id: int
    done_at: datetime
    #: Migrations that follow the baseline by now; None: the source is not known, or does not hold the baseline.
    migrations: int | None
    #: From an empty database to the head: through the old history, through the baseline when it was proven, and as it
    #: was measured last since. None: not measured.
    seconds_before: float | None
    seconds_then: float | None
    seconds_now: float | None
    measured_at: datetime | None
    environments: tuple[EnvironmentSince, ...]

    def to_json(self) -> dict[str, object]:
        """JSON of the API."""
        return {
            "run": self.run_id,
            "done_at": self.done_at.isoformat(),
            "migrations": self.migrations,
            "seconds_before": self.seconds_before,
            "seconds_then": self.seconds_then,
            "seconds_now": self.seconds_now,
            "measured_at": self.measured_at.isoformat() if self.measured_at else None,
            "environments": [each.to_json() for each in self.environments],
        }


async def read_since(
    connection: AsyncConnection,
    project: Project,
    source: StoredHistory | None,
    records: Mapping[str, Record | None],
) -> SinceThen | None:
    """What became of a project since then; `records` by environment. None: no clean start of it is done."""
    done = (
        await connection.execute(
            select(RunRow.id, RunRow.ended_at, RunRow.report)
            .where(RunRow.project == project.name, RunRow.way == "clean start", RunRow.ended == "done")
            .order_by(RunRow.id.desc())
            .limit(1)
        )
    ).one_or_none()
    if done is None or done.ended_at is None:
        return None
    report = done.report or {}
    before, after = report.get("before", {}), report.get("after", {})
    survey = await newest_survey(connection, project.name)
    again = survey is not None and survey.surveyed_at is not None and survey.surveyed_at > done.ended_at
    return SinceThen(
        done.id,
        done.ended_at,
        _following(source, after.get("baseline")),
        before.get("seconds"),
        after.get("seconds"),
        survey.history.seconds if survey is not None and again else None,
        survey.surveyed_at if survey is not None and again else None,
        tuple(
            await _environments(
                connection,
                project,
                done.ended_at,
                {name: record for name, record in records.items() if name in project.environments},
            )
        ),
    )


def _following(source: StoredHistory | None, baseline: str | None) -> int | None:
    history = source.history if source is not None else None
    if history is None or baseline is None or baseline not in history:
        return None
    return sum(each.revision != baseline for each in history.migrations)


async def _environments(
    connection: AsyncConnection, project: Project, done_at: datetime, records: Mapping[str, Record | None]
) -> Iterator[EnvironmentSince]:
    changes = await changed_since_clean_start(connection, project.name)
    differed = await _last_differed(connection, project, done_at, records)

    def told(name: str, record: Record | None) -> EnvironmentSince:
        observation = record.observation if record else None
        change = changes.get((project.name, name))
        if record is None or observation is None:
            return EnvironmentSince(name, None, None, change)
        since = differed.get(name, done_at) if observation.drift.state == "none" else None
        return EnvironmentSince(name, observation.drift.state, since, change)

    return (told(name, record) for name, record in records.items())


async def _last_differed(
    connection: AsyncConnection, project: Project, done_at: datetime, records: Mapping[str, Record | None]
) -> Mapping[str, datetime]:
    """When a look found a difference last since then, by environment; not counting what an ignore rule covers now."""
    names = {
        record.environment_id: name
        for name, record in records.items()
        if record is not None and record.observation is not None and record.observation.drift.state == "none"
    }
    row = ObservationRow
    query = (
        select(
            row.environment_id,
            row.expected_fingerprint,
            row.fingerprint,
            func.max(row.last_observed_at).label("at"),
        )
        .where(row.environment_id.in_(names), row.drift_state == "drifted", row.last_observed_at > done_at)
        .group_by(row.environment_id, row.expected_fingerprint, row.fingerprint)
        .order_by(func.max(row.last_observed_at))
    )
    looks = [
        (names[each.environment_id], (each.expected_fingerprint, each.fingerprint), each.at)
        for each in await connection.execute(query)
    ]
    if not looks:
        return {}
    rules = await rules_by_environment(connection, {(project.name, name) for name, _, _ in looks})
    ruled = {pair for name, pair, _ in looks if rules[project.name, name]}
    differences = await read_all_differences(connection, ruled) if ruled else {}
    return {
        name: at
        for name, pair, at in looks
        # What cannot be told any more counts.
        if pair not in differences or sort_out(differences[pair], rules[project.name, name]).differences
    }
