"""Connections: settings applied, errors translated once, no secret in any message."""

from __future__ import annotations

import asyncio
import socket
import traceback
import uuid
from collections.abc import Callable

import psutil
import psycopg
import pytest
from psycopg import sql

from web.errors import (
    CleanStartError,
    LockTimeout,
    OperationFailed,
    PrivilegeMissing,
    ReadOnlyDatabase,
    TargetUnavailable,
)
from web.postgres.connections import connect, open_connection, parameters, with_database
from web.postgres.embedded import EmbeddedServer
from web.postgres.urls import libpq_url

CANARY = "canary-7f3b"


def changed(url: str, **values: str) -> str:
    return libpq_url({**parameters(url), **values})


CONNECTING: dict[str, tuple[Callable[[str], str], str | None, str]] = {
    "wrong password": (lambda url: changed(url, password=CANARY), "28P01", "password authentication failed"),
    "no such role": (lambda url: changed(url, user="nobody <b>", password=CANARY), "28P01", "nobody <b>"),
    "no such database": (lambda url: changed(url, dbname="no'such <b>😀"), "3D000", "does not exist"),
    "no name of a host": (
        lambda url: changed(url, host="h" * 64, password=CANARY),
        None,
        "cannot be the name of a host",
    ),
    "refused": (
        lambda url: changed(url, host="127.0.0.1", port=str(free_port()), password=CANARY),
        None,
        "refused",
    ),
    "no socket": (lambda url: changed(url, host="/nowhere", password=CANARY), None, "No such file"),
    "no such host": (
        lambda url: changed(url, host="no-such-host.invalid", password=CANARY),
        None,
        "no-such-host",
    ),
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("case", CONNECTING)
async def test_trouble_while_connecting(database: str, case: str) -> None:
    change, sqlstate, words = CONNECTING[case]
    url = change(database)
    with pytest.raises(TargetUnavailable) as caught:
        async with connect(url):
            pass
    assert words in str(caught.value)
    assert caught.value.hint
    assert caught.value.sqlstate == sqlstate
    secret = parameters(url)["password"]
    assert secret not in str(caught.value) + caught.value.hint
    assert secret not in "".join(traceback.format_exception(caught.value))


async def run_as_somebody(server: EmbeddedServer, database: str, statement: str) -> None:
    url = await server.ensure_role("somebody")
    async with connect(database) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS theirs ()")
    async with connect(with_database(url, parameters(database)["dbname"])) as connection:
        await connection.execute(statement.encode())


async def test_missing_privilege(server: EmbeddedServer, database: str) -> None:
    with pytest.raises(PrivilegeMissing, match="theirs"):
        await run_as_somebody(server, database, "SELECT * FROM theirs")


async def test_read_only(database: str) -> None:
    with pytest.raises(ReadOnlyDatabase):
        async with connect(database, read_only=True) as connection:
            await connection.execute("CREATE TABLE t ()")


async def test_lock_timeout(database: str) -> None:
    async with connect(database, autocommit=False) as first:
        await first.execute("CREATE TABLE t ()")
        await first.commit()
        await first.execute("LOCK TABLE t")
        with pytest.raises(LockTimeout):
            async with connect(database, lock_timeout="50ms") as second:
                await second.execute("SELECT * FROM t")


async def test_statement_timeout_is_a_failed_operation(database: str) -> None:
    with pytest.raises(OperationFailed, match="57014"):
        async with connect(database, statement_timeout="50ms") as connection:
            await connection.execute("SELECT pg_sleep(10)")


async def test_database_dropped_while_connected(server: EmbeddedServer, database: str) -> None:
    name = parameters(database)["dbname"]
    with pytest.raises(TargetUnavailable):
        async with connect(database) as connection:
            async with connect(server.url()) as other:
                await other.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))
            await connection.execute("SELECT 1")


async def test_closed_to_connections(server: EmbeddedServer, database: str) -> None:
    name = sql.Identifier(parameters(database)["dbname"])
    async with connect(server.url()) as other:
        await other.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
    with pytest.raises(TargetUnavailable, match="not currently accepting"):
        async with connect(database):
            pass


@pytest.mark.parametrize("which", ["database", "database15"])
async def test_settings(which: str, request: pytest.FixtureRequest) -> None:
    url: str = request.getfixturevalue(which)
    async with connect(
        url, application_name="cleanstart/7/1", lock_timeout="3s", settings={"jit": "off"}
    ) as connection:
        row = await (
            await connection.execute(
                "SELECT current_setting('application_name'), current_setting('lock_timeout'),"
                " current_setting('client_connection_check_interval'), current_setting('jit')"
            )
        ).fetchone()
    assert row == ("cleanstart/7/1", "3s", "2s", "off")


async def test_body_errors_keep_their_own_kind(database: str) -> None:
    """Only the driver's errors are translated; what else leaves the block is left alone."""
    with pytest.raises(ZeroDivisionError):
        async with connect(database):
            raise ZeroDivisionError
    with pytest.raises(CleanStartError, match="42601") as caught:
        async with connect(database) as connection:
            await connection.execute("SELEC 1")
    assert isinstance(caught.value.__cause__, psycopg.errors.SyntaxError)


@pytest.mark.parametrize(
    "name", ["with space", "o'brien", '"quoted"', "<b>bold</b>", "🐘", "host=elsewhere dbname=x", "50%?&#/"]
)
async def test_hostile_database_names(server: EmbeddedServer, name: str) -> None:
    name = f"{name} {uuid.uuid4().hex[:6]}"
    url = await server.ensure_database(name)
    try:
        async with connect(url) as connection:
            assert await (await connection.execute("SELECT current_database()")).fetchone() == (name,)
    finally:
        async with connect(server.url()) as connection:
            await connection.execute(sql.SQL("DROP DATABASE {}").format(sql.Identifier(name)))


@pytest.mark.parametrize("turns", range(12))
async def test_a_connect_that_is_cancelled_leaves_no_half_of_a_session(database: str, turns: int) -> None:
    """Its server process waits for a password, for a minute, and who drops any database waits for it as long."""
    before = len(psutil.Process().net_connections("unix"))
    connecting = asyncio.ensure_future(open_connection(database, application_name="cancelled"))
    for _ in range(turns):
        await asyncio.sleep(0.001)
    connecting.cancel()
    try:
        await (await connecting).close()
    except asyncio.CancelledError:
        # While the cancellation goes on its way, as it does through the finally of a job.
        assert len(psutil.Process().net_connections("unix")) == before
