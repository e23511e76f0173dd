"""Scratch databases: fresh, thrown away, each on a private server behind a wall, or on a configured server.

What runs in them (a replay, a rehearsal, a restore) is for others; they only have to close their connections.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import secrets
import shutil
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout
from psycopg import sql

from web.errors import CleanStartError, Conflict, ExtensionsMissing, ProgramMissing, ScratchUnavailable
from web.postgres.connections import Connection, connect, with_database
from web.postgres.embedded import EmbeddedServer
from web.postgres.identity import KnownDatabase, TargetIdentity, read_identity
from web.postgres.programs import Programs, server_for
from web.postgres.server_files import usable
from web.walls.accounts import SCRATCH, SERVERS
from web.walls.layers import Layers, find_layers

#: Replays of thousands of tables in one transaction need a large lock table; nothing in scratch must survive.
_SETTINGS = {
    "max_locks_per_transaction": "1024",
    "max_connections": "100",
    "autovacuum": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "dynamic_shared_memory_type": "mmap",
}
#: Advisory lock of the maintenance database under which roles are created.
_ROLES_LOCK = 7_046_581_303
_PREFIX = "cleanstart_scratch_"
#: Since this major CREATE DATABASE takes an oid.
_CHOOSES_OIDS = 15


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


@dataclass(frozen=True, slots=True)
class ScratchDatabase(KnownDatabase):
    """A database that is thrown away."""

    #: The wall around its server; None: it is on a configured server, which has none.
    layers: Layers | None = None


class ScratchServers:
    """Where scratch databases are made; `stop` removes what is left.

    Without a configured server every database has a private one behind a wall, which is thrown away with it: nobody
    else's rows are ever on it. One is kept warm.
    """

    def __init__(
        self,
        directory: Path,
        configured: Mapping[int, str | Literal["embedded"]],
        programs: Sequence[Programs],
        *,
        layers: Layers | None = None,
        shared: bool = False,
        spare: bool = True,
    ) -> None:
        """`configured`: per major a URL or "embedded"; other majors are embedded where there are programs.

        `layers` are found where they are not given. `shared`: projects' code runs on configured servers too, so
        that no rows may be brought there. `spare` keeps a server warm, on the event loop that used the last.
        """
        self._directory = directory
        self._configured = dict(configured)
        self._programs = tuple(programs)
        self._layers = layers
        self._shared, self._spare = shared, spare
        self._folder: OwnFolder | None = None
        self._numbers = itertools.count(1)
        self._running: set[EmbeddedServer] = set()
        self._warming: dict[int, asyncio.Task[EmbeddedServer]] = {}
        self._templates: dict[int, EmbeddedServer] = {}
        self._starting = asyncio.Lock()

    def available(self, major: int) -> bool:
        """Say whether there is a scratch server of this major, without starting one."""
        return self._is_configured(major) or server_for(major, self._programs) is not None

    @property
    def running(self) -> int:
        """How many private servers there are right now, a warm one included."""
        return len(self._running)

    @asynccontextmanager
    async def database(
        self,
        major: int,
        *,
        roles: Collection[str] = (),
        extensions: Collection[str] = (),
        with_rows: bool = False,
    ) -> AsyncIterator[ScratchDatabase]:
        """Give an empty database for the length of a block; it is dropped with whoever is connected.

        `roles` are there: NOLOGIN, without privileges. `extensions` are not created, only required. Rows may be
        brought into it only where `with_rows` says so. Raises ScratchUnavailable, and ExtensionsMissing naming those
        that are not there.
        """
        if self._is_configured(major) and not (with_rows and self._shared):
            url, layers = self._configured[major], None
            async with _made(url, major, roles, extensions, shared=True) as (made, identity):
                yield ScratchDatabase(made, identity, "the scratch database", layers)
            return
        async with (
            self._private(major) as server,
            _made(server.url(), major, roles, extensions, shared=False) as (made, identity),
        ):
            yield ScratchDatabase(made, identity, "the scratch database", await self._walls())

    async def stop(self) -> None:
        """Stop the private servers and remove their files; idempotent."""
        async with self._starting:
            warming = [task for task in self._warming.values() if not task.done()]
            self._warming.clear()
            for task in warming:
                task.cancel()
            await asyncio.gather(*warming, return_exceptions=True)
            for server in list(self._running):
                await self._discard(server)
            self._templates.clear()
            folder, self._folder = self._folder, None
            if folder is not None:
                await folder.release()

    def _is_configured(self, major: int) -> bool:
        return self._configured.get(major, "embedded") != "embedded"

    @asynccontextmanager
    async def _private(self, major: int) -> AsyncIterator[EmbeddedServer]:
        server = await self._take(major)
        try:
            if self._spare and major not in self._warming:
                self._warming[major] = asyncio.create_task(self._start(major))
            yield server
        finally:
            await asyncio.shield(self._discard(server))

    async def _take(self, major: int) -> EmbeddedServer:
        """The warm server, where one lives; else a new one."""
        # Whoever ended the event loop that it was started on has cancelled it.
        if (task := self._warming.pop(major, None)) is not None and not task.cancelled():
            with suppress(CleanStartError):
                server = await task
                if server.pid is not None:
                    return server
                await self._discard(server)
        return await self._start(major)

    async def _start(self, major: int) -> EmbeddedServer:
        if server_for(major, self._programs) is None:
            raise ScratchUnavailable(major)
        try:
            async with self._starting:
                if self._folder is None:
                    self._folder = await own_folder(self._directory)
                template = await self._template(self._folder.path, major)
            server = await self._server(self._folder.path / f"{major}-{next(self._numbers)}", major, template)
            self._running.add(server)
            try:
                await server.start()
            except BaseException:
                await asyncio.shield(self._discard(server))
                raise
        except ProgramMissing as error:
            raise ScratchUnavailable(major, hint=str(error)) from error
        return server

    async def _template(self, place: Path, major: int) -> EmbeddedServer | None:
        """Data that every server of a major begins with; None where its databases could not be told apart then."""
        if major < _CHOOSES_OIDS:
            return None
        template = self._templates.get(major)
        if template is None or not (template.data_directory / "PG_VERSION").is_file():
            template = await self._server(place / f"{major}-template", major)
            await template.initialize()
            self._templates[major] = template
        return template

    async def _server(
        self, directory: Path, major: int, template: EmbeddedServer | None = None
    ) -> EmbeddedServer:
        return EmbeddedServer(
            directory,
            programs=self._programs,
            major=major,
            settings=_SETTINGS,
            durable=False,
            user=SCRATCH,
            layers=await self._walls(),
            template=template,
        )

    async def _discard(self, server: EmbeddedServer) -> None:
        await server.remove()
        self._running.discard(server)

    async def _walls(self) -> Layers:
        if self._layers is None:
            self._layers = await asyncio.to_thread(find_layers)
        return self._layers


@asynccontextmanager
async def _made(
    url: str, major: int, roles: Collection[str], extensions: Collection[str], *, shared: bool
) -> AsyncIterator[tuple[str, TargetIdentity]]:
    """Make a database with the roles on a server; on one that others use too it is dropped afterwards."""
    name = _PREFIX + uuid.uuid4().hex
    async with connect(url, application_name="cleanstart/scratch") as connection:
        if missing := await _missing_extensions(connection, extensions):
            raise ExtensionsMissing(major, missing)
        await _ensure_roles(connection, roles)
        # Private servers have one system identifier in common where they can: the oid tells their databases apart.
        command = sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name))
        if not shared and major >= _CHOOSES_OIDS:
            command += sql.SQL(" OID {}").format(2**30 + secrets.randbelow(2**31))
        await connection.execute(command)
        server = (await read_identity(connection)).identity.system_identifier
        rows = await connection.execute(
            "SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = %s", (name,)
        )
        row = await rows.fetchone()
        assert row is not None
    try:
        yield with_database(url, name), TargetIdentity(server, row[0])
    finally:
        if shared:
            await asyncio.shield(_drop(url, name))


async def _missing_extensions(connection: Connection, names: Collection[str]) -> tuple[str, ...]:
    if not names:
        return ()
    rows = await connection.execute("SELECT name::text FROM pg_catalog.pg_available_extensions")
    return tuple(sorted(set(names) - {row[0] for row in await rows.fetchall()}))


async def _ensure_roles(connection: Connection, names: Collection[str]) -> None:
    if not names:
        return
    # Roles belong to the whole server: whoever prepares another database there waits.
    await connection.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (_ROLES_LOCK,))
    rows = await connection.execute("SELECT rolname::text FROM pg_catalog.pg_roles")
    for name in sorted(set(names) - {row[0] for row in await rows.fetchall()}):
        if name.startswith("pg_"):
            continue  # predefined roles of other versions; no role can be created by such a name
        await connection.execute(sql.SQL("CREATE ROLE {} NOLOGIN").format(sql.Identifier(name)))


async def _drop(url: str, name: str) -> None:
    async with connect(url, application_name="cleanstart/scratch") as connection:
        await connection.execute(
            sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
        )


async def _remove(folder: Path) -> None:
    if folder.is_dir():
        for directory in [entry for entry in folder.iterdir() if entry.is_dir()]:
            await _remove_server(directory)
    shutil.rmtree(folder, ignore_errors=True)


async def _remove_server(directory: Path) -> None:
    """Stop and delete what a dead process left, whichever of our users its server ran as."""
    for user in (SCRATCH, SERVERS):
        with suppress(Conflict):
            await EmbeddedServer(directory, user=user).remove()
            return
