"""A pooler on the way: what a session has set must not be somebody else's afterwards."""

from __future__ import annotations

import psycopg
import pytest

from tests.postgres.pooler import pooling
from web.errors import TransactionPooled
from web.postgres.connections import connect

SETTINGS = (
    "default_transaction_read_only",
    "lock_timeout",
    "statement_timeout",
    "client_connection_check_interval",
)


async def settings(url: str) -> list[str]:
    """What a client finds there that has set nothing."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as client:
        calls = ", ".join(f"current_setting('{name}')" for name in (*SETTINGS, "DateStyle"))
        row = await (await client.execute(f"SELECT {calls}".encode())).fetchone()
        assert row is not None
        return list(row)


@pytest.mark.parametrize("size", [1, 2, 5])
async def test_through_a_transaction_pooler_nothing_is_set_and_nothing_is_done(
    database: str, size: int
) -> None:
    async with pooling(database, "transaction", size=size) as pooler:
        before = await settings(pooler.url)
        with pytest.raises(TransactionPooled, match="transaction mode"):
            async with connect(pooler.url, read_only=True, lock_timeout="1s", statement_timeout="2s"):
                pytest.fail("it must not connect")
        for _ in range(size):
            assert await settings(pooler.url) == before
        async with await psycopg.AsyncConnection.connect(pooler.url, autocommit=True) as application:
            await application.execute("CREATE TABLE written (i int)")


async def test_a_session_pooler_gives_a_session_of_our_own(database: str) -> None:
    async with pooling(database, "session", size=3) as pooler:
        before = await settings(pooler.url)
        async with connect(
            pooler.url, read_only=True, lock_timeout="1s", statement_timeout="2s"
        ) as connection:
            row = await (
                await connection.execute(
                    "SELECT current_setting('default_transaction_read_only'), current_setting('lock_timeout'),"
                    " pg_backend_pid()"
                )
            ).fetchone()
            assert row is not None
            assert row[:2] == ("on", "1s")
            assert row[2] != connection.info.backend_pid
        assert await settings(pooler.url) == before


async def test_a_pooler_without_a_second_session_is_not_trusted(database: str) -> None:
    async with pooling(database, "session", size=1) as pooler:
        with pytest.raises(TransactionPooled, match="could not be told"):
            async with connect(pooler.url, read_only=True, connect_timeout=2):
                pytest.fail("it must not connect")


async def test_a_direct_connection_takes_one_statement(database: str) -> None:
    async with connect(database, read_only=True) as connection:
        row = await (await connection.execute("SHOW default_transaction_read_only")).fetchone()
        assert row == ("on",)
