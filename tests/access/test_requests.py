"""Requests: who makes them, which routes there are, what cross-site ones get, what all answers carry."""

from __future__ import annotations

import asyncio
import ipaddress
import re
from collections.abc import AsyncIterator, MutableMapping
from itertools import product
from typing import Any

import httpx
import pytest
from fastapi import APIRouter, FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.staticfiles import StaticFiles
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.access.small_site import PASSWORD, CreateUser, SignIn, Site, build
from web.access.headers import HEADERS
from web.access.permissions import local_admin
from web.access.requests import (
    permission,
    public,
    publish,
    require_policies,
    routes_without_policy,
    signed_in,
)
from web.access.tokens import create_token
from web.access.users import disable_user

ORIGIN = "http://localhost:8000"

pytestmark = pytest.mark.usefixtures("quick_passwords")


# --- who


async def test_signing_in_and_out(
    site: Site, browser: httpx.AsyncClient, user: CreateUser, enter: SignIn
) -> None:
    await user("ada", clinic="viewer", every="admin")
    assert (await browser.get("/me")).status_code == 401
    token = await enter(browser, "ada")
    assert (await browser.get("/me")).json() == {"actor": "user:ada"}
    session = browser.cookies["cleanstart-session"]
    response = await browser.post("/sign-out", headers={"Origin": ORIGIN, "X-CSRF-Token": token})
    assert response.status_code == 200
    assert "cleanstart-session" not in browser.cookies
    browser.cookies.set("cleanstart-session", session)
    assert (await browser.get("/me")).status_code == 401


async def test_a_planted_session_is_not_taken_over(
    browser: httpx.AsyncClient, user: CreateUser, enter: SignIn
) -> None:
    await user("ada", every="admin")
    browser.cookies.set("cleanstart-session", "planted", domain="localhost.local")
    await enter(browser, "ada")
    before = browser.cookies["cleanstart-session"]
    assert before != "planted"
    await enter(browser, "ada")
    after = browser.cookies["cleanstart-session"]
    browser.cookies.clear()
    browser.cookies.set("cleanstart-session", before)
    assert (await browser.get("/me")).status_code == 401
    browser.cookies.clear()
    browser.cookies.set("cleanstart-session", after)
    assert (await browser.get("/me")).status_code == 200


async def sent(client: httpx.AsyncClient, password: str, **headers: str) -> int:
    """Try to sign in as ada from the form; the status of the answer."""
    token = (await client.get("/sign-in")).text
    answer = await client.post(
        "/sign-in",
        data={"name": "ada", "password": password, "csrf_token": token},
        headers={"Origin": str(client.base_url).rstrip("/"), **headers},
    )
    return answer.status_code


async def wear_out(engine: AsyncEngine, client: httpx.AsyncClient, **headers: str) -> None:
    """Fail as ada, and let that count as ten times, the last of them right now (each costs a password's check)."""
    assert await sent(client, "wrong", **headers) == 401
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE sign_in_failure SET failures = 10, at = clock_timestamp()"))


async def test_a_browser_that_was_here_before_is_not_kept_waiting_by_a_stranger(
    site: Site, browser: httpx.AsyncClient, user: CreateUser, enter: SignIn
) -> None:
    await user("ada", every="admin")
    token = await enter(browser, "ada")
    left = await browser.post("/sign-out", headers={"Origin": ORIGIN, "X-CSRF-Token": token})
    assert left.status_code == 200
    async with site.browser() as stranger:
        await wear_out(site.engine, stranger)
        assert await sent(stranger, PASSWORD) == 429
        # What the stranger planted, or found, changes nothing.
        names = [cookie.name for cookie in browser.cookies.jar if "device" in cookie.name]
        assert len(names) == 1
        for value in ("", "x", "eyJ.x.y"):
            assert await sent(stranger, PASSWORD, Cookie=f"{names[0]}={value}") in (403, 429)
    assert await sent(browser, PASSWORD) == 200


