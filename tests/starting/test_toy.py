"""A kind that is one value and one entry works everywhere: form, dialog, route, API, command, audit, job page."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from html import unescape
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import text

from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import page, surfaces
from tests.starting.toy import COUNT, GREET
from web.cli.program import run
from web.jobs.kind import JobKind
from web.operations import KINDS
from web.starting.operation import Operations

PLACE = "/projects/clinic/environments/dev"


@pytest.fixture
def knows(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The two kinds are entries of KINDS."""
    monkeypatch.setattr("web.operations.KINDS", (*KINDS, GREET, COUNT))
    site.kinds = (*KINDS, GREET, COUNT)


@pytest.fixture
async def client(site: Site, knows: None) -> AsyncIterator[httpx.AsyncClient]:
    """The application; the database has tables."""
    await site.at_head()
    async with surfaces(site) as client:
        yield client


@pytest.fixture
async def client_of_nothing(site: Site, knows: None) -> AsyncIterator[httpx.AsyncClient]:
    """The application; the database was looked at and is empty."""
    await site.observe()
    async with surfaces(site) as client:
        yield client


async def done(site: Site, job_id: int) -> dict[str, Any]:
    """Run a job that was started, and tell how it ended."""
    await site.execution(job_id).run()
    job = await site.job(job_id)
    assert job.state == "succeeded", outcome(job)
    return outcome(job)


async def audited(client: httpx.AsyncClient, job_id: int) -> tuple[str, str]:
    entries = (await client.get("/api/v1/audit")).json()["entries"]
    (found,) = [each for each in entries if each["detail"].get("job") == job_id]
    return found["action"], found["object"]


def number_in(path: str) -> int:
    found = re.fullmatch(r"/jobs/(\d+)", path)
    assert found is not None, path
    return int(found.group(1))


async def test_the_button_and_the_dialog(client: httpx.AsyncClient) -> None:
    assert "Greet the tables…" in await page(client, PLACE)
    dialog = await page(client, f"{PLACE}/jobs/new/greet")
    for part in ("Say hello?", "Somebody says hello in clinic/dev.", "Say nothing", "Whom", "Loudly"):
        assert part in dialog
    assert "Type <code>clinic/dev</code> to confirm" in dialog
    assert "It has tables" in dialog
    assert "Reason to greet all the same" not in dialog, "nothing failed that it leans on"


async def test_the_form_starts_it_and_the_job_page_tells(site: Site, client: httpx.AsyncClient) -> None:
    form = {"name": "Ada", "loud": "true"}
    refused = await client.post(f"{PLACE}/jobs/greet", data=form)
    assert refused.status_code == 403, "the name was not typed"
    assert "Say hello?" in unescape(refused.text)
    wrong = await client.post(f"{PLACE}/jobs/greet", data={"loud": "true", "confirmation": "clinic/dev"})
    assert wrong.status_code == 422
    assert "Greeting cannot be started like this: name" in unescape(wrong.text)
    started = await client.post(f"{PLACE}/jobs/greet", data={**form, "confirmation": "clinic/dev"})
    assert started.status_code == 303, started.text
    job_id = number_in(started.headers["location"])
    assert (await done(site, job_id))["account"] == "HELLO, ADA."
    shown = await page(client, f"/jobs/{job_id}")
    for part in ("Greeting of clinic/dev", "Greeted", "HELLO, ADA.", "Say hello", "Greet somebody else"):
        assert part in shown
    assert 'data-status="drift"' in shown[shown.index('id="job-head"') :][:200]
    assert await audited(client, job_id) == ("greet", "clinic/dev")
    assert "Greeting" in await page(client, "/jobs")


async def test_its_gate_and_its_reason_are_asked(site: Site, client_of_nothing: httpx.AsyncClient) -> None:
    client = client_of_nothing
    assert "Reason to greet all the same" in await page(client, f"{PLACE}/jobs/new/greet")
    prepared = (await client.get(f"/api/v1{PLACE}/jobs/new/greet")).json()
    assert (prepared["type_to_confirm"], prepared["wants_reason"]) == ("clinic/dev", "")
    body: dict[str, Any] = {"parameters": {"name": "Ada"}, "typed": "clinic/dev"}
    refused = await client.post(f"/api/v1{PLACE}/jobs/greet", json=body)
    assert refused.status_code == 403
    assert "It has tables" in refused.json()["detail"]
    body["parameters"]["in_spite"] = "because"
    assert (await client.post(f"/api/v1{PLACE}/jobs/greet", json=body)).status_code == 409, (
        "for what was seen"
    )
    started = await client.post(
        f"/api/v1{PLACE}/jobs/greet", json={**body, "shown_hash": prepared["shown_hash"]}
    )
    assert started.status_code == 201, started.text
    assert (await done(site, started.json()["id"]))["data"] == {"said": "Hello, Ada"}


async def test_a_killed_one_is_told_with_its_own_words(site: Site, client: httpx.AsyncClient) -> None:
    job_id = await site.start(GREET, name="Ada")
    async with site.store.begin() as connection:
        await connection.execute(
            text(
                "UPDATE job SET state = 'unknown', started_at = now(), finished_at = now(), outcome = "
                """'{"title": "Not known how it ended", "evidence": {"whom": "Ada"}}' WHERE id = :job"""
            ),
            {"job": job_id},
        )
    assert "It was meant for" in await page(client, f"/jobs/{job_id}")


