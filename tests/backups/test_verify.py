"""Verifying: what is torn is refused before anything is touched, what differs is said."""

from __future__ import annotations

import asyncio
import random
import shutil
import uuid
from pathlib import Path

import psycopg
import pytest

from tests.backups.backups import take_backup
from web.backups.catalog import Keys, keys_of, read_manifest
from web.backups.manifest import Manifest, UsedExtension, from_json, to_json
from web.backups.places import Folder
from web.backups.reporting import Watch
from web.backups.restore import checked_dump, read_backup_schema, restore
from web.backups.verify import verify
from web.errors import BackupInvalid, Conflict, ExtensionsMissing, ScratchUnavailable
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers


@pytest.fixture
def small(database: str) -> str:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE t (id int PRIMARY KEY, a text)")
        connection.execute("INSERT INTO t SELECT i, md5(i::text) FROM generate_series(1, 2000) i")
        connection.execute("CREATE INDEX t_a ON t (a)")
    return database


@pytest.fixture
def no_scratch(tmp_path: Path) -> ScratchServers:
    """Scratch servers without programs: to touch them is an error of another kind."""
    return ScratchServers(tmp_path / "none", {}, ())


def keys(manifest: Manifest) -> Keys:
    return keys_of(manifest.project, manifest.environment, manifest.id)


async def test_every_mutation_is_refused_before_scratch_is_touched(
    small: str, place: Folder, programs: tuple[Programs, ...], no_scratch: ScratchServers, tmp_path: Path
) -> None:
    manifest = await take_backup(small, place, programs)
    dump = place.path(keys(manifest).dump)
    whole = dump.read_bytes()
    chance = random.Random(3)
    for number in range(300):
        at = chance.randrange(len(whole))
        flipped = whole[:at] + bytes([whole[at] ^ (1 << chance.randrange(8))]) + whole[at + 1 :]
        dump.write_bytes((flipped, whole[:at], whole + b"x", whole[:at] + whole[at + 1 :])[number % 4])
        # What is too short or too long is told so; a digest that differs does not say what happened to it.
        with pytest.raises(BackupInvalid, match="bytes, .* were written" if number % 4 else "digest"):
            await verify(manifest, place, no_scratch, programs, tmp_path, Watch())
    dump.unlink()
    with pytest.raises(BackupInvalid, match="missing"):
        await verify(manifest, place, no_scratch, programs, tmp_path, Watch())
    dump.write_bytes(whole)
    with pytest.raises(ScratchUnavailable):
        await verify(manifest, place, no_scratch, programs, tmp_path, Watch())


async def test_swapped_parts_are_refused(
    small: str, place: Folder, programs: tuple[Programs, ...], no_scratch: ScratchServers, tmp_path: Path
) -> None:
    one = await take_backup(small, place, programs)
    with psycopg.connect(small) as connection:
        connection.execute("ALTER TABLE t ADD COLUMN b int")
    other = await take_backup(small, place, programs)
    for part in (keys(one).dump, keys(one).schema):
        kept = place.path(part).read_bytes()
        shutil.copy(place.path(part.replace(str(one.id), str(other.id))), place.path(part))
        with pytest.raises(BackupInvalid):
            await verify(one, place, no_scratch, programs, tmp_path, Watch())
        place.path(part).write_bytes(kept)


async def test_a_foreign_manifest_is_refused(
    small: str, place: Folder, programs: tuple[Programs, ...]
) -> None:
    production = await take_backup(small, place, programs, environment="production")
    as_dev = keys_of("clinic", "dev", production.id)
    place.path(as_dev.manifest).parent.mkdir()
    shutil.copy(place.path(keys(production).manifest), place.path(as_dev.manifest))
    with pytest.raises(BackupInvalid, match="another backup"):
        await read_manifest(place, "clinic", "dev", production.id)
    with pytest.raises(BackupInvalid, match="missing"):
        await read_manifest(place, "clinic", "dev", uuid.uuid4())