SPOOFED = (
    {"X-Forwarded-For": "203.0.113.{n}"},
    {"X_Forwarded_For": "203.0.113.{n}"},
    {"X-Forwarded-For": "203.0.113.{n}, 198.51.100.{n}"},
    {"X-Real-IP": "203.0.113.{n}"},
    {"Forwarded": "for=203.0.113.{n}"},
    {"Client-IP": "203.0.113.{n}"},
)


@pytest.mark.parametrize("headers", SPOOFED, ids=lambda headers: next(iter(headers)))
async def test_an_address_that_is_made_up_is_not_counted_by(
    store: AsyncEngine, user: CreateUser, headers: dict[str, str]
) -> None:
    """From whom no proxy is trusted, and through one that appends what it saw."""
    await user("ada", every="admin")
    proxy = ipaddress.ip_network("10.0.0.5")
    for peer, seen in (("192.0.2.1", None), ("10.0.0.5", "192.0.2.2")):
        site = build(store, trusted_proxies=(proxy,))

        def made_up(number: int, seen: str | None = seen) -> dict[str, str]:
            said = {name: value.format(n=number) for name, value in headers.items()}
            if seen is not None:
                before = said.pop("X-Forwarded-For", "")
                said["X-Forwarded-For"] = f"{before}, {seen}" if before else seen
            return said

        async with site.browser(peer=peer) as browser:
            await wear_out(store, browser, **made_up(1))
            for number in range(2, 5):
                assert await sent(browser, PASSWORD, **made_up(number)) == 429


async def test_behind_a_trusted_proxy_the_clients_address_counts(
    store: AsyncEngine, user: CreateUser
) -> None:
    await user("ada", every="admin")
    site = build(store, trusted_proxies=(ipaddress.ip_network("10.0.0.5"),))
    async with site.browser(peer="10.0.0.5") as browser:
        await wear_out(store, browser, **{"X-Forwarded-For": "203.0.113.1"})
        assert await sent(browser, PASSWORD, **{"X-Forwarded-For": "203.0.113.1"}) == 429
        assert await sent(browser, PASSWORD, **{"X-Forwarded-For": "203.0.113.2"}) == 200
    async with store.connect() as connection:
        assert await connection.scalar(text("SELECT address FROM session")) == "203.0.113.2"
        entry = text("SELECT detail->>'address' FROM audit_entry WHERE action = 'sign in'")
        assert await connection.scalar(entry) == "203.0.113.2"


async def test_a_trusted_proxy_on_loopback_is_not_somebody_at_this_machine(store: AsyncEngine) -> None:
    for trusted, status in (((), 200), ((ipaddress.ip_network("127.0.0.1"),), 401)):
        async with build(store, trusted_proxies=trusted).browser() as browser:
            assert (await browser.get("/me")).status_code == status


async def test_cookies_over_https_are_bound_to_the_host(
    store: AsyncEngine, user: CreateUser, enter: SignIn
) -> None:
    await user("ada", every="admin")
    site = build(store, public_url="https://db.acme.internal", loopback=False)
    async with site.browser(origin="https://db.acme.internal", peer="10.0.0.1") as browser:
        visit = (await browser.get("/sign-in")).headers["set-cookie"]
        assert visit.startswith("__Host-cleanstart-visit=")
        assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} <= set(visit.split("; "))
        await enter(browser, "ada")
        names = {cookie.name for cookie in browser.cookies.jar}
        assert {re.sub("-[0-9a-f]{16}$", "", name) for name in names} == {
            "__Host-cleanstart-visit",
            "__Host-cleanstart-session",
            "__Host-cleanstart-device",
        }
        for cookie in browser.cookies.jar:
            assert cookie.secure
            assert cookie.path == "/"
            assert cookie.has_nonstandard_attr("HttpOnly")
            assert not cookie.domain_specified


