"""Dump and restore: what arrives, what argv shows, what is refused."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest
from psycopg import sql

from web.errors import CommandFailed, ProgramMissing
from web.postgres.connections import connect, with_database
from web.postgres.dump import (
    dump_command,
    dump_database,
    restore_database,
    start_command,
)
from web.postgres.embedded import EmbeddedServer
from web.postgres.processes import members, until
from web.postgres.programs import Programs, client_for


@pytest.fixture
async def hostile(server: EmbeddedServer) -> AsyncIterator[str]:
    """A database with rows and a name that libpq would take for a connection string."""
    name = f"host=elsewhere.invalid dbname='x' <b>🐘 {uuid.uuid4().hex[:6]}"
    url = await server.ensure_database(name)
    async with connect(url) as connection:
        await connection.execute(
            "CREATE TABLE t AS SELECT i, repeat('x', 100) FROM generate_series(1, 1000) i"
        )
    yield url
    async with connect(server.url()) as connection:
        await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


async def rows(url: str) -> int:
    async with connect(url) as connection:
        row = await (await connection.execute("SELECT count(*) FROM t")).fetchone()
    assert row is not None
    return int(row[0])


async def test_there_and_back(
    hostile: str, database: str, programs: tuple[Programs, ...], tmp_path: Path
) -> None:
    file = tmp_path / "a dump"
    said: list[str] = []

    async def keep(line: str) -> None:
        said.append(line)

    await dump_database(programs, hostile, file, server_major=17, on_line=keep)
    assert any("public.t" in line for line in said)
    await restore_database(programs, database, file, server_major=17)
    assert await rows(database) == 1000


async def test_a_restore_into_something_that_is_there_stops(
    hostile: str, database: str, programs: tuple[Programs, ...], tmp_path: Path
) -> None:
    await dump_database(programs, hostile, tmp_path / "dump", server_major=17)
    await restore_database(programs, database, tmp_path / "dump", server_major=17)
    with pytest.raises(CommandFailed, match="already exists"):
        await restore_database(programs, database, tmp_path / "dump", server_major=17)
    assert await rows(database) == 1000


async def test_a_snapshot_shows_what_was_there(
    hostile: str, database: str, programs: tuple[Programs, ...], tmp_path: Path
) -> None:
    async with connect(hostile, autocommit=False) as holder:
        await holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        row = await (await holder.execute("SELECT pg_export_snapshot()")).fetchone()
        assert row is not None
        async with connect(hostile) as other:
            await other.execute("DELETE FROM t")
        await dump_database(programs, hostile, tmp_path / "dump", server_major=17, snapshot=row[0])
    await restore_database(programs, database, tmp_path / "dump", server_major=17)
    assert (await rows(hostile), await rows(database)) == (0, 1000)


async def test_secrets_are_in_no_argv(
    hostile: str, server: EmbeddedServer, programs: tuple[Programs, ...]
) -> None:
    command = dump_command(programs, hostile, server_major=17)
    assert server.password() not in " ".join(command.argv) + repr(command)
    async with connect(hostile) as blocker:
        await blocker.execute("BEGIN; LOCK TABLE t")
        async with await start_command(command, stdout=True) as program:
            assert await until(lambda: psutil.Process(program.pid).name() == "pg_dump", 20)
            shown = json.dumps(psutil.Process(program.pid).cmdline())
            assert server.password() not in shown


async def test_cancelling_ends_program_and_backend(hostile: str, programs: tuple[Programs, ...]) -> None:
    name = f"cleanstart/{uuid.uuid4().hex[:8]}/1"
    command = dump_command(programs, hostile, server_major=17, application_name=name)
    counting = "SELECT count(*)::int FROM pg_stat_activity WHERE application_name = %s"
    async with connect(hostile) as blocker, connect(hostile) as watcher:
        await blocker.execute("BEGIN; LOCK TABLE t")

        async def backends(wanted: int) -> None:
            async with asyncio.timeout(10):
                while await (await watcher.execute(counting, (name,))).fetchone() != (wanted,):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)

        program = await start_command(command, stdout=True)
        await backends(1)
        async with asyncio.timeout(10):
            await program.terminate()
        assert not members(program.process_group)
        await backends(0)


async def test_wrong_password_is_not_repeated(
    hostile: str, programs: tuple[Programs, ...], tmp_path: Path
) -> None:
    wrong = hostile.replace(":", ":canary", 2).replace("postgresql:canary", "postgresql:", 1)
    with pytest.raises(CommandFailed, match="password authentication failed") as caught:
        await dump_database(programs, wrong, tmp_path / "dump", server_major=17)
    assert "canary" not in str(caught.value)


async def test_an_older_client_is_refused_before_anything_runs(
    database: str, programs: tuple[Programs, ...], tmp_path: Path
) -> None:
    older = [found for found in programs if found.major == 15]
    with pytest.raises(ProgramMissing, match=r"PostgreSQL 17.*older") as caught:
        await dump_database(older, database, tmp_path / "dump", server_major=17)
    assert "postgresql-client-17" in caught.value.hint
    assert not (tmp_path / "dump").exists()


def test_the_servers_own_major_is_preferred(programs: tuple[Programs, ...]) -> None:
    assert client_for(15, programs).major == 15
    assert client_for(16, [found for found in programs if found.major != 16]).major == 17


async def test_dump_of_15_restores_on_15(
    database15: str, server15: EmbeddedServer, programs: tuple[Programs, ...], tmp_path: Path
) -> None:
    async with connect(database15) as connection:
        await connection.execute("CREATE TABLE t AS SELECT 1 AS i")
    await dump_database(programs, database15, tmp_path / "dump", server_major=15)
    copy = await server15.ensure_database(f"copy_{uuid.uuid4().hex}")
    try:
        await restore_database(programs, copy, tmp_path / "dump", server_major=15)
        assert await rows(copy) == 1
    finally:
        async with connect(with_database(copy, "postgres")) as connection:
            name = sql.Identifier(copy.split("/")[3].split("?")[0])
            await connection.execute(sql.SQL("DROP DATABASE {}").format(name))
