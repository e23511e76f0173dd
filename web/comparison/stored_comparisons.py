"""Comparisons that were made for pages: which two sources, when, what came of it. Making one is a job's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import CompoundSelect, select, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.comparison import stored_differences
from web.comparison.side_by_side import Comparison
from web.comparison.snapshots import store_schema
from web.comparison.sources import Source, parse_source
from web.comparison.stored_differences import as_differences, store_differences
from web.config import Project
from web.errors import CleanStartError, Invalid, NotFound
from web.schema.difference import Difference
from web.store.tables import (
    BackupRow,
    ComparisonRow,
    EnvironmentRow,
    JobRow,
    JobSchemaRow,
    ObservationRow,
)


@dataclass(frozen=True, slots=True)
class Compared:
    """The last time that two sources were held side by side."""

    a: str
    b: str
    compared_at: datetime
    a_fingerprint: str | None
    b_fingerprint: str | None
    #: What one side's role may not read, and so is not known to be equal.
    unknown: tuple[str, ...]
    #: Title, message and hint, where it could not be compared.
    error: Mapping[str, str] | None
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, object]:
        """JSON of the API."""
        return {
            "a": self.a,
            "b": self.b,
            "compared_at": self.compared_at.isoformat(),
            "a_fingerprint": self.a_fingerprint,
            "b_fingerprint": self.b_fingerprint,
            "unknown": list(self.unknown),
            "error": dict(self.error) if self.error else None,
            "differences": [each.to_json() for each in self.differences],
        }


def sources_of(project: Project, *texts: str) -> tuple[Source, ...]:
    """Read sources as a page or a job takes them: of this project, and no URL of the server's own environment.

    Raises Invalid. Whether a backup or a snapshot is the project's, `require_kept` says.
    """
    found = []
    for text in texts:
        source = parse_source(text.strip())
        if source.kind == "url":
            raise Invalid(
                "A URL from the server's environment is compared on its command line only.",
                hint="Run `cleanstart diff` there.",
            )
        if source.project not in (None, project.name):
            raise Invalid(
                f"{source.text} is not of the project {project.name}.",
                hint="Compare with `cleanstart diff` on the host, which may read both.",
            )
        if source.kind == "live" and source.name not in project.environments:
            raise NotFound(f"The project {project.name} has no environment {source.name}.")
        found.append(source)
    return tuple(found)


async def require_kept(connection: AsyncConnection, project: Project, *sources: Source) -> tuple[Source, ...]:
    """Refuse backups and snapshots of other projects: who sees one project does not see the others.

    Gives the sources with the whole digests of snapshots, as whose beginnings alone those of other projects
    would be found too.

    Raises:
        NotFound: the project has no such thing.
        Invalid: several of its snapshots begin so.
    """
    return tuple([await _kept(connection, project.name, each) for each in sources])


async def _kept(connection: AsyncConnection, project: str, source: Source) -> Source:
    missing = NotFound(f"The project {project} has no {source.kind} {source.name}.")
    if source.kind == "backup":
        query = (
            select(EnvironmentRow.id)
            .join(BackupRow, BackupRow.environment_id == EnvironmentRow.id)
            .where(EnvironmentRow.project == project, BackupRow.id == UUID(source.name))
        )
        if await connection.scalar(query) is None:
            raise missing
    elif source.kind == "snapshot":
        found = (await connection.scalars(_digests(project, source.name).limit(2))).all()
        if not found:
            raise missing
        if len(found) > 1:
            raise Invalid(f"Several snapshots begin with {source.name}.", hint="Write more of it.")
        return replace(source, name=found[0])
    return source


def _digests(project: str, beginning: str) -> CompoundSelect[str]:
    """Those that looks at the project's environments and their jobs have left, each once."""
    looks = [
        select(column).join(EnvironmentRow, EnvironmentRow.id == ObservationRow.environment_id)
        for column in (ObservationRow.fingerprint, ObservationRow.expected_fingerprint)
    ]
    jobs = [
        select(column)
        .join(JobRow, JobRow.id == JobSchemaRow.job_id)
        .join(EnvironmentRow, EnvironmentRow.id == JobRow.environment_id)
        for column in (JobSchemaRow.before_fingerprint, JobSchemaRow.after_fingerprint)
    ]
    return union(
        *(
            query.where(
                EnvironmentRow.project == project,
                query.selected_columns[0].startswith(beginning, autoescape=True),
            )
            for query in (*looks, *jobs)
        )
    )


async def store_comparison(connection: AsyncConnection, project: str, found: Comparison) -> None:
    """Keep what a comparison found, in place of the last one of the same sources."""
    a = await store_schema(connection, found.expected)
    b = await store_schema(connection, found.actual)
    await store_differences(connection, a, b, found.differences)
    await _put(
        connection,
        project,
        found.a.source.text,
        found.b.source.text,
        {"a_fingerprint": a, "b_fingerprint": b, "unknown": list(found.unknown), "error": None},
    )


async def store_failure(
    connection: AsyncConnection, project: str, a: Source, b: Source, error: CleanStartError
) -> None:
    """Keep why two sources could not be compared."""
    await _put(
        connection,
        project,
        a.text,
        b.text,
        {"a_fingerprint": None, "b_fingerprint": None, "unknown": [], "error": error.to_store()},
    )


async def _put(connection: AsyncConnection, project: str, a: str, b: str, values: dict[str, Any]) -> None:
    values = {**values, "compared_at": datetime.now(UTC)}
    await connection.execute(
        insert(ComparisonRow)
        .values(project=project, a=a, b=b, **values)
        .on_conflict_do_update(index_elements=["project", "a", "b"], set_=values)
    )


async def read_comparison(connection: AsyncConnection, project: str, a: str, b: str) -> Compared | None:
    """The last comparison of these two; None: there was none."""
    query = (
        select(
            ComparisonRow.compared_at,
            ComparisonRow.a_fingerprint,
            ComparisonRow.b_fingerprint,
            ComparisonRow.unknown,
            ComparisonRow.error,
            stored_differences.ROWS,
        )
        .outerjoin(
            stored_differences.TABLE,
            stored_differences.is_pair(ComparisonRow.a_fingerprint, ComparisonRow.b_fingerprint),
        )
        .where(ComparisonRow.project == project, ComparisonRow.a == a, ComparisonRow.b == b)
    )
    row = (await connection.execute(query)).one_or_none()
    if row is None:
        return None
    return Compared(
        a,
        b,
        row.compared_at,
        row.a_fingerprint,
        row.b_fingerprint,
        tuple(row.unknown),
        row.error,
        as_differences(row.differences or ()),
    )
