"""The store's signing keys, one for each purpose; all web processes share them."""

from __future__ import annotations

import secrets

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from web.store.tables import SigningKeyRow


async def signing_key(connection: AsyncConnection, purpose: str) -> bytes:
    """The store's key for this purpose, made at the first call; the caller commits."""
    query = select(SigningKeyRow.value).where(SigningKeyRow.purpose == purpose)
    key = await connection.scalar(query)
    if key is None:
        fresh = insert(SigningKeyRow).values(purpose=purpose, value=secrets.token_bytes(32))
        await connection.execute(fresh.on_conflict_do_nothing())
        key = await connection.scalar(query)
    assert key is not None
    return bytes(key)
