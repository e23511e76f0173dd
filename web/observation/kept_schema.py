"""What is kept of an environment's last reading, so that the next one reads only what changed."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.comparison.snapshots import load_schema
from web.postgres.identity import TargetIdentity
from web.schema.refresh import Kept, from_bytes, to_bytes
from web.store.tables import KeptSchemaRow


async def load_kept(store: AsyncEngine, environment_id: int, identity: TargetIdentity) -> Kept | None:
    """What the last reading of this very database left; None where there is nothing to go by."""
    async with store.connect() as connection:
        row = (
            await connection.execute(
                select(KeptSchemaRow.fingerprint, KeptSchemaRow.content).where(
                    KeptSchemaRow.environment_id == environment_id,
                    KeptSchemaRow.identity == identity.as_text,
                )
            )
        ).one_or_none()
        schema = await load_schema(connection, row.fingerprint) if row is not None else None
    return from_bytes(row.content, schema) if row is not None and schema is not None else None


async def store_kept(
    connection: AsyncConnection, environment_id: int, identity: TargetIdentity, fingerprint: str, kept: Kept
) -> None:
    """Keep this reading in the place of the last one; its schema is stored by its fingerprint."""
    values = {"identity": identity.as_text, "fingerprint": fingerprint, "content": to_bytes(kept)}
    await connection.execute(
        insert(KeptSchemaRow)
        .values(environment_id=environment_id, **values)
        .on_conflict_do_update(index_elements=["environment_id"], set_=values)
    )
