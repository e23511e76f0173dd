"""What a person has: the demo as `cleanstart demo` starts it, and a browser. Nothing is mocked.

A module shares one demo, so its tests tell one story from top to bottom; every module has a demo of its own, which was
started before where the module is not about a first start (`FIRST_START`).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from axe_playwright_python.sync_playwright import Axe
from filelock import FileLock, Timeout
from playwright.sync_api import Browser, BrowserContext, Error, Page, Playwright, expect, sync_playwright

from tests import forked
from tests.conftest import run_folder
from tests.started import clean_environment, until
from web.cli.demo import MARK
from web.postgres.embedded import EmbeddedServer

ROOT = Path(__file__).parent.parent.parent
#: Where `make screenshots` wants the pictures of the README; unset: none are taken.
SCREENSHOTS = os.environ.get("CLEANSTART_SCREENSHOTS")
#: Seconds that anything on a page may take on a busy machine.
PATIENCE = 120.0
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


expect.set_options(timeout=PATIENCE * 1000)


@dataclass(frozen=True)
class Demo:
    """A running demo."""

    address: str
    name: str
    password: str
    directory: Path
    process: subprocess.Popen[str]

    @property
    def configuration(self) -> Path:
        return self.directory / "cleanstart.toml"

    def query(self, environment: str, statement: str) -> None:
        """What somebody does with psql on one of the clinic's databases."""
        url = (self.directory / "secrets" / f"clinic_{environment}_url").read_text().strip()
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run `cleanstart` on this host, on the demo's configuration."""
        return forked.run(
            "web.cli",
            [*arguments, "--config", str(self.configuration)],
            environment={**os.environ, **environment},
            folder=self.directory,
        )


def start_demo(directory: Path) -> Demo:
    """Start the demo on a free port and wait until it answers."""
    note = directory / "secrets" / "demo.json"
    note.unlink(missing_ok=True)
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "demo", "--directory", str(directory), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=ROOT,
        start_new_session=True,
    )
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            assert process.stdout is not None
            pytest.fail(f"the demo ended with {process.returncode}: {process.stdout.read()}")
        if note.exists() and (text := note.read_text()):
            said = json.loads(text)
            # It is announced once every database was looked at.
            if "Ctrl-C stops everything" in _read_line(process):
                return Demo(said["address"], said["name"], said["password"], directory, process)
        time.sleep(0.01)
    process.kill()
    pytest.fail("the demo does not answer")


def _read_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def stop_demo(demo: Demo) -> str:
    """Press Ctrl-C and return what it said; it must end by itself."""
    demo.process.send_signal(signal.SIGINT)
    said, _ = demo.process.communicate(timeout=60)
    return said


@pytest.fixture(scope="module")
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    """A demo of this module's own; one that was made and stopped before, unless the module is about a first start."""
    directory = tmp_path_factory.mktemp("demo")
    packed = run_folder(tmp_path_factory) / "demo"
    if not getattr(request.module, "FIRST_START", False) and _made(packed):
        _unpack(packed, directory)
    running = start_demo(directory)
    yield running
    _stop(running)
    _forget(running)


def _made(packed: Path) -> bool:
    """Whether there are the files of a demo that was looked at and rehearsed: whoever comes first in a run makes them.

    Who comes while they are being made does without.
    """
    try:
        with FileLock(packed.with_suffix(".lock"), timeout=0):
            if not packed.exists():
                running = start_demo(packed.with_suffix(".running"))
                until(lambda: _rehearsed(running), "the demo is not rehearsed")
                _stop(running)
                made = packed.with_suffix(".new")
                made.mkdir()
                _copy([*_kept(running.directory), *_server_files(running.directory)], made)
                _forget(running)
                made.rename(packed)
    except Timeout:
        return False
    return True


def _unpack(packed: Path, directory: Path) -> None:
    _copy(_kept(packed), directory)
    data, password = _server_files(directory)
    _copy([packed / data.name, packed / password.name], data.parent)


def _kept(directory: Path) -> list[Path]:
    return [directory / MARK, directory / "secrets"]


def _server_files(directory: Path) -> list[Path]:
    """Its server's data and password: as root they lie elsewhere and are another user's."""
    data = EmbeddedServer(directory / "postgresql").data_directory
    return [data, data.parent / "password"]


def _copy(files: list[Path], into: Path) -> None:
    subprocess.run(["cp", "-a", *files, into], check=True)


def _rehearsed(demo: Demo) -> bool:
    done = demo.run("jobs", "--format", "json")
    if done.returncode != 0:
        # It is asked again; should it stay so, this is what was said.
        logging.getLogger(__name__).warning("jobs: %s %s", done.returncode, done.stderr)
        return False
    jobs = json.loads(done.stdout)["jobs"]
    ended = [job["kind"] for job in jobs if job["state"] == "succeeded"]
    return len(ended) == len(jobs) and ended.count("rehearse") == 2


