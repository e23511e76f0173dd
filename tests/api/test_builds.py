"""Builds over the API: registered once, deployed, and answered the same by every surface."""

from __future__ import annotations

import asyncio

import pytest

from tests.web.filled import history
from tests.web.people import LEDGER_TOKEN
from tests.web.site import Site

BUILDS = "/api/v1/projects/clinic/builds"


async def test_a_build_is_registered_once(site: Site) -> None:
    body = {"number": 60, "commit": "abc", "manifest": history(6).to_json()}
    responses = await asyncio.gather(*(site.send("POST", BUILDS, "token", body) for _ in range(10)))
    assert {each.status_code for each in responses} == {201}
    assert await site.count("build", "number = 60") == 1
    other = await site.send("POST", BUILDS, "token", {**body, "manifest": history(7).to_json()})
    assert other.status_code == 409
    commit = await site.send("POST", BUILDS, "token", {**body, "commit": "def"})
    assert commit.status_code == 409
    shown = (await site.get(f"{BUILDS}/60", "viewer")).json()
    assert (shown["heads"], shown["migrations"], shown["commit"]) == (["r6"], 6, "abc")
    assert {"dev", "production"} <= set(shown["environments"])
    listed = (await site.get(BUILDS, "viewer")).json()["builds"]
    assert [each["number"] for each in listed] == [60, 49, 48, 47]
    assert {key: shown[key] for key in listed[0]} == listed[0]


@pytest.mark.parametrize("number", ["0", "-1", str(2**63), "9" * 20])
@pytest.mark.parametrize("rest", ["", "/environments/production"])
async def test_a_number_that_no_build_has(site: Site, number: str, rest: str) -> None:
    answer = await site.get(f"{BUILDS}/{number}{rest}", "viewer")
    assert answer.status_code == 404
    assert (
        answer.json()["detail"] == f"There is no build #{number}: numbers begin at 1 and end at {2**63 - 1}."
    )


async def test_a_deployment_is_recorded_and_shown_at_once(site: Site) -> None:
    assert "build #47" in (await site.get("/projects/clinic/environments/production")).text
    path = "/api/v1/projects/clinic/environments/production/deployments"
    assert (await site.send("POST", path, "token", {"build": 48})).status_code == 201
    assert "build #48" in (await site.get("/projects/clinic/environments/production")).text
    for number in (9999, 0, -1, 2**63 - 1, 2**63, 10**30):
        assert (await site.send("POST", path, "token", {"build": number})).status_code == 404
    assert await site.count("audit_entry", "action = 'record deployment'") == 1


async def test_a_token_is_for_its_own_project(site: Site) -> None:
    headers = {"Authorization": f"Bearer {LEDGER_TOKEN}"}
    client = site.client(None)
    assert (await client.get(BUILDS, headers=headers)).status_code == 404
    body = {"number": 2, "manifest": history(2).to_json()}
    assert (await client.post(BUILDS, json=body, headers=headers)).status_code == 404
    ledger = BUILDS.replace("clinic", "ledger")
    assert (await client.post(ledger, json=body, headers=headers)).status_code == 201
    assert (await client.get("/api/v1/users", headers=headers)).status_code == 403


async def test_the_gate_says_what_to_do(site: Site) -> None:
    answer = (await site.get(f"{BUILDS}/48/environments/production", "token")).json()
    assert answer["gate"]["open"] is False
    assert answer["gate_exit_code"] == 2
    assert answer["observation"]["observed_at"]
    closed = [each for each in answer["gate"]["conditions"] if each["state"] != "met"]
    assert closed
    assert all(each["way"] for each in closed)