async def test_differing_rows_and_schema_are_said(
    small: str, place: Folder, programs: tuple[Programs, ...], scratch: ScratchServers, tmp_path: Path
) -> None:
    """As if pg_dump had lost rows and an index: the manifest knows more than the dump gives."""
    lacking = await take_backup(small, place, programs)
    with psycopg.connect(small) as connection:
        connection.execute("INSERT INTO t VALUES (0, 'lost')")
        connection.execute("CREATE INDEX lost ON t (id) WHERE a <> ''")
    whole = await take_backup(small, place, programs)
    shutil.copy(place.path(keys(lacking).dump), place.path(keys(whole).dump))
    verification = await verify(
        whole.model_copy(update={"dump": lacking.dump}), place, scratch, programs, tmp_path, Watch()
    )
    assert not verification.verified
    rows, index = verification.problems
    assert rows == "public.t has 2000 rows, 2001 were backed up."
    assert "lost" in index
    assert "missing" in index
    assert verification.to_json()["verified"] is False


async def test_what_cannot_be_restored_is_not_verified(
    database: str, place: Folder, programs: tuple[Programs, ...], scratch: ScratchServers, tmp_path: Path
) -> None:
    """A check that leans on the search path: PostgreSQL dumps it without complaint and cannot load the rows."""
    with psycopg.connect(database) as connection:
        connection.execute("CREATE FUNCTION inner_one(i int) RETURNS boolean LANGUAGE sql AS 'SELECT i > 0'")
        connection.execute(
            "CREATE FUNCTION fine(i int) RETURNS boolean LANGUAGE plpgsql AS 'BEGIN RETURN inner_one(i); END'"
        )
        connection.execute("CREATE TABLE t (i int CHECK (fine(i)))")
        connection.execute("INSERT INTO t VALUES (1)")
    manifest = await take_backup(database, place, programs)
    verification = await verify(manifest, place, scratch, programs, tmp_path, Watch())
    assert not verification.verified
    (problem,) = verification.problems
    assert "cannot be restored" in problem
    assert "inner_one" in problem


async def test_missing_extensions_are_named(
    small: str, place: Folder, programs: tuple[Programs, ...], scratch: ScratchServers, tmp_path: Path
) -> None:
    manifest = await take_backup(small, place, programs)
    asking = manifest.model_copy(update={"extensions": (UsedExtension(name="postgis", version="3.5"),)})
    with pytest.raises(ExtensionsMissing, match="postgis"):
        await verify(asking, place, scratch, programs, tmp_path, Watch())


async def test_only_an_empty_database_is_restored_into(
    small: str, database15: str, place: Folder, programs: tuple[Programs, ...], tmp_path: Path
) -> None:
    manifest = await take_backup(small, place, programs)
    async with checked_dump(place, manifest, tmp_path) as file:
        with pytest.raises(Conflict, match="not empty"):
            await restore(file, manifest, small, programs, Watch(), server_major=17)
    with psycopg.connect(small) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (2000,)


async def test_a_cancelled_verification_leaves_no_scratch_database(
    small: str, place: Folder, programs: tuple[Programs, ...], scratch: ScratchServers, tmp_path: Path
) -> None:
    manifest = await take_backup(small, place, programs)
    begun = asyncio.Event()

    async def group(_: int) -> None:
        begun.set()

    task = asyncio.create_task(
        verify(manifest, place, scratch, programs, tmp_path, Watch(on_process_group=group))
    )
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    # The server went with it; what is left is the folder of this process.
    assert scratch.running == 0


async def test_the_schema_beside_the_dump(small: str, place: Folder, programs: tuple[Programs, ...]) -> None:
    manifest = await take_backup(small, place, programs)
    assert from_json(to_json(manifest)) == manifest
    schema = await read_backup_schema(place, manifest)
    assert [table.name for table in schema.tables] == ["t"]
    place.path(keys(manifest).schema).write_bytes(b"{}")
    with pytest.raises(BackupInvalid, match="digest"):
        await read_backup_schema(place, manifest)
