"""Schemas as the store keeps them, each once, by its fingerprint."""

from __future__ import annotations

import zlib

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.schema.fingerprint import fingerprint
from web.schema.model import Schema
from web.schema.serialize import from_json, to_json
from web.store.tables import SchemaSnapshotRow


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
