"""Every route that changes something refuses what another page made a browser send, and then changes nothing."""

from __future__ import annotations

from tests.web.people import TOKEN
from tests.web.routes import ROUTES
from tests.web.site import ORIGIN, Site, form_token

CHANGES = [route for route in ROUTES if route.method != "GET"]
OURS = {"Origin": ORIGIN}
GOOD = form_token("admin")
#: Headers, the form's token, and the form's type.
FORGED: dict[str, tuple[dict[str, str], str | None, str]] = {
    "no token": (OURS, None, "form"),
    "empty token": (OURS, "", "form"),
    "wrong token": (OURS, "0" * 64, "form"),
    "another session's token": (OURS, form_token("operator"), "form"),
    "a visitor's token": (OURS, form_token(None), "form"),
    "another site": ({"Origin": "https://evil.example"}, GOOD, "form"),
    "another port": ({"Origin": "http://127.0.0.1:9"}, GOOD, "form"),
    "another scheme": ({"Origin": ORIGIN.replace("http:", "https:")}, GOOD, "form"),
    "no origin at all": ({}, GOOD, "form"),
    "origin null": ({"Origin": "null"}, GOOD, "form"),
    "the browser says cross-site": ({**OURS, "Sec-Fetch-Site": "cross-site"}, GOOD, "form"),
    "the browser says same-site": ({"Sec-Fetch-Site": "same-site"}, GOOD, "form"),
    "text/plain": (OURS, GOOD, "text/plain"),
    "a form in parts": (OURS, GOOD, "multipart/form-data; boundary=x"),
}


async def test_forged_requests_change_nothing(site: Site) -> None:
    before = await site.contents()
    client = site.client("admin")
    for route in CHANGES:
        for name, (headers, token, kind) in FORGED.items():
            body = f"csrf_token={token}" if token is not None else ""
            if kind.startswith("multipart"):
                body = f'--x\r\nContent-Disposition: form-data; name="csrf_token"\r\n\r\n{token}\r\n--x--\r\n'
            content_type = "application/x-www-form-urlencoded" if kind == "form" else kind
            response = await client.request(
                route.method, route.address, content=body, headers={**headers, "Content-Type": content_type}
            )
            assert response.status_code == 403, f"{route}, {name}: {response.status_code}"
            assert "set-cookie" not in response.headers
    assert await site.contents() == before


async def test_json_needs_the_token_too(site: Site) -> None:
    before = await site.contents()
    for route in (each for each in CHANGES if each.body is not None):
        for headers in (OURS, {**OURS, "X-CSRF-Token": "0" * 64}, {"X-CSRF-Token": GOOD}):
            response = await site.client("admin").request(
                route.method, route.address, json=route.body, headers=headers
            )
            assert response.status_code == 403, f"{route} {headers}"
            assert response.json()["type"] == "cross-site-request"
    assert await site.contents() == before


async def test_a_wrong_token_of_the_api_is_not_helped_by_a_session(site: Site) -> None:
    for address in ("/", "/api/v1/projects"):
        response = await site.get(address, headers={"Authorization": f"Bearer {TOKEN}x"})
        assert response.status_code in (303, 401)
    response = await site.client("admin").post(
        "/api/v1/tokens",
        json={"name": "x", "role": "admin"},
        headers={**OURS, "X-CSRF-Token": GOOD, "Authorization": "Bearer cst_nothing"},
    )
    assert response.status_code == 401


async def test_where_sign_in_leads_is_always_here(site: Site) -> None:
    elsewhere = [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "/\r\n/evil.example",
        "\t//evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "/%0d%0aSet-Cookie:x=y",
        "/\r\nSet-Cookie: x=y",
        "evil.example",
        "/..//evil.example",
        "/.//evil.example",
        "\x00//evil.example",
        "/\x00//evil.example",
    ]
    for target in elsewhere:
        for response in (
            await site.client("viewer").get("/sign-in", params={"next": target}),
            await site.post("/theme", "viewer", {"next": target, "theme": "dark"}),
        ):
            assert response.status_code == 303
            where = response.headers["location"]
            assert where.startswith("/"), target
            # As a browser reads it: white space goes, a backslash is a slash.
            read = "".join(where.split()).replace("\\", "/")
            assert not read.startswith("//"), f"{target!r} leads to {where!r}"
            assert "x=y" not in response.headers.get("set-cookie", "")
    assert (await site.get("/sign-in?next=/jobs%3Fstate%3Dbad", "viewer")).headers[
        "location"
    ] == "/jobs?state=bad"
