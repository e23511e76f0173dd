"""Taking a backup: one snapshot, and whatever goes wrong leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from tests.backups.backups import Told, files_in, take_backup
from tests.small_disk import small_disk
from web.backups.catalog import list_backups
from web.backups.places import Folder
from web.backups.reporting import Watch
from web.backups.take import Source, take
from web.config import AlembicSettings
from web.errors import CommandFailed, Conflict, PlaceFull, PrivilegeMissing, ProgramMissing
from web.postgres.connections import connect, parameters
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.urls import libpq_url
from web.tools.alembic_tool.applied import read_applied

revisions = partial(
    read_applied,
    tool=AlembicSettings(config=Path("/nowhere/alembic.ini"), python=Path("/nowhere/python")),
)


@pytest.fixture
def filled(database: str) -> str:
    """Twenty tables, hard to compress: enough for a dump to be interrupted in."""
    with psycopg.connect(database, autocommit=True) as connection:
        for number in range(20):
            connection.execute(
                sql.SQL(
                    "CREATE TABLE {} AS SELECT i AS id, gen_random_uuid() AS a, gen_random_uuid() AS b "
                    "FROM generate_series(1, 20000) i"
                ).format(sql.Identifier(f"t{number}"))
            )
        connection.execute("CREATE TABLE alembic_version (version_num varchar(32) NOT NULL)")
        connection.execute("INSERT INTO alembic_version VALUES ('1c7f5e8d2a46')")
    return database


async def test_rows_and_revisions_are_of_one_snapshot(
    filled: str, place: Folder, programs: tuple[Programs, ...]
) -> None:
    """While it is taken, rows come in and a migration ends; neither is in it."""

    class Busy(Told):
        async def log(self, text: str, **_: object) -> None:
            if not self.lines:
                async with connect(filled) as other:
                    await other.execute("INSERT INTO t7 SELECT 1 FROM generate_series(1, 500)")
                    await other.execute("UPDATE alembic_version SET version_num = 'newer'")
                    await other.execute("CREATE TABLE later ()")
            self.lines.append(text)

    manifest = await take_backup(filled, place, programs, Watch(Busy()), applied=revisions)
    assert manifest.revisions == ("1c7f5e8d2a46",)
    assert {table.table: table.rows for table in manifest.tables if table.table.startswith("t")} == {
        f"t{number}": 20_000 for number in range(20)
    }
    assert "later" not in {table.table for table in manifest.tables}
    again = await take_backup(filled, place, programs, applied=revisions)
    assert again.revisions == ("newer",)
    assert again.rows == manifest.rows + 500


async def test_progress_is_told(filled: str, place: Folder, programs: tuple[Programs, ...]) -> None:
    told = Told()
    groups: list[int] = []
    sessions: list[int] = []

    async def group(number: int) -> None:
        groups.append(number)

    async def session(connection: psycopg.AsyncConnection[tuple[object, ...]]) -> None:
        sessions.append(connection.info.backend_pid)

    manifest = await take_backup(filled, place, programs, Watch(told, group, session, "cleanstart/7/1"))
    done = [measure[0] for measure in told.measures]
    assert done == sorted(done)
    assert len(set(done)) > 10
    assert told.measures[-1] == (manifest.rows, manifest.rows, "rows")
    assert any('dumping contents of table "public.t3"' in line for line in told.lines)
    assert len(groups) == len(sessions) == 1


def kill_after(seconds: float) -> Callable[[int], Awaitable[None]]:
    async def kill(process_group: int) -> None:
        def now() -> None:
            with suppress(ProcessLookupError):
                os.killpg(process_group, signal.SIGKILL)

        asyncio.get_running_loop().call_later(seconds, now)

    return kill


async def test_a_killed_pg_dump_leaves_nothing(
    filled: str, place: Folder, programs: tuple[Programs, ...]
) -> None:
    earlier = await take_backup(filled, place, programs)
    kept = files_in(place.root)
    chance = random.Random(11)
    killed = 0
    for _ in range(25):
        watch = Watch(on_process_group=kill_after(chance.random() / 3))
        try:
            manifest = await take_backup(filled, place, programs, watch)
        except CommandFailed as failure:
            killed += failure.exit_code == -signal.SIGKILL
        else:
            kept = sorted([*kept, *(name for name in files_in(place.root) if str(manifest.id) in name)])
        assert files_in(place.root) == kept
    assert killed > 5
    assert earlier.id in await list_backups(place, "clinic", "dev")


async def test_a_cancelled_backup_leaves_nothing(
    filled: str, place: Folder, programs: tuple[Programs, ...]
) -> None:
    chance = random.Random(12)
    for _ in range(12):
        begun = asyncio.Event()

        async def group(_: int, begun: asyncio.Event = begun) -> None:
            begun.set()

        task = asyncio.create_task(
            take_backup(
                filled, place, programs, Watch(on_process_group=group, application_name="cleanstart/9/1")
            )
        )
        await begun.wait()
        await asyncio.wait([task], timeout=chance.random() / 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert files_in(place.root) == []
    async with connect(filled) as connection, asyncio.timeout(10):
        query = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'cleanstart/9/1'"
        while await (await connection.execute(query)).fetchone() != (0,):
            pass


async def test_a_full_disk_leaves_nothing(
    filled: str, database15: str, tmp_path: Path, programs: tuple[Programs, ...]
) -> None:
    with small_disk(tmp_path / "disk") as disk:
        place = Folder(disk)
        earlier = await take_backup(database15, place, programs, environment="other")
        kept = files_in(disk)
        for _ in range(10):
            with pytest.raises(PlaceFull):
                await take_backup(filled, place, programs)
            assert files_in(disk) == kept
        assert await list_backups(place, "clinic", "other") == (earlier.id,)


async def test_a_server_newer_than_the_programs(
    database: str, place: Folder, programs: tuple[Programs, ...]
) -> None:
    old = tuple(one for one in programs if one.major == 15)
    with pytest.raises(ProgramMissing, match="PostgreSQL 17") as refused:
        await take_backup(database, place, old)
    assert "postgresql-client-17" in refused.value.hint
    assert files_in(place.root) == []


async def test_an_id_is_used_once(database: str, place: Folder, programs: tuple[Programs, ...]) -> None:
    one = uuid.uuid4()
    manifest = await take_backup(database, place, programs, backup_id=one)
    kept = files_in(place.root)
    with pytest.raises(Conflict):
        await take_backup(database, place, programs, backup_id=one)
    assert files_in(place.root) == kept
    assert manifest.id == one


async def test_another_database_behind_the_url_is_refused(
    database: str, filled: str, server: EmbeddedServer, place: Folder, programs: tuple[Programs, ...]
) -> None:
    """The connection was checked; where pg_dump's own URL leads is held against the snapshot."""
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE elsewhere")
    elsewhere = server.url("elsewhere")
    try:
        async with connect(filled) as checked:
            with pytest.raises(Exception, match="snapshot"):
                await take(
                    checked, Source("clinic", "dev", elsewhere), place, uuid.uuid4(), programs, Watch()
                )
        assert files_in(place.root) == []
    finally:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute("DROP DATABASE elsewhere WITH (FORCE)")


