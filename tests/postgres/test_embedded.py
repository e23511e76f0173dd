"""The embedded server: one owner, durable data, nothing left behind, whoever dies and whoever runs it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from web.errors import CommandFailed, Conflict, ProgramMissing, TargetUnavailable
from web.postgres.connections import connect
from web.postgres.embedded import EmbeddedServer
from web.postgres.processes import until
from web.postgres.programs import Programs
from web.postgres.server_files import processes_in, processes_in_folders
from web.walls.accounts import ROOT_PLACE

ROOT = os.geteuid() == 0
OWNER = textwrap.dedent(
    """
    import asyncio, sys
    from pathlib import Path
    from web.postgres.embedded import EmbeddedServer

    async def main():
        server = EmbeddedServer(Path(sys.argv[1]), durable=False)
        await server.start()
        print(server.pid, flush=True)
        sys.stdin.read()
        await server.stop()

    asyncio.run(main())
    """
)


@pytest.fixture
async def own_server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    server = EmbeddedServer(tmp_path / "server", durable=False)
    yield server
    await server.remove()


def start_owner(folder: Path) -> tuple[subprocess.Popen[str], int]:
    """Start a process that owns a server; give it and the postmaster's pid."""
    owner = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    assert owner.stdout is not None
    return owner, int(owner.stdout.readline())


def close(owner: subprocess.Popen[str]) -> None:
    for stream in (owner.stdin, owner.stdout):
        if stream is not None:
            stream.close()
    owner.wait(30)


async def remember(server: EmbeddedServer, value: int) -> None:
    async with connect(server.url()) as connection:
        await connection.execute("CREATE TABLE IF NOT EXISTS kept (value int)")
        await connection.execute("INSERT INTO kept VALUES (%s)", (value,))


async def remembered(server: EmbeddedServer) -> list[int]:
    async with connect(server.url()) as connection:
        rows = await (await connection.execute("SELECT value FROM kept ORDER BY value")).fetchall()
    return [row[0] for row in rows]


async def test_data_survive_every_kind_of_stop(own_server: EmbeddedServer) -> None:
    await own_server.start()
    await remember(own_server, 1)
    await own_server.stop()
    await own_server.start()
    await remember(own_server, 2)
    await own_server.stop(immediate=True)
    await own_server.start()
    await remember(own_server, 3)
    assert own_server.pid is not None
    os.kill(own_server.pid, signal.SIGKILL)
    await own_server.stop()
    assert own_server.pid is None
    await own_server.start()
    assert await remembered(own_server) == [1, 2, 3]


async def test_no_tcp_and_no_entry_without_the_password(own_server: EmbeddedServer) -> None:
    await own_server.start()
    assert own_server.pid is not None
    assert not [c for c in psutil.Process(own_server.pid).net_connections("inet") if c.status == "LISTEN"]
    assert own_server.socket_directory.stat().st_mode & 0o777 == 0o700
    assert (own_server.data_directory.parent / "password").stat().st_mode & 0o777 == 0o600
    assert own_server.password() not in " ".join(psutil.Process(own_server.pid).cmdline())
    with pytest.raises(TargetUnavailable, match="password authentication failed"):
        async with connect(
            f"host={own_server.socket_directory} user=postgres password=wrong dbname=postgres"
        ):
            pass


async def test_start_and_stop_twice(own_server: EmbeddedServer) -> None:
    await own_server.start()
    first = own_server.pid
    await own_server.start()
    assert own_server.pid == first
    await own_server.stop()
    await own_server.stop()


async def test_a_second_owner_is_refused_by_name(own_server: EmbeddedServer) -> None:
    await own_server.start()
    with pytest.raises(Conflict, match=f"in use by process {os.getpid()};"):
        await EmbeddedServer(own_server.directory).start()
    with pytest.raises(Conflict):
        await EmbeddedServer(own_server.directory).remove()
    async with connect(own_server.url()):
        pass


async def test_an_owner_in_another_process_is_named(tmp_path: Path) -> None:
    owner, _ = start_owner(tmp_path / "server")
    try:
        with pytest.raises(Conflict, match=f"in use by process {owner.pid};"):
            await EmbeddedServer(tmp_path / "server").start()
        visitor = EmbeddedServer(tmp_path / "server")
        assert visitor.held_by() == owner.pid
        async with connect(visitor.url()):
            pass
    finally:
        close(owner)
    assert visitor.held_by() is None
    await visitor.remove()


async def test_a_server_started_by_somebody_else_is_left_alone(
    own_server: EmbeddedServer,
) -> None:
    await own_server.start()
    await own_server.stop()
    note = own_server.directory / "owner.json"
    owner, postmaster = start_owner(own_server.directory)
    # As if that postmaster had not been started by us: neither lock nor note.
    held = note.read_text()
    note.write_text(json.dumps({"owner": 1, "postmaster": None, "postmaster_started": None}))
    (own_server.directory / "lock").unlink()
    with pytest.raises(Conflict, match=f"process id {postmaster}"):
        await own_server.start()
    assert psutil.pid_exists(postmaster)
    note.write_text(held)
    close(owner)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has parent-death signals")
