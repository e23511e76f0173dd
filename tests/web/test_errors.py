"""Errors as pages, as notes and as problems: the true status, words that help, never a traceback."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from urllib.parse import quote

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from tests.web.site import SWAP, Site, said
from tests.web.stored_jobs import JOBS
from tests.web.test_pages import check_page
from web.app import LARGEST_BODY
from web.pages import builds, projects


async def test_a_page_that_is_not_there(site: Site) -> None:
    for address in ("/nowhere", "/projects/nowhere", "/jobs/999999", "/projects/clinic/builds/9999"):
        response = await site.get(address)
        assert response.status_code == 404
        markup = check_page(response.text)
        assert "Not found" in markup.words()
        assert 'class="rail"' in response.text
        note = await site.get(address, headers=SWAP)
        assert note.status_code == 404
        assert "<html" not in note.text


async def test_odd_addresses_are_not_there_and_never_a_bug(site: Site) -> None:
    huge = 10**30
    for number in (0, -1, 2**31, 2**63 - 1, 2**63, huge, "x", "1.5", "%00", "²", "1%2F2", "1e3", "0x1", "+1"):
        for address in (
            f"/jobs/{number}",
            f"/jobs/{number}/stream",
            f"/jobs/{number}/log",
            f"/jobs/{number}/cancellation",
            f"/projects/clinic/builds/{number}",
            f"/projects/clinic/builds/{number}/environments/dev/badge.svg",
            f"/api/v1/jobs/{number}",
            f"/api/v1/jobs/{number}/events",
            f"/api/v1/projects/clinic/builds/{number}",
            f"/api/v1/projects/clinic/builds/{number}/environments/dev",
        ):
            response = await site.get(address)
            assert response.status_code == 404, f"{address}: {response.status_code}"
            assert not address.startswith("/api") or response.json()["status"] == 404
    for name in (
        "%2F",
        "..%2F..%2Fetc%2Fpasswd",
        "%00",
        "a%00b",
        "%F0%9F%98%80",
        "%ff",
        "%22%3E%3Cscript%3E",
        "." * 300,
    ):
        for address in (
            f"/projects/{name}",
            f"/projects/clinic/environments/{name}",
            f"/projects/clinic/environments/{name}/drift",
            f"/projects/clinic/environments/{name}/stream",
            f"/projects/clinic/environments/dev/jobs/new/{name}",
            f"/static/{name}",
            f"/static/..%2F..%2Fpyproject.toml{name}",
            f"/api/v1/projects/{name}",
            f"/api/v1/projects/clinic/environments/{name}",
        ):
            response = await site.get(address)
            assert response.status_code == 404, f"{address}: {response.status_code}"
            if not address.startswith("/api/"):
                assert "<script>" not in response.text


async def test_odd_queries_are_answered(site: Site) -> None:
    values = (
        "\x00",
        "'; DROP TABLE job;--",
        "%_\\",
        "\U0001f600" * 10,
        "\ud800".encode("utf-8", "surrogatepass"),
        str(10**30),
        "-1",
        "x" * 5000,
    )
    where = (
        "/?q={}",
        "/?only={}",
        "/question?project={}&build={}&environment={}",
        "/jobs?project={}&kind={}&state={}",
        "/jobs?before={}",
        "/audit?q={}&project={}&only={}",
        "/audit?before={}",
        "/projects/clinic/environments/dev?table={}&sort={}",
        "/projects/clinic/environments/dev/jobs?before={}",
        "/projects/clinic/environments/dev/jobs/new/verify?backup={}",
        "/projects/clinic/environments/dev/jobs/new/reset?lock_timeout={}&seed={}",
        "/projects/clinic/builds/48?environment={}",
        "/jobs/6/stream?after={}",
        "/sign-in?next={}",
        "/api/v1/jobs?project={}&environment={}&kind={}",
        "/api/v1/jobs?before={}&limit={}",
        "/api/v1/jobs/6/events?after={}",
        "/api/v1/audit?before={}&limit={}",
        "/api/v1/projects/clinic/builds?limit={}",
    )
    for address in where:
        for value in values:
            if "stream" in address and value == "-1":
                continue
            asked = address.replace("{}", quote(value))
            response = await site.get(asked)
            # What names a thing that is not there has a status of its own (test_missing).
            names = address.startswith(("/question", "/projects/clinic/builds"))
            expected = (200, 404, 422) if names else (200, 303, 422)
            assert response.status_code in expected, f"{asked}: {response.status_code}"
            assert "Traceback" not in response.text
            # How it is checked is nothing to a reader.
            assert "pattern" not in response.text, asked


async def test_odd_last_event_ids_start_from_the_page(site: Site) -> None:
    for said_id in ("²", "-1", "x", "9" * 40, "1.5", ""):
        response = await site.get(
            f"/jobs/{JOBS['failed']}/stream?after=29", headers={"Last-Event-ID": said_id.encode()}
        )
        assert response.status_code == 200
        assert "event: job-end" in response.text


async def test_odd_bodies_are_refused(site: Site) -> None:
    odd: tuple[tuple[str, str, tuple[object, ...]], ...] = (
        (
            "POST",
            "/api/v1/projects/clinic/builds",
            (
                {"number": 2**63, "manifest": {}},
                {"number": 5, "manifest": {"manifest": 1, "migrations": [{}]}},
                {
                    "number": 5,
                    "commit": "\x00",
                    "manifest": {"manifest": 1, "migrations": [{"revision": "a\x00"}]},
                },
                [],
                "x",
                None,
            ),
        ),
        (
            "POST",
            "/api/v1/projects/clinic/environments/dev/deployments",
            ({"build": "x"}, {"build": 1.5}, {}),
        ),
        (
            "POST",
            "/api/v1/projects/clinic/environments/idle/jobs/backup",
            ({"parameters": {"nonsense": 1}}, {"parameters": []}, {"what": 1}),
        ),
        (
            "POST",
            "/api/v1/projects/clinic/environments/idle/jobs/migrate",
            ({"parameters": {"lock_timeout": 10**30}}, {"seen_revisions": "x"}),
        ),
        (
            "POST",
            "/api/v1/projects/clinic/environments/idle/jobs/stamp",
            ({"parameters": {"revision": "a b"}}, {"parameters": {"revision": "\x00"}}),
        ),
        (
            "POST",
            "/api/v1/users",
            (
                {"name": "a\x00", "password": "correct horse battery"},
                {"name": "ok", "password": "correct horse battery", "display_name": "\x00"},
                {"name": "ok2", "password": "correct horse battery", "grants": {"\x00": "viewer"}},
                {"name": "x", "password": ""},
            ),
        ),
        (
            "POST",
            "/api/v1/tokens",
            (
                {"name": "\x00", "role": "viewer"},
                {"name": "a", "role": "viewer", "project": "\x00"},
                {"name": "a", "role": "god"},
                {"name": "a", "role": "viewer", "days": 10**9},
            ),
        ),
        ("PATCH", "/api/v1/users/viewer", ({"grants": {"\x00": "viewer"}}, {"grants": {"clinic": "god"}})),
    )
    for method, address, bodies in odd:
        for body in bodies:
            response = await site.send(method, address, "admin", body)
            assert response.status_code == 422, (
                f"{method} {address} {body}: {response.status_code} {response.text}"
            )
            assert response.json()["title"]
            assert "pattern" not in response.text
    assert (await site.send("PATCH", "/api/v1/users/%00", "admin", {"disabled": True})).status_code == 404
    assert (await site.send("DELETE", "/api/v1/tokens/%00", "admin")).status_code == 404


@pytest.mark.parametrize("who", [None, "admin"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_a_body_that_is_too_large_is_refused_unread(site: Site, who: str | None, chunked: bool) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(64):
            sent += 2**20
            yield b"[" * 2**20

    client = site.client(who)
    headers = {"Content-Type": "application/json"} | ({} if chunked else {"Content-Length": str(2**26)})
    for address in ("/api/v1/tokens", "/sign-in"):
        sent = 0
        response = await client.post(address, content=chunks(), headers=headers)
        # A form from elsewhere is refused for that, before its body is asked for.
        elsewhere = chunked and address == "/sign-in"
        assert response.status_code == (403 if elsewhere else 413)
        assert elsewhere or "too large" in response.text
        assert sent <= 2 * LARGEST_BODY


async def test_a_job_that_runs_is_named(site: Site) -> None:
    response = await site.post("/projects/clinic/environments/dev/jobs/backup", "operator")
    running = JOBS["running"]
    assert response.status_code == 409
    check_page(response.text)
    assert f"Job {running} " in said(response)
    assert f'href="/jobs/{running}"' in response.text
    note = await site.post("/projects/clinic/environments/dev/jobs/backup", "operator", headers=SWAP)
    assert (note.status_code, f'href="/jobs/{running}"' in note.text) == (409, True)
    problem = await site.send("POST", "/api/v1/projects/clinic/environments/dev/jobs/backup", "operator", {})
    assert (problem.status_code, problem.json()["job"], problem.json()["type"]) == (
        409,
        running,
        "job-already-running",
    )


async def test_what_a_role_may_not_is_said(site: Site) -> None:
    response = await site.post("/projects/clinic/environments/idle/jobs/backup", "viewer")
    assert response.status_code == 403
    check_page(response.text)
    assert "Only an operator of project" in said(response)


async def test_a_session_that_ended_leads_to_sign_in(site: Site) -> None:
    response = await site.client(None).get("/jobs?state=bad")
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/sign-in?next=%2Fjobs%3Fstate%3Dbad",
    )
    swap = await site.client(None).get("/jobs", headers=SWAP)
    assert swap.status_code == 401
    assert swap.headers["hx-redirect"].startswith("/sign-in")
    problem = await site.client(None).get("/api/v1/jobs")
    assert (problem.status_code, problem.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_bug_tells_its_reference_only(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("canary of the message")

    monkeypatch.setattr(projects, "list_jobs", broken)
    monkeypatch.setattr("web.api.projects.load_history", broken)
    for address, headers in (
        ("/projects/clinic", {}),
        ("/projects/clinic", SWAP),
        ("/api/v1/projects/clinic/history", {}),
    ):
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            response = await site.get(address, headers=headers)
        assert response.status_code == 500
        for word in ("Traceback", "ZeroDivisionError", "canary", "list_jobs", ".py"):
            assert word not in response.text
        logged = next(record for record in caplog.records if record.message.startswith("Unexpected error"))
        reference = logged.message.split()[2]
        assert reference in response.text
        assert logged.exc_info is not None
        assert response.headers["content-security-policy"]
    check_page((await site.get("/projects/clinic")).text)


async def test_a_store_that_is_away_is_a_503_and_comes_back(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(conninfo_to_dict(site.superuser_url)["dbname"])
    admin = psycopg.connect(site.superuser_url.replace(name, "postgres"), autocommit=True)
    database = sql.Identifier(name)
    with admin:
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(database))
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (name,))
        for address in ("/", "/projects/clinic", "/jobs/2", "/settings"):
            response = await site.get(address)
            assert response.status_code == 503, address
            check_page(response.text)
            assert 'class="rail"' not in response.text
            assert "The store cannot be reached" in response.text
            assert name not in response.text
        nowhere = await site.get("/nowhere")
        assert (nowhere.status_code, 'class="rail"' in nowhere.text) == (404, False)
        note = await site.get("/", headers=SWAP)
        assert (note.status_code, "<html" in note.text) == (503, False)
        problem = await site.get("/api/v1/projects")
        assert (problem.status_code, problem.json()["type"]) == (503, "store-unavailable")
        assert (await site.post("/projects/clinic/environments/idle/jobs/backup")).status_code == 503
        assert (await site.get("/readyz", None)).status_code == 503
        assert (await site.get("/healthz", None)).status_code == 200
        assert (await site.get("/static/app.css", None)).status_code == 200
        admin.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(database))
    assert (await site.get("/")).status_code == 200


async def test_a_store_that_goes_away_while_a_page_is_made(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error's own page needs the store for its navigation: it does without."""

    async def gone(*_: object, **__: object) -> None:
        async with site.store.connect() as connection:
            await connection.exec_driver_sql("SELECT pg_terminate_backend(pg_backend_pid())")

    monkeypatch.setattr(builds, "read_builds", gone)
    response = await site.get("/projects/clinic/builds")
    assert response.status_code == 503
    check_page(response.text)
