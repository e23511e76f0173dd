"""What does not exist is 404 on every route: each object in an address, whatever takes its place."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi.routing import iter_route_contexts

from tests.web.routes import ROUTES, Route
from tests.web.site import Site
from tests.web.test_routes import begin_stream

#: Numbers that no build, job or rule has, and texts that are no number at all; as an address carries them.
NUMBERS = (
    "0",
    "-1",
    "999999",
    "9223372036854775807",
    "9223372036854775808",
    "9" * 30,
    "9" * 5000,
    "1.5",
    "1e3",
    "0x30",
    "%2048",
    "48%20",
    "+48",
    "48%00",
    "%00",
    "4_8",
    "%D9%A4%D9%A8",
    "latest",
    "null",
    "'",
    "%F0%9F%A7%AE",
    "%ff",
    "%E2%80%AE48",
    "..%2F48",
)
#: Names that nothing has.
NAMES = (
    "nowhere",
    "0",
    "-1",
    "*",
    "Clinic",
    "clinic%20",
    "%20",
    "%00",
    "clinic%00",
    "viewer%00",
    "%ff",
    "%F0%9F%A7%AE",
    "'",
    "%22%3Cscript%3E",
    "a" * 5000,
    "%2e%2e",
    "%E2%80%AE",
)
#: What stands in addresses, and what may take its place.
OBJECTS = {
    "project": NAMES,
    "environment": NAMES,
    "kind": NAMES,
    "name": NAMES,
    "form": NAMES,
    "step": NAMES,
    "number": NUMBERS,
    "request_number": NUMBERS,
    "job": NUMBERS,
}
CASES = [(route, name) for route in ROUTES for name in OBJECTS if f"{{{name}" in route.path]


def address(route: Route, name: str, value: str) -> str:
    return Route(**{**route.__dict__, "names": {**route.names, name: value}}).address


async def ask(site: Site, route: Route, where: str) -> httpx.Response:
    if route.stream:
        return await begin_stream(site, where, "admin")
    if route.form is not None:
        return await site.post(where, "admin", route.form)
    return await site.send(route.method, where, "admin", route.body)


def test_there_is_nothing_else_in_addresses(site: Site) -> None:
    found = {name for route in iter_route_contexts(site.app.routes) for name in _parameters(route.path or "")}
    assert found - {"path"} == set(OBJECTS)


async def test_what_does_not_exist_is_404_on_every_route(site: Site) -> None:
    before = await site.contents()
    wrong: list[str] = []
    for route, name in CASES:
        for value in OBJECTS[name]:
            where = address(route, name, value)
            response = await ask(site, route, where)
            if response.status_code != 404 or "Traceback" in response.text:
                wrong.append(f"{response.status_code} {route.method} {where[:150]}: {response.text[:150]!r}")
    assert not wrong, "\n".join(wrong)
    assert await site.contents() == before


ENVIRONMENT = "/projects/clinic/environments/idle"
NO_UUID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize(
    ("method", "where", "body"),
    [
        ("GET", "/question?project=clinic&build=999&environment=dev", None),
        ("GET", "/question?project=nowhere", None),
        ("GET", "/question?project=clinic&environment=nowhere", None),
        ("GET", "/question?project=clinic&build=" + "9" * 30, None),
        ("GET", "/question?project=clinic&build=048", None),
        ("GET", "/projects/clinic/builds/48?environment=nowhere", None),
        ("GET", "/projects/clinic/builds/48?environment=%00", None),
        ("GET", "/projects/clinic/comparison?a=clinic/nowhere&b=clinic/dev", None),
        ("GET", f"/projects/clinic/comparison?a=backup:{NO_UUID}&b=clinic/dev", None),
        ("GET", "/api/v1/projects/clinic/comparison?a=clinic/nowhere&b=clinic/dev", None),
        ("GET", f"/api/v1/projects/clinic/comparison?a=backup:{NO_UUID}&b=clinic/dev", None),
        ("GET", "/api/v1/projects/clinic/comparison?a=snapshot:abcdef123&b=clinic/dev", None),
        ("GET", "/api/v1/projects/clinic/comparison?a=clinic@nothing&b=clinic/dev", None),
        ("POST", f"/api/v1{ENVIRONMENT}/deployments", {"build": 999}),
        ("POST", f"/api/v1{ENVIRONMENT}/deployments", {"build": 2**63}),
        ("POST", f"/api/v1{ENVIRONMENT}/deployments", {"build": 0}),
        ("POST", f"/api/v1{ENVIRONMENT}/jobs/verify", {"parameters": {"backup": NO_UUID}}),
        ("POST", f"/api/v1{ENVIRONMENT}/jobs/compare", {"parameters": {"a": "clinic/nowhere"}}),
        ("POST", f"/api/v1{ENVIRONMENT}/jobs/compare", {"parameters": {"b": f"backup:{NO_UUID}"}}),
        ("POST", f"/api/v1{ENVIRONMENT}/jobs/compare", {"parameters": {"b": "snapshot:abcdef123"}}),
        (
            "POST",
            "/api/v1/projects/clinic/ignore-rules",
            {"object": "a", "reason": "b", "until": "2099-01-01", "environment": "nowhere"},
        ),
        ("POST", "/api/v1/tokens", {"name": "x", "role": "viewer", "project": "nowhere"}),
        ("PATCH", "/api/v1/users/nobody", {}),
        ("PATCH", "/api/v1/users/nobody", {"forget_devices": True}),
        ("PATCH", "/api/v1/users/nobody", {"disabled": True}),
        ("PATCH", "/api/v1/users/nobody", {"password": "short"}),
        ("PATCH", "/api/v1/users/viewer", {"grants": {"nowhere": None}}),
    ],
)
async def test_what_a_query_or_a_body_names_and_is_not_there_is_404_too(
    site: Site, method: str, where: str, body: Any
) -> None:
    before = await site.contents()
    response = await site.send(method, where, "admin", body)
    assert response.status_code == 404, response.text[:300]
    assert await site.contents() == before


async def test_what_is_there_has_one_address(site: Site) -> None:
    for path in ("/projects/clinic/builds/48", "/api/v1/projects/clinic/builds/48"):
        assert (await site.get(path)).status_code == 200
        assert (await site.get(path.replace("48", "048"))).status_code == 404


def _parameters(path: str) -> set[str]:
    return {part[1:-1].partition(":")[0] for part in path.replace(".svg", "").split("/") if part[:1] == "{"}
