"""Our backup (one snapshot, exact row counts, schema and fingerprint, digest, manifest, fsync) against pg_dump.

The floor is the same pg_dump with the same options into a file, which it fsyncs too. pg_dump's own default
compression (gzip) is run beside them. About 160 MB of rows that compress as text and numbers do.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import psycopg

from bench.contest import Contender, contest, say
from bench.servers import Bench, benching, programs
from web.backups.places import Folder
from web.backups.reporting import Watch
from web.backups.take import Source, take
from web.postgres.connections import connect
from web.postgres.dump import dump_database

ROWS = 500_000
COMPRESSION = "zstd:1"


async def main() -> None:
    """Measure and print."""
    async with benching() as bench:
        url = bench.database(
            "backed_up",
            "CREATE TABLE patients AS SELECT n AS id, md5(n::text) AS name, 'street ' || n % 5000 AS street, "
            f"now() - n * interval '1 minute' AS born FROM generate_series(1, {ROWS}) n",
            "CREATE TABLE visits AS SELECT n AS id, n % 70000 AS patient, gen_random_uuid() AS reference, "
            f"repeat('came with a cough. ', n % 5) AS note FROM generate_series(1, {2 * ROWS}) n",
            "ALTER TABLE patients ADD PRIMARY KEY (id)",
            "CREATE INDEX ON visits (patient)",
            "VACUUM ANALYZE",
        )
        await compare(bench, url)


async def compare(bench: Bench, url: str) -> None:
    """Let them run against each other."""
    place = bench.folder / "backups"
    file = bench.folder / "bare.dump"
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
    assert row is not None

    async def dump(compress: str | None) -> None:
        await dump_database(programs(), url, file, server_major=17, compress=compress)

    async def ours() -> None:
        async with connect(url) as connection:
            manifest = await take(
                connection, Source("clinic", "dev", url), Folder(place), uuid4(), programs(), Watch()
            )
        assert manifest.compression == COMPRESSION
        assert manifest.rows == 3 * ROWS

    await dump(COMPRESSION)
    say(f"  database {row[0] / 1e6:.0f} MB, dump {file.stat().st_size / 1e6:.0f} MB with {COMPRESSION}")
    await contest(
        [
            Contender(f"bare pg_dump, {COMPRESSION}", lambda: dump(COMPRESSION)),
            Contender("our backup", ours),
            Contender("bare pg_dump, its default", lambda: dump(None)),
        ],
        rounds=5,
    )
    remove(place)


def remove(folder: Path) -> None:
    """Forget the backups that were taken."""
    shutil.rmtree(folder)
