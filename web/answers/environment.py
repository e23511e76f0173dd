"""One environment's whole view: what its page, its API resource and `cleanstart status` show.

The view itself is at most four store queries; what only one tab needs is read by that tab's own function.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Text, func, literal, literal_column, select
from sqlalchemy.ext.asyncio import AsyncConnection

from web.answers.gate import Gate, migration_gate
from web.answers.rehearsed import Rehearsed, read_rehearsal
from web.answers.summary import Summary, summarize
from web.answers.verdict import Verdict, archived_verdict, verdict
from web.config import Configuration, Environment, Project
from web.observation.facts import Facts
from web.observation.history_cache import Histories
from web.observation.records import Observation, Record, read_records, standing_json
from web.observation.stored_history import (
    StoredHistory,
    history_columns,
    load_history,
    read_lineage,
    stored_history,
)
from web.store.tables import (
    AppliedRevisionRow,
    BackupRow,
    EnvironmentRow,
    EnvironmentStateRow,
    HistoryRow,
)


@dataclass(frozen=True, slots=True)
class View:
    """One environment as of its last observation."""

    project: Project
    environment: Environment
    record: Record | None
    source: StoredHistory | None
    verdict: Verdict
    #: May what a migrate applies be applied.
    gate: Gate
    rehearsed: Rehearsed | None
    #: As of the last look that reached the database; its tables only where they were asked for.
    facts: Facts | None = None
    table_count: int | None = None
    #: What is applied now, by revision.
    applied: Mapping[str, AppliedRevision] = field(default_factory=dict)
    #: How the database stands to an archived history that it has a part of; None: it has none, or all of it.
    archived: Verdict | None = None

    @property
    def to_apply(self) -> Verdict:
        """What a migrate goes by: the rest of an archived history comes before everything else."""
        return self.archived or self.verdict

    @property
    def is_at_a_baseline(self) -> bool:
        """Whether it stands where an archived history was left, with nothing applied since: it could go back."""
        history = self.source.history if self.source else None
        return history is not None and any(
            each.baseline in self.verdict.revisions for each in history.archives
        )

    @property
    def observation(self) -> Observation | None:
        return self.record.observation if self.record else None

    @property
    def summary(self) -> Summary:
        """The environment in one word."""
        return summarize(self.verdict, self.record)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        record = self.record
        return {
            "project": self.project.name,
            "environment": self.environment.name,
            "tier": self.environment.tier,
            **self.verdict.to_json(),
            **self.summary.to_json(),
            **standing_json(record),
            "gate": self.gate.to_json(),
            "observation": self.observation.to_json() if self.observation else None,
            "identity": record.identity if record else None,
            "build": record.build.number if record and record.build else None,
            "last_backup": record.backup.created_at.isoformat() if record and record.backup else None,
            "job": record.job.id if record and record.job else None,
        }


@dataclass(frozen=True, slots=True)
class AppliedRevision:
    """When a revision was first seen applied, and the digest its file had then."""

    revision: str
    file_digest: str | None
    first_seen: datetime


@dataclass(frozen=True, slots=True)
class StoredBackup:
    """A backup as its tab lists it; `manifest` and `verification` are `web.backups`' own shapes."""

    id: str
    created_at: datetime
    size: int
    state: str
    verified_at: datetime | None
    job_id: int | None
    manifest: dict[str, Any]
    verification: dict[str, Any] | None


