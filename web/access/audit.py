"""The audit trail: one entry before each act, each entry's hash covering its predecessor's.

The store's runtime role may only insert and read entries. An edit, an insertion or a deletion breaks the
chain; cutting off its end does not: compare the head that `verify_chain` reports with one kept elsewhere.

The chain's lock is the last one that a transaction takes: waiting for a row while holding it may deadlock.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import func, insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.store.tables import AuditEntryRow

#: Key of the advisory lock under which entries are appended, one after the other.
CHAIN_LOCK = 7_303_014_481
#: What the first entry names as its predecessor's hash.
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What a walk over the whole trail found."""

    entries: int
    #: Id and hash of the last entry: worth writing down outside the store.
    head: tuple[int, str] | None
    #: The first thing that does not fit; None: the chain is whole.
    problem: str | None


async def append(
    connection: AsyncConnection,
    *,
    actor: str,
    action: str,
    object: str,  # noqa: A002 (the trail's own word for what was acted on)
    detail: Mapping[str, object] | None = None,
) -> int:
    """Append an entry within the caller's transaction and return its id.

    Takes a transaction-level advisory lock, held until that transaction ends: append late and commit soon.
    The transaction must be READ COMMITTED (an older snapshot fails on the entry's id). `detail` holds JSON
    without fractions, which PostgreSQL would write in another form, and never a secret.
    """
    await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": CHAIN_LOCK})
    last = (
        await connection.execute(
            select(AuditEntryRow.id, AuditEntryRow.hash).order_by(AuditEntryRow.id.desc()).limit(1)
        )
    ).one_or_none()
    at = await connection.scalar(select(func.clock_timestamp()))
    assert at is not None
    number: int = 1 if last is None else last.id + 1
    entry = {
        "id": number,
        "at": at,
        "actor": _storable(actor),
        "action": _storable(action),
        "object": _storable(object),
        "detail": _storable(dict(detail or {})),
        "previous_hash": GENESIS if last is None else last.hash,
    }
    await connection.execute(insert(AuditEntryRow).values(**entry, hash=entry_hash(entry)))
    return number


def entry_hash(entry: Mapping[str, Any]) -> str:
    """SHA-256 over the entry's canonical JSON: sorted keys, no spaces, UTC with microseconds."""
    at: datetime = entry["at"]
    content = {**entry, "at": at.astimezone(UTC).isoformat(timespec="microseconds")}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


async def verify_chain(engine: AsyncEngine, *, known: tuple[int, str] | None = None) -> ChainReport:
    """Read the whole trail in one snapshot and check every hash.

    `known` is an id and a hash written down earlier; the trail must still hold that entry.
    """
    names = ("id", "at", "actor", "action", "object", "detail", "previous_hash", "hash")
    query = select(*(getattr(AuditEntryRow, name) for name in names)).order_by(AuditEntryRow.id)
    count, previous_id, previous_hash = 0, 0, GENESIS
    known_seen = known is None
    async with engine.connect() as connection, connection.stream(query) as rows:
        async for row in rows:
            entry = dict(zip(names, row, strict=True))
            found = entry.pop("hash")
            problem = None
            if entry["id"] != previous_id + 1:
                problem = f"entry {previous_id + 1} is missing"
            elif entry["previous_hash"] != previous_hash:
                problem = f"entry {entry['id']} does not follow the entry before it"
            elif entry_hash(entry) != found:
                problem = f"entry {entry['id']} was changed"
            if problem is not None:
                return ChainReport(count, (previous_id, previous_hash) if count else None, problem)
            count, previous_id, previous_hash = count + 1, entry["id"], found
            known_seen = known_seen or (previous_id, previous_hash) == known
    head = (previous_id, previous_hash) if count else None
    if not known_seen and known is not None:
        return ChainReport(count, head, f"entry {known[0]} is missing, or not the one written down")
    return ChainReport(count, head, None)


def _storable(value: Any) -> Any:
    """The value as PostgreSQL gives it back: no NUL, no lone surrogates. `TypeError` for what is no JSON."""
    match value:
        case str():
            return value.replace("\0", "\ufffd").encode("utf-8", "replace").decode()
        case None | bool() | int():
            return value
        case list() | tuple():
            return [_storable(item) for item in value]
        case dict():
            return {_storable(str(key)): _storable(item) for key, item in value.items()}
    raise TypeError(f"an audit entry cannot hold a {type(value).__name__}")
