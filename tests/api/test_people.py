"""Users and tokens over the API: what a name may be, and which projects a role is given on."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest
from sqlalchemy import insert, select, update

from tests.web.site import Site
from web.store.tables import ApiTokenRow, RoleGrantRow, UserRow

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


NOWHERE = ("clinc", "", "<script>", "Clinic", "clinic/dev", "ledger ")


@pytest.mark.parametrize("project", NOWHERE)
async def test_no_role_on_a_project_that_is_not_there(site: Site, project: str) -> None:
    before = await site.contents()
    for method, path, body in (
        ("PATCH", VERA, {"grants": {"clinic": "admin", project: "viewer"}}),
        ("PATCH", VERA, {"grants": {project: None}}),
        ("POST", USERS, new_user(grants={project: "viewer"})),
        ("POST", TOKENS, new_token(project=project)),
    ):
        response = await site.send(method, path, "admin", body)
        assert response.status_code == 404
        problem = response.json()
        assert problem["detail"] == f"There is no project “{project}”."
        assert problem["hint"] == "Known here: clinic, ledger, broken, forked."
    assert await site.contents() == before


async def test_whoever_asks_is_told_of_their_own_projects(site: Site) -> None:
    """What they may not see and what is not there are answered alike."""
    for project in ("ledger", "clinc"):
        response = await site.send("POST", TOKENS, "clinic-admin", new_token(project=project))
        assert response.status_code == 404
        assert response.json()["hint"] == "Known here: clinic."
    none = await site.send("POST", TOKENS, "idle", new_token())
    assert (none.status_code, none.json()["hint"]) == (404, "")
    assert (await site.send("POST", TOKENS, "clinic-admin", new_token(project="*"))).status_code == 403
    assert (await site.send("POST", TOKENS, "clinic-admin", new_token())).status_code == 201


async def test_a_role_on_a_project_that_has_vanished(site: Site) -> None:
    """It is listed and can be taken away, and a token for it revoked; nothing new is given on it."""
    async with site.store.begin() as store:
        user = await store.scalar(select(UserRow.id).where(UserRow.name == "viewer"))
        await store.execute(insert(RoleGrantRow).values(user_id=user, project="gone", role="admin"))
        await store.execute(update(ApiTokenRow).where(ApiTokenRow.name == "ledger").values(project="gone"))

    async def granted() -> dict[str, str]:
        users = (await site.get(USERS)).json()["users"]
        found: dict[str, str] = next(each["grants"] for each in users if each["name"] == "viewer")
        return found

    assert await granted() == {"clinic": "viewer", "gone": "admin"}
    assert (await site.send("PATCH", VERA, "admin", {"grants": {"gone": "viewer"}})).status_code == 404
    assert (await site.send("PATCH", VERA, "admin", {"grants": {"gone": None}})).status_code == 200
    assert await granted() == {"clinic": "viewer"}
    assert (await site.send("PATCH", VERA, "admin", {"grants": {"gone": None}})).status_code == 404
    tokens = (await site.get(TOKENS)).json()["tokens"]
    assert "gone" in {each["project"] for each in tokens}
    assert (await site.send("DELETE", f"{TOKENS}/ledger", "admin")).status_code == 200


async def test_taking_away_what_nobody_has(site: Site) -> None:
    assert (await site.send("PATCH", VERA, "admin", {"grants": {"ledger": None}})).status_code == 200
