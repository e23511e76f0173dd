"""A real store, worker, web server and targets, made once; `cleanstart` is called over either transport.

Tests share the site and never an environment that one of them changes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import httpx
import psycopg
import pytest
from psycopg import sql

from tests import forked
from tests.conftest import STORE_OWNER, STORE_RUNTIME, fresh_database
from tests.forked import Forked, start
from tests.interpreter import project_python
from tests.tools.written import execute, migration, write_project
from web.cli.program import run
from web.postgres.embedded import EmbeddedServer
from web.postgres.urls import database_name, libpq_url, parameters

ROOT = Path(__file__).parent.parent.parent
#: The password of every target's role; it must come out nowhere.
CANARY = "canary-4f1d9b"
ROLE = "cli_target"
#: A table, a message and a comment that would like to steer a terminal.
HOSTILE = 'a"b <b>[red]\x1b[2J\u202e\U0001f600'

A = "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL)"
B = "CREATE VIEW emails AS SELECT email FROM users"
C = "CREATE INDEX users_email ON users (email)"
MIGRATIONS = {
    "a": migration("a", None, execute(A)),
    "b": migration("b", "a", execute(B)),
    "c": migration("c", "b", execute(C)),
}
VERSION = (
    "CREATE TABLE alembic_version "
    "(version_num varchar(32) NOT NULL CONSTRAINT alembic_version_pkc PRIMARY KEY)"
)
APPLIED = {"a": [A], "b": [A, B], "c": [A, B, C]}

#: What is in each target: revision, further statements; None: nothing at all.
TARGETS: dict[str, tuple[str, list[str]] | None] = {
    "synced": ("c", []),
    "behind": ("a", []),
    "middle": ("b", []),
    "fresh": None,
    "strange": ("zzz", []),
    "drifted": ("c", ["ALTER TABLE users ADD COLUMN hotfix text"]),
    "hostile": ("c", ['CREATE TABLE "{}" (id int)'.format(HOSTILE.replace('"', '""'))]),
    "changed": ("a", []),
    "backed-up": ("c", ["INSERT INTO users SELECT n, 'x' FROM generate_series(1, 50) n"]),
    "reset-me": ("c", ["INSERT INTO users VALUES (1, 'a@example.com')"]),
    "approved": ("a", []),
    "deployed": ("a", []),
    "production": ("c", []),
    "production-behind": ("a", []),
}
#: The histories of the builds that are registered, by number.
BUILDS: dict[int, dict[str, str]] = {
    2: {name: MIGRATIONS[name] for name in ("a", "b")},
    3: MIGRATIONS,
    4: {**MIGRATIONS, "x": migration("x", "b", execute("CREATE TABLE x (id int)"))},
    5: {"a": MIGRATIONS["a"], "y": migration("y", "a", execute("CREATE TABLE y (id int)"))},
    6: {**MIGRATIONS, "b": migration("b", "a", execute(B, "SELECT 1"))},
}


@dataclass(frozen=True)
class Ended:
    """How a call ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """What it printed for programs."""
        return json.loads(self.out)


@dataclass
class Site:
    """Everything that runs."""

    folder: Path
    config: Path
    address: str
    worker: Forked
    targets: dict[str, str]
    token: str = ""
    tokens: dict[str, str] = field(default_factory=dict)

    def query(self, target: str, statement: str) -> list[tuple[Any, ...]]:
        """Ask a target."""
        with psycopg.connect(self.targets[target], autocommit=True) as connection:
            cursor = connection.execute(statement)
            return cursor.fetchall() if cursor.description else []

    def variables(self, transport: Transport, token: str | None = None) -> dict[str, str]:
        """The environment variables that choose a transport."""
        if transport == "store":
            return {"CLEANSTART_CONFIG": str(self.config)}
        return {"CLEANSTART_URL": self.address, "CLEANSTART_TOKEN": token or self.token}

    def command(self, *arguments: object, transport: Transport = "store", **variables: str) -> Ended:
        """Call the program as a process of its own."""
        done = forked.run(
            "web.cli",
            [*map(str, arguments)],
            environment={**clean_environment(), **self.variables(transport), **variables},
            folder=ROOT,
        )
        return Ended(done.returncode, done.stdout, done.stderr)


Transport = Literal["store", "http"]
#: Calls the program in this process: `cli("status", transport=…)`.
Cli = Callable[..., Ended]