async def test_cookies_on_loopback(browser: httpx.AsyncClient, user: CreateUser, enter: SignIn) -> None:
    await user("ada", every="admin")
    await enter(browser, "ada")
    for cookie in browser.cookies.jar:
        assert not cookie.secure
        assert cookie.has_nonstandard_attr("HttpOnly")
        assert cookie.get_nonstandard_attr("SameSite") in ("lax", "Lax")


async def test_local_mode(site: Site, user: CreateUser, browser: httpx.AsyncClient) -> None:
    assert (await browser.get("/me")).json() == {"actor": "local:loopback"}
    assert (await browser.get("/audit")).status_code == 200
    await user("ada", every="admin")
    assert (await browser.get("/me")).status_code == 401


@pytest.mark.parametrize(
    ("loopback", "origin", "peer", "headers"),
    [
        (False, ORIGIN, "127.0.0.1", {}),
        (True, ORIGIN, "10.0.0.1", {}),
        (True, "http://evil.example:8000", "127.0.0.1", {}),
        (True, ORIGIN, "127.0.0.1", {"X-Forwarded-For": "127.0.0.1"}),
        (True, ORIGIN, "127.0.0.1", {"Forwarded": "for=127.0.0.1"}),
        (True, ORIGIN, "127.0.0.1", {"Via": "1.1 proxy"}),
    ],
)
async def test_not_local_mode(
    store: AsyncEngine, loopback: bool, origin: str, peer: str, headers: dict[str, str]
) -> None:
    async with build(store, loopback=loopback).browser(origin=origin, peer=peer) as browser:
        assert (await browser.get("/me", headers=headers)).status_code == 401


async def test_a_disabled_users_next_request(
    store: AsyncEngine, browser: httpx.AsyncClient, user: CreateUser, enter: SignIn
) -> None:
    await user("ada", every="admin")
    await user("bob", clinic="viewer")
    await enter(browser, "bob")
    async with store.begin() as connection:
        await disable_user(connection, actor="user:ada", name="bob")
    assert (await browser.get("/me")).status_code == 401


async def test_tokens(
    store: AsyncEngine, browser: httpx.AsyncClient, user: CreateUser, enter: SignIn
) -> None:
    await user("ada", every="admin")
    async with store.begin() as connection:
        token = await create_token(
            connection, by=local_admin("root"), name="ci", project="clinic", role="operator"
        )
    bearer = {"Authorization": f"Bearer {token}"}
    assert (await browser.get("/me", headers=bearer)).json() == {"actor": "token:ci"}
    assert (await browser.post("/projects/clinic/thing", headers=bearer)).status_code == 200
    assert (await browser.post("/projects/shop/thing", headers=bearer)).status_code == 403
    assert (await browser.get("/jobs/1", headers=bearer)).status_code == 200
    assert (await browser.get("/jobs/100", headers=bearer)).status_code == 403
    await enter(browser, "ada")
    wrong = {"Authorization": "Bearer cst_wrong"}
    assert (await browser.get("/me", headers=wrong)).status_code == 401
    assert (await browser.get("/me", headers={"Authorization": "Basic YTpi"})).json() == {"actor": "user:ada"}


# --- may they


