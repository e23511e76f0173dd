"""Local users and their roles."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.small_site import PASSWORD, CreateUser
from web.access.permissions import Role
from web.access.users import (
    any_users,
    create_user,
    disable_user,
    enable_user,
    grant_role,
    list_users,
    require_users_or_loopback,
    set_password,
)
from web.errors import Conflict, Invalid, NotFound, Refused

pytestmark = pytest.mark.usefixtures("quick_passwords")


async def test_creating(store: AsyncEngine) -> None:
    assert not await any_users(store)
    async with store.begin() as connection:
        await create_user(
            connection,
            actor="local:root",
            name=" Ada.Lovelace@Example.org ",
            password=PASSWORD,
            display_name='Ada "Countess" <b> 🧮',
            grants={"*": "viewer", "clinic": "admin"},
        )
    assert await any_users(store)
    async with store.connect() as connection:
        (ada,) = await list_users(connection)
    assert (ada.name, ada.display_name) == ("ada.lovelace@example.org", 'Ada "Countess" <b> 🧮')
    assert ada.grants == {"*": "viewer", "clinic": "admin"}
    assert ada.disabled_at is None


@pytest.mark.parametrize("name", ["", "a b", "<b>", "é", "-a", "a" * 101, "a\0"])
async def test_names_that_cannot_be(store: AsyncEngine, name: str) -> None:
    async with store.connect() as connection:
        with pytest.raises(Invalid, match="A user name is"):
            await create_user(connection, actor="local:root", name=name, password=PASSWORD)


async def test_a_name_is_taken_in_any_case(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada")
    with pytest.raises(Conflict, match="There is a user “ada” already"):
        await user("ADA")


async def test_one_name_many_times_at_once(store: AsyncEngine, user: CreateUser) -> None:
    results = await asyncio.gather(*(user("ada") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(result, int) for result in results) == 1
    assert sum(isinstance(result, Conflict) for result in results) == 4


async def test_roles_that_do_not_exist(store: AsyncEngine, user: CreateUser) -> None:
    god: Role = "god"  # type: ignore[assignment]
    with pytest.raises(Invalid, match="There is no role “god”; there are viewer, operator, admin"):
        await user("ada", clinic=god)
    await user("ada")
    async with store.connect() as connection:
        with pytest.raises(Invalid, match="There is no role “god”"):
            await grant_role(connection, actor="local:root", name="ada", project="clinic", role=god)


async def test_changing_somebody_who_is_not_there(store: AsyncEngine) -> None:
    async with store.connect() as connection:
        for change in (
            grant_role(connection, actor="local:root", name="eve", project="*", role="admin"),
            set_password(connection, actor="local:root", name="eve", password=PASSWORD),
            disable_user(connection, actor="local:root", name="eve"),
            enable_user(connection, actor="local:root", name="eve"),
        ):
            with pytest.raises(NotFound, match="There is no user “eve”"):
                await change


async def test_somebody_is_left_to_administer(store: AsyncEngine, user: CreateUser) -> None:
    await user("ada", every="admin")
    await user("bob", every="admin")

    async def take_away(name: str) -> None:
        async with store.begin() as connection:
            await grant_role(connection, actor="user:ada", name=name, project="*", role="viewer")

    results = await asyncio.gather(take_away("ada"), take_away("bob"), return_exceptions=True)
    assert sorted(type(result).__name__ for result in results) == ["Conflict", "NoneType"]

    last = "ada" if isinstance(results[0], Conflict) else "bob"
    async with store.connect() as connection:
        with pytest.raises(Conflict, match="Nobody would be left"):
            await disable_user(connection, actor="user:ada", name=last)


async def test_without_users_only_loopback(store: AsyncEngine, user: CreateUser) -> None:
    for host in ("127.0.0.1", "localhost", "::1"):
        await require_users_or_loopback(store, host)
    for host in ("0.0.0.0", "::", "10.0.0.1"):
        with pytest.raises(
            Refused, match="No users are configured, so the dashboard listens on loopback only"
        ):
            await require_users_or_loopback(store, host)
    await user("ada")
    await require_users_or_loopback(store, "0.0.0.0")
