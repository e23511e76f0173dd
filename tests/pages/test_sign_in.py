"""Signing in through the page: the form, mistakes, the limiter, and where it leads."""

from __future__ import annotations

import re

import httpx

from tests.web.site import ORIGIN, Site, form_token, said
from web.access.users import create_user

PASSWORD = "correct horse battery"


async def enter(client: httpx.AsyncClient, **form: str) -> httpx.Response:
    """Fill in the form that the page shows and send it."""
    page = await client.get("/sign-in", params={"next": form.get("next", "/")})
    found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert found
    return await client.post(
        "/sign-in", data={"csrf_token": found.group(1), **form}, headers={"Origin": ORIGIN}
    )


async def test_signing_in_and_out(site: Site) -> None:
    async with site.store.begin() as store:
        await create_user(store, actor="test", name="ada", password=PASSWORD, grants={"clinic": "operator"})
    client = site.client(None)
    entered = await enter(client, name=" Ada ", password=PASSWORD, next="/jobs?state=bad")
    assert (entered.status_code, entered.headers["location"]) == (303, "/jobs?state=bad")
    cookie = entered.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie.replace("Lax", "lax")
    page = await client.get("/")
    assert page.status_code == 200
    token = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
    assert token
    left = await client.post("/sign-out", data={"csrf_token": token.group(1)}, headers={"Origin": ORIGIN})
    assert left.headers["location"] == "/sign-in"
    assert (await client.get("/")).status_code == 303
    assert await site.count("session", "user_agent IS NOT NULL") == 0


async def test_a_mistake_says_neither_which_nor_the_password(site: Site) -> None:
    for name in ("viewer", "nobody", "<script>alert(1)</script>", "a\x00b", "x" * 5000):
        response = await enter(site.client(None), name=name, password="wr0ng-pa55word", next="/jobs")
        assert response.status_code in (401, 422, 429)
        assert "wr0ng-pa55word" not in response.text
        assert "<script>alert" not in response.text
        if response.status_code == 401:
            assert "The name or the password is wrong." in said(response)
            assert 'name="next" value="/jobs"' in response.text


async def test_too_many_mistakes_wait(site: Site) -> None:
    for _ in range(30):
        response = await enter(site.client(None), name="viewer", password="wrong")
        if response.status_code == 429:
            break
        assert response.status_code == 401
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) > 0
    assert "Too many attempts" in said(response)


async def test_the_theme_is_kept(site: Site) -> None:
    client = site.client("viewer")
    await client.post(
        "/theme",
        data={"csrf_token": form_token("viewer"), "theme": "dark", "next": "/jobs"},
        headers={"Origin": ORIGIN},
    )
    assert '<html lang="en" data-theme="dark">' in (await client.get("/jobs")).text
    for theme in ("", '"><script>'):
        await client.post(
            "/theme", data={"csrf_token": form_token("viewer"), "theme": theme}, headers={"Origin": ORIGIN}
        )
        assert '<html lang="en">' in (await client.get("/jobs")).text
