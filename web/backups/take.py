"""Take a backup: one snapshot, dumped by pg_dump, counted and described beside it, written as it comes.

Nothing is visible at the place before the manifest is, and whatever fails leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from uuid import UUID

from psycopg import sql

from web import words
from web.backups.catalog import folder_of, keys_of, remove_backup, write_manifest
from web.backups.contents import Contents, count_rows, read_contents, require_readable
from web.backups.copying import Copying
from web.backups.manifest import Manifest, Part, TableRows
from web.backups.places import Place
from web.backups.reporting import Watch
from web.errors import CleanStartError, Conflict
from web.postgres.connections import Connection, connect
from web.postgres.dump import Command, OnLine, dump_command, start_command
from web.postgres.identity import read_identity
from web.postgres.processes import run
from web.postgres.programs import Programs, client_for
from web.schema.fingerprint import fingerprint
from web.schema.model import Schema
from web.schema.serialize import to_json as schema_to_json
from web.schema.snapshot import read_schema
from web.tools.protocol import Applied

#: pg_dump's output is taken in pieces of this size.
PIECE = 1 << 20


@dataclass(frozen=True, slots=True)
class Source:
    """The database to back up, and under which name."""

    project: str
    environment: str
    #: Leads pg_dump to where the connection that is handed in leads.
    url: str
    #: Reads the revisions; None: no migration tool is known.
    applied: Callable[[Connection], Awaitable[Applied]] | None = None


async def take(
    connection: Connection,
    source: Source,
    place: Place,
    backup_id: UUID,
    programs: Sequence[Programs],
    watch: Watch,
    announce: Callable[[Manifest], Awaitable[None]] | None = None,
) -> Manifest:
    """Take the backup with this new id and return its manifest, which `announce` gets before it can be seen.

    `connection` is an idle autocommit connection to the target whose identity was checked; a read-only
    transaction is open on it until the dump is done, and tables are counted there. Raises PrivilegeMissing
    and ProgramMissing before anything is begun, then CommandFailed, PlaceFull, PlaceUnavailable,
    TargetUnavailable.
    """
    started = datetime.now(UTC)
    resolved = await read_identity(connection)
    client = client_for(resolved.major, programs)
    compression = await _compression(client)
    await require_readable(connection)
    keys = keys_of(source.project, source.environment, backup_id)
    if keys.manifest in await place.keys(folder_of(source.project, source.environment)):
        raise Conflict(f"There is a backup {backup_id} already.")
    try:
        async with _snapshot(connection) as snapshot:
            # In the snapshot: a migration that ends now is neither in the rows nor in the revisions.
            applied = await source.applied(connection) if source.applied else None
            contents = await read_contents(connection)
            await watch.report.log(
                f"pg_dump {client.version} of {words.plural(len(contents.tables), 'table')}, {compression}"
            )
            command = dump_command(
                programs,
                source.url,
                server_major=resolved.major,
                application_name=watch.application_name,
                snapshot=snapshot,
                compress=compression,
            )
            copy = _Copy(connection, source.url, snapshot, contents, watch)
            dump, tables, schema = await copy.run(command, place, keys.dump)
        described = schema_to_json(schema)
        async with place.write(keys.schema) as writer:
            await writer.write(described)
        manifest = Manifest(
            id=backup_id,
            project=source.project,
            environment=source.environment,
            database=resolved.database,
            identity=resolved.identity.as_text,
            server_version=resolved.server_version,
            client_version=client.version,
            revisions=applied.revisions if applied and applied.table_exists else None,
            fingerprint=fingerprint(schema),
            dump=dump,
            dump_schema=Part(size=len(described), sha256=sha256(described).hexdigest()),
            compression=compression,
            tables=tables,
            roles=contents.roles,
            extensions=contents.extensions,
            created_at=started,
            finished_at=datetime.now(UTC),
        )
        if announce is not None:
            await announce(manifest)
        await write_manifest(place, manifest)
    except BaseException:
        # What failed is the news; what cannot be removed now is found by the next sweep.
        with suppress(CleanStartError):
            await asyncio.shield(remove_backup(place, source.project, source.environment, backup_id))
        raise
    return manifest


@dataclass(frozen=True, slots=True)
class _Copy:
    """Everything that is read from the target at once, in one snapshot."""

    connection: Connection
    url: str
    snapshot: str
    contents: Contents
    watch: Watch

    async def run(
        self, command: Command, place: Place, key: str
    ) -> tuple[Part, tuple[TableRows, ...], Schema]:
        """Dump into the key, count on our connection, read the schema on another one."""
        copying = Copying(self.contents.tables, self.watch.report)

        async def hear(line: str) -> None:
            copying.hear(line)
            await self.watch.report.log(line, level="debug")
            await copying.tell()

        async with connect(self.url, application_name=self.watch.application_name) as side:
            await self.watch.on_connection(side)
            await _be_patient(side)
            try:
                async with asyncio.TaskGroup() as tasks:
                    # A URL that leads elsewhere now fails: a snapshot belongs to one database.
                    dumping = tasks.create_task(self.dump(command, place, key, hear))
                    counting = tasks.create_task(self.count(copying))
                    schema = await read_schema(side, snapshot=self.snapshot)
                    looking = tasks.create_task(copying.look(side, self.watch.application_name))
                    dump, tables = await dumping, await counting
                    looking.cancel()
            except BaseExceptionGroup as failures:
                failure = failures.exceptions[0]
                raise failure from failure.__cause__
        await copying.finish()
        return dump, tables, schema

    async def dump(self, command: Command, place: Place, key: str, on_line: OnLine) -> Part:
        """Run pg_dump and write what it says to the key, which appears only when pg_dump ended well."""
        size, digest = 0, sha256()
        async with (
            place.write(key) as writer,
            await start_command(command, on_line=on_line, stdout=True) as program,
        ):
            await self.watch.on_process_group(program.process_group)
            assert program.stdout is not None
            while piece := await _piece(program.stdout):
                size += len(piece)
                await asyncio.gather(writer.write(piece), asyncio.to_thread(digest.update, piece))
            await program.wait()
        return Part(size=size, sha256=digest.hexdigest())

    async def count(self, copying: Copying) -> tuple[TableRows, ...]:
        """Count every table, one after the other."""
        counted = []
        for table in self.contents.tables:
            counted.append(await count_rows(self.connection, *table))
            copying.know(table, counted[-1].rows)
        return tuple(counted)


@asynccontextmanager
async def _snapshot(connection: Connection) -> AsyncIterator[str]:
    """Export a snapshot for the length of a block, in a transaction that no time-out ends."""
    await _be_patient(connection)
    async with connection.transaction():
        await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        # As pg_dump does: fail rather than leave rows out.
        await connection.execute("SET LOCAL row_security = off")
        row = await (await connection.execute("SELECT pg_catalog.pg_export_snapshot()")).fetchone()
        assert row is not None
        yield row[0]


async def _be_patient(connection: Connection) -> None:
    """Switch off, for this session, what would end a long transaction or statement, as pg_dump does for its."""
    limits = ["statement_timeout", "idle_in_transaction_session_timeout"]
    limits += ["transaction_timeout"] if connection.info.server_version >= 170000 else []
    for limit in limits:
        await connection.execute(sql.SQL("SET {} = 0").format(sql.Identifier(limit)))


async def _piece(stream: asyncio.StreamReader) -> bytes:
    try:
        return await stream.readexactly(PIECE)
    except asyncio.IncompleteReadError as end:
        return end.partial


async def _compression(client: Programs) -> str:
    """Choose pg_dump's --compress: zstd where this client can, twice as fast as the default and smaller."""
    if client.major < 16:
        return "1"
    # pg_dump says so before it connects; it has no option to ask, and pg_config often is not installed.
    argv = (str(client.path("pg_dump")), "--format=custom", "--compress=zstd:1", "--dbname=host=/nonexistent")
    answer = await run(argv, env={"LC_MESSAGES": "C"}, check=False)
    return "gzip:1" if "does not support compression" in answer.stderr_tail else "zstd:1"
