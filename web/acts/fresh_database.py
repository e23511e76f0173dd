"""A fresh database beside another one, on its server: made like it, as far as the role may, and filled by no one.

What a database has of its own that no dump of it holds (owner, locale, tablespace, limits, settings, privileges,
comment) is read here and carried over; what could not be is named. Nothing here drops a database.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

import psycopg
from psycopg import sql

from web.errors import Conflict, PrivilegeMissing
from web.postgres.connections import Connection
from web.schema.difference import difference
from web.schema.model import Schema
from web.schema.names import quote
from web.schema.proof import SESSION
from web.schema.snapshot import read_schema
from web.schema.statements import statements

_PROVIDERS: Final = {"c": "libc", "i": "icu", "b": "builtin"}

# One row about this session's database and what its role may do for another one. Any role. PostgreSQL 14 and later:
# the whole row as JSON, because the columns of locales have other names in 15, 16 and 17.
_ORIGINAL: Final = """
SELECT pg_catalog.to_jsonb(d) - 'datacl', o.rolname::text, pg_catalog.pg_encoding_to_char(d.encoding)::text,
       t.spcname::text, r.rolname::text, r.rolcreatedb OR r.rolsuper,
       pg_catalog.pg_has_role(d.datdba, %(own)s), pg_catalog.has_tablespace_privilege(t.oid, 'CREATE')
  FROM pg_catalog.pg_database d
  JOIN pg_catalog.pg_roles o ON o.oid = d.datdba
  JOIN pg_catalog.pg_tablespace t ON t.oid = d.dattablespace
  JOIN pg_catalog.pg_roles r ON r.rolname = current_user
 WHERE d.datname = pg_catalog.current_database()
"""


@dataclass(frozen=True, slots=True)
class Original:
    """The database that another one is made like, and the role that makes it."""

    name: str
    owner: str
    encoding: str
    tablespace: str
    connection_limit: int
    is_template: bool
    #: As `pg_database` holds them, whatever their columns are called in this version.
    collate: str
    ctype: str
    provider: str
    locale: str | None
    icu_rules: str | None
    #: With its settings, privileges and comment; extensions and roles are read of it as well.
    schema: Schema
    role: str
    may_create: bool
    #: Whether the role may give a database to the owner, and put one into the tablespace.
    may_give: bool
    may_place: bool

    @property
    def owner_beside(self) -> str:
        """Who owns what is made."""
        return self.owner if self.may_give else self.role

    @property
    def placed(self) -> bool:
        """Whether a tablespace of its own is named; the usual one needs no privilege where it is not."""
        return self.tablespace != "pg_default" and self.may_place

    def left_behind(self) -> Iterator[str]:
        """What creating it does not carry over, in words."""
        if not self.may_give:
            yield f"the owner {self.owner}, of which {self.role} is no member (it owns the new one)"
        if self.tablespace != "pg_default" and not self.may_place:
            yield f"the tablespace {self.tablespace}, in which {self.role} may not create"
        if self.is_template:
            yield "that it is a template"


async def read_original(connection: Connection) -> Original:
    """Read the connection's database. The connection has to be idle."""
    major = connection.info.server_version // 10_000
    # Before 16 whoever is a member may act as the role.
    row = await (await connection.execute(_ORIGINAL, {"own": "SET" if major >= 16 else "MEMBER"})).fetchone()
    assert row is not None
    found, owner, encoding, tablespace, role, may_create, may_give, may_place = row
    values: dict[str, Any] = found
    return Original(
        name=values["datname"],
        owner=owner,
        encoding=encoding,
        tablespace=tablespace,
        connection_limit=values["datconnlimit"],
        is_template=values["datistemplate"],
        collate=values["datcollate"],
        ctype=values["datctype"],
        provider=values.get("datlocprovider", "c"),
        locale=values.get("datlocale", values.get("daticulocale")),
        icu_rules=values.get("daticurules"),
        schema=await read_schema(connection),
        role=role,
        may_create=may_create,
        may_give=may_give,
        may_place=may_place,
    )


def require_may_create(original: Original) -> None:
    """Refuse where the role may make no database beside this one. Raises PrivilegeMissing."""
    if not original.may_create:
        raise PrivilegeMissing(
            f"The role {original.role} may not create databases on this server.",
            hint=f"Have a superuser run ALTER ROLE {quote(original.role)} CREATEDB, and NOCREATEDB when it is done.",
        )


