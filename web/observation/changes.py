"""What lies between two stored schemas of one database: found once for each pair of fingerprints.

When that was and by whom is for timeline.py.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass

from sqlalchemy import cast, func, select, tuple_
from sqlalchemy.dialects.postgresql import JSONPATH, insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web import words
from web.comparison.snapshots import load_schema
from web.comparison.stored_differences import as_differences
from web.jobs.reading import JobRecord
from web.jobs.witness import SchemaSeen, schema_seen
from web.schema.difference import Difference, difference, unknown_parts
from web.schema.model import Schema
from web.store.tables import JobSchemaRow, SchemaChangeRow, SchemaSnapshotRow

#: Fingerprints of what was and of what is.
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class KindCount:
    """So many objects of a kind were added, removed, changed or renamed."""

    kind: str
    change: str
    count: int


@dataclass(frozen=True, slots=True)
class Change:
    """What is different after from before."""

    #: None: not comparable.
    count: int | None
    kinds: tuple[KindCount, ...] = ()
    #: As many of them as were asked for.
    differences: tuple[Difference, ...] = ()
    #: Why it cannot be told, or not all of it.
    reason: str | None = None


NOTHING = Change(0)


@dataclass(frozen=True, slots=True)
class JobChange:
    """What a mutating job changed in the schema, as far as that is known."""

    before: SchemaSeen | None
    after: SchemaSeen | None
    #: None: not known.
    change: Change | None
    #: Why it is not known.
    reason: str | None = None

    @property
    def words(self) -> str:
        """`3 differences`, `nothing changed`, or `not known, because …`."""
        if self.change is None or self.change.count is None:
            why = self.reason or (self.change.reason if self.change else None) or "nobody checked"
            return f"not known, because {why[0].lower()}{why[1:].rstrip('.')}"
        if self.change.count == 0:
            return "nothing changed"
        return words.plural(self.change.count, "difference")

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        count = self.change.count if self.change else None
        return {
            "state": "not known" if count is None else "changed" if count else "nothing changed",
            "words": self.words,
            "count": count,
            "kinds": [asdict(each) for each in self.change.kinds] if self.change else [],
            "a": as_source(self.before.fingerprint if self.before else None),
            "b": as_source(self.after.fingerprint if self.after else None),
            "reason": self.reason or (self.change.reason if self.change else None),
        }


def as_source(fingerprint: str | None) -> str | None:
    """How `cleanstart diff` names a stored schema."""
    return f"snapshot:{fingerprint}" if fingerprint else None


async def find_changes(store: AsyncEngine, pairs: Collection[Pair]) -> None:
    """Compare the pairs that were not compared yet, and keep what differs."""
    wanted = {pair for pair in pairs if pair[0] != pair[1]}
    if not wanted:
        return
    async with store.connect() as connection:
        wanted -= set(await read_changes(connection, wanted, first=0))
    for before, after in sorted(wanted):
        async with store.connect() as connection:
            a, b = await load_schema(connection, before), await load_schema(connection, after)
        found = await asyncio.to_thread(_compare, a, b)
        async with store.begin() as connection:
            kept = select(func.count()).where(SchemaSnapshotRow.fingerprint.in_((before, after)))
            if await connection.scalar(kept) != 2:
                continue
            await connection.execute(
                insert(SchemaChangeRow)
                .values(
                    before_fingerprint=before,
                    after_fingerprint=after,
                    count=found.count,
                    kinds=[[each.kind, each.change, each.count] for each in found.kinds],
                    differences=[asdict(each) for each in found.differences],
                    reason=found.reason,
                )
                .on_conflict_do_nothing(index_elements=["before_fingerprint", "after_fingerprint"])
            )


def _compare(a: Schema | None, b: Schema | None) -> Change:
    if a is None or b is None:
        return Change(None, reason="A snapshot was kept by a version that wrote it differently.")
    if a.server_major != b.server_major:
        return Change(
            None,
            reason=f"The server was PostgreSQL {a.server_major} and is {b.server_major}: each writes definitions "
            "its own way.",
        )
    found = difference(a, b)
    blind = unknown_parts(a, b)
    counted = Counter((each.kind, each.change) for each in found)
    return Change(
        len(found),
        tuple(KindCount(*name, count) for name, count in counted.most_common()),
        found,
        f"The role may not read {', '.join(blind)}." if blind else None,
    )


async def read_changes(
    connection: AsyncConnection, pairs: Collection[Pair], *, first: int | None = None
) -> Mapping[Pair, Change]:
    """What was found for these pairs, with the `first` differences of each, or all; one query."""
    wanted = [pair for pair in set(pairs) if pair[0] != pair[1]]
    found: dict[Pair, Change] = {pair: NOTHING for pair in pairs if pair[0] == pair[1]}
    if not wanted:
        return found
    listed = (
        SchemaChangeRow.differences
        if first is None
        else func.jsonb_path_query_array(SchemaChangeRow.differences, cast(f"$[0 to {first - 1}]", JSONPATH))
        if first
        else func.jsonb_build_array()
    )
    query = select(
        SchemaChangeRow.before_fingerprint,
        SchemaChangeRow.after_fingerprint,
        SchemaChangeRow.count.label("number"),
        SchemaChangeRow.kinds,
        listed.label("differences"),
        SchemaChangeRow.reason,
    ).where(tuple_(SchemaChangeRow.before_fingerprint, SchemaChangeRow.after_fingerprint).in_(wanted))
    for row in await connection.execute(query):
        found[row.before_fingerprint, row.after_fingerprint] = Change(
            row.number,
            tuple(KindCount(*each) for each in row.kinds),
            as_differences(row.differences),
            row.reason,
        )
    return found


async def read_job_change(
    connection: AsyncConnection, job: JobRecord, *, first: int | None = None
) -> JobChange | None:
    """What a job changed in the schema; None: it changes none, or it has not ended."""
    return (await read_job_changes(connection, [job], first=first)).get(job.id)


async def read_job_changes(
    connection: AsyncConnection, jobs: Collection[JobRecord], *, first: int | None = 0
) -> dict[int, JobChange]:
    """The same for several: at most two queries."""
    ended = [job for job in jobs if job.mutating and job.finished]
    if not ended:
        return {}
    query = select(JobSchemaRow.__table__).where(JobSchemaRow.job_id.in_([job.id for job in ended]))
    rows = {row.job_id: row for row in await connection.execute(query)}
    seen = {number: (schema_seen(row, "before"), schema_seen(row, "after")) for number, row in rows.items()}
    pairs = {pair for before, after in seen.values() if (pair := _pair(before, after)) is not None}
    changes = await read_changes(connection, pairs, first=first) if pairs else {}
    return {job.id: _job_change(job, *seen.get(job.id, (None, None)), changes) for job in ended}


def _pair(before: SchemaSeen | None, after: SchemaSeen | None) -> Pair | None:
    if before is None or after is None or before.fingerprint is None or after.fingerprint is None:
        return None
    return before.fingerprint, after.fingerprint


def _job_change(
    job: JobRecord, before: SchemaSeen | None, after: SchemaSeen | None, changes: Mapping[Pair, Change]
) -> JobChange:
    if before is None and after is None:
        reason = "It never began." if job.started_at is None else "No snapshot was kept of it."
    elif before is None:
        reason = "Nobody could check before it changed anything: it was interrupted."
    elif before.fingerprint is None:
        reason = f"The schema could not be read before it. {before.reason or ''}".strip()
    elif after is None:
        reason = "Nobody checked after it."
    elif after.fingerprint is None:
        reason = f"The schema could not be read after it. {after.reason or ''}".strip()
    else:
        change = changes.get((before.fingerprint, after.fingerprint))
        return JobChange(
            before, after, change, None if change else "The two snapshots were not compared yet."
        )
    return JobChange(before, after, None, reason)
