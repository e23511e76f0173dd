"""API tokens: what they may do, and when they end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.standing import still_may
from web.access.permissions import EVERY_PROJECT, Principal, Role, local_admin, may
from web.access.tokens import create_token, find_token, list_tokens, revoke_token
from web.errors import Conflict, Invalid, NotFound, OperationNotAllowed

ROOT = local_admin("root")


async def make(
    engine: AsyncEngine,
    name: str = "ci",
    project: str = "clinic",
    role: Role = "operator",
    *,
    by: Principal = ROOT,
    lifetime: timedelta | None = None,
) -> str:
    async with engine.begin() as connection:
        return await create_token(connection, by=by, name=name, project=project, role=role, lifetime=lifetime)


async def test_a_token_is_its_role_on_its_project(store: AsyncEngine) -> None:
    token = await make(store)
    assert token.startswith("cst_")
    who = await find_token(store, token)
    assert who is not None
    assert (who.actor, who.source) == ("token:ci", "token")
    assert may(who, "migrate", "clinic")
    assert not may(who, "reset", "clinic")
    assert not may(who, "view", "shop")
    assert not may(who, "view", None)

    everywhere = await find_token(store, await make(store, "all", EVERY_PROJECT, "viewer"))
    assert everywhere is not None
    assert may(everywhere, "view", "shop")
    assert not may(everywhere, "migrate", "shop")


async def test_only_its_digest_is_stored(store: AsyncEngine) -> None:
    token = await make(store)
    async with store.connect() as connection:
        assert token[12:] not in repr((await connection.execute(text("SELECT * FROM api_token"))).one())
        (shown,) = await list_tokens(connection)
    assert (shown.name, shown.prefix, shown.role, shown.created_by) == (
        "ci",
        token[:8],
        "operator",
        "local:root",
    )
    assert token[12:] not in repr(shown)


@pytest.mark.parametrize("presented", ["", "cst_", "cst_x", "CST_", "Bearer", "cst_\0", "cst_\ud800", "*"])
async def test_what_is_no_token(store: AsyncEngine, presented: str) -> None:
    token = await make(store)
    assert await find_token(store, presented) is None
    assert await find_token(store, token[:-1]) is None
    assert await find_token(store, token + "x") is None


async def test_revoked_and_expired(store: AsyncEngine) -> None:
    token, other = await make(store), await make(store, "short", lifetime=timedelta(hours=1))
    who, brief = await find_token(store, token), await find_token(store, other)
    assert who is not None
    assert brief is not None
    assert await still_may(store, who, "view", "clinic")
    async with store.begin() as connection:
        await revoke_token(connection, by=ROOT, name="ci")
        await connection.execute(text("UPDATE api_token SET expires_at = now() WHERE name = 'short'"))
    for presented, principal in ((token, who), (other, brief)):
        assert await find_token(store, presented) is None
        assert not await still_may(store, principal, "view", "clinic")


async def test_last_use(store: AsyncEngine) -> None:
    token = await make(store)
    async with store.connect() as connection:
        assert (await list_tokens(connection))[0].last_used_at is None
    await find_token(store, token)
    async with store.connect() as connection:
        first = (await list_tokens(connection))[0].last_used_at
    assert first is not None
    await find_token(store, token)
    async with store.connect() as connection:
        assert (await list_tokens(connection))[0].last_used_at == first


async def test_nobody_makes_a_token_that_may_more_than_they(store: AsyncEngine) -> None:
    def person(project: str, role: Role) -> Principal:
        return Principal("user:ada", "Ada", "session", {project: role})

    await make(store, "one", "clinic", "admin", by=person("clinic", "admin"))
    for by, project in (
        (person("clinic", "admin"), "shop"),
        (person("clinic", "admin"), EVERY_PROJECT),
        (person("clinic", "operator"), "clinic"),
        (person(EVERY_PROJECT, "operator"), "clinic"),
    ):
        with pytest.raises(OperationNotAllowed, match="Only an admin of"):
            await make(store, "two", project, "viewer", by=by)
    await make(store, "three", EVERY_PROJECT)
    async with store.connect() as connection:
        with pytest.raises(OperationNotAllowed):
            await revoke_token(connection, by=person("clinic", "admin"), name="three")
        with pytest.raises(NotFound, match="There is no token “four”"):
            await revoke_token(connection, by=ROOT, name="four")


async def test_names_roles_and_lifetimes_that_cannot_be(store: AsyncEngine) -> None:
    await make(store)
    with pytest.raises(Conflict, match="There is a token “ci” already"):
        await make(store)
    for name in ("", " ", "a" * 101, "a\nb", "a\0"):
        with pytest.raises(Invalid, match="needs a name"):
            await make(store, name)
    with pytest.raises(Invalid, match="no role"):
        await make(store, "x", role="god")  # type: ignore[arg-type]
    with pytest.raises(Invalid, match="longer than nothing"):
        await make(store, "x", lifetime=timedelta(0))
