"""The evidence for "edited after apply": the digests of migration files when they were first seen applied."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import bindparam, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.store.tables import AppliedRevisionRow
from web.tools.history import History

# Returns applied revisions whose file in the project's stored history is not what it was when first seen.
_CHANGED_IN_SOURCE = text("""
SELECT a.environment_id, a.revision, a.file_digest
  FROM history h
  JOIN environment e ON e.project = h.project
 CROSS JOIN LATERAL jsonb_to_recordset(h.content -> 'migrations') AS m(revision text, digest text)
  JOIN applied_revision a ON a.environment_id = e.id AND a.revision = m.revision
 WHERE a.gone_at IS NULL AND a.file_digest <> m.digest AND m.digest <> ''
   AND (CAST(:project AS text) IS NULL OR h.project = :project)
""")

# Returns applied revisions of a project's environments whose digest in the given manifest is another one.
_CHANGED_IN_MANIFEST = text("""
SELECT a.environment_id, a.revision, a.file_digest
  FROM jsonb_to_recordset(:migrations) AS m(revision text, digest text)
  JOIN applied_revision a ON a.revision = m.revision
  JOIN environment e ON e.id = a.environment_id
 WHERE e.project = :project AND a.gone_at IS NULL AND a.file_digest <> m.digest AND m.digest <> ''
""").bindparams(bindparam("migrations", type_=JSONB))


async def read_evidence(connection: AsyncConnection, environment_id: int) -> dict[str, str | None]:
    """First-seen digests of what is applied on an environment now."""
    query = select(AppliedRevisionRow.revision, AppliedRevisionRow.file_digest).where(
        AppliedRevisionRow.environment_id == environment_id, AppliedRevisionRow.gone_at.is_(None)
    )
    return {row.revision: row.file_digest for row in await connection.execute(query)}


async def read_changed(
    connection: AsyncConnection, project: str | None = None, history: History | None = None
) -> dict[int, dict[str, str | None]]:
    """Only the evidence that contradicts the source (or `history`), by environment."""
    if history is None:
        rows = await connection.execute(_CHANGED_IN_SOURCE, {"project": project})
    else:
        digests = [{"revision": step.revision, "digest": step.digest} for step in history.migrations]
        rows = await connection.execute(_CHANGED_IN_MANIFEST, {"project": project, "migrations": digests})
    changed: dict[int, dict[str, str | None]] = {}
    for environment_id, revision, digest in rows:
        changed.setdefault(environment_id, {})[revision] = digest
    return changed


async def keep_evidence(
    connection: AsyncConnection,
    environment_id: int,
    history: History,
    revisions: tuple[str, ...],
    now: datetime,
) -> None:
    """Remember the digests of what is applied and was not known to be; mark what is applied no more.

    A revision that had gone and is back (reset, downgrade and upgrade) starts anew with the file as it is.
    Below a revision that no file has, nothing is known, so nothing is called gone.
    """
    applied = history.implied(revisions) | set(revisions)
    digests: Mapping[str, str | None] = {
        revision: (step.digest or None) if (step := history.get(revision)) else None for revision in applied
    }
    if digests:
        statement = insert(AppliedRevisionRow).values(
            [
                {
                    "environment_id": environment_id,
                    "revision": revision,
                    "file_digest": digest,
                    "first_seen": now,
                    "gone_at": None,
                }
                for revision, digest in sorted(digests.items())
            ]
        )
        await connection.execute(
            statement.on_conflict_do_update(
                index_elements=["environment_id", "revision"],
                set_={
                    "file_digest": statement.excluded.file_digest,
                    "first_seen": statement.excluded.first_seen,
                    "gone_at": None,
                },
                where=AppliedRevisionRow.gone_at.is_not(None),
            )
        )
    if history.unknown(revisions):
        return
    await connection.execute(
        update(AppliedRevisionRow)
        .where(
            AppliedRevisionRow.environment_id == environment_id,
            AppliedRevisionRow.gone_at.is_(None),
            AppliedRevisionRow.revision.not_in(list(digests)),
        )
        .values(gone_at=now)
    )
