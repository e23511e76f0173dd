"""Whether a connection pooler is on the way, and whether it keeps a session of the server for each client.

What is set in a session that somebody else is given next is set for them: a time limit, or read-only transactions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import psycopg

from web.errors import TransactionPooled

#: So long may a second client wait for a session, in seconds.
PATIENCE = 5.0
#: Both clients are looked at so often.
TRIES = 3


async def require_session(
    connection: psycopg.AsyncConnection,
    another: Callable[[], Awaitable[psycopg.AsyncConnection]],
    *,
    within: float = PATIENCE,
) -> None:
    """Refuse a pooled connection whose server session is not ours alone; nothing may be set in it before.

    A pooler hands out the session that was used last: it pools by transaction where a second client is given the very
    one that the first, still connected, has just used, or where the first has another one afterwards. Raises
    TransactionPooled, where it cannot be told too.
    """
    for _ in range(TRIES):
        try:
            async with asyncio.timeout(within), await another() as second:
                before = await server_process(connection)
                if await server_process(second) == before or await server_process(connection) != before:
                    raise TransactionPooled(
                        "The URL leads through a pooler in transaction mode, where what a session sets and locks "
                        "becomes somebody else's."
                    )
        except TimeoutError as error:
            raise TransactionPooled(
                "The URL leads through a pooler that gave no second session, so that it could not be told whether it "
                "keeps one for each client."
            ) from error


async def server_process(connection: psycopg.AsyncConnection) -> int:
    """Give the process that serves this connection now; a pooler makes up another number at sign-in."""
    row = await (await connection.execute("SELECT pg_catalog.pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])
