"""Which database a URL really leads to: the server's system identifier and the database's oid.

Compared in the very session that acts, because a URL may be pointed elsewhere between a look and an act.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from web.errors import IdentityMismatch, Invalid, OperationFailed, ReadOnlyDatabase
from web.postgres.connections import Connection, connect


@dataclass(frozen=True, slots=True)
class TargetIdentity:
    """What stays the same for one database however it is reached; a copy or its successor has another."""

    system_identifier: str
    database_oid: int

    @property
    def as_text(self) -> str:
        return f"{self.system_identifier}/{self.database_oid}"

    @classmethod
    def from_text(cls, text: str) -> TargetIdentity:
        """Read back `as_text`. Raises Invalid."""
        system, _, oid = text.partition("/")
        if not (system.isdigit() and oid.isdigit()):
            raise Invalid(f"{text!r} is not an identity of a database (SYSTEM/OID).")
        return cls(system, int(oid))


@dataclass(frozen=True, slots=True)
class KnownDatabase:
    """A database by its URL and its identity: what the URL leads to is compared in every session."""

    url: str
    identity: TargetIdentity
    #: How sentences call it: "clinic/development", "the scratch database".
    called: str

    @asynccontextmanager
    async def connect(self, *, application_name: str) -> AsyncIterator[Connection]:
        """Connect for the length of a block. Raises IdentityMismatch where the URL leads elsewhere by now."""
        async with connect(self.url, application_name=application_name) as connection:
            await require_identity(connection, self.identity)
            yield connection


@dataclass(frozen=True, slots=True)
class ResolvedTarget:
    """Where a connection ended up."""

    identity: TargetIdentity
    host: str
    port: int
    database: str
    user: str
    #: As PostgreSQL counts: 170004 is 17.4.
    server_version: int
    in_recovery: bool

    @property
    def major(self) -> int:
        return self.server_version // 10000


# One row about the server and database of this session. Any role may read it (15, 17 seen); 9.6 and later.
_IDENTITY = """
SELECT (SELECT system_identifier::text FROM pg_catalog.pg_control_system()),
       d.oid::bigint, d.datname::text, current_user::text,
       current_setting('server_version_num')::int, pg_catalog.pg_is_in_recovery()
  FROM pg_catalog.pg_database d
 WHERE d.datname = pg_catalog.current_database()
"""


# One row: database, role, whether this is a standby, whether transactions begin read-only. Any role; 9.6 and later.
_WRITABLE = """
SELECT pg_catalog.current_database()::text, current_user::text, pg_catalog.pg_is_in_recovery(),
       pg_catalog.current_setting('default_transaction_read_only')::boolean
"""


async def read_identity(connection: Connection) -> ResolvedTarget:
    """Read where this session is."""
    row = await (await connection.execute(_IDENTITY)).fetchone()
    if row is None:
        raise OperationFailed("The database of this session does not exist any more.")
    system, oid, database, user, version, in_recovery = row
    return ResolvedTarget(
        identity=TargetIdentity(system, oid),
        host=connection.info.host,
        port=connection.info.port,
        database=database,
        user=user,
        server_version=version,
        in_recovery=in_recovery,
    )


async def require_writable(connection: Connection) -> None:
    """Raise ReadOnlyDatabase for a standby, and where this role's transactions begin read-only."""
    row = await (await connection.execute(_WRITABLE)).fetchone()
    assert row is not None
    database, user, in_recovery, read_only = row
    if in_recovery:
        raise ReadOnlyDatabase(f"{database} is on a standby, which accepts no changes.")
    if read_only:
        raise ReadOnlyDatabase(
            f"{database} accepts no changes from {user}: default_transaction_read_only is on."
        )


async def require_identity(connection: Connection, pinned: TargetIdentity) -> ResolvedTarget:
    """Read where this session is and compare it with the pinned identity. Raises IdentityMismatch."""
    found = await read_identity(connection)
    if found.identity == pinned:
        return found
    same_server = found.identity.system_identifier == pinned.system_identifier
    what = "another database of the same server" if same_server else "a database of another server"
    raise IdentityMismatch(
        f"The URL leads to {what}: pinned {pinned.as_text}, found {found.identity.as_text} "
        f"({found.database} on {found.host}:{found.port}).",
        found.identity.as_text,
    )
