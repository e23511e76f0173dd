"""A store with people in it, and browsers that look at the small application."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.small_site import PASSWORD, CreateUser, SignIn, Site, build
from web.access import passwords
from web.access.permissions import Role
from web.access.users import create_user


@pytest.fixture
def quick_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own hashing with small parameters, where neither its cost nor its time is what is tested."""
    quick = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=64, parallelism=1),))
    monkeypatch.setattr(passwords, "HASHER", quick)
    monkeypatch.setattr(passwords, "NOBODY", quick.hash("nobody's"))


@pytest.fixture
def user(store: AsyncEngine) -> CreateUser:
    """Create a user with PASSWORD and these grants."""

    async def create(name: str, **grants: Role) -> int:
        by_project = {"*" if project == "every" else project: role for project, role in grants.items()}
        async with store.begin() as connection:
            return await create_user(
                connection, actor="local:test", name=name, password=PASSWORD, grants=by_project
            )

    return create


@pytest.fixture
def site(store: AsyncEngine) -> Site:
    """The small application on loopback."""
    return build(store)


@pytest.fixture
async def browser(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """A browser on the machine itself that nobody has signed in with."""
    async with site.browser() as client:
        yield client


@pytest.fixture
def enter() -> SignIn:
    """Sign in as a browser does, with the form and its token; returns the session's own form token."""

    async def through_the_form(client: httpx.AsyncClient, name: str) -> str:
        origin = str(client.base_url).rstrip("/")
        token = (await client.get("/sign-in")).text
        response = await client.post(
            "/sign-in",
            data={"name": name, "password": PASSWORD, "csrf_token": token},
            headers={"Origin": origin},
        )
        assert response.status_code == 200, response.text
        return (await client.get("/sign-in")).text

    return through_the_form
