"""Drift: the differences between the schema that the applied migrations give and the one that is there.

Both sides are first made comparable: a replay runs as another role, on a server with other extension
packages, in a database with other settings, and none of that is anybody's change.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, fields, replace
from typing import Any

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.inspection.observation import Drift
from web.schema.difference import Difference, difference
from web.schema.fingerprint import fingerprint
from web.schema.model import CatalogObject, Schema
from web.schema.serialize import from_json, to_json
from web.store.tables import DriftRow, SchemaSnapshotRow

#: Stands in expected schemas for whoever runs the migrations; no role can have this name by accident.
MIGRATING_ROLE = "(the migrating role)"


async def store_schema(connection: AsyncConnection, schema: Schema) -> str:
    """Store a schema once; returns its fingerprint."""
    digest = fingerprint(schema)
    known = await connection.scalar(
        select(SchemaSnapshotRow.server_major).where(SchemaSnapshotRow.fingerprint == digest)
    )
    if known is None:
        await connection.execute(
            insert(SchemaSnapshotRow)
            .values(
                fingerprint=digest,
                server_major=schema.server_major,
                content=zlib.compress(to_json(schema)),
            )
            .on_conflict_do_nothing(index_elements=["fingerprint"])
        )
    return digest


async def load_schema(connection: AsyncConnection, digest: str) -> Schema | None:
    """A stored schema; None where there is none, or one that this version cannot read any more."""
    content = await connection.scalar(
        select(SchemaSnapshotRow.content).where(SchemaSnapshotRow.fingerprint == digest)
    )
    if content is None:
        return None
    try:
        return from_json(zlib.decompress(content))
    except ValueError:
        return None


async def compare(
    connection: AsyncConnection,
    expected_fingerprint: str,
    expected: Schema,
    actual_fingerprint: str,
    actual: Schema,
) -> tuple[Difference, ...]:
    """The drift between two stored schemas, computed once for each pair."""
    rows = await connection.scalar(
        select(DriftRow.differences).where(
            DriftRow.expected_fingerprint == expected_fingerprint,
            DriftRow.actual_fingerprint == actual_fingerprint,
        )
    )
    if rows is not None:
        return read_differences(rows)
    found = drift(expected, actual)
    await connection.execute(
        insert(DriftRow)
        .values(
            expected_fingerprint=expected_fingerprint,
            actual_fingerprint=actual_fingerprint,
            differences=[asdict(each) for each in found],
        )
        .on_conflict_do_nothing(index_elements=["expected_fingerprint", "actual_fingerprint"])
    )
    return found


async def read_drift(connection: AsyncConnection, drift: Drift) -> tuple[Difference, ...]:
    """The differences behind an observation's drift; expected first, actual second."""
    if drift.expected_fingerprint is None or drift.fingerprint is None:
        return ()
    rows = await connection.scalar(
        select(DriftRow.differences).where(
            DriftRow.expected_fingerprint == drift.expected_fingerprint,
            DriftRow.actual_fingerprint == drift.fingerprint,
        )
    )
    return read_differences(rows or ())


def read_differences(rows: Iterable[dict[str, Any]]) -> tuple[Difference, ...]:
    """Stored differences as values."""
    return tuple(Difference(**row) for row in rows)


def drift(expected: Schema, actual: Schema) -> tuple[Difference, ...]:
    """Expected is a replay as `as_expected` left it; actual is a live database or a copy of one."""
    return difference(as_on(expected, actual), actual)


def as_expected(schema: Schema, replayed_by: str) -> Schema:
    """A replay's schema without the name of the role that happened to run it."""
    return _owned(schema, replayed_by, MIGRATING_ROLE)


def as_on(expected: Schema, actual: Schema) -> Schema:
    """Expected as it would be on the actual side's server."""
    owner = usual_owner(actual)
    made = _owned(expected, MIGRATING_ROLE, owner) if owner is not None else expected
    there = {each.name: each for each in actual.schemas}
    versions = {each.name: each.version for each in actual.extensions}
    return replace(
        made,
        # The template's own schema belongs to whoever made the server or the database.
        schemas=tuple(
            replace(each, owner=there[each.name].owner)
            if each.name == "public" and each.name in there
            else each
            for each in made.schemas
        ),
        # CREATE EXTENSION takes the version that the server's packages have.
        extensions=tuple(
            replace(each, version=versions.get(each.name, each.version)) for each in made.extensions
        ),
        # Only superusers own these.
        event_triggers=tuple(
            replace(each, owner=other.owner)
            if (other := next((one for one in actual.event_triggers if one.name == each.name), None))
            else each
            for each in made.event_triggers
        ),
        # Settings and privileges of the database belong to the environment, not to the migrations.
        databases=actual.databases,
        settings=actual.settings,
    )


def usual_owner(schema: Schema) -> str | None:
    """Tell who owns most of a schema's objects: the role that its migrations ran as."""
    owners: Counter[str] = Counter(
        owner
        for field in fields(schema)
        if field.name not in ("schemas", "event_triggers")
        for each in _objects(schema, field.name)
        if (owner := getattr(each, "owner", None)) is not None
    )
    if not owners:
        return None
    return min(owners, key=lambda name: (-owners[name], name))


def _owned(schema: Schema, old: str, new: str) -> Schema:
    """The same schema with one owner's name put for another's."""
    changes: dict[str, Any] = {
        "default_privileges": tuple(
            replace(each, role=new) if each.role == old else each for each in schema.default_privileges
        )
    }
    for field in fields(schema):
        objects = _objects(schema, field.name)
        if any(getattr(each, "owner", None) == old for each in objects):
            changes[field.name] = tuple(
                replace(each, owner=new) if getattr(each, "owner", None) == old else each  # type: ignore[call-arg]
                for each in objects
            )
    return replace(schema, **changes)


def _objects(schema: Schema, name: str) -> tuple[CatalogObject, ...]:
    value = getattr(schema, name)
    return value if isinstance(value, tuple) and value and isinstance(value[0], CatalogObject) else ()