async def view(
    connection: AsyncConnection,
    configuration: Configuration,
    project: str,
    environment: str,
    *,
    histories: Histories | None = None,
    records: Mapping[tuple[str, str], Record] | None = None,
    tables: bool = False,
) -> View:
    """Everything that the head of an environment's page shows; with `tables`, its facts name them all.

    Three queries, a fourth where the database is at a revision that its source lacks; one less for who has
    read the `records`. Raises NotFound.
    """
    where = configuration.environment(project, environment)
    histories = histories or Histories()
    if records is None:
        records = await read_records(connection, project, environment)
    record = records.get((project, environment))
    details = _Details()
    if record is not None:
        details = await _read_details(connection, record.environment_id, histories, tables=tables)
    source = details.source if record else await load_history(connection, project, histories)
    observation = record.observation if record else None
    history = source.history if source else None
    lineage = await read_lineage(
        connection,
        {project: history} if history else {},
        [(project, revision) for revision in observation.revisions] if observation else [],
        histories,
    )
    observed = record.observed if record else None
    evidence = {each.revision: each.file_digest for each in details.applied.values()}
    found = verdict(
        history,
        observed,
        lineage=lineage.get(project),
        evidence=evidence,
        reason=source.reason if source else None,
        follow=where.follow,
    )
    archived = archived_verdict(history, observed, evidence=evidence)
    to_apply = archived or found
    rehearsed = (
        await read_rehearsal(connection, record.environment_id, observation, to_apply.heads)
        if record and to_apply.pending
        else None
    )
    gate = migration_gate(to_apply, where, record, rehearsed)
    return View(
        configuration.project(project),
        where,
        record,
        source,
        found,
        gate,
        rehearsed,
        details.facts,
        details.table_count,
        details.applied,
        archived,
    )


@dataclass(frozen=True, slots=True)
class _Details:
    source: StoredHistory | None = None
    facts: Facts | None = None
    table_count: int | None = None
    applied: Mapping[str, AppliedRevision] = field(default_factory=dict)


async def _read_details(
    connection: AsyncConnection, environment_id: int, histories: Histories, *, tables: bool
) -> _Details:
    """History of the source, facts and evidence in one query; thousands of tables only where asked for."""
    known = histories.known()
    facts = EnvironmentStateRow.facts
    applied = (
        select(
            func.jsonb_object_agg(
                AppliedRevisionRow.revision,
                func.jsonb_build_array(AppliedRevisionRow.file_digest, AppliedRevisionRow.first_seen),
            )
        )
        .where(AppliedRevisionRow.environment_id == EnvironmentRow.id, AppliedRevisionRow.gone_at.is_(None))
        .correlate(EnvironmentRow)
        .scalar_subquery()
    )
    query = (
        select(
            *history_columns(known),
            (facts if tables else facts.op("-")(literal("tables", Text))).label("facts"),
            # As `Facts.stored` counts them; strict, or else the filter would look into the arrays.
            func.jsonb_array_length(
                func.jsonb_path_query_array(
                    facts["tables"], literal_column("'strict $[*] ? (@[2] != \"materialized view\")'")
                )
            ).label("table_count"),
            applied.label("applied"),
        )
        .select_from(EnvironmentRow)
        .outerjoin(HistoryRow, HistoryRow.project == EnvironmentRow.project)
        .outerjoin(EnvironmentStateRow, EnvironmentStateRow.environment_id == EnvironmentRow.id)
        .where(EnvironmentRow.id == environment_id)
    )
    row = (await connection.execute(query)).one()
    return _Details(
        stored_history(row, histories, known) if row.project is not None else None,
        Facts.from_json({"tables": (), **row.facts} if row.facts else {}),
        row.table_count,
        {
            revision: AppliedRevision(revision, digest, datetime.fromisoformat(first_seen))
            for revision, (digest, first_seen) in (row.applied or {}).items()
        },
    )


async def read_backups(
    connection: AsyncConnection, environment_id: int, *, limit: int = 100
) -> Sequence[StoredBackup]:
    """The backups that exist, newest first."""
    query = (
        select(
            BackupRow.id,
            BackupRow.created_at,
            BackupRow.size,
            BackupRow.state,
            BackupRow.verified_at,
            BackupRow.job_id,
            BackupRow.manifest,
            BackupRow.verification,
        )
        .where(BackupRow.environment_id == environment_id, BackupRow.state != "removed")
        .order_by(BackupRow.created_at.desc())
        .limit(limit)
    )
    return tuple(StoredBackup(str(row.id), *row[1:]) for row in await connection.execute(query))