def _stop(demo: Demo) -> None:
    said = stop_demo(demo)
    assert demo.process.returncode == 0, said
    assert "Traceback" not in said, said


def _forget(demo: Demo) -> None:
    # As root its server's files are elsewhere, 250 MB of them.
    clean = ["demo", "--clean", "--directory", str(demo.directory)]
    done = forked.run("web.cli", clean, environment=os.environ, folder=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not demo.directory.exists()


@contextmanager
def served_with(demo: Demo, changes: dict[str, str], folder: Path) -> Iterator[Demo]:
    """The demo, seen through a web server whose configuration has these changes."""
    file = folder / "cleanstart.toml"
    said = demo.configuration.read_text()
    for before, after in changes.items():
        assert before in said, before
        said = said.replace(before, after)
    file.write_text(said)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = forked.start(
        "web.cli",
        ["serve", "--port", str(port), "--config", str(file)],
        log=folder / "log",
        environment=clean_environment(),
        folder=demo.directory,
    )
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            return httpx.get(f"{address}/readyz").status_code == 200
        except httpx.TransportError:
            return False

    until(answers, "the web server does not answer")
    yield replace(demo, address=address)
    server.kill()
    server.wait(10)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser for one module: Playwright's loop runs in this thread, so nothing else here may run one."""
    record = ROOT / ".cache" / "browser" / "browser.json"
    assert record.exists(), "No browser: run `make test`, or tests/install_browser.py"
    found = json.loads(record.read_text())
    with sync_playwright() as playwright:
        try:
            launched = _launched(playwright, found)
        except Error as error:
            # Chromium itself dies at its start once in some hundred times: of that no page of ours knows anything.
            if "SIGSEGV" not in str(error):
                raise
            launched = _launched(playwright, found)
        yield launched
        launched.close()


def _launched(playwright: Playwright, found: dict[str, Any]) -> Browser:
    return playwright.chromium.launch(
        executable_path=found["executable"],
        args=[*QUIET, *found["arguments"]],
        env={**os.environ, **found["environment"]},
    )


@dataclass
class Visitor:
    """A browser window at the demo, with everything that its console complained about."""

    page: Page
    demo: Demo
    complaints: list[str]
    #: Everything that its console called an error; answers that refuse are among them.
    errors: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.demo.address + path)

    def sign_in(self, name: str | None = None, password: str | None = None) -> None:
        self.go("/sign-in")
        self.page.get_by_label("Name").fill(name or self.demo.name)
        self.page.get_by_label("Password").fill(password or self.demo.password)
        self.page.get_by_role("button", name="Sign in").click()

    def barriers(self) -> list[str]:
        """What axe finds on the page, with everything on it unfolded."""
        self.page.evaluate("for (const each of document.querySelectorAll('main details')) each.open = true")
        found = Axe().run(self.page, options={"resultTypes": ["violations"]})
        return [
            f"{each['id']}: {node['target']}"
            for each in found.response["violations"]
            for node in each["nodes"]
        ]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(width))

    def picture(self, name: str) -> None:
        """Take a screenshot for the README, where pictures are wanted."""
        if SCREENSHOTS:
            Path(SCREENSHOTS).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=f"{SCREENSHOTS}/{name}.png")


Open = Callable[..., Visitor]


@pytest.fixture
def visit(browser: Browser, demo: Demo) -> Iterator[Open]:
    """Open windows: `visit()` signed in, `visit(signed_in=False)`, or with a context's options."""
    contexts: list[BrowserContext] = []
    visitors: list[Visitor] = []

    def open_window(*, signed_in: bool = True, **options: Any) -> Visitor:
        context = browser.new_context(viewport={"width": 1440, "height": 960}, **options)
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        page = context.new_page()
        visitor = Visitor(page, demo, [])
        visitors.append(visitor)
        page.on("pageerror", lambda error: visitor.complaints.append(f"error: {error}"))
        page.on(
            "console",
            lambda message: (
                visitor.complaints.append(message.text)
                if "Content Security Policy" in message.text or "Refused" in message.text
                else None
            ),
        )
        page.on(
            "console",
            lambda message: visitor.errors.append(message.text) if message.type == "error" else None,
        )
        if signed_in:
            visitor.sign_in()
            page.wait_for_url(f"{demo.address}/")
        return visitor

    yield open_window
    for context in contexts:
        context.close()
    for visitor in visitors:
        assert visitor.complaints == []
