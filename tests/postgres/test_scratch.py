"""Scratch servers: fresh databases, what is missing is named, dead owners' servers are removed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from web.errors import CleanStartError, ExtensionsMissing, IdentityMismatch, ScratchUnavailable
from web.postgres.connections import connect, with_database
from web.postgres.embedded import EmbeddedServer
from web.postgres.identity import read_identity
from web.postgres.processes import until
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers, reap
from web.postgres.server_files import processes_in_folders
from web.postgres.urls import libpq_url, parameters, sockets_of
from web.walls.accounts import SERVERS, system_account


@pytest.mark.parametrize("major", [14, 15, 17])
async def test_each_database_has_a_server_of_its_own(
    scratch: ScratchServers, servers_folder: Path, major: int
) -> None:
    async with scratch.database(major) as first, scratch.database(major) as second:
        assert first.identity != second.identity
        for database in (first, second):
            async with database.connect(application_name="test") as connection:
                assert (await read_identity(connection)).major == major
                names = await connection.execute("SELECT count(*) FROM pg_database WHERE NOT datistemplate")
                assert await names.fetchone() == (2,)
        # Whoever knows one server's password, or the one that its data began with, enters no other.
        own = parameters(second.url)["password"]
        others = {file.read_text() for file in servers_folder.rglob("password")} - {own}
        assert parameters(first.url)["password"] in others
        for password in others:
            with pytest.raises(CleanStartError):
                async with connect(libpq_url({**parameters(second.url), "password": password})):
                    pass


async def test_it_goes_with_its_server_after_errors_too(
    tmp_path: Path, programs: tuple[Programs, ...]
) -> None:
    scratch = ScratchServers(tmp_path / "scratch", {}, programs, spare=False)
    with pytest.raises(ZeroDivisionError):
        async with scratch.database(17) as database, connect(database.url):
            raise ZeroDivisionError
    (folder,) = [entry for entry in (tmp_path / "scratch").iterdir() if entry.is_dir()]
    assert [left.name for left in folder.iterdir()] == ["17-template"]
    assert processes_in_folders([tmp_path]) == []
    await scratch.stop()


async def test_one_is_kept_warm_and_replaced_when_it_died(
    tmp_path: Path, programs: tuple[Programs, ...]
) -> None:
    scratch = ScratchServers(tmp_path / "scratch", {}, programs)
    try:
        async with scratch.database(17):
            pass
        for process in processes_in_folders([tmp_path]):
            process.kill()
        async with scratch.database(17) as database, connect(database.url):
            pass
    finally:
        await scratch.stop()
    assert processes_in_folders([tmp_path]) == []


def test_the_warm_one_ends_with_its_event_loop(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    scratch = ScratchServers(tmp_path / "scratch", {}, programs)

    async def use() -> None:
        async with scratch.database(17) as database, connect(database.url):
            pass

    # The second loop finds a task that the end of the first one has cancelled.
    asyncio.run(use())
    asyncio.run(use())
    asyncio.run(scratch.stop())
    assert processes_in_folders([tmp_path]) == []


async def test_another_server_behind_the_same_socket_is_refused(
    tmp_path: Path, programs: tuple[Programs, ...], server: EmbeddedServer
) -> None:
    """What project code of our own user could do: the socket that we come back to leads elsewhere."""
    scratch = ScratchServers(tmp_path / "scratch", {}, programs, spare=False)
    async with scratch.database(17) as database:
        (socket,) = sockets_of(database.url)
        socket.unlink()
        socket.symlink_to(server.socket_directory / socket.name)
        elsewhere = replace(database, url=with_database(server.url(), "postgres"))
        with pytest.raises(IdentityMismatch):
            async with elsewhere.connect(application_name="test"):
                pass
        with pytest.raises(CleanStartError):  # another password, or another identity
            async with database.connect(application_name="test"):
                pass
    await scratch.stop()


async def test_missing_extensions_are_named(scratch: ScratchServers) -> None:
    with pytest.raises(ExtensionsMissing, match="PostgreSQL 17 lacks: no_such, vector") as caught:
        async with scratch.database(17, extensions=["vector", "plpgsql", "no_such"]):
            pass
    assert caught.value.names == ("no_such", "vector")


async def test_roles_that_definitions_name(scratch: ScratchServers) -> None:
    roles = ["app <b>", "postgres", "pg_of_the_future"]
    async with scratch.database(17, roles=roles) as database, connect(database.url) as connection:
        rows = await connection.execute(
            "SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'app <b>'"
        )
        assert await rows.fetchone() == (False, False)


async def test_no_server_of_that_major(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    scratch = ScratchServers(tmp_path, {}, [found for found in programs if found.major != 15])
    assert not scratch.available(15)
    with pytest.raises(ScratchUnavailable, match="no PostgreSQL 15 for scratch"):
        async with scratch.database(15):
            pass


async def test_a_configured_server_is_used(tmp_path: Path, server: EmbeddedServer) -> None:
    scratch = ScratchServers(tmp_path, {17: server.url()}, [])
    async with scratch.database(17) as database, connect(database.url) as connection:
        assert (await read_identity(connection)).host == str(server.socket_directory)
        assert database.layers is None
        name = connection.info.dbname
    async with connect(server.url()) as connection:
        left = await connection.execute("SELECT datname FROM pg_database WHERE datname = %s", (name,))
        assert await left.fetchall() == []
    await scratch.stop()


async def test_no_rows_are_brought_where_projects_code_runs(
    tmp_path: Path, server: EmbeddedServer, programs: tuple[Programs, ...]
) -> None:
    """On a configured server that projects without a wall share, a backup is not restored."""
    scratch = ScratchServers(tmp_path / "scratch", {17: server.url()}, programs, shared=True, spare=False)
    async with scratch.database(17, with_rows=True) as database:
        assert database.layers is not None
    await scratch.stop()
    without = ScratchServers(tmp_path / "other", {17: server.url()}, (), shared=True)
    with pytest.raises(ScratchUnavailable):
        async with without.database(17, with_rows=True):
            pass


async def test_servers_of_dead_owners_are_removed(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    code = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from web.postgres.programs import find_programs
        from web.postgres.scratch import ScratchServers, reap
        async def main():
            async with ScratchServers(Path(sys.argv[1]), {}, find_programs()).database(17):
                print("started", flush=True)
                await asyncio.sleep(600)
        asyncio.run(main())
        """
    )
    place = tmp_path / "scratch"
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", code, str(place)], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    ) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == b"started\n"
        theirs = [entry for entry in place.iterdir() if entry.is_dir()]
        owner.kill()
    scratch = ScratchServers(place, {}, programs)
    async with scratch.database(17):
        mine = [entry for entry in place.iterdir() if entry.is_dir()]
        assert len(theirs) == len(mine) == 1
        assert theirs != mine
    await scratch.stop()
    assert list(place.iterdir()) == []
    assert await until(lambda: not processes_in_folders([place]), 10)


@pytest.mark.skipif(os.geteuid() != 0, reason="as an ordinary user there is one user for all servers")
async def test_what_a_server_of_another_user_of_ours_left_is_removed(tmp_path: Path) -> None:
    """Killed between its socket's folder and its data: whose it was is only seen by the folder."""
    account = system_account(SERVERS)
    assert account is not None
    left = tmp_path / "scratch" / "4711-dead" / "17"
    (left / "socket").mkdir(parents=True)
    os.chown(left / "socket", account.uid, account.gid)
    (tmp_path / "scratch" / "4711-dead.lock").touch()
    await reap(tmp_path / "scratch")
    assert list((tmp_path / "scratch").iterdir()) == []
