"""Has anything changed since the last look? One query, a tenth of a snapshot."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import psycopg
from psycopg.rows import tuple_row

from web.schema.snapshot import query, server_major


async def read_token(connection: psycopg.AsyncConnection[Any]) -> str:
    """Give a text that stays the same while the schema does; only for comparing with itself, in one database.

    It says "changed since", never "equal to": a restore, or a change and its way back, give another one. Empty where
    the role may not read a catalog that it takes; that is never the same as anything. The connection is autocommit.
    """
    async with connection.cursor(row_factory=tuple_row) as cursor:
        try:
            await cursor.execute(query("token", server_major(connection)))
        except psycopg.errors.InsufficientPrivilege:
            return ""
        row = await cursor.fetchone()
    return sha256(row[0].encode()).hexdigest() if row is not None else ""