async def test_the_server_ends_with_its_killed_owner_and_the_data_stay(own_server: EmbeddedServer) -> None:
    await own_server.start()
    await remember(own_server, 1)
    await own_server.stop()
    owner, _ = start_owner(own_server.directory)
    owner.kill()
    close(owner)
    assert await until(lambda: not processes_in(own_server.data_directory), 20)
    await own_server.start()
    assert await remembered(own_server) == [1]


async def test_a_server_that_outlived_its_owner_is_stopped_first(own_server: EmbeddedServer) -> None:
    await own_server.start()
    await remember(own_server, 1)
    await own_server.stop()
    owner, postmaster = start_owner(own_server.directory)
    # Frozen, it does not see the signal of its owner's death before the next start has to deal with it.
    os.kill(postmaster, signal.SIGSTOP)
    owner.kill()
    close(owner)
    starting = asyncio.create_task(own_server.start())
    await asyncio.sleep(0)
    os.kill(postmaster, signal.SIGCONT)
    await starting
    assert own_server.pid != postmaster
    assert await remembered(own_server) == [1]


async def test_a_stale_pid_file_with_a_living_foreign_pid(own_server: EmbeddedServer) -> None:
    await own_server.start()
    await own_server.stop(immediate=True)
    stale = own_server.data_directory / "postmaster.pid"
    stale.write_text(f"{os.getpid()}\n{own_server.data_directory}\n1\n5432\n\n\n\nready\n")
    await own_server.start()
    async with connect(own_server.url()):
        pass


async def test_a_torn_first_start_is_repeated(own_server: EmbeddedServer) -> None:
    torn = own_server.data_directory.with_name("data.new")
    torn.mkdir()
    (torn / "PG_VERSION").write_text("17\n")
    await own_server.start()
    assert not torn.exists()


async def test_a_start_that_fails_says_why_and_gives_everything_back(tmp_path: Path) -> None:
    server = EmbeddedServer(tmp_path / "server", durable=False, settings={"shared_buffers": "nonsense"})
    with pytest.raises(CommandFailed, match="shared_buffers"):
        await server.start()
    other = EmbeddedServer(tmp_path / "server", durable=False)
    await other.start()
    await other.remove()
    assert not processes_in_folders([tmp_path])
    assert not (tmp_path / "server").exists()


async def test_existing_data_decide_the_version(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    fifteen = EmbeddedServer(tmp_path / "server", programs=programs, major=15, durable=False)
    await fifteen.start()
    await fifteen.stop()
    again = EmbeddedServer(tmp_path / "server", programs=programs, major=17, durable=False)
    await again.start()
    async with connect(again.url()) as connection:
        assert connection.info.server_version // 10000 == 15
    await again.stop()
    only_17 = [found for found in programs if found.major == 17]
    with pytest.raises(ProgramMissing, match="PostgreSQL 15"):
        await EmbeddedServer(tmp_path / "server", programs=only_17).start()
    await again.remove()


@pytest.mark.parametrize(("name", "inside"), [('it\'s "a" 🐘', True), ("one, two", False), ("x" * 90, False)])
async def test_the_socket_has_a_path_that_libpq_takes(tmp_path: Path, name: str, inside: bool) -> None:
    # As root, a place where the server's user can pass.
    folder = (ROOT_PLACE if ROOT else tmp_path) / name
    server = EmbeddedServer(folder, durable=False)
    try:
        await server.start()
        socket = server.socket_directory
        assert len(os.fsencode(socket)) < 90
        async with connect(server.url()):
            pass
        assert not inside or not ROOT or socket.parent == folder
        assert inside or socket.parent != folder
    finally:
        await server.remove()
    assert not socket.exists()


async def test_a_lost_password_is_said(own_server: EmbeddedServer) -> None:
    await own_server.start()
    await own_server.stop()
    (own_server.data_directory.parent / "password").unlink()
    with pytest.raises(Conflict, match="password is missing"):
        await EmbeddedServer(own_server.directory).start()


async def test_roles_and_databases(own_server: EmbeddedServer) -> None:
    await own_server.start()
    await own_server.ensure_role("a role")
    await own_server.ensure_role("a role")
    await own_server.ensure_database("a 'database' 🐘", "a role")
    url = await own_server.ensure_database("a 'database' 🐘", "a role")
    async with connect(url) as connection:
        row = await (await connection.execute("SELECT current_user, current_database()")).fetchone()
    assert row == ("a role", "a 'database' 🐘")


@pytest.mark.skipif(not ROOT, reason="changing user needs root")
async def test_as_root_it_runs_as_another_user(own_server: EmbeddedServer) -> None:
    await own_server.start()
    assert own_server.pid is not None
    process = psutil.Process(own_server.pid)
    assert 0 not in process.uids()
    assert 0 not in process.gids()
    assert process.uids().real == own_server.data_directory.stat().st_uid
    groups = [
        line for line in Path(f"/proc/{own_server.pid}/status").read_text().splitlines() if "Groups" in line
    ]
    assert groups == [f"Groups:\t{process.gids().real} "]