async def test_a_kind_of_a_project(site: Site, client: httpx.AsyncClient) -> None:
    assert "Count the environments…" in await page(client, "/projects/clinic")
    dialog = await page(client, "/projects/clinic/jobs/new/count")
    for part in ("Count Clinic?", "The environments of Clinic are counted.", "At least"):
        assert part in dialog
    started = await client.post("/projects/clinic/jobs/count", data={"least": "0"})
    job_id = number_in(started.headers["location"])
    assert (await done(site, job_id))["account"] == "Clinic has 1."
    job = await site.job(job_id)
    assert (job.label, job.environment, job.environment_id) == ("clinic", None, None)
    assert await audited(client, job_id) == ("count", "clinic")
    shown = await page(client, f"/jobs/{job_id}")
    assert "Count of clinic" in shown
    assert '<a href="/projects/clinic"' in shown
    for path in ("/jobs", "/projects/clinic"):
        assert f"/jobs/{job_id}" in await page(client, path)
    told = (await client.get(f"/api/v1/jobs/{job_id}")).json()
    assert (told["label"], told["environment"], told["state"]) == ("clinic", None, "succeeded")
    prepared = (await client.get("/api/v1/projects/clinic/jobs/new/count")).json()
    assert (prepared["title"], prepared["closed"]) == ("Count", [])
    again = await client.post("/api/v1/projects/clinic/jobs/count", json={})
    assert again.status_code == 201
    listed = (await client.get("/api/v1/jobs", params={"project": "clinic", "kind": "count"})).json()["jobs"]
    assert [each["id"] for each in listed] == [again.json()["id"], job_id]
    assert (
        await client.post("/api/v1/projects/clinic/jobs/count", json={"parameters": {"least": -1}})
    ).status_code == 422


async def test_each_kind_only_where_it_belongs(client: httpx.AsyncClient) -> None:
    for path in (
        f"{PLACE}/jobs/new/count",
        "/projects/clinic/jobs/new/greet",
        "/projects/clinic/jobs/new/backup",
    ):
        assert (await client.get(path)).status_code == 404
        assert (await client.get(f"/api/v1{path}")).status_code == 404
    for path in (f"{PLACE}/jobs/count", "/projects/clinic/jobs/greet", "/projects/clinic/jobs/backup"):
        assert (await client.post(path, data={})).status_code == 404
        assert (await client.post(f"/api/v1{path}", json={})).status_code == 404


async def test_the_commands(site: Site, knows: None, store_url: str, tmp_path: Path) -> None:
    await site.at_head()
    tool = site.configuration.project("clinic").tool
    (tmp_path / "store").write_text(store_url)
    config = tmp_path / "cleanstart.toml"
    config.write_text(
        f"""
        data_directory = "{tmp_path / "data"}"
        [store]
        url = "file:{tmp_path / "store"}"
        [projects.clinic]
        title = "Clinic"
        source = "{site.folder}"
        [projects.clinic.alembic]
        config = "alembic.ini"
        python = "{tool.program}"
        url_variable = "DATABASE_URL"
        [projects.clinic.environments.dev]
        url = "{site.dev.url.reference}"
        tier = "development"
        """
    )

    async def call(*arguments: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()

        def called() -> int:
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                return run([*arguments, "--config", str(config)])

        return await asyncio.to_thread(called), out.getvalue(), err.getvalue()

    code, said, _ = await call("greet", "--help")
    assert code == 0
    for part in ("Say hello to a database.", "PROJECT/ENVIRONMENT", "--name", "--loud", "--confirm"):
        assert part in said
    code, _, err = await call("greet", "clinic/dev", "--name", "Ada")
    assert code == 3
    assert "--confirm clinic/dev" in err
    code, said, err = await call(
        "greet", "clinic/dev", "--name", "Ada", "--confirm", "clinic/dev", "--format", "json"
    )
    assert code == 0, err
    assert (await done(site, json.loads(said)["id"]))["title"] == "Greeted"
    code, said, _ = await call("count", "--help")
    assert "PROJECT" in said
    assert "ENVIRONMENT" not in said
    code, said, err = await call("count", "clinic", "--format", "json")
    assert code == 0, err
    assert (await done(site, json.loads(said)["id"]))["data"] == {"environments": 1}


def test_two_kinds_of_one_name_do_not_start() -> None:
    with pytest.raises(ValueError, match="Two job kinds have one name: count"):
        Operations((*KINDS, COUNT, COUNT))


def test_a_kind_does_not_take_the_place_of_a_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("web.operations.KINDS", (*KINDS, replace(COUNT, name="status")))
    assert run(["--help"]) == 3
    assert "NamesClash" in "".join(capsys.readouterr())


def test_a_kind_of_a_project_changes_no_database() -> None:
    with pytest.raises(ValueError, match="no database that it could change"):
        replace(COUNT, mutating=True)


def test_every_kind_says_what_it_does() -> None:
    for kind in KINDS:
        assert kind.help.endswith("."), kind.name
        assert kind.offers or kind.observes, kind.name
        assert isinstance(kind, JobKind)


def test_buttons_stand_in_the_order_of_kinds() -> None:
    """Undoing drift comes before making it official."""
    kinds = Operations(KINDS)
    assert [kind.name for kind, _ in kinds.at("environment")] == [
        "backup",
        "migrate",
        "smoke-check",
        "reset",
    ]
    assert [kind.name for kind, _ in kinds.at("drift")] == ["plan-revert", "adopt"]
    assert [kind.name for kind, _ in kinds.at("migrations")] == ["rehearse", "stamp"]
