"""Scratch servers: fresh databases, what is missing is named, dead owners' servers are removed."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from web.errors import ExtensionsMissing, ScratchUnavailable
from web.postgres.connections import connect, database_name
from web.postgres.embedded import EmbeddedServer
from web.postgres.identity import read_identity
from web.postgres.processes import until
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.postgres.server_files import processes_in_folders


@pytest.mark.parametrize("major", [15, 17])
async def test_fresh_databases_of_a_major(scratch: ScratchServers, major: int) -> None:
    async with scratch.database(major) as first, scratch.database(major) as second:
        assert database_name(first) != database_name(second)
        async with connect(first) as connection:
            assert (await read_identity(connection)).major == major
            await connection.execute("CREATE TABLE only_here ()")
        async with connect(second) as connection:
            found = await (await connection.execute("SELECT to_regclass('only_here')")).fetchone()
            assert found == (None,)
    async with connect(await scratch.server_url(major)) as connection:
        left = await (
            await connection.execute("SELECT datname FROM pg_database WHERE datname ~ 'scratch'")
        ).fetchall()
    assert left == []


async def test_a_copy_of_another_scratch_database(scratch: ScratchServers) -> None:
    async with scratch.database(17) as origin:
        async with connect(origin) as connection:
            await connection.execute("CREATE TABLE copied ()")
        async with scratch.database(17, template=database_name(origin)) as copy, connect(copy) as connection:
            await connection.execute("SELECT FROM copied")


async def test_it_is_dropped_with_sessions_and_after_errors(scratch: ScratchServers) -> None:
    with pytest.raises(ZeroDivisionError):
        async with scratch.database(17) as url, connect(url):
            raise ZeroDivisionError
    async with connect(await scratch.server_url(17)) as connection:
        row = await (
            await connection.execute("SELECT count(*) FROM pg_database WHERE NOT datistemplate")
        ).fetchone()
    assert row == (1,)


async def test_missing_extensions_are_named(scratch: ScratchServers) -> None:
    with pytest.raises(ExtensionsMissing, match="PostgreSQL 17 lacks: no_such, vector") as caught:
        async with scratch.database(17, extensions=["vector", "plpgsql", "no_such"]):
            pass
    assert caught.value.names == ("no_such", "vector")


async def test_roles_that_definitions_name(scratch: ScratchServers) -> None:
    await scratch.ensure_roles(17, ["app <b>", "postgres", "pg_of_the_future"])
    await scratch.ensure_roles(17, ["app <b>"])
    async with connect(await scratch.server_url(17)) as connection:
        row = await (
            await connection.execute("SELECT rolcanlogin, rolsuper FROM pg_roles WHERE rolname = 'app <b>'")
        ).fetchone()
    assert row == (False, False)


async def test_no_server_of_that_major(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    scratch = ScratchServers(tmp_path, {}, [found for found in programs if found.major != 15])
    assert not scratch.available(15)
    with pytest.raises(ScratchUnavailable, match="no PostgreSQL 15 for scratch"):
        async with scratch.database(15):
            pass


async def test_a_configured_server_is_used(tmp_path: Path, server: EmbeddedServer) -> None:
    scratch = ScratchServers(tmp_path, {17: server.url()}, [])
    async with scratch.database(17) as url, connect(url) as connection:
        assert (await read_identity(connection)).host == str(server.socket_directory)
    await scratch.stop()


async def test_servers_of_dead_owners_are_removed(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    code = textwrap.dedent(
        """
        import asyncio, sys
        from pathlib import Path
        from web.postgres.programs import find_programs
        from web.postgres.scratch import ScratchServers
        async def main():
            await ScratchServers(Path(sys.argv[1]), {}, find_programs()).server_url(17)
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