@pytest.mark.parametrize(
    ("grants", "view", "change", "backup", "reset", "job", "trail"),
    [
        ({}, 403, 403, 403, 403, 403, 403),
        ({"shop": "admin"}, 403, 403, 403, 403, 403, 403),
        ({"clinic": "viewer"}, 200, 403, 403, 403, 200, 403),
        ({"clinic": "operator"}, 200, 200, 200, 403, 200, 403),
        ({"clinic": "admin"}, 200, 200, 200, 200, 200, 403),
        ({"every": "viewer"}, 200, 403, 403, 403, 200, 403),
        ({"every": "operator", "clinic": "viewer"}, 200, 200, 200, 403, 200, 403),
        ({"every": "admin"}, 200, 200, 200, 200, 200, 200),
    ],
)
async def test_routes_by_role(
    site: Site,
    browser: httpx.AsyncClient,
    user: CreateUser,
    enter: SignIn,
    grants: dict[str, str],
    view: int,
    change: int,
    backup: int,
    reset: int,
    job: int,
    trail: int,
) -> None:
    await user("ada", **grants)
    headers = {"Origin": ORIGIN, "X-CSRF-Token": await enter(browser, "ada")}
    jobs = "/projects/clinic/environments/dev/jobs"
    statuses = [
        (await browser.get("/projects/clinic")).status_code,
        (await browser.post("/projects/clinic/thing", headers=headers)).status_code,
        (await browser.post(f"{jobs}/backup", headers=headers)).status_code,
        (await browser.post(f"{jobs}/reset", headers=headers)).status_code,
        (await browser.get("/jobs/1")).status_code,
        (await browser.get("/audit")).status_code,
    ]
    assert statuses == [view, change, backup, reset, job, trail]
    assert (await browser.post(f"{jobs}/unheard-of", headers=headers)).status_code == 403
    assert len(site.done) == statuses[1:4].count(200)


# --- which routes


def test_every_route_of_the_small_application_has_a_policy(site: Site) -> None:
    assert routes_without_policy(site.app) == ()
    require_policies(site.app)


async def test_a_route_without_a_policy_is_found_and_refused(site: Site, browser: httpx.AsyncClient) -> None:
    inner, outer = APIRouter(), APIRouter(prefix="/outer")

    async def naked() -> str:
        site.done.append("naked")
        return "bare"

    inner.add_api_route("/naked/{x}", naked, methods=["GET", "POST"])
    inner.add_api_route("/clothed", naked, dependencies=[signed_in()])
    outer.include_router(inner, prefix="/inner")
    site.app.include_router(outer)
    site.app.add_route("/plain", lambda request: PlainTextResponse("bare"))
    site.app.mount("/files", StaticFiles(directory="/"))
    site.app.mount("/static", publish(StaticFiles(directory="/")))
    assert routes_without_policy(site.app) == (
        "GET,POST /outer/inner/naked/{x}",
        "GET,HEAD /plain",
        "ANY /files",
    )
    with pytest.raises(RuntimeError, match=r"routes without an access policy: GET,POST /outer/inner/naked"):
        require_policies(site.app)
    for method, path in product(
        ("GET", "POST", "HEAD", "DELETE"), ("/outer/inner/naked/1", "/plain", "/files/etc")
    ):
        response = await browser.request(method, path)
        assert response.status_code == 403, (method, path)
        assert response.headers["content-security-policy"]
    assert (await browser.get("/outer/inner/clothed")).status_code == 200
    site.app.add_api_route("/late", naked)
    assert (await browser.get("/late")).status_code == 403
    assert site.done == ["naked"]


def test_a_policy_may_come_from_a_router() -> None:
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    router = APIRouter(dependencies=[public()])
    router.add_api_route("/", lambda: None)
    app.include_router(router)
    assert routes_without_policy(app) == ()


def test_the_frameworks_own_routes_are_found_too() -> None:
    assert "GET,HEAD /openapi.json" in routes_without_policy(FastAPI())


def test_a_permission_that_does_not_exist_fails_where_it_is_declared() -> None:
    with pytest.raises(ValueError, match="there is no permission 'fly'"):
        permission("fly")


# --- did our own page send it

METHODS = ("POST", "PUT", "PATCH", "DELETE")
GOOD = {"Origin": ORIGIN}