@pytest.fixture
def low(filled: str, server: EmbeddedServer) -> str:
    """The URL of the filled database for a role that owns nothing."""
    password = "low"
    with psycopg.connect(filled, autocommit=True) as connection:
        if not connection.execute("SELECT FROM pg_roles WHERE rolname = 'backup_low'").fetchall():
            connection.execute("CREATE ROLE backup_low LOGIN PASSWORD 'low'")
    return libpq_url({**parameters(filled), "user": "backup_low", "password": password})


async def test_what_may_not_be_read_is_named_before_anything_is_done(
    filled: str, low: str, place: Folder, programs: tuple[Programs, ...]
) -> None:
    with pytest.raises(PrivilegeMissing, match=r"public\.t0.* and 16 more") as refused:
        await take_backup(low, place, programs)
    assert "pg_read_all_data" in refused.value.hint
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO backup_low")
        connection.execute("ALTER TABLE t3 ENABLE ROW LEVEL SECURITY")
    with pytest.raises(PrivilegeMissing, match=r"Row security.*public\.t3"):
        await take_backup(low, place, programs)
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("ALTER TABLE t3 DISABLE ROW LEVEL SECURITY")
    assert (await take_backup(low, place, programs)).rows == 400_001
    assert len(files_in(place.root)) == 3


async def test_impatient_settings_of_the_role_do_not_end_it(
    filled: str, low: str, place: Folder, programs: tuple[Programs, ...]
) -> None:
    with psycopg.connect(filled, autocommit=True) as connection:
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO backup_low")
        connection.execute("ALTER ROLE backup_low SET idle_in_transaction_session_timeout = '20ms'")
        connection.execute("ALTER ROLE backup_low SET transaction_timeout = '50ms'")
    try:
        assert (await take_backup(low, place, programs)).rows == 400_001
    finally:
        with psycopg.connect(filled, autocommit=True) as connection:
            connection.execute("ALTER ROLE backup_low RESET ALL")
