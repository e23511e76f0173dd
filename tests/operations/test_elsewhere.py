"""Projects whose code connects where it likes: nothing but the named database is ever written.

Each is pressed in every way on one environment, while another database, its production, stands beside it.
"""

from __future__ import annotations

from dataclasses import replace

import psycopg
import pytest

from tests.conftest import fresh_database
from tests.operations.conftest import Site, outcome
from web.jobs.kind import AnyKind
from web.operations.adopt import ADOPT
from web.operations.compare import COMPARE
from web.operations.migrate import MIGRATE
from web.operations.observe import OBSERVE
from web.operations.plan_revert import PLAN_REVERT
from web.operations.rehearse import REHEARSE
from web.operations.reset import RESET
from web.operations.stamp import STAMP
from web.postgres.embedded import EmbeddedServer
from web.postgres.scratch import ScratchServers
from web.postgres.urls import sqlalchemy_url

#: env.py files that ignore what they are given. {url} is production's in SQLAlchemy's form, {libpq} in libpq's.
ENGINE = """
from alembic import context
from sqlalchemy import create_engine, pool
with create_engine({url!r}, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
CREATOR = """
import psycopg
from alembic import context
from sqlalchemy import create_engine, pool
engine = create_engine("postgresql+psycopg://", poolclass=pool.NullPool, creator=lambda: psycopg.connect({libpq!r}))
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC = """
import asyncio
from alembic import context
from sqlalchemy import pool
from sqlalchemy.ext.asyncio import create_async_engine

def run(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine({url!r}, poolclass=pool.NullPool)
    async with engine.connect() as connection:
        await connection.run_sync(run)
        await connection.commit()

asyncio.run(main())
"""
#: Two databases in turn, as Alembic's template `multidb` does it: the named one first.
SEVERAL = """
from alembic import context
from sqlalchemy import create_engine, pool
for url in (context.config.get_main_option("sqlalchemy.url"), {url!r}):
    with create_engine(url, poolclass=pool.NullPool).connect() as connection:
        context.configure(connection=connection)
        with context.begin_transaction():
            context.run_migrations()
"""
#: A session beside the one of the migrations, by the driver alone, whose refusal is swallowed.
DIRECT = """
import psycopg
from alembic import context
from sqlalchemy import create_engine, pool
try:
    with psycopg.connect({libpq!r}, autocommit=True) as second:
        second.execute("UPDATE orders SET n = 0")
except Exception as error:
    print("swallowed", error)
url = context.config.get_main_option("sqlalchemy.url")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
#: Another program, which no hook sees.
PROGRAM = """
import subprocess, sys
code = "import psycopg; psycopg.connect({libpq!r}, autocommit=True).execute('UPDATE orders SET n = 0')"
subprocess.run([sys.executable, "-S", "-c", "import sys; sys.path[:] = " + repr(sys.path) + "; " + code])
from alembic import context
from sqlalchemy import create_engine, pool
url = context.config.get_main_option("sqlalchemy.url")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""
ENVIRONMENTS = {
    "engine": ENGINE,
    "creator": CREATOR,
    "async": ASYNC,
    "several": SEVERAL,
    "direct": DIRECT,
    "program": PROGRAM,
}
#: Those that never come to the database that they are given.
ELSEWHERE_ONLY = ("engine", "creator", "async")
#: What a person can press, each with its parameters. In scratch nothing gets out, hooks or not.
IN_SCRATCH: dict[str, tuple[AnyKind, dict[str, object]]] = {
    "observe": (OBSERVE, {}),
    "rehearse": (REHEARSE, {}),
    "plan-revert": (PLAN_REVERT, {}),
    "adopt": (ADOPT, {"message": "what is there"}),
    "compare": (COMPARE, {"a": "clinic/dev", "b": "clinic@head"}),
}
ON_TARGET: dict[str, tuple[AnyKind, dict[str, object]]] = {
    "migrate": (MIGRATE, {}),
    "stamp": (STAMP, {"revision": "c"}),
    # Last: it leaves the database empty and in doubt.
    "reset": (RESET, {}),
}


@pytest.fixture
def site(site: Site, scratch: ScratchServers) -> Site:
    """As the product comes: private scratch servers, and no project that runs without a wall."""
    site.resources = replace(site.resources, scratch=scratch)
    clinic = replace(site.configuration.project("clinic"), without_wall=False)
    site.configuration = replace(site.configuration, projects={"clinic": clinic})
    return site


@pytest.fixture
def production(server: EmbeddedServer) -> object:
    """A database that nobody names."""
    with fresh_database(server) as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE orders (n int)")
            connection.execute("CREATE TABLE users (id int, email text)")
            connection.execute("INSERT INTO orders SELECT generate_series(1, 50)")
            connection.execute(
                "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a')"
            )
        yield url


def contents(url: str) -> list[tuple[object, ...]]:
    """All that is in a database which the code could have changed."""
    with psycopg.connect(url, autocommit=True) as connection:
        rows = connection.execute("SELECT sum(n), count(*) FROM orders").fetchall()
        rows += connection.execute("SELECT version_num FROM alembic_version").fetchall()
        rows += connection.execute(
            "SELECT c.relname::text, a.attname::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid "
            "WHERE c.relnamespace = 'public'::regnamespace AND a.attnum > 0 ORDER BY 1, 2"
        ).fetchall()
        return rows


def write_environment(site: Site, name: str, url: str) -> None:
    text = ENVIRONMENTS[name].replace("{url!r}", repr(sqlalchemy_url(url))).replace("{libpq!r}", repr(url))
    (site.folder / "migrations" / "env.py").write_text(text)


@pytest.mark.parametrize("name", ENVIRONMENTS)
async def test_whatever_is_pressed_production_stays_as_it_is(site: Site, production: str, name: str) -> None:
    before = contents(production)
    await site.observe()
    await site.back_up()
    write_environment(site, name, production)
    for kind, parameters in IN_SCRATCH.values():
        await site.run(kind, **parameters)
        assert contents(production) == before, kind.name
    for kind, parameters in ON_TARGET.values():
        if name != "program":  # named in the dialog: on a target nobody sees what another program opens
            job = await site.run(kind, **parameters)
            assert contents(production) == before, kind.name
            if name in ELSEWHERE_ONLY:
                assert job.state != "succeeded", outcome(job)


@pytest.mark.parametrize("name", ELSEWHERE_ONLY)
async def test_a_rehearsal_says_which_two_databases(site: Site, production: str, name: str) -> None:
    await site.observe()
    write_environment(site, name, production)
    told = outcome(await site.run(REHEARSE))
    database = psycopg.conninfo.conninfo_to_dict(production)["dbname"]
    assert f"tried to connect to “{database}” on " in str(told)
    assert "this run may open the scratch database only" in str(told)


async def test_a_migrate_names_both_databases(site: Site, production: str) -> None:
    await site.observe()
    write_environment(site, "several", production)
    told = outcome(await site.run(MIGRATE))
    database = psycopg.conninfo.conninfo_to_dict(production)["dbname"]
    assert f"opened a session on the database “{database}”" in str(told)
    assert "this run may open clinic/dev only" in str(told)
