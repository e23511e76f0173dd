"""What an application's role should not have is found, whichever way it has it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from tests.conftest import ServerOf, fresh_database
from web.cutover.application_role import CheckedRole, check_role
from web.postgres.connections import connect
from web.postgres.embedded import EmbeddedServer

ROLES = ("app_role", "app_group", "app_owner", "app_super")
MANY_TABLES = """
DO $$ BEGIN
  FOR n IN 1..25 LOOP
    EXECUTE format('CREATE TABLE t%s ()', n);
    EXECUTE format('ALTER TABLE t%s OWNER TO app_role', n);
  END LOOP;
END $$
"""
#: By name: what is granted beyond the rights of an application, and what is said of it.
CASES: dict[str, tuple[str, str | None]] = {
    "what an application needs": (
        "GRANT ALL ON ALL TABLES IN SCHEMA public TO app_role; GRANT TEMPORARY ON DATABASE {database} TO app_role",
        None,
    ),
    "a harmless group": ("GRANT app_group TO app_role; GRANT SELECT ON users TO app_group", None),
    "a large object, which is data": ("SET ROLE app_role; SELECT lo_create(0)", None),
    "a table of its session": ("SET ROLE app_role; CREATE TEMPORARY TABLE t (id int)", None),
    "a table": ("ALTER TABLE users OWNER TO app_role", "app_role owns table public.users."),
    "a function": (
        "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'; ALTER FUNCTION f() OWNER TO app_role",
        "app_role owns function public.f().",
    ),
    "a type": (
        "CREATE TYPE mood AS ENUM ('a'); ALTER TYPE mood OWNER TO app_role",
        "app_role owns type public.mood.",
    ),
    "a schema": (
        "CREATE SCHEMA app AUTHORIZATION app_role",
        "app_role may create in the schema app. app_role owns schema app.",
    ),
    "create in a schema": (
        "GRANT CREATE ON SCHEMA public TO app_role",
        "app_role may create in the schema public.",
    ),
    "create for everybody": (
        "GRANT CREATE ON SCHEMA public TO PUBLIC",
        "app_role may create in the schema public.",
    ),
    "create in the database": (
        "GRANT CREATE ON DATABASE {database} TO app_role",
        "app_role may create schemas in the database {database}.",
    ),
    "a group that owns": (
        "GRANT app_owner TO app_group; GRANT app_group TO app_role; ALTER TABLE users OWNER TO app_owner",
        "app_owner, of which app_role is a member, owns table public.users.",
    ),
    "a group that it does not inherit from": (
        "ALTER ROLE app_role NOINHERIT; GRANT app_owner TO app_role; GRANT CREATE ON SCHEMA public TO app_owner",
        "app_owner, of which app_role is a member, may create in the schema public.",
    ),
    "a superuser": ("ALTER ROLE app_role SUPERUSER", "app_role is a superuser: it may do everything."),
    "a group that is a superuser": (
        "GRANT app_super TO app_role",
        "app_super, of which app_role is a member, is a superuser: it may do everything.",
    ),
    "the right to create roles": (
        "ALTER ROLE app_role CREATEROLE",
        "app_role may create roles, and so give itself what others may.",
    ),
    "more than anybody reads": (MANY_TABLES, "and 5 more."),
}


@contextmanager
def prepared(server: EmbeddedServer, statements: str) -> Iterator[tuple[str, psycopg.Connection]]:
    """A database with a table that somebody else owns, and the roles."""
    with fresh_database(server) as url, psycopg.connect(url, autocommit=True) as connection:
        for role in ROLES:
            connection.execute(f"CREATE ROLE {role} {'SUPERUSER' if role == 'app_super' else ''}")
        try:
            connection.execute("CREATE TABLE users (id int PRIMARY KEY)")
            database = connection.info.dbname
            for each in statements.split("; ") if "DO $$" not in statements else [statements]:
                connection.execute(each.format(database=f'"{database}"'))
            connection.execute("RESET ROLE")
            yield url, connection
        finally:
            connection.execute("RESET ROLE")
            for role in ROLES:
                connection.execute(f"DROP OWNED BY {role}")
            for role in ROLES:
                connection.execute(f"DROP ROLE {role}")


# Roles belong to the whole server: one after the other.
@pytest.mark.xdist_group("application role")
@pytest.mark.parametrize("name", CASES)
async def test_cases(name: str, server: EmbeddedServer) -> None:
    statements, said = CASES[name]
    with prepared(server, statements) as (url, held):
        async with connect(url, read_only=True) as connection:
            found = await check_role(connection, "production", "app_role")
        database = held.info.dbname
    assert CheckedRole.from_json(json.loads(json.dumps(found.to_json()))) == found
    if said is None:
        assert (found.state, found.rights) == ("met", ())
        assert "owns nothing" in found.account[0]
    else:
        assert found.state == "not met"
        assert " ".join(found.account).endswith(said.format(database=database))


async def test_a_role_that_is_not_there(server: EmbeddedServer) -> None:
    with fresh_database(server) as url:
        async with connect(url, read_only=True) as connection:
            found = await check_role(connection, "production", 'no "such" role; --')
    assert found.state == "not met"
    assert found.account == ('There is no role no "such" role; --.',)


@pytest.mark.xdist_group("application role")
@pytest.mark.parametrize("major", [14, 18])
async def test_on_the_oldest_and_the_newest_server(major: int, server_of: ServerOf) -> None:
    statements = "REVOKE CREATE ON SCHEMA public FROM PUBLIC; GRANT SELECT ON users TO app_role"
    with prepared(server_of(major), statements) as (url, held):
        async with connect(url, read_only=True) as connection:
            assert (await check_role(connection, "production", "app_role")).state == "met"
        # Everybody may, before PostgreSQL 15.
        held.execute("GRANT CREATE ON SCHEMA public TO PUBLIC")
        async with connect(url, read_only=True) as connection:
            assert (await check_role(connection, "production", "app_role")).state == "not met"
