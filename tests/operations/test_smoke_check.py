"""Smoke check: asked until the application answers as configured, for a bounded time, and told as it was."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from tests.answering import answering, status
from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import page, surfaces
from web.config import SmokePolicy
from web.operations import smoke_check
from web.operations.smoke_check import SMOKE_CHECK, Asked, ask

PLACE = "/projects/clinic/environments/dev"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tries follow each other at once, and wait no longer than they have to."""
    monkeypatch.setattr(smoke_check, "EVERY", 0.05)
    monkeypatch.setattr(smoke_check, "PATIENCE", 0.5)


@pytest.fixture
def over() -> Iterator[threading.Event]:
    """Set when the test is over: what a server waits for that does not answer."""
    event = threading.Event()
    yield event
    event.set()


async def asked(address: str, seconds: float = 0.5, *, expect: int = 200) -> tuple[Asked, list[str]]:
    told: list[str] = []

    async def tell(line: str) -> None:
        told.append(line)

    return await ask(SmokePolicy(address, expect), seconds, tell=tell), told


async def test_it_is_offered_run_and_told(site: Site) -> None:
    await site.observe()
    assert site.dev.smoke is not None
    address = site.dev.smoke.url
    async with surfaces(site) as client:
        assert "Smoke check" in await page(client, PLACE)
        started = await client.post(f"/api/v1{PLACE}/jobs/smoke-check", json={})
        assert started.status_code == 201, started.text
        job = started.json()["id"]
        await site.execution(job).run()
        said = outcome(await site.job(job))
        assert said["title"] == "Answered 200"
        assert said["account"].startswith(f"{address} answered 200, as expected: 1 try in ")
        data = dict(said["data"])
        assert data.pop("seconds") >= 0
        assert data == {"url": address, "status": 200, "tries": 1}
        assert f"{address} answered 200, as expected" in await page(client, f"/jobs/{job}")


async def test_where_none_is_configured_there_is_none(site: Site) -> None:
    await site.observe()
    site.change(smoke=None)
    async with surfaces(site) as client:
        shown = await page(client, PLACE)
        assert "moke check" not in shown
        refused = await client.post(f"/api/v1{PLACE}/jobs/smoke-check", json={})
        assert refused.status_code == 404
        assert "clinic/dev has no `smoke` configured" in refused.text


async def test_a_wrong_status_fails_and_says_what_came(site: Site) -> None:
    def failing(request: BaseHTTPRequestHandler) -> None:
        status(request, 503)

    with answering(failing) as address:
        site.change(smoke=SmokePolicy(address))
        job = await site.run(SMOKE_CHECK, seconds=1)
    assert job.state == "failed"
    said = outcome(job)
    assert said["title"] == "The smoke check failed"
    assert said["account"].startswith(f"{address} answered 503, and 200 was expected: 1 try in ")


@pytest.mark.usefixtures("quick")
async def test_asked_until_it_is_up_and_well() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    answers = iter((502, 503, 503))

    def coming_up(request: BaseHTTPRequestHandler) -> None:
        status(request, next(answers, 200))

    told: list[str] = []
    with ExitStack() as stack:

        async def tell(line: str) -> None:
            if not told:
                stack.enter_context(answering(coming_up, port=port))
            told.append(line.partition(": ")[2].partition(" ")[2])

        found = await ask(SmokePolicy(f"http://127.0.0.1:{port}/"), 30, tell=tell)
    assert found.last.status == 200
    assert found.tries == 5
    # Refused at first; the same answer again is not told again.
    assert told[0].startswith("did not answer (")
    assert told[1:] == ["answered 502", "answered 503", "answered 200"]


@pytest.mark.usefixtures("quick")
async def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    found, told = await asked(f"http://127.0.0.1:{port}/")
    assert found.last.status is None
    assert found.last.words.startswith("did not answer (")
    assert found.tries > 1
    assert len(told) == 1


@pytest.mark.usefixtures("quick")
async def test_a_server_that_hangs(over: threading.Event) -> None:
    def hanging(request: BaseHTTPRequestHandler) -> None:
        over.wait()

    with answering(hanging) as address:
        found, _ = await asked(address)
        over.set()
    assert found.last.status is None
    assert found.last.words.startswith("did not answer within ")
    assert found.tries == 1


@pytest.mark.usefixtures("quick")
async def test_a_server_that_sends_its_answer_byte_by_byte(over: threading.Event) -> None:
    def trickling(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX-Slow: ")
        while not over.wait(0.01):
            try:
                request.wfile.write(b"x")
            except ConnectionError:
                return

    with answering(trickling) as address:
        found, _ = await asked(address)
        over.set()
    assert found.last.words.startswith("did not answer within ")


async def test_a_huge_body_is_not_read() -> None:
    cut_off = threading.Event()

    def huge(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(1 << 40))
        request.end_headers()
        try:
            while True:
                request.wfile.write(bytes(1 << 20))
        except ConnectionError:
            cut_off.set()

    with answering(huge) as address:
        found, _ = await asked(address, 10)
        assert found.last.status == 200
        assert cut_off.wait(30)


@pytest.mark.parametrize("expect", [200, 302])
async def test_no_redirect_is_followed(expect: int) -> None:
    paths: list[str] = []

    def moved(request: BaseHTTPRequestHandler) -> None:
        paths.append(request.path)
        place = f"http://ana:hunter2@{request.headers['Host']}/sign-in?token=hunter2#hunter2"
        status(request, 302, Location=place)

    with answering(moved) as address:
        found, told = await asked(address, 1, expect=expect)
    assert set(paths) == {"/healthz"}
    assert found.last.status == 302
    assert found.last.words == f"answered 302, which leads to {address.replace('healthz', 'sign-in')}"
    assert "hunter2" not in "".join(told)


async def test_no_credentials_and_no_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login ana password hunter2\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://ana:hunter2@127.0.0.1:9")
    sent: list[str] = []

    def noting(request: BaseHTTPRequestHandler) -> None:
        sent.extend(name.lower() for name in request.headers)
        status(request, 200)

    with answering(noting) as address:
        found, _ = await asked(address, 10)
    assert found.last.status == 200
    assert sorted(sent) == ["accept", "accept-encoding", "connection", "host", "user-agent"]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    "address", ["http://xn--.example/", "http://nowhere.invalid/", "https://127.0.0.1:{port}/"]
)
async def test_what_cannot_be_asked_is_told(address: str) -> None:
    with answering() as there:
        port = there.rpartition(":")[2].partition("/")[0]
        found, _ = await asked(address.format(port=port), 0.1)
    assert found.last.status is None
    assert found.last.words.startswith("did not answer")
