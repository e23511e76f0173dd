"""A project's history as the store keeps it: a worker reads the source, so that pages touch no files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Text, all_, and_, case, false, func, literal, or_, select
from sqlalchemy.dialects.postgresql import ARRAY, JSONB, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine
from sqlalchemy.orm import InstrumentedAttribute

from web.config import Project
from web.errors import CleanStartError, SourceInvalid
from web.observation.history_cache import Histories
from web.store.tables import BuildRow, HistoryRow
from web.tools.history import History, Lineage
from web.tools.registry import tool_of


@dataclass(frozen=True, slots=True)
class StoredHistory:
    """What the last reading of a project's source gave: a history, or why there is none."""

    project: str
    #: Hash of the manifest, or of the error.
    digest: str
    history: History | None
    #: Title, message and hint, where the source could not be read.
    error: Mapping[str, str] | None
    read_at: datetime

    @property
    def reason(self) -> str | None:
        """Why there is no history, in one sentence."""
        return self.error["message"] if self.error else None


def manifest_digest(manifest: Mapping[str, object]) -> str:
    """SHA-256 over a manifest's content, whatever the order of its keys."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(text.encode()).hexdigest()


async def load_history(
    connection: AsyncConnection, project: str, histories: Histories | None = None
) -> StoredHistory | None:
    """What the store has of the project; None where its source was never read."""
    return (await load_histories(connection, histories, project)).get(project)


async def load_histories(
    connection: AsyncConnection, histories: Histories | None = None, project: str | None = None
) -> dict[str, StoredHistory]:
    """What the store has of all projects, or of one, by project. Contents that `histories` knows stay there."""
    histories = histories or Histories()
    known = histories.known()
    query = select(*history_columns(known))
    if project is not None:
        query = query.where(HistoryRow.project == project)
    return {row.project: stored_history(row, histories, known) for row in await connection.execute(query)}


def history_columns(known: Collection[str]) -> tuple[ColumnElement[Any], ...]:
    """The columns that `stored_history` takes, contents of `known` digests left out."""
    return (
        HistoryRow.project.label("project"),
        HistoryRow.digest.label("digest"),
        HistoryRow.error.label("error"),
        HistoryRow.read_at.label("read_at"),
        # Without a history the column holds SQL's NULL or JSON's.
        func.coalesce(func.jsonb_typeof(HistoryRow.content) == "object", false()).label("readable"),
        unless_known(HistoryRow.digest, HistoryRow.content, known).label("content"),
    )


def stored_history(row: Any, histories: Histories, known: Mapping[str, History]) -> StoredHistory:
    """The value of a row with `history_columns`."""
    history = histories.read(row.digest, row.content, known) if row.readable else None
    return StoredHistory(row.project, row.digest, history, row.error, row.read_at)


def unless_known(
    digest: InstrumentedAttribute[str], manifest: InstrumentedAttribute[Any], known: Collection[str]
) -> ColumnElement[Any]:
    """The manifest, or NULL where its digest is one of `known` and nothing of it is left to be told."""
    if not known:
        return manifest.expression
    incomplete = manifest["complete"] == literal(False, JSONB)
    return case((or_(digest != all_(literal(list(known), ARRAY(Text))), incomplete), manifest))


async def refresh_history(
    store: AsyncEngine, project: Project, *, max_age: timedelta = timedelta(0)
) -> StoredHistory:
    """Read the project's source and store what it says, unless that was done less than `max_age` ago.

    A source that cannot be read is stored as an error. What its files compute is asked of the project's own
    interpreter: that runs the project's code, so this is for workers only.
    """
    async with store.connect() as connection:
        known = await load_history(connection, project.name)
    if known is not None and datetime.now(UTC) - known.read_at < max_age:
        return known
    history: History | None = None
    error: dict[str, str] | None = None
    try:
        history = await tool_of(project).history(project)
    except SourceInvalid as invalid:
        error = invalid.to_store()
    # What the project's own code said is kept for as long as the files say the same.
    digest = manifest_digest(history.to_json() if history is not None else {"error": error})
    if history is not None and not history.complete:
        history = await _asked(project, history, known if known and known.digest == digest else None)
    now = datetime.now(UTC)
    content = history.to_json() if history is not None else None
    values = {"project": project.name, "digest": digest, "content": content, "error": error, "read_at": now}
    same = known is not None and known.digest == digest and known.history == history
    async with store.begin() as connection:
        await connection.execute(
            insert(HistoryRow)
            .values(values)
            .on_conflict_do_update(index_elements=["project"], set_={"read_at": now} if same else values)
        )
    return StoredHistory(project.name, digest, history, error, now)


async def _asked(project: Project, history: History, known: StoredHistory | None) -> History:
    """A history whose files compute something, as the project's own interpreter reads it."""
    if known is not None and known.history is not None and known.history.complete:
        return known.history
    try:
        return await tool_of(project).ask_history(project)
    except CleanStartError as error:
        return replace(history, problems=(*history.problems, f"Asking the project's code failed: {error}"))


async def read_lineage(
    connection: AsyncConnection,
    histories: Mapping[str, History],
    rows: Iterable[tuple[str, str]],
    kept: Histories | None = None,
) -> dict[str, Lineage]:
    """What else each project is known to contain, as far as these (project, version row) pairs need it.

    Only builds that have a revision which the source lacks are fetched: usually none, with no query at all.
    """
    wanted = {
        (project, revision)
        for project, revision in rows
        if project not in histories or revision not in histories[project]
    }
    found: dict[str, list[History]] = {project: [history] for project, history in histories.items()}
    if wanted:
        conditions = [
            and_(
                BuildRow.project == project,
                BuildRow.manifest.contains({"migrations": [{"revision": revision}]}),
            )
            for project, revision in sorted(wanted)
        ]
        kept = kept or Histories()
        known = kept.known()
        query = (
            select(
                BuildRow.project,
                BuildRow.manifest_digest,
                unless_known(BuildRow.manifest_digest, BuildRow.manifest, known),
            )
            .where(or_(*conditions))
            .order_by(BuildRow.project, BuildRow.number.desc())
        )
        seen: set[str] = set()
        for project, digest, manifest in await connection.execute(query):
            if digest not in seen:
                seen.add(digest)
                found.setdefault(project, []).append(kept.read(digest, manifest, known))
    return {project: Lineage(parts) for project, parts in found.items()}
