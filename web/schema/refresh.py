"""Keep a Schema up to date: read again only the objects that changed, and whatever is defined in terms of them.

What cannot be told apart by object (schemas, roles, extensions, operators …) is met by reading everything. The
result is the same either way.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Any, Final

import psycopg

from web.schema.decode import decode
from web.schema.model import CatalogObject, Schema, shape_of
from web.schema.places import FUNCTION, TYPE, places
from web.schema.sharing import read_rows_beside
from web.schema.snapshot import (
    QUERIES,
    Cursor,
    Rows,
    in_snapshot,
    query,
    read_rows,
    server_major,
)

#: Raised when what was kept means something else.
FORMAT: Final = 1
#: Kinds that are read whole when their token changes, in the order of the tokens; of the last one follows everything.
KINDS: Final = ("event_triggers", "publications", "default_privileges", "settings", "database", "base")
#: With more objects to read than this number and this part of all, everything is.
MANY: Final = 200
MOST: Final = 0.25

#: Queries that are asked for some objects, and fields of Schema that come from them.
PARTIAL: Final = (
    "relations",
    "columns",
    "constraints",
    "indexes",
    "triggers",
    "rules",
    "policies",
    "statistics",
    "sequences",
    "types",
    "functions",
)
_FIELDS: Final = {
    "database": "databases",
    "event_triggers": "event_triggers",
    "publications": "publications",
    "default_privileges": "default_privileges",
    "settings": "settings",
}
#: Catalogs of dependents: those of what belongs to a relation, type or function, and those of whole kinds.
_WITH_PLACE: Final = frozenset(
    {
        "pg_class",
        "pg_type",
        "pg_proc",
        "pg_constraint",
        "pg_attrdef",
        "pg_trigger",
        "pg_rewrite",
        "pg_policy",
        "pg_statistic_ext",
    }
)
_OF_KIND: Final = {
    "pg_event_trigger": "event_triggers",
    "pg_publication": "publications",
    "pg_publication_rel": "publications",
    "pg_publication_namespace": "publications",
}


@dataclass(frozen=True, slots=True)
class Tokens:
    """What tells whether an object is as it was: by place (oid, with its catalog in the bits above), and by kind."""

    objects: Mapping[int, int]
    kinds: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """A Schema with what is needed to bring it up to date."""

    schema: Schema
    #: None: this role may not read all that they stand on.
    tokens: Tokens | None
    #: By field of Schema the places of its objects, in their order.
    places: Mapping[str, tuple[int, ...]]
    exclude_tables: tuple[str, ...] = ()
    #: Whether only a part was read.
    partial: bool = False


async def read_kept(
    connection: psycopg.AsyncConnection[Any],
    exclude_tables: Collection[str] = (),
    beside: psycopg.AsyncConnection[Any] | None = None,
) -> Kept:
    """Read everything, like read_schema, with the tokens; `beside` is a second idle connection to use."""
    unreadable: set[str] = set()

    async def read(cursor: Cursor) -> Rows:
        # All in one snapshot: what changes later is found by the next look.
        return await read_rows_beside(cursor, beside, (_TOKENS, *QUERIES), unreadable)

    rows = await in_snapshot(connection, read, unreadable)
    tokens = _tokens(rows[_TOKENS][0]) if rows[_TOKENS] else None
    schema = decode(rows, server_major(connection), tuple(sorted(unreadable - {_TOKENS})), exclude_tables)
    return Kept(schema, tokens, places(rows, exclude_tables), tuple(sorted(exclude_tables)))


async def refresh(
    connection: psycopg.AsyncConnection[Any], kept: Kept, exclude_tables: Collection[str] = ()
) -> Kept:
    """Bring a Schema up to date that was read in this very database; what is in doubt is read whole.

    Transactions and errors are those of read_schema.
    """
    known = kept.tokens
    if (
        known is None
        or kept.schema.unreadable
        or kept.schema.server_major != server_major(connection)
        or kept.exclude_tables != tuple(sorted(exclude_tables))
    ):
        return await read_kept(connection, exclude_tables)
    unreadable: set[str] = set()

    async def read(cursor: Cursor) -> tuple[Tokens, _Change, Rows] | None:
        if unreadable:
            return None
        tokens = await _read_tokens(cursor)
        change = await _changed(cursor, known, tokens, kept)
        if change is None:
            return None
        return tokens, change, await _read_changed(cursor, change)

    found = await in_snapshot(connection, read, unreadable)
    if found is None:
        return await read_kept(connection, exclude_tables)
    tokens, change, rows = found
    part = decode(rows, server_major(connection), (), exclude_tables)
    part_places = places(rows, exclude_tables)
    return _merged(kept, tokens, change, part, part_places)


_TOKENS: Final = "object_tokens"


async def _read_tokens(cursor: Cursor) -> Tokens:
    return _tokens((await read_rows(cursor, (_TOKENS,), ()))[_TOKENS][0])


def _tokens(row: tuple[Any, ...]) -> Tokens:
    return Tokens(dict(struct.iter_unpack(">qq", row[0] or b"")), tuple(row[1:]))


@dataclass(frozen=True, slots=True)
class _Change:
    """What has to be read again, and what is not there any more."""

    read: frozenset[int]
    gone: frozenset[int]
    kinds: frozenset[str]


async def _changed(cursor: Cursor, old: Tokens, new: Tokens, kept: Kept) -> _Change | None:
    """Compare tokens; None where everything has to be read."""
    kinds = {kind for kind, before, after in zip(KINDS, old.kinds, new.kinds, strict=True) if before != after}
    if "base" in kinds:
        return None
    changed = {place for place, token in new.objects.items() if old.objects.get(place) != token}
    gone = old.objects.keys() - new.objects.keys()
    read = set(changed)
    if changed:
        await cursor.execute(
            query("dependents", server_major(cursor.connection)), {"places": _array(changed)}
        )
        for catalog, _, place in await cursor.fetchall():
            if catalog in _OF_KIND:
                kinds.add(_OF_KIND[catalog])
            elif catalog in _WITH_PLACE:
                read.add(place)
            else:
                # What is compared by its definition alone, or an attribute of something that is.
                return None
    if len(read) > max(MANY, MOST * len(new.objects)):
        return None
    return _Change(frozenset(read - {0}), frozenset(gone), frozenset(kinds))


async def _read_changed(cursor: Cursor, change: _Change) -> Rows:
    types = {place - TYPE for place in change.read if TYPE <= place < FUNCTION}
    relations = {place for place in change.read if place < TYPE}
    oids = {
        "types": _array(types),
        "functions": _array(place - FUNCTION for place in change.read if place >= FUNCTION),
        "relations": _array(relations),
    }
    rows: Rows = {name: [] for name in QUERIES}
    if change.read:
        rows |= await read_rows(cursor, ("types",), (), oids)
        # The columns of a composite type hang on a relation of its own.
        oids["relations"] = _array(relations | {row[4] for row in rows["types"] if row[4]})
        rows |= await read_rows(cursor, [name for name in PARTIAL if name != "types"], (), oids)
    rows |= await read_rows(cursor, sorted(change.kinds), ())
    objects = {row[0] for found in rows.values() for row in found if isinstance(row[0], int)}
    objects |= {row[4] for row in rows["types"] if row[4]}
    rows |= await read_rows(cursor, ("comments",), (), {"objects": _array(objects)})
    return rows


def _merged(
    kept: Kept,
    tokens: Tokens,
    change: _Change,
    part: Schema,
    part_places: Mapping[str, tuple[int, ...]],
) -> Kept:
    """Put what was read in the place of what was there."""
    left_out = change.read | change.gone
    fields: dict[str, Any] = {}
    merged_places = dict(kept.places)
    kinds = dict(shape_of(Schema).children)
    for name, old_places in kept.places.items():
        added: tuple[CatalogObject, ...] = getattr(part, name)
        if not added and left_out.isdisjoint(old_places):
            continue
        pairs = [
            (place, item)
            for place, item in zip(old_places, getattr(kept.schema, name), strict=True)
            if place not in left_out
        ]
        pairs += zip(part_places[name], added, strict=True)
        key = attrgetter(*kinds[name].key)
        pairs.sort(key=lambda pair: key(pair[1]))
        merged_places[name] = tuple(place for place, _ in pairs)
        fields[name] = tuple(item for _, item in pairs)
    for kind in change.kinds:
        fields[_FIELDS[kind]] = getattr(part, _FIELDS[kind])
    schema = replace(kept.schema, **fields) if fields else kept.schema
    return replace(kept, schema=schema, tokens=tokens, places=merged_places, partial=True)


def _array(numbers: Collection[int] | Any) -> str:
    return "{" + ",".join(map(str, sorted(numbers))) + "}"


def to_bytes(kept: Kept) -> bytes:
    """Write what is kept beside the schema; empty where there is nothing to go by."""
    if kept.tokens is None:
        return b""
    head = json.dumps(
        {
            "format": FORMAT,
            "kinds": kept.tokens.kinds,
            "places": kept.places,
            "exclude_tables": kept.exclude_tables,
        },
        separators=(",", ":"),
    ).encode()
    # Sorted and apart from the tokens, which no compression makes smaller, places take little room.
    pairs = sorted(kept.tokens.objects.items())
    numbers = [place for place, _ in pairs] + [token for _, token in pairs]
    return zlib.compress(struct.pack(">I", len(head)) + head + struct.pack(f">{len(numbers)}q", *numbers))


def from_bytes(content: bytes, schema: Schema) -> Kept | None:
    """Read what to_bytes wrote beside this schema; None for anything else."""
    try:
        data = zlib.decompress(content)
        (length,) = struct.unpack_from(">I", data)
        head = json.loads(data[4 : 4 + length])
        if head["format"] != FORMAT:
            return None
        numbers = struct.unpack(f">{(len(data) - 4 - length) // 8}q", data[4 + length :])
        half = len(numbers) // 2
        kept = Kept(
            schema,
            Tokens(dict(zip(numbers[:half], numbers[half:], strict=True)), tuple(head["kinds"])),
            {name: tuple(oids) for name, oids in head["places"].items()},
            tuple(head["exclude_tables"]),
        )
    except (ValueError, KeyError, TypeError, struct.error, zlib.error):
        return None
    counts = Counter({name: len(getattr(schema, name)) for name in kept.places})
    return kept if counts == Counter({name: len(oids) for name, oids in kept.places.items()}) else None