async def require_makable(connection: Connection, original: Original, name: str) -> None:
    """Refuse before anything is begun. Raises PrivilegeMissing, Conflict where the name is taken."""
    require_may_create(original)
    if await oid_of(connection, name) is not None:
        raise name_taken(name)


def name_taken(name: str) -> Conflict:
    """The error for a name that a database of the server has."""
    return Conflict(
        f"There is a database {name} on this server already.",
        hint="Give another name, or drop that one by hand where nobody needs it.",
    )


async def oid_of(connection: Connection, name: str) -> int | None:
    """The oid of the database that has this name on the server; None: there is none."""
    row = await (
        await connection.execute("SELECT oid::bigint FROM pg_catalog.pg_database WHERE datname = %s", [name])
    ).fetchone()
    return None if row is None else row[0]


async def create(connection: Connection, original: Original, name: str) -> None:
    """Create it, empty, on an autocommit connection. One statement and nothing else; its refusals are psycopg's."""
    await connection.execute(creating(original, name, connection.info.server_version // 10_000))


def creating(original: Original, name: str, major: int) -> sql.Composed:
    """The statement that creates it, for a server of this major."""
    found: list[sql.Composable] = [
        sql.SQL("OWNER {}").format(sql.Identifier(original.owner_beside)),
        # The only template that takes another encoding and another locale than its own.
        sql.SQL("TEMPLATE template0 ENCODING {}").format(original.encoding),
        sql.SQL("LC_COLLATE {} LC_CTYPE {}").format(original.collate, original.ctype),
    ]
    if major >= 15:
        found.append(sql.SQL("LOCALE_PROVIDER {}").format(sql.Identifier(_PROVIDERS[original.provider])))
    if original.provider == "i":
        found.append(sql.SQL("ICU_LOCALE {}").format(original.locale))
        if original.icu_rules is not None:
            found.append(sql.SQL("ICU_RULES {}").format(original.icu_rules))
    if original.provider == "b":
        found.append(sql.SQL("BUILTIN_LOCALE {}").format(original.locale))
    if original.placed:
        found.append(sql.SQL("TABLESPACE {}").format(sql.Identifier(original.tablespace)))
    if original.connection_limit != -1:
        found.append(sql.SQL("CONNECTION LIMIT {}").format(original.connection_limit))
    return sql.SQL("CREATE DATABASE {} {}").format(sql.Identifier(name), sql.SQL(" ").join(found))


@dataclass(frozen=True, slots=True)
class CarriedOver:
    """What of the original's own could not be carried over, in words, and what the server said to it."""

    left: tuple[str, ...]
    refusals: tuple[str, ...]


async def carry_over(connection: Connection, original: Original, name: str) -> CarriedOver:
    """Give the fresh database of this connection the original's settings, privileges and comment.

    Each by itself, as far as the role may; what is not there afterwards is named, without its value.
    """
    fresh = await read_schema(connection)
    expected = replace(fresh, databases=original.schema.databases, settings=original.schema.settings)
    written = statements(
        expected, fresh, destructive=True, role=original.owner_beside, database=name
    ).statements
    refusals = []
    for key, value in SESSION.items():
        await connection.execute("SELECT pg_catalog.set_config(%s, %s, false)", [key, value])
    for each in written:
        try:
            await connection.execute(each.sql.encode())
        except psycopg.Error as error:
            if error.sqlstate is None:
                raise
            refusals.append(error.diag.message_primary or error.sqlstate)
    left = difference(expected, await read_schema(connection))
    told = dict.fromkeys((*original.left_behind(), *(f"{each.kind} {each.object}" for each in left)))
    return CarriedOver(tuple(told), tuple(dict.fromkeys(refusals)))


async def rows_of(connection: Connection, schema: Schema) -> dict[str, int | None]:
    """How many rows each table holds, by its name; None: the role may not tell. On an autocommit connection."""
    # A policy that would hide rows from the count is an error then.
    await connection.execute("SELECT pg_catalog.set_config('row_security', 'off', false)")
    found: dict[str, int | None] = {}
    for each in schema.tables:
        if each.form == "foreign table":
            continue
        query = sql.SQL("SELECT pg_catalog.count(*) FROM {}").format(sql.Identifier(each.schema, each.name))
        try:
            row = await (await connection.execute(query)).fetchone()
        except psycopg.errors.InsufficientPrivilege:
            row = None
        found[each.identity] = None if row is None else row[0]
    return found
