"""A hot standby as a target: read-only, behind its primary, and cancelled by what it has to replay."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import environment, project
from tests.tools.written import execute, migration, write_project
from web.comparison.second_connection import RELATIONS, second_connection
from web.errors import TargetUnavailable
from web.observation.observe import observe
from web.postgres.connections import Connection, connect
from web.postgres.embedded import EmbeddedServer
from web.postgres.processes import run
from web.postgres.programs import Programs, find_programs
from web.postgres.scratch import ScratchServers
from web.postgres.server_files import lay_out
from web.schema.model import Schema
from web.schema.refresh import read_kept
from web.schema.snapshot import read_schema

TABLE = "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL)"


class Pair:
    """A primary and its standby."""

    def __init__(self, primary: EmbeddedServer, standby: EmbeddedServer) -> None:
        self.primary, self.standby = primary, standby

    async def caught_up(self) -> None:
        """Wait until the standby has replayed what the primary has written."""
        async with connect(self.primary.url()) as one, connect(self.standby.url()) as other:
            row = await (await one.execute("select pg_current_wal_lsn()::text")).fetchone()
            assert row is not None
            waiting = "select pg_last_wal_replay_lsn() >= %s::pg_lsn"
            while not (await (await other.execute(waiting, row)).fetchone() or [True])[0]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)


@pytest.fixture
async def pair(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Pair]:
    """Servers of the programs that have pg_basebackup."""
    programs = [each for each in find_programs() if each.has_server and _has_basebackup(each)]
    assert programs, "no PostgreSQL here has pg_basebackup"
    folder = tmp_path_factory.mktemp("pair")
    primary = EmbeddedServer(folder / "primary", programs=programs, durable=False)
    standby = EmbeddedServer(
        folder / "standby",
        programs=programs,
        durable=False,
        settings={"max_standby_streaming_delay": "0", "hot_standby": "on"},
    )
    await primary.start()
    try:
        files = lay_out(folder / "standby")
        copy = ("-D", str(files.data), "-R", "-c", "fast", "-d", primary.url())
        await run([str(programs[0].path("pg_basebackup")), *copy], env={})
        shutil.copy(lay_out(folder / "primary").password, files.password)
        if files.account is not None:
            for path in (files.data, *files.data.rglob("*")):
                os.chown(path, files.account.uid, files.account.gid)
        await standby.start()
        yield Pair(primary, standby)
    finally:
        await standby.remove()
        await primary.remove()


def _has_basebackup(programs: Programs) -> bool:
    return (programs.directory / "pg_basebackup").exists()


async def test_a_standby_is_looked_at(
    pair: Pair, store: AsyncEngine, scratch: ScratchServers, tmp_path: Path
) -> None:
    async with connect(pair.primary.url()) as connection:
        await connection.execute(TABLE)
    await pair.caught_up()
    tool = write_project(tmp_path / "clinic", {"a": migration("a", None, execute(TABLE))})
    dev = environment(tmp_path, pair.standby.url())
    clinic = project(tmp_path / "clinic", tool, dev)
    first = await observe(store, clinic, dev, scratch)
    assert first.reachable, first.error
    assert first.fingerprint
    again = await observe(store, clinic, dev, scratch)
    assert again.id == first.id
    async with connect(pair.primary.url()) as connection:
        await connection.execute("ALTER TABLE users ADD COLUMN hotfix text")
    await pair.caught_up()
    changed = await observe(store, clinic, dev, scratch)
    assert changed.fingerprint != first.fingerprint
    async with connect(pair.primary.url()) as one, connect(pair.standby.url()) as other:
        assert await read_schema(one) == await read_schema(other)


async def test_two_connections_share_a_standbys_snapshot(pair: Pair) -> None:
    url = pair.standby.url()
    async with connect(pair.primary.url()) as connection:
        await connection.execute(
            f"do $$ begin for n in 1..{RELATIONS} loop execute format('create table t%s (id int)', n); "
            "if n % 100 = 0 then commit; end if; end loop; end $$".encode()
        )
    await pair.caught_up()
    async with connect(url) as one, second_connection(one, url, application_name="two") as other:
        assert other is not None
        kept = await read_kept(one, (), other)
        assert kept == await read_kept(one)
        assert len(kept.schema.tables) == RELATIONS


async def test_what_replay_cancels_is_read_again(pair: Pair) -> None:
    """A look that stands in the way of a dropped view is cancelled by the standby, and is no failure of its own."""
    read = 0
    async with connect(pair.primary.url()) as primary, connect(pair.standby.url()) as standby:
        await primary.execute(
            "do $$ begin for n in 1..300 loop execute 'create view v' || n || ' as select 1 as a'; end loop; end $$"
        )
        for turn in range(20):
            await pair.caught_up()
            await standby.execute("select pg_wal_replay_pause()")
            await primary.execute(f"drop view v{turn + 1}".encode())
            await primary.execute("vacuum pg_class, pg_attribute, pg_rewrite, pg_type, pg_depend")
            seen, _ = await asyncio.gather(look(pair.standby.url()), resume(standby))
            read += seen is not None
            assert seen is None or all(view.definition for view in seen.views)
    assert read


async def resume(standby: Connection) -> None:
    # What it lets go on may cancel this very statement.
    with suppress(psycopg.errors.SerializationFailure):
        await standby.execute("select pg_sleep(0.02), pg_wal_replay_resume()")


async def look(url: str) -> Schema | None:
    """Read; None where the standby ended the session between two statements: that is unavailable."""
    try:
        async with connect(url) as connection:
            return await read_schema(connection)
    except TargetUnavailable:
        return None
