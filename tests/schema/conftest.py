"""Databases for change cases, on servers that have the roles that cases name.

Making and dropping a database costs more than a case, so one is used again after it was emptied and seen to
be as it was made; a case that leaves something behind gets it replaced.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable
from typing import Any

import psycopg
import pytest
import pytest_asyncio
from psycopg import sql

from tests.conftest import ServerOf
from tests.schema.case import ROLES
from web.postgres.embedded import EmbeddedServer

EMPTY = """
do $$
declare item record;
begin
  for item in select evtname from pg_event_trigger loop
    execute format('drop event trigger %I', item.evtname);
  end loop;
  for item in select pubname from pg_publication loop
    execute format('drop publication %I', item.pubname);
  end loop;
  for item in select extname from pg_extension where extname <> 'plpgsql' loop
    execute format('drop extension if exists %I cascade', item.extname);
  end loop;
  for item in select fdwname from pg_foreign_data_wrapper loop
    execute format('drop foreign data wrapper %I cascade', item.fdwname);
  end loop;
  for item in select nspname from pg_namespace
    where nspname !~ '^pg_' and nspname not in ('information_schema', 'public')
  loop
    execute format('drop schema %I cascade', item.nspname);
  end loop;
  -- Dropping a schema has all plans made anew, so this one is kept where it is as it was made.
  if (select (nspowner::regrole::text, nspacl::text, obj_description(oid, 'pg_namespace'))
        = ('pg_database_owner', '{pg_database_owner=UC/pg_database_owner,=U/pg_database_owner}',
           'standard public schema') from pg_namespace where nspname = 'public') then
    for item in select i.type, i.identity
      from pg_depend, pg_identify_object(classid, objid, 0) i
      where refclassid = 'pg_namespace'::regclass and refobjid = 'public'::regnamespace and deptype = 'n'
    loop
      if item.identity is not null then
        execute format('drop %s if exists %s cascade',
                       case item.type when 'composite type' then 'type' when 'statistics object' then 'statistics'
                                      else item.type end, item.identity);
      end if;
    end loop;
  else
    drop schema if exists public cascade;
    create schema public authorization pg_database_owner;
    grant usage on schema public to public;
    comment on schema public is 'standard public schema';
  end if;
end $$;
"""
#: For each of its sessions. A plan with parameters would be made five times before one is kept.
SESSION = "set client_min_messages = error; set plan_cache_mode = force_generic_plan;"


#: What there is of all that cases make; the last three are what EMPTY cannot undo.
STATE = """
select (select count(*) from pg_class where oid >= 16384), (select count(*) from pg_type where oid >= 16384),
       (select count(*) from pg_proc where oid >= 16384), (select count(*) from pg_cast where oid >= 16384),
       (select count(*) from pg_language), (select count(*) from pg_default_acl),
       (select count(*) from pg_db_role_setting s where s.setdatabase = d.oid),
       d.datacl::text, shobj_description(d.oid, 'pg_database')
  from pg_database d where datname = current_database()
"""


class CaseDatabase:
    """One database of a server, handed out empty again and again over one connection."""

    def __init__(self, server: EmbeddedServer) -> None:
        self._server = server
        self._made: tuple[Any, ...] | None = None
        self.connection: psycopg.AsyncConnection[Any] | None = None

    async def get(self) -> psycopg.AsyncConnection[Any]:
        """Give a connection to an empty database."""
        if self.connection is None:
            name = sql.Identifier(f"case_{uuid.uuid4().hex}")
            async with await psycopg.AsyncConnection.connect(
                self._server.url(), autocommit=True
            ) as connection:
                await connection.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
            url = self._server.url(name.as_string().strip('"'))
            self.connection = await psycopg.AsyncConnection.connect(url, autocommit=True)
            # psycopg forgets all prepared statements at a DROP, ALTER or ROLLBACK that it may prepare itself.
            self.connection.prepare_threshold = None
            await self.connection.execute(SESSION)
            self._made = await self._state(self.connection)
        return self.connection

    async def empty(self) -> None:
        """Empty the database, or have the next one made where that does not make it as it was."""
        if self.connection is None:
            return
        try:
            await self.connection.execute("reset all;" + SESSION + EMPTY)
            if await self._state(self.connection) == self._made:
                return
        except psycopg.Error:
            pass
        await self.drop()

    async def drop(self) -> None:
        """Drop the database."""
        if self.connection is not None:
            name = sql.Identifier(self.connection.info.dbname)
            await self.connection.close()
            async with await psycopg.AsyncConnection.connect(
                self._server.url(), autocommit=True
            ) as connection:
                await connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))
            self.connection = None

    async def _state(self, connection: psycopg.AsyncConnection[Any]) -> tuple[Any, ...] | None:
        return await (await connection.execute(STATE)).fetchone()


@pytest.fixture(scope="session")
def server_with_roles_of(server_of: ServerOf) -> ServerOf:
    """Servers with the roles that cases name."""
    return lambda major: _with_roles(server_of(major))


@pytest.fixture(scope="session")
def server_with_roles(server_with_roles_of: ServerOf) -> EmbeddedServer:
    """The PostgreSQL 17 server with those roles."""
    return server_with_roles_of(17)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def case_database_of(server_with_roles_of: ServerOf) -> AsyncIterator[Callable[[int], CaseDatabase]]:
    """By major version the database that cases take turns in, used again and again."""
    made: dict[int, CaseDatabase] = {}

    def case_database_of(major: int) -> CaseDatabase:
        if major not in made:
            made[major] = CaseDatabase(server_with_roles_of(major))
        return made[major]

    yield case_database_of
    for database in made.values():
        await database.drop()


@pytest_asyncio.fixture(loop_scope="module")
async def case_database(
    request: pytest.FixtureRequest, case_database_of: Callable[[int], CaseDatabase]
) -> AsyncIterator[CaseDatabase]:
    """An empty database on PostgreSQL 17, or on the major that the test is parametrized with."""
    database = case_database_of(getattr(request, "param", 17))
    yield database
    await database.empty()


@pytest_asyncio.fixture(loop_scope="module")
async def case_connection(case_database: CaseDatabase) -> psycopg.AsyncConnection[Any]:
    """A connection to that database; tests that use it run on their module's loop."""
    return await case_database.get()


def _with_roles(server: EmbeddedServer) -> EmbeddedServer:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        known = {row[0] for row in connection.execute("SELECT rolname FROM pg_roles")}
        for role in ROLES:
            if role not in known:
                connection.execute(sql.SQL("CREATE ROLE {}").format(sql.Identifier(role)))
    return server
