"""Every route × everybody who may come, against the declared table; what may not be seen is not there."""

from __future__ import annotations

import asyncio
from collections import Counter
from html import escape
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from tests.web.routes import EVERYBODY, HIDDEN, NOWHERE, ROUTES, Route
from tests.web.site import Site

GETS = [route for route in ROUTES if route.method == "GET"]
NAMED = [route for route in ROUTES if "{project}" in route.path or "{job}" in route.path]


async def ask(site: Site, route: Route, who: str | None, **names: object) -> httpx.Response:
    """Send the route's request with everything that our own pages would give."""
    wanted = Route(**{**route.__dict__, "names": {**route.names, **names}})
    if route.stream:
        return await begin_stream(site, wanted.address, who)
    if route.form is not None:
        return await site.post(wanted.address, who, route.form)
    return await site.send(route.method, wanted.address, who, route.body)


async def begin_stream(site: Site, address: str, who: str | None) -> httpx.Response:
    """The head of a stream's answer: the transport gives a whole answer only, so every stream is ended."""
    asking = asyncio.ensure_future(site.get(address, who))
    while not asking.done():
        site.feed.end_streams()
        await asyncio.sleep(0.01)
    return await asking


def test_the_table_has_every_route(site: Site) -> None:
    there = {
        (method, route.path)
        for route in iter_route_contexts(site.app.routes)
        for method in route.methods or ()
        if not (route.path or "").startswith("/static")
    }
    declared = Counter(route.key for route in ROUTES)
    assert there == set(declared)
    assert declared.most_common(1)[0][1] == 1


@pytest.mark.parametrize("who", EVERYBODY)
async def test_everybody_gets_what_is_declared(site: Site, who: str | None) -> None:
    column = EVERYBODY.index(who)
    # What changes something comes last, so that everything else meets the same store.
    for route in sorted(ROUTES, key=lambda each: (each.method != "GET", each.path == "/sign-out")):
        if route.path == "/sign-in" and route.method == "POST" and who is not None:
            continue  # five wrong passwords from one address are another test
        response = await ask(site, route, who)
        assert response.status_code == route.statuses[column], f"{route} by {who}: {response.text[:500]}"
        if response.status_code == 303 and who is None and route.method == "GET":
            assert response.headers["location"].startswith("/sign-in"), route


async def test_what_may_not_be_seen_is_not_there(site: Site) -> None:
    for route in NAMED:
        for who in ("viewer", "clinic-admin"):
            hidden = await ask(site, route, who, **HIDDEN)
            nowhere = await ask(site, route, who, **NOWHERE)
            assert hidden.status_code == nowhere.status_code == 404, f"{route} by {who}: {hidden.text[:300]}"
            told = hidden.text.replace("ledger", "NAME").replace(str(HIDDEN["job"]), "NUMBER")
            same = nowhere.text.replace("nowhere", "NAME").replace(str(NOWHERE["job"]), "NUMBER")
            assert (told == same) is True, f"{route}: {who} can tell the two apart"


async def test_lists_hold_only_what_may_be_seen(site: Site) -> None:
    question = "/question?project=ledger&build=1"
    for who in ("viewer", "clinic-admin", "token", "idle"):
        for path in ("/", question, "/builds", "/jobs", "/jobs?project=ledger", "/settings"):
            page = await site.get(path, who)
            assert page.status_code == (404 if path == question else 200)
            shown = (
                page.text.lower()
                .replace(path.partition("?")[2], "")
                .replace(quote(path, safe="").lower(), "")
            )
            assert "ledger" not in shown.replace(escape(path), ""), f"{path} by {who}"
            if who == "idle":
                assert "clinic" not in shown.replace("clinic-", "")
    for path in ("/api/v1/projects", "/api/v1/jobs", "/api/v1/jobs?project=ledger", "/api/v1/tokens"):
        for who in ("viewer", "clinic-admin", "token"):
            assert "ledger" not in (await site.get(path, who)).text
        assert "ledger" in (await site.get(path)).text


async def test_there_is_no_reset_of_production(site: Site) -> None:
    before = await site.contents()
    for who in ("viewer", "operator", "clinic-admin", "admin", "token"):
        for prefix in ("", "/api/v1"):
            base = f"{prefix}/projects/clinic/environments/production/jobs"
            asked = await site.get(f"{base}/new/reset", who)
            started = await (
                site.send("POST", f"{base}/reset", who, {"typed": "clinic/production"})
                if prefix
                else site.post(f"{base}/reset", who, {"confirmation": "clinic/production"})
            )
            assert (asked.status_code, started.status_code) == (404, 404)
        for page in ("", "/migrations", "/backups"):
            shown = await site.get(f"/projects/clinic/environments/production{page}", who)
            assert "jobs/new/reset" not in shown.text
    assert await site.contents() == before


async def test_reading_changes_nothing(site: Site) -> None:
    before = await site.contents()
    for who in EVERYBODY:
        for route in GETS:
            await ask(site, route, who)
            if who == "admin":
                assert await site.contents() == before, f"{route} wrote to the store"
        assert await site.contents() == before, f"reading by {who} wrote to the store"


async def test_head_is_get_without_its_body(site: Site) -> None:
    for who in (None, "admin"):
        for route in GETS:
            if route.stream:
                continue
            got = await site.get(route.address, who)
            head = await site.client(who).head(route.address)
            assert head.status_code == got.status_code, route
            assert head.content == b""
            assert head.headers.get("content-type") == got.headers.get("content-type")
    for route in (each for each in GETS if each.stream):
        head = await asyncio.wait_for(site.client("admin").head(route.address), 10)
        assert (head.status_code, head.content) == (200, b"")
    assert site.feed.followers == 0


async def test_other_methods_are_refused(site: Site) -> None:
    addresses = {route.address.partition("?")[0] for route in ROUTES}
    for address in sorted(addresses):
        there = {each.method for each in ROUTES if each.address.partition("?")[0] == address}
        for method in {"POST", "PUT", "DELETE", "TRACE"} - there:
            response = await site.client("admin").request(method, address)
            assert response.status_code == 405, f"{method} {address}"
            assert response.headers["allow"]
            assert "Traceback" not in response.text
