"""A backup is taken and verified on real servers: everything that a database can hold comes back."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import psycopg
import pytest

from tests.backups.backups import Told, files_in, take_backup
from web.backups.catalog import list_backups, read_manifest, remove_backup, sweep
from web.backups.places import Folder, open_place
from web.backups.reporting import Watch
from web.backups.restore import read_backup_schema
from web.backups.verify import verify
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs, client_for
from web.postgres.scratch import ScratchServers
from web.postgres.urls import with_database
from web.schema.fingerprint import fingerprint


@pytest.mark.parametrize("fixture", ["nasty", "nasty15"])
async def test_everything_comes_back(
    fixture: str,
    request: pytest.FixtureRequest,
    place: Folder,
    programs: tuple[Programs, ...],
    scratch: ScratchServers,
    tmp_path: Path,
) -> None:
    url = request.getfixturevalue(fixture)
    told, verified = Told(), Told()
    manifest = await take_backup(url, place, programs, Watch(told))

    major = 15 if fixture == "nasty15" else 17
    assert manifest.server_major == major
    assert manifest.client_version == client_for(major, programs).version
    assert manifest.compression == ("1" if major == 15 else "zstd:1")
    assert {"backup_owner", "backup_reader", "postgres"} <= set(manifest.roles)
    assert manifest.rows > 10_000
    assert told.measures[-1] == (manifest.rows, manifest.rows, "rows")
    assert all(done <= (total or 0) for done, total, _ in told.measures)

    assert await list_backups(place, "clinic", "dev") == (manifest.id,)
    assert await read_manifest(place, "clinic", "dev", manifest.id) == manifest
    schema = await read_backup_schema(place, manifest)
    assert fingerprint(schema) == manifest.fingerprint == manifest.dump_schema.sha256
    dump = next(place.root.rglob("*.dump")).read_bytes()
    assert (len(dump), sha256(dump).hexdigest()) == (manifest.dump.size, manifest.dump.sha256)

    verification = await verify(manifest, place, scratch, programs, tmp_path, Watch(verified))
    assert verification.problems == ()
    assert verification.notes == ()
    assert verification.verified
    assert verification.rows == manifest.rows
    assert (manifest.rows, manifest.rows, "rows") in verified.measures

    await remove_backup(place, "clinic", "dev", manifest.id)
    assert files_in(place.root) == []
    assert await sweep(place, "clinic", "dev") == 0


async def test_through_an_object_store(
    database: str, programs: tuple[Programs, ...], scratch: ScratchServers, tmp_path: Path
) -> None:
    with psycopg.connect(database) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT i, repeat(md5(i::text), 9) FROM generate_series(1, 9000) i"
        )
    (tmp_path / "bucket").mkdir()
    place = open_place(f"file://{tmp_path}/bucket")
    manifest = await take_backup(database, place, programs)
    assert await list_backups(place, "clinic", "dev") == (manifest.id,)
    verification = await verify(manifest, place, scratch, programs, tmp_path / "brought", Watch())
    assert verification.problems == ()
    assert files_in(tmp_path / "brought") == []


HOSTILE = [
    'it\'s "quoted" 🦄',
    "host=127.0.0.1 dbname=postgres",
    "postgresql://x:y@h/d",
    "-c",
    "a\nb",
    "%s {}",
]


@pytest.mark.parametrize("name", HOSTILE)
async def test_hostile_names_of_databases(
    name: str, server: EmbeddedServer, place: Folder, programs: tuple[Programs, ...]
) -> None:
    identifier = psycopg.sql.Identifier(name)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(psycopg.sql.SQL("CREATE DATABASE {}").format(identifier))
    try:
        url = with_database(server.url(), name)
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE here AS SELECT 1")
        manifest = await take_backup(url, place, programs)
        assert manifest.database == name
        assert [(table.table, table.rows) for table in manifest.tables] == [("here", 1)]
    finally:
        with psycopg.connect(server.url(), autocommit=True) as connection:
            connection.execute(psycopg.sql.SQL("DROP DATABASE {} WITH (FORCE)").format(identifier))


async def test_an_empty_database(
    database: str, place: Folder, programs: tuple[Programs, ...], scratch: ScratchServers, tmp_path: Path
) -> None:
    manifest = await take_backup(database, place, programs)
    assert (manifest.tables, manifest.rows, manifest.revisions) == ((), 0, None)
    assert (await verify(manifest, place, scratch, programs, tmp_path, Watch())).verified
