"""What the benches run on: a PostgreSQL server of their own with fsync, a store in it, and the real web server."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
import psycopg
from psycopg import sql

from web.cli.listening import listen
from web.cli.store_place import StorePlace, prepare_embedded
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs, find_programs
from web.store.upgrade import upgrade


@dataclass(frozen=True, slots=True)
class Bench:
    """A server and a folder, both gone at the end."""

    server: EmbeddedServer
    folder: Path

    def database(self, name: str, *statements: str) -> str:
        """Create a database, fill it, and return its URL."""
        with psycopg.connect(self.server.url(), autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
        with psycopg.connect(self.server.url(name), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement.encode())
        return self.server.url(name)

    async def store(self) -> StorePlace:
        """Create a store with both of its roles."""
        place = await prepare_embedded(self.server)
        await upgrade(place.owner_url, place.runtime_role)
        return place


@cache
def programs() -> tuple[Programs, ...]:
    """The PostgreSQL programs of this machine."""
    return find_programs()


@asynccontextmanager
async def benching() -> AsyncIterator[Bench]:
    """A PostgreSQL server with default settings on an empty folder."""
    with tempfile.TemporaryDirectory(prefix="cleanstart-bench-") as folder:
        # As root the server has a user of its own, who must be able to pass.
        Path(folder).chmod(0o711)
        server = EmbeddedServer(Path(folder) / "postgresql", programs=programs())
        await server.start()
        try:
            yield Bench(server, Path(folder))
        finally:
            await server.remove()


@asynccontextmanager
async def web_process(arguments: Sequence[str], *, ready: str) -> AsyncIterator[str]:
    """A web server in a process of its own: `python -m ARGUMENTS… SOCKET`; its address, once `ready` answers."""
    sock = listen("127.0.0.1", 0)
    descriptor = sock.fileno()
    process = subprocess.Popen(  # noqa: ASYNC220 (it is waited for below)
        [sys.executable, "-m", *arguments, str(descriptor)],
        pass_fds=[descriptor],
        cwd=Path(__file__).parent.parent,
    )
    address = f"http://127.0.0.1:{sock.getsockname()[1]}"
    sock.close()
    try:
        async with httpx.AsyncClient(timeout=60) as client:
            while (await client.get(address + ready)).status_code != 200:  # noqa: ASYNC110 (no event tells)
                await asyncio.sleep(0.1)
        yield address
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait)
