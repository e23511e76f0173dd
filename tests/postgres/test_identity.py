"""Identity: one database, however it is reached; never another one."""

from __future__ import annotations

import pytest
from psycopg import sql

from web.errors import IdentityMismatch, Invalid
from web.postgres.connections import connect, database_name, with_database
from web.postgres.embedded import EmbeddedServer
from web.postgres.identity import TargetIdentity, read_identity, require_identity


async def test_resolved_target(server: EmbeddedServer, database: str) -> None:
    async with connect(database) as connection:
        found = await read_identity(connection)
    assert found.database == database_name(database)
    assert (found.user, found.port, found.host) == ("postgres", 5432, str(server.socket_directory))
    assert found.major == 17
    assert not found.in_recovery
    assert TargetIdentity.from_text(found.identity.as_text) == found.identity


async def test_low_privilege_role_can_read_it(server: EmbeddedServer, database: str, database15: str) -> None:
    url = await server.ensure_role("nearly_nothing")
    async with connect(with_database(url, database_name(database))) as connection:
        assert (await read_identity(connection)).user == "nearly_nothing"


async def test_rename_keeps_and_recreation_changes_it(server: EmbeddedServer, database: str) -> None:
    name = database_name(database)
    async with connect(database) as connection:
        pinned = (await read_identity(connection)).identity
    async with connect(server.url()) as maintenance:
        rename = sql.SQL("ALTER DATABASE {} RENAME TO {}")
        there, back = sql.Identifier(name), sql.Identifier(name + "_old")
        await maintenance.execute(rename.format(there, back))
        async with connect(with_database(database, name + "_old")) as connection:
            assert (await require_identity(connection, pinned)).identity == pinned
        await maintenance.execute(sql.SQL("DROP DATABASE {}").format(back))
        await maintenance.execute(sql.SQL("CREATE DATABASE {}").format(there))
    with pytest.raises(IdentityMismatch, match="another database of the same server"):
        async with connect(database) as connection:
            await require_identity(connection, pinned)


async def test_another_server(database: str, database15: str) -> None:
    async with connect(database) as connection:
        pinned = (await read_identity(connection)).identity
    with pytest.raises(IdentityMismatch, match="another server"):
        async with connect(database15) as connection:
            await require_identity(connection, pinned)


@pytest.mark.parametrize("text", ["", "1", "1/", "/1", "a/1", "1/b"])
def test_nonsense_is_not_an_identity(text: str) -> None:
    with pytest.raises(Invalid):
        TargetIdentity.from_text(text)
