"""Brings the store to the revision of this version and grants the runtime role what it may do.

Two roles: the owner changes the schema; the runtime role reads and writes rows, but may only
insert and read the audit trail (SAFETY.md, "audit tampering").
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, LiteralString, cast

import psycopg
from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import Connection, create_engine
from sqlalchemy.exc import DBAPIError

from web.errors import StoreNotReady
from web.store.database import (
    CONNECT_TIMEOUT,
    NEWER,
    alembic_config,
    first_line,
    head,
    store_url,
    unreachable,
)

#: Tables of which the runtime role may not change a row: table → what it may do.
RESTRICTED: dict[str, LiteralString] = {"audit_entry": "SELECT, INSERT", "alembic_version": "SELECT"}
#: `alembic.context` is a module of the whole process: two histories in two threads would mix.
_ONE_HISTORY = threading.Lock()
#: SQLSTATEs of what a server may refuse an upgrade, with what to do. Any other is a mistake in the history.
_REFUSALS = {
    "25006": "Name the primary server in [store].url and owner_url.",
    "42501": "The role of [store].owner_url, else of url, has to own the store's tables, or be able to make them.",
    "42704": "Create the role of [store].url first.",
    "55P03": "Something holds a lock in the store. Try again when it has ended.",
}


async def upgrade(owner_url: str, runtime_role: str | None = None, *, revision: str = "head") -> str:
    """Upgrade the store; returns the revision reached. `runtime_role` must exist already.

    Runs the history in one transaction under an advisory lock: two upgrades at once are one after the other.

    Raises:
        StoreNotReady: it cannot be reached, refuses what an upgrade needs, or was upgraded by a newer version.
    """
    await asyncio.to_thread(_upgrade, owner_url, runtime_role, revision)
    return head() if revision == "head" else revision


async def downgrade(owner_url: str, revision: str) -> None:
    """Take the store back to a revision (tests, and a person who knows why)."""
    await asyncio.to_thread(_downgrade, owner_url, revision)


def _upgrade(owner_url: str, runtime_role: str | None, revision: str) -> None:
    with _connected(owner_url) as connection, _translated():
        with _ONE_HISTORY:
            command.upgrade(_config(connection), revision)
        if runtime_role is not None:
            with connection.begin():
                _grant(connection, runtime_role)


def _downgrade(owner_url: str, revision: str) -> None:
    with _connected(owner_url) as connection, _ONE_HISTORY:
        command.downgrade(_config(connection), revision)


@contextmanager
def _connected(owner_url: str) -> Iterator[Connection]:
    engine = create_engine(
        store_url(owner_url), hide_parameters=True, connect_args={"connect_timeout": CONNECT_TIMEOUT}
    )
    try:
        try:
            connection = engine.connect()
        except DBAPIError as error:
            raise unreachable(error.orig) from error
        with connection:
            yield connection
    finally:
        engine.dispose()


@contextmanager
def _translated() -> Iterator[None]:
    """Turn what the server or the history refuses into StoreNotReady, for a block."""
    try:
        yield
    except CommandError as error:
        raise StoreNotReady(f"The store cannot be upgraded: {error}.", hint=NEWER) from error
    except (DBAPIError, psycopg.Error) as error:
        refusal = _refusal(error.orig if isinstance(error, DBAPIError) else error)
        if refusal is None:
            raise
        raise refusal from error


def _refusal(error: BaseException | None) -> StoreNotReady | None:
    if not isinstance(error, psycopg.Error):
        return None
    if error.sqlstate in _REFUSALS:
        return StoreNotReady(
            f"The store cannot be upgraded: {first_line(error)}", hint=_REFUSALS[error.sqlstate]
        )
    return unreachable(error) if isinstance(error, psycopg.OperationalError) else None


def _config(connection: Connection) -> Config:
    config = alembic_config()
    config.attributes["connection"] = connection
    return config


def _grant(connection: Connection, role: str) -> None:
    """Grant on everything there is, then take back what the runtime role must not have."""
    driver = cast("psycopg.Connection[tuple[Any, ...]]", connection.connection.dbapi_connection)
    name = sql.Identifier(role)
    with driver.cursor() as cursor:
        cursor.execute("SELECT current_schema(), current_user = %s", (role,))
        row = cursor.fetchone()
        assert row is not None
        schema_name, is_owner = row
        if is_owner:
            return
        schema = sql.Identifier(schema_name)
        for statement in (
            "GRANT USAGE ON SCHEMA {schema} TO {role}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}",
            "GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA {schema} TO {role}",
            "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {schema} TO {role}",
        ):
            cursor.execute(sql.SQL(statement).format(schema=schema, role=name))
        for table, privileges in RESTRICTED.items():
            qualified = sql.Identifier(schema_name, table)
            cursor.execute(sql.SQL("REVOKE ALL ON {} FROM {}").format(qualified, name))
            cursor.execute(sql.SQL("GRANT {} ON {} TO {}").format(sql.SQL(privileges), qualified, name))
