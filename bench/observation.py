"""Observation of a database of 1,000 tables: 8 columns, 2 indexes, foreign key, check and default each, with enums,
views, functions and triggers, all made by one migration, so that nothing is drifted.

The floor executes the very SQL of a snapshot through psycopg on a fresh connection, results received and not
decoded. Against it: the snapshot with its decoding and fingerprint, the whole job (snapshot, facts, evidence,
comparison, store), and the look at a database in which nothing has changed (token and facts, no snapshot).
"""

from __future__ import annotations

from pathlib import Path

import psycopg

from bench.contest import Contender, contest, say
from bench.servers import Bench, benching, programs
from tests.configured import environment, project
from tests.tools.written import execute, migration, write_project
from web.config import Environment, Project
from web.observation.observe import observe
from web.postgres.connections import connect
from web.postgres.scratch import ScratchServers
from web.schema.fingerprint import fingerprint
from web.schema.snapshot import QUERIES, pin, query, read_schema, server_major
from web.schema.token import read_token
from web.store.database import open_store

TABLES = 1000


async def main() -> None:
    """Measure and print."""
    async with benching() as bench:
        statements = ddl(TABLES)
        url = bench.database("observed", *statements)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
            connection.execute("INSERT INTO alembic_version VALUES ('a')")
            connection.execute("ANALYZE")
        source, dev = written(bench.folder, url, statements)
        scratch = ScratchServers(bench.folder / "scratch", {}, programs())
        store = open_store((await bench.store()).runtime_url)

        async def look(*, full: bool) -> None:
            found = await observe(store, source, dev, scratch, full=full)
            assert found.drift.state == "none", found

        # The first look computes the expected schema, which is kept.
        await look(full=True)
        await compare(bench, url, look)
        await store.dispose()
        await scratch.stop()


async def compare(bench: Bench, url: str, look: object) -> None:
    """Let them run against each other."""
    assert callable(look)

    async def bare() -> None:
        async with (
            connect(url) as connection,
            connection.transaction(),
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute("set transaction isolation level repeatable read, read only")
            await pin(cursor)
            for name in QUERIES:
                await cursor.execute(query(name, server_major(connection)))

    async def snapshot() -> None:
        async with connect(url) as connection:
            fingerprint(await read_schema(connection))

    async def token() -> None:
        async with connect(url) as connection:
            await read_token(connection)

    await contest(
        [
            Contender("bare catalog queries", bare),
            Contender("snapshot, decoded, with fingerprint", snapshot),
            Contender("token alone", token),
            Contender("observation, everything read", lambda: look(full=True)),
            Contender("observation, nothing changed", lambda: look(full=False)),
        ],
        rounds=7,
        warm=1,
    )


def ddl(tables: int) -> list[str]:
    """A schema of so many tables in a few large statements."""
    made = [
        "CREATE TYPE mood AS ENUM ('good', 'bad')",
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
    ]
    for number in range(tables):
        name = f"t{number:04}"
        made.append(
            f"CREATE TABLE {name} (id bigint PRIMARY KEY, parent bigint REFERENCES t{number // 2:04} (id), "
            "code text NOT NULL DEFAULT 'x', mood mood, amount numeric(12,2) CHECK (amount >= 0), "
            "made timestamptz DEFAULT now(), note varchar(80), flags int[])"
        )
        made.append(f"CREATE INDEX {name}_code ON {name} (code)")
        if number % 10 == 0:
            made.append(
                f"CREATE VIEW v{number:04} AS SELECT id, upper(code) AS code FROM {name} WHERE amount > 0"
            )
            made.append(f"CREATE TRIGGER touch BEFORE UPDATE ON {name} FOR EACH ROW EXECUTE FUNCTION touch()")
    return made


def written(folder: Path, url: str, statements: list[str]) -> tuple[Project, Environment]:
    """A project whose one migration makes this schema."""
    tool = write_project(folder / "project", {"a": migration("a", None, execute(*statements))})
    dev = environment(folder, url)
    say(f"  {TABLES} tables, {len(statements)} statements in one migration")
    return project(folder / "project", tool, dev), dev
