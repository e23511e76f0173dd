"""Scratch databases: fresh, thrown away, one private server per major and process, or a configured server.

What runs in them (a replay, a rehearsal, a restore) is for others; they only have to close their connections.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from psycopg import sql

from web.errors import ExtensionsMissing, ProgramMissing, ScratchUnavailable
from web.postgres.connections import connect, with_database
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs, server_for
from web.postgres.server_files import usable

#: Replays of thousands of tables in one transaction need a large lock table; nothing in scratch must survive.
_SETTINGS = {
    "max_locks_per_transaction": "1024",
    "max_connections": "100",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}
#: Advisory lock of the maintenance database under which roles are created.
_ROLES_LOCK = 7_046_581_303
_PREFIX = "cleanstart_scratch_"


@dataclass(frozen=True, slots=True)
class OwnFolder:
    """A folder of this process alone, held by a lock that the kernel gives back however we end."""

    path: Path
    lock: FileLock

    async def release(self) -> None:
        """Delete the folder with the servers in it and give up the lock."""
        await _remove(self.path)
        self.lock.release()
        Path(self.lock.lock_file).unlink(missing_ok=True)


async def own_folder(place: Path) -> OwnFolder:
    """Create a folder for this process's servers below `place`; dead processes' folders are removed.

    Raises DirectoryUnavailable.
    """
    # As root, the server's own user must be able to pass.
    mode = 0o711 if os.geteuid() == 0 else 0o700
    with usable(place):
        place.mkdir(mode=mode, parents=True, exist_ok=True)
    await reap(place)
    while True:
        path = place / f"{os.getpid()}-{uuid.uuid4().hex[:8]}"
        lock = FileLock(path.with_suffix(".lock"), thread_local=False)
        with suppress(Timeout):
            lock.acquire(timeout=0)
            path.mkdir(mode=mode)
            if path.with_suffix(".lock").exists():
                return OwnFolder(path, lock)
        # Another process took the fresh lock file for a dead owner's, in between: once more.
        lock.release()


async def reap(place: Path) -> None:
    """Remove the folders below `place` whose processes are dead, with the servers that still run there."""
    for note in place.glob("*.lock"):
        lock = FileLock(note, thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            continue
        try:
            await _remove(note.with_suffix(""))
            note.unlink(missing_ok=True)
        finally:
            lock.release()


class ScratchServers:
    """The scratch servers of one process, started when first asked for; `stop` removes them."""

    def __init__(
        self,
        directory: Path,
        configured: Mapping[int, str | Literal["embedded"]],
        programs: Sequence[Programs],
    ) -> None:
        """`configured`: per major a URL or "embedded"; other majors are embedded where there are programs."""
        self._directory = directory
        self._configured = dict(configured)
        self._programs = tuple(programs)
        self._folder: OwnFolder | None = None
        self._servers: dict[int, EmbeddedServer] = {}
        self._starting = asyncio.Lock()

    def available(self, major: int) -> bool:
        """Say whether there is a scratch server of this major, without starting one."""
        return (
            self._configured.get(major, "embedded") != "embedded"
            or server_for(major, self._programs) is not None
        )

    async def server_url(self, major: int) -> str:
        """Return the URL of the maintenance database of the scratch server. Raises ScratchUnavailable."""
        configured = self._configured.get(major, "embedded")
        if configured != "embedded":
            return configured
        async with self._starting:
            server = self._servers.get(major)
            if server is None or server.pid is None:
                server = await self._start(major)
        return server.url()

    @asynccontextmanager
    async def database(
        self, major: int, *, template: str | None = None, extensions: Collection[str] = ()
    ) -> AsyncIterator[str]:
        """Give the URL of a database for the length of a block; it is dropped with whoever is connected.

        `template` names another database of this server, which nobody may be connected to. `extensions` are
        not created, only required. Raises ScratchUnavailable, and ExtensionsMissing naming those that are not
        there.
        """
        url = await self.server_url(major)
        if extensions and (missing := await self.missing_extensions(major, extensions)):
            raise ExtensionsMissing(major, missing)
        name = _PREFIX + uuid.uuid4().hex
        async with connect(url, application_name="cleanstart/scratch") as connection:
            await connection.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE {}").format(
                    sql.Identifier(name), sql.Identifier(template or "template0")
                )
            )
        try:
            yield with_database(url, name)
        finally:
            await asyncio.shield(self._drop(url, name))

    async def missing_extensions(self, major: int, names: Collection[str]) -> tuple[str, ...]:
        """Return those extensions that the scratch server cannot create, sorted."""
        async with connect(await self.server_url(major), application_name="cleanstart/scratch") as connection:
            rows = await (
                await connection.execute("SELECT name::text FROM pg_catalog.pg_available_extensions")
            ).fetchall()
        return tuple(sorted(set(names) - {row[0] for row in rows}))

    async def ensure_roles(self, major: int, names: Collection[str]) -> None:
        """Create the roles that definitions name and the scratch server lacks: NOLOGIN, no privileges."""
        async with connect(await self.server_url(major), application_name="cleanstart/scratch") as connection:
            # Roles belong to the whole server: whoever prepares another database here waits.
            await connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (_ROLES_LOCK,))
            rows = await (
                await connection.execute("SELECT rolname::text FROM pg_catalog.pg_roles")
            ).fetchall()
            for name in sorted(set(names) - {row[0] for row in rows}):
                if name.startswith("pg_"):
                    continue  # predefined roles of other versions; no role can be created by such a name
                await connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))

    async def stop(self) -> None:
        """Stop the private servers and remove their files; idempotent."""
        async with self._starting:
            servers, self._servers = self._servers, {}
            for server in servers.values():
                await server.stop(immediate=True)
            folder, self._folder = self._folder, None
            if folder is not None:
                await folder.release()

    async def _start(self, major: int) -> EmbeddedServer:
        if server_for(major, self._programs) is None:
            raise ScratchUnavailable(major)
        if self._folder is None:
            self._folder = await own_folder(self._directory)
        server = self._servers.pop(major, None)
        if server is not None:
            await server.stop(immediate=True)
        server = EmbeddedServer(
            self._folder.path / str(major),
            programs=self._programs,
            major=major,
            settings=_SETTINGS,
            durable=False,
        )
        try:
            await server.start()
        except ProgramMissing as error:
            raise ScratchUnavailable(major, hint=str(error)) from error
        self._servers[major] = server
        return server

    async def _drop(self, url: str, name: str) -> None:
        async with connect(url, application_name="cleanstart/scratch") as connection:
            await connection.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )


async def _remove(folder: Path) -> None:
    if folder.is_dir():
        for directory in [entry for entry in folder.iterdir() if entry.is_dir()]:
            await EmbeddedServer(directory).remove()
    shutil.rmtree(folder, ignore_errors=True)