def clean_environment() -> dict[str, str]:
    """This process's variables without ours."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLEANSTART_")}


@pytest.fixture(scope="session")
def site(
    server: EmbeddedServer, store_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """The site; a worker and a web server as processes of their own."""
    folder = tmp_path_factory.mktemp("cli")
    (folder / "secrets").mkdir()
    write_project(folder / "clinic", MIGRATIONS)
    with psycopg.connect(server.url(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(
                sql.Identifier(ROLE), sql.Literal(CANARY)
            )
        )
    with ExitStack() as stack:
        urls = {name: stack.enter_context(fresh_database(server)) for name in TARGETS}
        for name, content in TARGETS.items():
            _fill(urls[name], content)
        store = database_name(
            stack.enter_context(fresh_database(server, template=store_template, owner=STORE_OWNER))
        )
        _secret(folder, "store", server.url(store, STORE_RUNTIME))
        _secret(folder, "scratch", server.url())
        _secret(folder, "dead", f"postgresql://nobody:{CANARY}@127.0.0.1:9/nothing")
        for name, url in urls.items():
            _secret(folder, name, libpq_url({**parameters(url), "user": ROLE, "password": CANARY}))
        config = folder / "cleanstart.toml"
        config.write_text(_configuration(tuple(urls)))
        log = folder / "processes.log"
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            port = sock.getsockname()[1]
            web = start_program(log, config, "serve", "--inherited", str(sock.fileno()), passed=sock.fileno())
        stack.callback(_end, web)
        worker = start_program(log, config, "worker")
        stack.callback(_end, worker)
        found = Site(folder, config, f"http://127.0.0.1:{port}", worker, urls)
        until_answering(found.address, log)
        made = found.command("tokens", "create", "ci", "--role", "admin", "--format", "json")
        assert made.code == 0, made.err
        found.token = made.json["token"]
        for number, migrations in BUILDS.items():
            checkout = folder / f"build-{number}"
            write_project(checkout, migrations)
            arguments = ["register-build", "clinic", "--number", str(number), "--source", str(checkout)]
            assert run([*arguments, "--config", str(config)]) == 0
        yield found


@pytest.fixture
def cli(site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Cli:
    """Call the program in this process, over either transport, with nobody at a terminal."""

    def call(*arguments: object, transport: Transport = "store", token: str | None = None) -> Ended:
        with monkeypatch.context() as patch:
            for name in list(os.environ):
                if name.startswith("CLEANSTART_"):
                    patch.delenv(name)
            for name, value in site.variables(transport, token).items():
                patch.setenv(name, value)
            capsys.readouterr()
            code = run([str(each) for each in arguments])
            said = capsys.readouterr()
        assert CANARY not in said.out + said.err
        assert "Traceback" not in said.err
        return Ended(code, said.out, said.err)

    return call


@pytest.fixture(params=["store", "http"])
def transport(request: pytest.FixtureRequest) -> Transport:
    """Both transports, one after the other."""
    chosen: Transport = request.param
    return chosen


def _fill(url: str, content: tuple[str, list[str]] | None) -> None:
    if content is None:
        return
    revision, statements = content
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (*APPLIED.get(revision, [A, B, C]), VERSION, *statements):
            connection.execute(statement)
        connection.execute("INSERT INTO alembic_version VALUES (%s)", (revision,))


def _secret(folder: Path, name: str, url: str) -> None:
    (folder / "secrets" / name).write_text(url)


def _configuration(names: tuple[str, ...]) -> str:
    environments = [
        f'[projects.clinic.environments.{name}]\nurl = "file:secrets/{name}"\n'
        f'tier = "{"production" if name.startswith("production") else "development"}"\n'
        + ("reset = {}\n" if name == "reset-me" else "")
        + ("approvals = 1\n" if name == "approved" else "")
        for name in (*names, "dead")
    ]
    return "\n".join(
        [
            '[store]\nurl = "file:secrets/store"',
            '[scratch]\n17 = "embedded"',
            '[backups]\nlocation = "backups"',
            '[projects.clinic]\ntitle = "Clinic"\nsource = "clinic"\nkeeps = ["application code"]',
            f'[projects.clinic.alembic]\nconfig = "alembic.ini"\npython = "{project_python()}"',
            'url_variable = "DATABASE_URL"\nurl_driver = "postgresql+psycopg"',
            *environments,
        ]
    )


def start_program(log: Path, config: Path, *arguments: str, passed: int | None = None) -> Forked:
    """Start what keeps running."""
    return start(
        "web.cli",
        [*arguments, "--config", str(config)],
        log=log,
        environment=clean_environment(),
        folder=ROOT,
        passed=passed,
    )


def _end(process: Forked) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def until_answering(address: str, log: Path) -> None:
    """Wait until a web server answers."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{address}/healthz").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"the web server does not answer: {log.read_text()[-3000:]}")
