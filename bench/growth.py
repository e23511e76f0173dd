"""Growth of the store by an environment of 100 tables: 360 looks (a quarter of a day) as jobs, run by the engine.

After a first look and after the 360 the store is vacuumed and measured: rows and bytes of every table that grew.
Looks are forgotten as the schedule does it. Then one column is added, and the look that finds it is measured too.
"""

from __future__ import annotations

import time

import psycopg
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.contest import say
from bench.observation import ddl
from bench.servers import benching, programs
from tests.configured import configuration, environment, project
from tests.tools.written import execute, migration, write_project
from web.config import Configuration
from web.jobs.execution import Execution
from web.jobs.job import BY_SCHEDULE
from web.jobs.kind import Kinds
from web.jobs.loading import Equipment
from web.jobs.queue import withdraw
from web.jobs.resources import Resources
from web.jobs.start import start
from web.observation.witness import witness
from web.operations import KINDS
from web.operations.observe import OBSERVE
from web.postgres.scratch import ScratchServers
from web.store.database import open_store
from web.upkeep.forgetting import forget

LOOKS = 360
Sizes = dict[str, tuple[int, int]]


async def main() -> None:
    """Measure and print."""
    async with benching() as bench:
        statements = ddl(100)
        url = bench.database("observed", *statements)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
            connection.execute("INSERT INTO alembic_version VALUES ('a')")
        folder = bench.folder / "project"
        tool = write_project(folder, {"a": migration("a", None, execute(*statements))})
        made = configuration(bench.folder, project(folder, tool, environment(bench.folder, url)))
        scratch = ScratchServers(bench.folder / "scratch", {}, programs())
        place = await bench.store()
        store = open_store(place.runtime_url)
        equipment = Equipment(store, made, Kinds(KINDS), Resources(programs(), scratch), "bench", witness)
        await look(equipment, made)
        first = await sizes(store, place.owner_url)
        cpu, began = time.process_time(), time.perf_counter()
        for _ in range(LOOKS):
            await look(equipment, made)
        cpu, seconds = time.process_time() - cpu, time.perf_counter() - began
        say(f"  one look as a job: {1000 * seconds / LOOKS:.0f} ms, {1000 * cpu / LOOKS:.0f} ms of our CPU")
        unchanged = await sizes(store, place.owner_url)
        tell(f"{LOOKS} looks that found nothing new", first, unchanged)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER TABLE t0001 ADD COLUMN hotfix text")
        await look(equipment, made)
        tell("one look that found a new column", unchanged, await sizes(store, place.owner_url))
        await store.dispose()
        await scratch.stop()


async def look(equipment: Equipment, configuration: Configuration) -> None:
    """One look as a job of the schedule."""
    async with equipment.store.begin() as connection:
        job_id = await start(
            connection,
            OBSERVE,
            environment=configuration.environment("clinic", "dev"),
            parameters=OBSERVE.parameters(),
            requested_by=BY_SCHEDULE,
        )
        await withdraw(connection, job_id)
    await Execution(equipment, job_id).run()


async def sizes(store: AsyncEngine, owner_url: str) -> Sizes:
    """Forget, vacuum, and measure: rows and bytes with indexes by table."""
    async with store.begin() as connection:
        # At once, what the schedule does after ten minutes.
        await connection.execute(text("DELETE FROM job WHERE requested_by = 'schedule'"))
    await forget(store)
    with psycopg.connect(owner_url, autocommit=True) as connection:
        connection.execute("VACUUM (FULL, ANALYZE)")
        names = connection.execute(
            "SELECT relname, pg_total_relation_size(oid) FROM pg_class"
            " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
        ).fetchall()
        found = {}
        for name, size in names:
            row = connection.execute(f'SELECT count(*) FROM "{name}"'.encode()).fetchone()
            assert row is not None
            found[name] = (row[0], size)
    return found


def tell(title: str, before: Sizes, after: Sizes) -> None:
    """Print what grew."""
    total = sum(size for _, size in after.values()) - sum(size for _, size in before.values())
    say(f"  {title}: {total / 1000:+.0f} kB")
    for name, (rows, size) in after.items():
        if (rows, size) != before[name]:
            say(f"    {name}: {rows - before[name][0]:+} rows, {(size - before[name][1]) / 1000:+.0f} kB")
