"""One contender of the bench `schema`, once, in a process of its own: `python -m bench.schema_reader NAME URL`.

Prints what it took as JSON: seconds (without starting Python), the largest resident size in MB, and a count of
what it found. It runs in the environment of foreign tools too, so it imports only what its contender needs.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Found = tuple[float, int]


def bare(url: str) -> Found:
    """The SQL of a snapshot on a fresh connection, its results received and not decoded."""
    from web.postgres.connections import connect
    from web.schema.snapshot import QUERIES, pin, query, server_major

    async def run() -> Found:
        began, rows = time.perf_counter(), 0
        async with (
            connect(url) as connection,
            connection.transaction(),
            connection.cursor(binary=True) as cursor,
        ):
            await cursor.execute("set transaction isolation level repeatable read, read only")
            await pin(cursor)
            for name in QUERIES:
                await cursor.execute(query(name, server_major(connection)))
                rows += cursor.rowcount
        return time.perf_counter() - began, rows

    return asyncio.run(run())


def snapshot(url: str) -> Found:
    """A decoded schema, over one connection."""
    from web.postgres.connections import connect
    from web.schema.snapshot import read_schema

    async def run() -> Found:
        began = time.perf_counter()
        async with connect(url) as connection:
            schema = await read_schema(connection)
        return time.perf_counter() - began, len(schema.tables)

    return asyncio.run(run())


def snapshot_and_difference(url: str) -> Found:
    """A decoded schema and its difference from one that is known and has 10 tables otherwise."""
    from web.schema.difference import difference

    async def run() -> Found:
        known = _with_ten_changes(await _read(url))
        began = time.perf_counter()
        found = difference(known, await _read(url))
        return time.perf_counter() - began, len(found)

    return asyncio.run(run())


def snapshot_and_difference_on_two(url: str) -> Found:
    """The same over two connections that share a snapshot."""
    from web.postgres.connections import connect
    from web.schema.difference import difference
    from web.schema.sharing import read_schema_beside

    async def run() -> Found:
        known = _with_ten_changes(await _read(url))
        began = time.perf_counter()
        async with connect(url) as one, connect(url) as other:
            found = difference(known, await read_schema_beside(one, other))
        return time.perf_counter() - began, len(found)

    return asyncio.run(run())


def refreshed(url: str) -> Found:
    """Columns are added to 10 tables, and what is kept is brought up to date; counts the columns then."""
    from web.postgres.connections import connect
    from web.schema.refresh import read_kept, refresh
    from web.schema.token import read_token

    async def run() -> Found:
        async with connect(url) as connection:
            kept = await read_kept(connection)
            step = max(1, len(kept.schema.tables) // 10)
            names = [table.identity for table in kept.schema.tables[::step]][:10]
            for name in names:
                await connection.execute(f"alter table {name} add column later int".encode())
        began = time.perf_counter()
        async with connect(url) as connection:
            await read_token(connection)
            found = await refresh(connection, kept)
        seconds = time.perf_counter() - began
        assert found.partial
        async with connect(url) as connection:
            for name in names:
                await connection.execute(f"alter table {name} drop column later".encode())
        return seconds, sum(len(table.columns) for table in found.schema.tables)

    return asyncio.run(run())


def differ(url: str) -> Found:
    """The difference of two decoded schemas, read apart, of which 10 tables differ."""
    from web.schema.difference import difference

    async def run() -> Found:
        known, actual = _with_ten_changes(await _read(url)), await _read(url)
        began = time.perf_counter()
        found = difference(known, actual)
        return time.perf_counter() - began, len(found)

    return asyncio.run(run())


def fingerprinting(url: str) -> Found:
    """The fingerprint of a decoded schema."""
    from web.schema.fingerprint import fingerprint

    async def run() -> Found:
        schema = await _read(url)
        began = time.perf_counter()
        fingerprint(schema)
        return time.perf_counter() - began, len(schema.tables)

    return asyncio.run(run())


def storing(url: str) -> Found:
    """JSON and compression, as the store keeps a schema, and the way back; counts the bytes."""
    import zlib

    from web.schema.serialize import from_json, to_json

    async def run() -> Found:
        schema = await _read(url)
        began = time.perf_counter()
        content = zlib.compress(to_json(schema))
        from_json(zlib.decompress(content))
        return time.perf_counter() - began, len(content)

    return asyncio.run(run())


def token(url: str) -> Found:
    """Has anything changed?"""
    from web.postgres.connections import connect
    from web.schema.token import read_token

    async def run() -> Found:
        began = time.perf_counter()
        async with connect(url) as connection:
            found = await read_token(connection)
        return time.perf_counter() - began, len(found)

    return asyncio.run(run())


def pg_dump(url: str) -> Found:
    """pg_dump --schema-only of the server's own major."""
    from web.postgres.programs import find_programs
    from web.postgres.urls import libpq_environment

    program = find_programs()[0].path("pg_dump")
    began = time.perf_counter()
    written = subprocess.run(
        [program, "--schema-only"],
        env={**os.environ, **libpq_environment(url)},
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    return time.perf_counter() - began, len(written)


def inspector(url: str) -> Found:
    """SQLAlchemy's get_multi_… methods, all of them."""
    from sqlalchemy import create_engine, inspect
    from sqlalchemy.engine.reflection import ObjectKind

    engine = create_engine(_driver(url))
    began = time.perf_counter()
    found = inspect(engine)
    kind = ObjectKind.ANY
    count = len(found.get_multi_columns(kind=kind))
    found.get_multi_pk_constraint(kind=kind)
    found.get_multi_foreign_keys(kind=kind)
    found.get_multi_indexes(kind=kind)
    found.get_multi_unique_constraints(kind=kind)
    found.get_multi_check_constraints(kind=kind)
    found.get_multi_table_comment(kind=kind)
    return time.perf_counter() - began, count


def reflection(url: str) -> Found:
    """MetaData.reflect."""
    from sqlalchemy import MetaData, create_engine

    engine, metadata = create_engine(_driver(url)), MetaData()
    began = time.perf_counter()
    metadata.reflect(engine)
    return time.perf_counter() - began, len(metadata.tables)


def compare_metadata(url: str) -> Found:
    """alembic's comparison with metadata that is already there."""
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from sqlalchemy import MetaData, create_engine

    engine = create_engine(_driver(url))
    metadata = MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        began = time.perf_counter()
        found = compare_metadata(MigrationContext.configure(connection), metadata)
        return time.perf_counter() - began, len(found)


def schemainspect(url: str) -> Found:
    """schemainspect's inspector."""
    from schemainspect import get_inspector
    from sqlalchemy import create_engine

    engine = create_engine(url)
    began = time.perf_counter()
    with engine.connect() as connection:
        found = get_inspector(connection)
    return time.perf_counter() - began, len(found.tables)


def migra(url: str) -> Found:
    """migra, both sides, which are one database here."""
    from migra import Migration
    from sqlalchemy import create_engine

    one, other = create_engine(url), create_engine(url)
    began = time.perf_counter()
    with one.connect() as a, other.connect() as b:
        found = Migration(a, b)
        found.set_safety(False)
        found.add_all_changes()
    return time.perf_counter() - began, len(found.statements)


CONTENDERS: dict[str, Callable[[str], Found]] = {
    each.__name__: each
    for each in (
        bare,
        snapshot,
        snapshot_and_difference,
        snapshot_and_difference_on_two,
        refreshed,
        differ,
        fingerprinting,
        storing,
        token,
        pg_dump,
        inspector,
        reflection,
        compare_metadata,
        schemainspect,
        migra,
    )
}


async def _read(url: str) -> Any:
    from web.postgres.connections import connect
    from web.schema.snapshot import read_schema

    async with connect(url) as connection:
        return await read_schema(connection)


def _with_ten_changes(schema: Any) -> Any:
    from dataclasses import replace

    tables = list(schema.tables)
    for number in range(0, len(tables), max(1, len(tables) // 10)):
        tables[number] = replace(tables[number], columns=tables[number].columns[:-1])
    return replace(schema, tables=tuple(tables))


def _driver(url: str) -> str:
    from web.postgres.connections import sqlalchemy_url

    return sqlalchemy_url(url, "postgresql+psycopg")


def _largest_size() -> int:
    """In kB. The system's own account of a process begins with what its parent had."""
    with Path("/proc/self/status").open() as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))


def main() -> None:
    """Run one contender."""
    name, url = sys.argv[1:]
    seconds, found = CONTENDERS[name](url)
    size = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss if name == "pg_dump" else _largest_size()
    sys.stdout.write(json.dumps({"seconds": seconds, "mb": size / 1024, "found": found}) + "\n")


if __name__ == "__main__":
    main()
