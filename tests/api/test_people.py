"""Users and tokens over the API: what a name may be, and which projects a role is given on."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from tests.web.site import Site

USERS, TOKENS = "/api/v1/users", "/api/v1/tokens"
VERA = f"{USERS}/viewer"
#: Nothing that compresses: an index row of PostgreSQL has no room for it.
LONG = "".join(random.Random(0).choices(string.ascii_lowercase + string.digits, k=9_000))


def new_user(**values: Any) -> dict[str, Any]:
    return {"name": "ada", "password": "correct horse battery", **values}


def new_token(**values: Any) -> dict[str, Any]:
    return {"name": "ci", "project": "clinic", "role": "viewer", **values}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", VERA, {"grants": {LONG: "viewer"}}),
        ("PATCH", VERA, {"grants": {LONG: None}}),
        ("POST", USERS, new_user(grants={LONG: "viewer"})),
        ("POST", USERS, new_user(name=LONG)),
        ("POST", USERS, new_user(display_name="x" * 101)),
        ("POST", TOKENS, new_token(project=LONG)),
        ("POST", TOKENS, new_token(name="x" * 101)),
    ],
)
async def test_what_is_too_long_is_refused(site: Site, method: str, path: str, body: dict[str, Any]) -> None:
    before = await site.contents()
    response = await site.send(method, path, "admin", body)
    assert response.status_code == 422
    assert LONG not in response.text
    assert await site.contents() == before


async def test_the_longest_names(site: Site) -> None:
    assert (await site.send("POST", TOKENS, "admin", new_token(name="x" * 100))).status_code == 201
    user = new_user(name="a" * 100, display_name="🧮" * 100)
    assert (await site.send("POST", USERS, "admin", user)).status_code == 201
