"""Comparisons that were made for pages: which two sources, when, what came of it. Making one is a job's work."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, exists, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.config import Project
from web.errors import CleanStartError, Invalid, NotFound
from web.inspection.comparison import Comparison
from web.inspection.drift import read_differences, store_schema
from web.inspection.history import describe
from web.inspection.sources import Source, parse_source
from web.schema.difference import Difference
from web.store.tables import (
    BackupRow,
    ComparisonRow,
    DriftRow,
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


async def require_kept(connection: AsyncConnection, project: Project, *sources: Source) -> None:
    """Refuse backups and snapshots of other projects: who sees one project does not see the others. Raises NotFound."""
    for source in sources:
        if source.kind == "backup":
            kept: ColumnElement[bool] = exists().where(
                BackupRow.id == UUID(source.name), BackupRow.environment_id == EnvironmentRow.id
            )
        elif source.kind == "snapshot":
            begins = source.name
            seen = exists().where(
                ObservationRow.environment_id == EnvironmentRow.id,
                or_(
                    ObservationRow.fingerprint.startswith(begins, autoescape=True),
                    ObservationRow.expected_fingerprint.startswith(begins, autoescape=True),
                ),
            )
            by_job = exists().where(
                JobRow.environment_id == EnvironmentRow.id,
                JobSchemaRow.job_id == JobRow.id,
                or_(
                    JobSchemaRow.before_fingerprint.startswith(begins, autoescape=True),
                    JobSchemaRow.after_fingerprint.startswith(begins, autoescape=True),
                ),
            )
            kept = or_(seen, by_job)
        else:
            continue
        query = select(EnvironmentRow.id).where(EnvironmentRow.project == project.name, kept).limit(1)
        if await connection.scalar(query) is None:
            raise NotFound(f"The project {project.name} has no {source.kind} {source.name}.")


async def store_comparison(connection: AsyncConnection, project: str, found: Comparison) -> None:
    """Keep what a comparison found, in place of the last one of the same sources."""
    a = await store_schema(connection, found.expected)
    b = await store_schema(connection, found.actual)
    await connection.execute(
        insert(DriftRow)
        .values(
            expected_fingerprint=a,
            actual_fingerprint=b,
            differences=[asdict(each) for each in found.differences],
        )
        .on_conflict_do_nothing(index_elements=["expected_fingerprint", "actual_fingerprint"])
    )
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
        {"a_fingerprint": None, "b_fingerprint": None, "unknown": [], "error": describe(error)},
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
            DriftRow.differences,
        )
        .outerjoin(
            DriftRow,
            (DriftRow.expected_fingerprint == ComparisonRow.a_fingerprint)
            & (DriftRow.actual_fingerprint == ComparisonRow.b_fingerprint),
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
        read_differences(row.differences or ()),
    )
