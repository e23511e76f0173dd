"""Restore a backup into a new database: digests first, then pg_restore, which stops at the first error."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from web.backups.catalog import keys_of
from web.backups.copying import Copying
from web.backups.manifest import LARGEST, Manifest, Part
from web.backups.parts import check_part
from web.backups.places import Folder, Place, read_whole
from web.backups.reporting import Watch
from web.errors import BackupInvalid, BackupOfAnotherVersion, Conflict
from web.postgres.connections import connect
from web.postgres.dump import restore_command, start_command
from web.postgres.programs import Programs
from web.schema.model import Schema
from web.schema.serialize import from_json as schema_from_json

# Whether anything that a dump holds is in this database already. Any role. PostgreSQL 14 and later.
_OCCUPIED = """
SELECT EXISTS (
    SELECT FROM pg_catalog.pg_class c
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%')
"""


@asynccontextmanager
async def checked_dump(place: Place, manifest: Manifest, folder: Path) -> AsyncIterator[Path]:
    """Give the dump as a file whose size and digest were found right, for the length of a block.

    A dump at a folder is used where it lies; any other is brought into a file below `folder` first. Raises
    BackupInvalid for a dump that is torn, altered or missing, PlaceFull, PlaceUnavailable.
    """
    key = keys_of(manifest.project, manifest.environment, manifest.id).dump
    if isinstance(place, Folder):
        await check_part(place, key, manifest.dump)
        yield place.path(key)
        return
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, prefix="dump-") as copy:
        await check_part(place, key, manifest.dump, copy=copy.fileno())
        yield Path(copy.name)


async def read_backup_schema(place: Place, manifest: Manifest) -> Schema:
    """Read the schema that was described beside the dump. Raises BackupInvalid, BackupOfAnotherVersion."""
    key = keys_of(manifest.project, manifest.environment, manifest.id).schema
    content = await read_whole(place, key, max(manifest.dump_schema.size, LARGEST))
    if Part(size=len(content), sha256=sha256(content).hexdigest()) != manifest.dump_schema:
        raise BackupInvalid(f"{key} is not what was written: its size or digest does not fit.")
    try:
        return schema_from_json(content)
    except ValueError as error:
        raise BackupOfAnotherVersion(
            f"{key} was written by a version that reads schemas differently."
        ) from error


async def restore(
    file: Path,
    manifest: Manifest,
    url: str,
    programs: Sequence[Programs],
    watch: Watch,
    *,
    server_major: int,
) -> None:
    """Restore a checked dump into the new database of the URL; its roles and extensions have to be there.

    The caller drops the database when this fails. Raises Conflict when anything is in it (a restore over rows
    doubles them), ProgramMissing, CommandFailed with pg_restore's first error.
    """
    command = restore_command(
        programs,
        url,
        server_major=server_major,
        file=file,
        application_name=watch.application_name,
        dumped_with=manifest.client_major,
    )
    # Where a table's files lie is the old server's business; there may be no such tablespace here.
    program, *options = command.argv
    command = replace(command, argv=(program, "--no-tablespaces", *options))
    tables = {(table.schema_name, table.table): table.rows for table in manifest.tables}
    copying = Copying(tables, watch.report)

    async def hear(line: str) -> None:
        copying.hear(line)
        await watch.report.log(line, level="debug")
        await copying.tell()

    async with connect(url, application_name=watch.application_name) as side:
        await watch.on_connection(side)
        row = await (await side.execute(_OCCUPIED)).fetchone()
        if row and row[0]:
            raise Conflict(
                "The database to restore into is not empty.", hint="Restore into a new database instead."
            )
        looking = asyncio.create_task(copying.look(side, watch.application_name))
        try:
            async with await start_command(command, on_line=hear) as running:
                await watch.on_process_group(running.process_group)
                await running.wait()
        finally:
            looking.cancel()
            # Whatever it met: how far the restore is does not decide how it ends.
            await asyncio.gather(looking, return_exceptions=True)
    await copying.finish()
