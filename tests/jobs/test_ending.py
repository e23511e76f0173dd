"""What is ended and what never is: recycled process ids, strangers' backends."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import psycopg
import pytest
from psycopg import sql

from web.errors import IdentityMismatch
from web.jobs.ending import Remains, end_backends, end_process_groups
from web.jobs.events import storable
from web.jobs.host import this_host
from web.postgres.connections import connect, database_name, with_database
from web.postgres.identity import TargetIdentity, read_identity

NOW = datetime.now(UTC)


@pytest.fixture
def program() -> Iterator[subprocess.Popen[bytes]]:
    """A program in a process group of its own."""
    with subprocess.Popen(["/bin/sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


async def test_a_recorded_group_is_ended(program: subprocess.Popen[bytes]) -> None:
    started = psutil.Process(program.pid).create_time()
    entry = {"group": program.pid, "started": started}
    waiting = asyncio.create_task(asyncio.to_thread(program.wait, 10))
    ended = await end_process_groups(Remains((), NOW, groups=((this_host(), entry),)))
    await waiting
    assert (ended.ended, ended.left) == ([f"process group {program.pid}"], [])


@pytest.mark.parametrize("host", ["here", "elsewhere"])
async def test_a_recycled_number_or_another_hosts_is_left_alone(
    program: subprocess.Popen[bytes], host: str
) -> None:
    started = psutil.Process(program.pid).create_time() - (3600 if host == "here" else 0)
    entry = {"group": program.pid, "started": started}
    where = this_host() if host == "here" else "another/host"
    ended = await end_process_groups(Remains((), NOW, groups=((where, entry),)))
    assert (ended.ended, ended.left, program.poll()) == ([], [], None)


async def test_only_recorded_or_named_backends_are_ended(database: str) -> None:
    def session(name: str) -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(database, autocommit=True, application_name=name)

    with (
        session("psql") as stranger,
        session("cleanstart/7/1") as named,
        session("cleanstart/77/1") as neighbour,
        session("renamed by env.py") as recorded,
    ):
        pid = recorded.info.backend_pid
        row = recorded.execute("SELECT backend_start FROM pg_stat_activity WHERE pid = %s", (pid,)).fetchone()
        assert row is not None
        wrong = {"pid": stranger.info.backend_pid, "backend_start": "2001-01-01T00:00:00+00:00"}
        remains = Remains(
            ("cleanstart/7/1",), NOW, backends=({"pid": pid, "backend_start": f"{row[0]}"}, wrong)
        )
        ended = await end_backends(database, None, remains)
        assert ended.left == []
        assert len(ended.ended) == 2
        for alive in (stranger, neighbour):
            alive.execute("SELECT 1")
        for gone in (named, recorded):
            with pytest.raises(psycopg.OperationalError):
                gone.execute("SELECT 1")


async def test_a_name_from_before_the_attempt_is_somebody_elses(database: str) -> None:
    with psycopg.connect(database, autocommit=True, application_name="cleanstart/7/1") as older:
        remains = Remains(("cleanstart/7/1",), datetime.now(UTC) + timedelta(hours=1))
        assert (await end_backends(database, None, remains)).ended == []
        older.execute("SELECT 1")


async def test_another_server_proves_nothing(database: str) -> None:
    async with connect(database) as connection:
        found = (await read_identity(connection)).identity
    elsewhere = TargetIdentity("1", found.database_oid)
    with pytest.raises(IdentityMismatch):
        await end_backends(database, elsewhere, Remains((), NOW))
    same_server = TargetIdentity(found.system_identifier, 1)
    assert (await end_backends(database, same_server, Remains((), NOW))).ended == []


async def test_a_database_that_is_closed_is_looked_at_from_its_neighbour(database: str) -> None:
    gone = with_database(database, "no such database")
    assert (await end_backends(gone, None, Remains((), NOW))).left == []
    with psycopg.connect(with_database(database, "postgres"), autocommit=True) as connection:
        name = sql.Identifier(database_name(database))
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
    assert (await end_backends(database, None, Remains((), NOW))).left == []


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("a\x00b", "a\N{REPLACEMENT CHARACTER}b"),
        ("\udc80", "?"),
        ({"a": (1, None, 2.5, True)}, {"a": [1, None, 2.5, True]}),
        (float("nan"), "nan"),
        (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
        (Path("/a"), "/a"),
    ],
)
def test_what_is_stored(given: object, stored: object) -> None:
    assert storable(given) == stored
