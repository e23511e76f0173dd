"""Connections to PostgreSQL: opened with our settings, their errors translated once.

URLs are parsed and written in `urls`, error texts in `driver_errors`; both are offered from here.
"""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Final

import psycopg
from psycopg import sql
from psycopg.rows import TupleRow

from web.postgres.driver_errors import describe_error
from web.postgres.pooling import require_session
from web.postgres.urls import (
    conninfo,
    database_name,
    libpq_environment,
    parameters,
    redacted,
    sqlalchemy_url,
    with_database,
)

__all__ = [
    "Connection",
    "connect",
    "conninfo",
    "database_name",
    "describe_error",
    "libpq_environment",
    "parameters",
    "redacted",
    "sqlalchemy_url",
    "with_database",
]

Connection = psycopg.AsyncConnection[TupleRow]

#: A backend looks this often whether its client is still there, so that work of a dead client ends by itself.
CLIENT_CHECK_INTERVAL = "2s"


#: What a session that only looks waits for, the whole of its kind: a lock, and one statement.
OBSERVE_LOCK_TIMEOUT: Final = "10s"
OBSERVE_STATEMENT_TIMEOUT: Final = "120s"


def connect_to_observe(url: str, *, application_name: str) -> AbstractAsyncContextManager[Connection]:
    """Connect read-only, with the limits of a look."""
    return connect(
        url,
        application_name=application_name,
        read_only=True,
        lock_timeout=OBSERVE_LOCK_TIMEOUT,
        statement_timeout=OBSERVE_STATEMENT_TIMEOUT,
    )


@asynccontextmanager
async def connect(
    url: str,
    *,
    application_name: str = "cleanstart",
    autocommit: bool = True,
    connect_timeout: int = 5,
    lock_timeout: str | None = None,
    statement_timeout: str | None = None,
    read_only: bool = False,
    settings: Mapping[str, str] | None = None,
) -> AsyncIterator[Connection]:
    """Connect for the length of a block; at its end an open transaction is rolled back.

    Settings are set by statements after the connect, because poolers refuse them as start-up options; a pooler in
    transaction mode is refused before, with TransactionPooled, for they would be its next client's. Nothing is
    prepared on the server (DDL would invalidate it). Every psycopg error that leaves the block is translated by
    `describe_error`, so catch psycopg's own inside the block.
    """
    try:
        connection = await open_connection(
            url,
            application_name=application_name,
            connect_timeout=connect_timeout,
            settings={
                **({"lock_timeout": lock_timeout} if lock_timeout else {}),
                **({"statement_timeout": statement_timeout} if statement_timeout else {}),
                **({"default_transaction_read_only": "on"} if read_only else {}),
                **(settings or {}),
            },
        )
        try:
            await connection.set_autocommit(autocommit)
            yield connection
        finally:
            await connection.close()
    except psycopg.Error as error:
        raise describe_error(error, url) from error


async def open_connection(
    url: str, *, application_name: str, connect_timeout: int = 5, settings: Mapping[str, str] | None = None
) -> Connection:
    """Open an autocommit connection that the caller closes; errors are psycopg's own, and TransactionPooled."""

    async def sign_in() -> Connection:
        options: dict[str, str | int] = {"connect_timeout": connect_timeout, **parameters(url)}
        options["application_name"] = application_name
        options["client_encoding"] = "UTF8"
        try:
            return await psycopg.AsyncConnection.connect(
                "",
                autocommit=True,
                prepare_threshold=None,
                **options,  # type: ignore[arg-type]  # psycopg types its named parameters only
            )
        except asyncio.CancelledError as cancelled:
            # It goes on its way with psycopg's frames, which hold what was half connected: the server's process would
            # wait for a password, and who drops a database for that process.
            traceback.clear_frames(cancelled.__traceback__)
            raise
        except UnicodeError:
            # Before any resolver is asked, Python encodes the host's name, and psycopg lets that pass.
            raise psycopg.OperationalError(
                "failed to resolve host: this cannot be the name of a host"
            ) from None

    connection = await sign_in()
    try:
        # Times are read as ISO writes them, whatever the role has set; the order of day and month stays the role's.
        settings = {"DateStyle": "ISO", **(settings or {})}
        if not await _apply(connection, settings, only_process=connection.info.backend_pid):
            await require_session(connection, sign_in, within=connect_timeout)
            await _apply(connection, settings)
        if connection.info.server_version >= 140000:
            # Servers on systems without POLLRDHUP accept only 0.
            with suppress(psycopg.errors.InvalidParameterValue):
                await connection.execute(
                    sql.SQL("SET client_connection_check_interval = {}").format(CLIENT_CHECK_INTERVAL)
                )
    except BaseException:
        await connection.close()
        raise
    return connection


async def _apply(
    connection: Connection, settings: Mapping[str, str], *, only_process: int | None = None
) -> bool:
    """Set them, if this process serves the connection; another one does where a pooler is on the way."""
    calls = [
        sql.SQL("pg_catalog.set_config({}, {}, false)").format(name, value)
        for name, value in settings.items()
    ]
    condition = (
        sql.SQL("pg_catalog.pg_backend_pid() = {}").format(only_process) if only_process else sql.SQL("true")
    )
    query = sql.SQL("SELECT CASE WHEN {} THEN ARRAY[{}] END IS NOT NULL")
    row = await (await connection.execute(query.format(condition, sql.SQL(", ").join(calls)))).fetchone()
    return row is not None and row[0] is True
