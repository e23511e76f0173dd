"""Sessions that project code opens by a driver alone: each is looked at before its first statement."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.conftest import fresh_database
from tests.tools.foreign import foreign
from tests.tools.runs import Told, ask, run_upgrade
from tests.tools.written import migration, write_project
from web.config import AlembicSettings
from web.postgres.embedded import EmbeddedServer
from web.postgres.urls import libpq_url, parameters
from web.tools.ending import UpgradeStopped
from web.tools.events import Connected

PSYCOPG2 = """
import psycopg2
connection = psycopg2.connect({libpq!r})
connection.cursor().execute("CREATE TABLE mark ()")
connection.commit()
"""
POOLED = """
import psycopg2.pool
psycopg2.pool.SimpleConnectionPool(1, 2, {libpq!r})
"""
ASYNCHRONOUS = """
import psycopg2
psycopg2.connect({libpq!r}, async_=1)
"""
ASYNCPG = """
import asyncio, asyncpg
async def main():
    connection = await asyncpg.connect({libpq!r})
    await connection.execute("CREATE TABLE mark ()")
def run():
    asyncio.run(main())
import threading
caught = []
def guarded():
    try:
        run()
    except BaseException as error:
        caught.append(error)
thread = threading.Thread(target=guarded)
thread.start()
thread.join()
if caught:
    raise caught[0]
"""
ASYNCPG_POOL = ASYNCPG.replace(
    "await asyncpg.connect({libpq!r})", "await (await asyncpg.create_pool({libpq!r}, min_size=1)).acquire()"
)
PSYCOPG = """
import psycopg
psycopg.connect({libpq!r}, autocommit=True).execute("CREATE TABLE mark ()")
"""
PSYCOPG_CLASS = """
from psycopg import Connection
class Mine(Connection):
    pass
from psycopg.rows import dict_row
Mine.connect({libpq!r}, autocommit=True, row_factory=dict_row).execute("CREATE TABLE mark ()")
"""
PSYCOPG_PROBED = """
import importlib.util
importlib.util.find_spec("psycopg")
import psycopg
psycopg.connect({libpq!r}, autocommit=True).execute("CREATE TABLE mark ()")
"""
PG8000 = """
import pg8000.dbapi
from sqlalchemy.engine import make_url
url = make_url({libpq!r})
socket = "{}/.s.PGSQL.{}".format(url.query["host"], url.query["port"])
connection = pg8000.dbapi.connect(
    url.username, password=url.password, database=url.database, unix_sock=socket
)
connection.cursor().execute("CREATE TABLE mark ()")
connection.commit()
"""
#: Environment (None: ours) and code.
DIRECT = {
    "psycopg": (None, PSYCOPG),
    "psycopg, a class of its own": (None, PSYCOPG_CLASS),
    "psycopg, probed before": (None, PSYCOPG_PROBED),
    "psycopg2": ("oldest", PSYCOPG2),
    "psycopg2, a pool": ("oldest", POOLED),
    "asyncpg": ("oldest", ASYNCPG),
    "asyncpg, a pool": ("oldest", ASYNCPG_POOL),
    "pg8000": ("pg8000", PG8000),
}


def as_often_as_usual(url: str) -> str:
    """The same database for a superuser whose password is hashed 4,096 times, the least that pg8000 takes."""
    with psycopg.connect(url, autocommit=True) as connection, suppress(psycopg.errors.DuplicateObject):
        connection.execute("SET scram_iterations = 4096")
        connection.execute("CREATE ROLE usual SUPERUSER LOGIN PASSWORD 'usual'")
    return libpq_url({**parameters(url), "user": "usual", "password": "usual"})


def tool_for(folder: Path, name: str | None, code: str, url: str) -> AlembicSettings:
    if name == "pg8000":
        url = as_often_as_usual(url)
    body = code.replace("{libpq!r}", repr(url))
    if name is None:
        return write_project(folder, {"a": migration("a", None, body)})
    python = foreign(name).python
    tool = write_project(folder, {"a": migration("a", None, body)})
    return replace(tool, python=python, url_driver="postgresql+psycopg2")


@pytest.mark.parametrize("name", DIRECT)
async def test_elsewhere_is_refused(tmp_path: Path, server: EmbeddedServer, database: str, name: str) -> None:
    environment, code = DIRECT[name]
    with fresh_database(server) as other:
        with pytest.raises(UpgradeStopped, match="this run may open shop/dev only"):
            await run_upgrade(tmp_path, tool_for(tmp_path, environment, code, other), database)
        assert await ask(other, "SELECT to_regclass('mark')") == [None]


@pytest.mark.parametrize("name", [each for each in DIRECT if "pool" not in each])
async def test_the_named_database_is_open_to_all(tmp_path: Path, database: str, name: str) -> None:
    environment, code = DIRECT[name]
    assert (
        await run_upgrade(tmp_path, tool_for(tmp_path, environment, code, database), database)
    ).applied == ("a",)
    assert await ask(database, "SELECT to_regclass('mark')::text") == ["mark"]


async def test_a_session_that_cannot_be_looked_at_is_refused(tmp_path: Path, database: str) -> None:
    with pytest.raises(UpgradeStopped, match="psycopg2's asynchronous ones"):
        await run_upgrade(tmp_path, tool_for(tmp_path, "oldest", ASYNCHRONOUS, database), database)


async def test_every_session_is_known_to_whoever_ends_them(tmp_path: Path, database: str) -> None:
    """Also those of a bare driver: a reaper goes by them."""
    told = Told()
    await run_upgrade(tmp_path, tool_for(tmp_path, None, PSYCOPG, database), database, told)
    assert len(told.of(Connected)) == 2
