"""What a superuser of a scratch server can do is inside its wall, whichever wall that is."""

from __future__ import annotations

import socket
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest

from tests.walls.daemons import until_gone
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.postgres.urls import parameters
from web.walls.layers import find_filters, find_layers

MAJORS = (14, 17)


@pytest.fixture(params=["namespaces", "filters"])
async def walled(
    request: pytest.FixtureRequest, tmp_path: Path, programs: tuple[Programs, ...]
) -> AsyncIterator[ScratchServers]:
    layers = find_layers() if request.param == "namespaces" else find_filters()
    assert layers.kind == request.param, layers.reason
    scratch = ScratchServers(tmp_path / "scratch", {}, programs, layers=layers, spare=False)
    yield scratch
    await scratch.stop()


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A TCP port of this machine, and who came."""
    came: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def welcome() -> None:
            while True:
                try:
                    taken, address = server.accept()
                except OSError:
                    return
                came.append(address)
                taken.close()

        threading.Thread(target=welcome, daemon=True).start()
        yield server.getsockname()[1], came


def refused(database: ScratchDatabase, *statements: str) -> str:
    """What the server says to the last of some statements."""
    with psycopg.connect(database.url, autocommit=True, connect_timeout=10) as connection:
        for statement in statements[:-1]:
            connection.execute(statement.encode())
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(statements[-1].encode())
    return str(caught.value)


@pytest.mark.parametrize("major", MAJORS)
async def test_no_other_server_is_reached(
    walled: ScratchServers, server: EmbeddedServer, listener: tuple[int, list[object]], major: int
) -> None:
    """Neither by TCP nor through another server's socket, with the right password in hand."""
    port, came = listener
    other = parameters(server.url())
    login = f"user={other['user']} password={other['password']}"
    to_other = f"host={other['host']} port={other['port']} dbname=postgres {login}"
    to_tcp = f"host=127.0.0.1 port={port} user=x dbname=x connect_timeout=3"
    with psycopg.connect(to_other):
        pass  # from here it can be reached
    async with walled.database(major) as database:
        for target in (to_other, to_tcp):
            refused(database, "CREATE EXTENSION IF NOT EXISTS dblink", f"SELECT dblink_connect('{target}')")
            refused(
                database,
                f"CREATE SUBSCRIPTION s CONNECTION '{target}' PUBLICATION p WITH (slot_name = 'none_such')",
            )
        host, name = other["host"], "postgres"
        refused(
            database,
            "CREATE EXTENSION postgres_fdw",
            f"CREATE SERVER o FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '{host}', dbname '{name}')",
            "CREATE USER MAPPING FOR postgres SERVER o "
            f"OPTIONS (user '{other['user']}', password '{other['password']}')",
            "CREATE FOREIGN TABLE f (n int) SERVER o OPTIONS (schema_name 'pg_catalog', table_name 'pg_class')",
            "SELECT count(*) FROM f",
        )
    assert came == []


@pytest.mark.parametrize("major", MAJORS)
async def test_no_file_of_others_is_read(
    walled: ScratchServers, server: EmbeddedServer, tmp_path: Path, major: int
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")
    secret.chmod(0o644)
    for file in (secret, server.data_directory / "PG_VERSION", Path("/proc/1/environ")):
        async with walled.database(major) as database:
            if file.parts[1] != "proc":
                refused(database, f"SELECT pg_read_file('{file}')")
            refused(
                database,
                "CREATE TABLE t (line text)",
                f"COPY t FROM PROGRAM 'cat {file} | tr -d \"\\\\0\" | grep .'",
            )


@pytest.mark.parametrize("major", MAJORS)
async def test_a_program_that_it_starts_ends_with_it(
    walled: ScratchServers, tmp_path: Path, major: int
) -> None:
    async with walled.database(major) as database:
        with psycopg.connect(database.url, autocommit=True) as connection:
            connection.execute("CREATE TABLE t (line text)")
            connection.execute("COPY t FROM PROGRAM 'setsid sleep 6027 >/dev/null 2>&1 & echo started'")
    assert until_gone("6027")


async def test_scans_are_counted_behind_namespaces(tmp_path: Path, programs: tuple[Programs, ...]) -> None:
    """PostgreSQL 14 counts them over a socket of its own loopback, which is up there."""
    scratch = ScratchServers(tmp_path / "scratch", {}, programs, layers=find_layers(), spare=False)
    async with scratch.database(14) as database:
        with psycopg.connect(database.url, autocommit=True) as connection:
            assert connection.execute("SHOW track_counts").fetchone() == ("on",)
    await scratch.stop()