@pytest.mark.parametrize("method", METHODS)
async def test_cross_site_matrix(
    site: Site, browser: httpx.AsyncClient, user: CreateUser, enter: SignIn, method: str
) -> None:
    await user("ada", every="admin")
    await user("bob", every="admin")
    async with site.browser() as elsewhere:
        bobs = await enter(elsewhere, "bob")
    before = (await browser.get("/sign-in")).text
    token = await enter(browser, "ada")
    assert len({bobs, before, token}) == 3

    refused: dict[str, dict[str, object]] = {
        "no token": {"headers": GOOD},
        "wrong token": {"headers": {**GOOD, "X-CSRF-Token": "x" * 64}},
        "empty token": {"headers": {**GOOD, "X-CSRF-Token": ""}},
        "no ASCII": {"headers": {**GOOD, "X-CSRF-Token": "é".encode()}},
        "other session's": {"headers": {**GOOD, "X-CSRF-Token": bobs}},
        "before sign-in": {"headers": {**GOOD, "X-CSRF-Token": before}},
        "no origin": {"headers": {"X-CSRF-Token": token}},
        "cross-origin": {"headers": {"Origin": "https://evil.example", "X-CSRF-Token": token}},
        "another port": {"headers": {"Origin": "http://localhost:8001", "X-CSRF-Token": token}},
        "another scheme": {"headers": {"Origin": "https://localhost:8000", "X-CSRF-Token": token}},
        "opaque origin": {"headers": {"Origin": "null", "X-CSRF-Token": token}},
        "cross-site": {"headers": {**GOOD, "Sec-Fetch-Site": "cross-site", "X-CSRF-Token": token}},
        "same-site": {"headers": {**GOOD, "Sec-Fetch-Site": "same-site", "X-CSRF-Token": token}},
        "in the query": {"headers": GOOD, "params": {"csrf_token": token}},
        "as text": {"headers": {**GOOD, "Content-Type": "text/plain"}, "content": f"csrf_token={token}"},
        "as JSON": {"headers": GOOD, "json": {"csrf_token": token}},
        "as a file": {"headers": GOOD, "files": {"csrf_token": ("a.txt", token)}},
        "in parts": {"headers": GOOD, "data": {"csrf_token": token}, "files": {"upload": ("a.txt", "x")}},
        "as a cookie": {"headers": {**GOOD, "Cookie": f"csrf_token={token}"}},
    }
    for case, request in refused.items():
        response = await browser.request(method, "/projects/clinic/thing", **request)  # type: ignore[arg-type]
        assert response.status_code in (401, 403), case
        assert response.status_code == 403 or case == "as a cookie", case
    assert site.done == []

    accepted: list[dict[str, object]] = [
        {"headers": {**GOOD, "X-CSRF-Token": token}},
        {"headers": {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": token}},
        {"headers": {**GOOD, "Sec-Fetch-Site": "none"}, "data": {"csrf_token": token}},
        {"headers": GOOD, "data": {"csrf_token": token}},
        {"headers": {**GOOD, "X-CSRF-Token": token}, "files": {"upload": ("a.txt", "x")}},
        {"headers": {**GOOD, "X-CSRF-Token": token}, "json": {"a": 1}},
    ]
    for request in accepted:
        response = await browser.request(method, "/projects/clinic/thing", **request)  # type: ignore[arg-type]
        assert response.status_code == 200, request
    assert site.done == [f"{method} clinic"] * len(accepted)


async def test_signing_in_is_guarded_too(site: Site, browser: httpx.AsyncClient, user: CreateUser) -> None:
    await user("ada", every="admin")
    form = {"name": "ada", "password": "correct horse battery"}
    async with site.browser() as elsewhere:
        others = (await elsewhere.get("/sign-in")).text
    own = (await browser.get("/sign-in")).text
    assert own == (await browser.get("/sign-in")).text
    for token, headers in (("", GOOD), (others, GOOD), (own, {}), (own, {"Origin": "https://evil.example"})):
        response = await browser.post("/sign-in", data={**form, "csrf_token": token}, headers=headers)
        assert response.status_code == 403
    assert "cleanstart-session" not in browser.cookies
    response = await browser.post("/sign-in", data={**form, "csrf_token": own}, headers=GOOD)
    assert response.status_code == 200


async def test_local_mode_is_guarded_too(site: Site, browser: httpx.AsyncClient) -> None:
    assert (await browser.post("/projects/clinic/thing", headers=GOOD)).status_code == 403
    token = (await browser.get("/sign-in")).text
    response = await browser.post("/projects/clinic/thing", headers={**GOOD, "X-CSRF-Token": token})
    assert response.status_code == 200


async def test_behind_a_public_url_that_is_the_origin(
    store: AsyncEngine, user: CreateUser, enter: SignIn
) -> None:
    await user("ada", every="admin")
    site = build(store, public_url="https://db.acme.internal", loopback=False)
    async with site.browser(origin="https://db.acme.internal") as browser:
        token = await enter(browser, "ada")
        good = {"X-CSRF-Token": token, "Origin": "https://db.acme.internal"}
        assert (await browser.post("/projects/clinic/thing", headers=good)).status_code == 200
        spoofed = {"X-CSRF-Token": token, "Origin": "https://evil.example", "Host": "evil.example"}
        assert (await browser.post("/projects/clinic/thing", headers=spoofed)).status_code in (401, 403)
    assert site.done == ["POST clinic"]


# --- what all answers carry


@pytest.mark.parametrize("path", ["/sign-in", "/me", "/nowhere", "/broken", "/projects/clinic/thing"])
async def test_headers(store: AsyncEngine, path: str) -> None:
    async with build(store).browser() as browser:
        response = await browser.get(path)
    for name, value in HEADERS:
        assert response.headers.get_list(name) == [value], name
    assert "strict-transport-security" not in response.headers
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "data:" not in policy
    assert policy.startswith("default-src 'none'; script-src 'self'")
    assert "frame-ancestors 'none'; base-uri 'none'" in policy


async def test_headers_over_https(store: AsyncEngine) -> None:
    site = build(store, public_url="https://db.acme.internal", loopback=False)

    async with site.browser(origin="https://db.acme.internal") as browser:
        response = await browser.get("/broken")
    assert response.status_code == 500
    assert response.headers["strict-transport-security"] == "max-age=31536000"


async def test_a_header_that_a_route_sets_is_left_alone(site: Site, browser: httpx.AsyncClient) -> None:
    async def badge() -> PlainTextResponse:
        own = {"Cache-Control": "max-age=60", "Cross-Origin-Resource-Policy": "cross-origin"}
        return PlainTextResponse("<svg/>", headers=own)

    site.app.add_api_route("/badge.svg", badge, dependencies=[public()])
    headers = (await browser.get("/badge.svg")).headers
    assert headers.get_list("cache-control") == ["max-age=60"]
    assert headers.get_list("cross-origin-resource-policy") == ["cross-origin"]
    assert headers["x-content-type-options"] == "nosniff"


async def test_a_stream_is_not_held_back(site: Site) -> None:
    first_seen = asyncio.Event()

    async def stream() -> StreamingResponse:
        async def lines() -> AsyncIterator[str]:
            yield "first"
            await asyncio.wait_for(first_seen.wait(), 10)
            yield "second"

        return StreamingResponse(lines())

    site.app.add_api_route("/stream", stream, dependencies=[public()])
    scope = {
        "type": "http", "method": "GET", "path": "/stream", "raw_path": b"/stream", "query_string": b"",
        "headers": [(b"host", b"localhost")], "scheme": "http", "http_version": "1.1", "root_path": "",
        "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 8000),
        "asgi": {"version": "3.0", "spec_version": "2.4"},
    }  # fmt: skip
    bodies: list[bytes] = []

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message.get("body"):
            bodies.append(message["body"])
            first_seen.set()

    await site.app(scope, receive, send)
    assert bodies == [b"first", b"second"]
