"""A whole installation for tests: its configuration file, a store, worker and web processes, the command line.

The processes are the real ones (`python -m web.cli …`); commands run in this process, through the same entry.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tests.conftest import STORE_OWNER, STORE_RUNTIME, Store, fresh_database
from tests.forked import Forked, start
from web.cli.program import run
from web.postgres.embedded import EmbeddedServer

ROOT = Path(__file__).parents[2]
FINISHED = ("succeeded", "failed", "cancelled", "not done", "unknown")
Toml = Mapping[str, Any]


def until(fact: Callable[[], object], *, within: float = 30.0, what: str | Callable[[], str] = "") -> None:
    """Wait for a fact; fail when it is not one by then."""
    deadline = time.monotonic() + within
    while not fact():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {within} s: {what() if callable(what) else what}")
        time.sleep(0.05)


def to_toml(values: Toml, path: tuple[str, ...] = ()) -> str:
    """Write tables of plain values as TOML."""
    plain = {key: value for key, value in values.items() if not isinstance(value, Mapping)}
    lines = [f"[{'.'.join(_quoted(part) for part in path)}]"] if path else []
    lines += [f"{_quoted(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in plain.items()]
    tables = [to_toml(value, (*path, key)) for key, value in values.items() if isinstance(value, Mapping)]
    return "\n".join([*lines, "", *tables])


def _quoted(key: str) -> str:
    return json.dumps(str(key), ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command said, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def text(self) -> str:
        return f"{self.out}\n{self.err}"


@dataclass
class Installation:
    """One store, one configuration, and what runs on them."""

    folder: Path
    store: Store
    environment: dict[str, str] = field(default_factory=dict)
    processes: list[Forked] = field(default_factory=list)
    #: Everything that commands have printed.
    said: list[str] = field(default_factory=list)

    @property
    def config(self) -> Path:
        return self.folder / "cleanstart.toml"

    @property
    def log(self) -> Path:
        return self.folder / "processes.log"

    def secret(self, name: str, value: str) -> str:
        """Write a secret into a file and return its reference."""
        file = self.folder / f"{name}.secret"
        file.write_text(value)
        file.chmod(0o600)
        return f"file:{file}"

    def configure(self, projects: Toml, **more: Any) -> None:
        """Write the configuration; the store is the installation's.

        On a scratch server that is named, which the tests share, there is no wall.
        """
        if "scratch" in more:
            projects = {name: {**project, "without_wall": True} for name, project in projects.items()}
        values = {
            "data_directory": str(self.folder / "data"),
            "store": {
                "url": self.secret("store", self.store.url),
                "owner_url": self.secret("store-owner", self.store.owner_url),
            },
            "backups": {"location": str(self.folder / "backups")},
            "projects": projects,
            **more,
        }
        # TOML wants plain values before tables.
        self.config.write_text(to_toml(values), encoding="utf-8")

    def start(self, *command: str, config: Path | None = None, **variables: str) -> Forked:
        """Start `cleanstart COMMAND …` as a process that dies with this one."""
        process = start(
            "web.cli",
            [*command, "--config", str(config or self.config)],
            log=self.log,
            environment={
                "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
                "HOME": str(self.folder),
                "LANG": "C.UTF-8",
                **self.environment,
                **variables,
            },
            folder=ROOT,
        )
        self.processes.append(process)
        return process

    def work(self, *, failpoint: str = "") -> Forked:
        """Start a worker and wait until it shows that it lives."""
        process = self.start("worker", CLEANSTART_FAILPOINT=failpoint)

        def lives() -> bool:
            assert process.poll() is None, self.log_tail()
            return bool(self.ask("SELECT 1 FROM worker WHERE pid = %s AND stopped_at IS NULL", process.pid))

        until(lives, what=self.log_tail)
        return process

    def serve(self) -> str:
        """Start a web server and return its origin."""
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        process = self.start("serve", "--port", str(port))

        def listens() -> bool:
            assert process.poll() is None, self.log_tail()
            with socket.socket() as one:
                return one.connect_ex(("127.0.0.1", port)) == 0

        until(listens, what=self.log_tail)
        return f"http://127.0.0.1:{port}"

    def end(self) -> None:
        """Kill what still runs."""
        for process in self.processes:
            process.send_signal(signal.SIGKILL)
            process.wait()

    def log_tail(self) -> str:
        """The end of what the processes have logged."""
        return self.log.read_text(errors="replace")[-5000:] if self.log.exists() else ""

    def __call__(self, *arguments: str, config: Path | None = None) -> Answer:
        """Run a command."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = run([*arguments, "--config", str(config or self.config)])
        answer = Answer(code, out.getvalue(), err.getvalue())
        self.said += [answer.out, answer.err]
        return answer

    def start_job(self, kind: str, where: str, *options: str) -> int:
        """Start a job and return its number."""
        answer = self(kind, where, *options, "--format", "json")
        assert answer.code == 0, answer
        number = answer.json["id"]
        assert isinstance(number, int)
        return number

    def do(self, kind: str, where: str, *options: str) -> dict[str, Any]:
        """Start a job, wait for its end, return it."""
        answer = self(kind, where, *options, "--wait", "--format", "json")
        try:
            job = answer.json
        except ValueError:
            raise AssertionError(f"{answer}\n{self.log_tail()}") from None
        assert isinstance(job, dict)
        return job

    def succeed(self, kind: str, where: str, *options: str) -> dict[str, Any]:
        """The same, and it has to succeed."""
        job = self.do(kind, where, *options)
        assert job.get("state") == "succeeded", f"{job}\n{self.log_tail()}"
        return job

    def job(self, number: int) -> dict[str, Any]:
        """A job as the store has it."""
        (row,) = self.ask("SELECT * FROM job WHERE id = %s", number)
        return row

    def finished(self, number: int, *, within: float = 45.0) -> dict[str, Any]:
        """Wait for a job's end."""
        until(
            lambda: self.job(number)["state"] in FINISHED,
            within=within,
            what=lambda: f"{self.job(number)}\n{self.log_tail()}",
        )
        return self.job(number)

    def ask(self, query: str, *values: object) -> list[dict[str, Any]]:
        """Ask the store."""
        with psycopg.connect(self.store.owner_url, autocommit=True, row_factory=dict_row) as connection:
            cursor = connection.execute(query.encode(), values)
            return cursor.fetchall() if cursor.description else []


@contextmanager
def installed(server: EmbeddedServer, template: str, folder: Path) -> Iterator[Installation]:
    """An installation on a fresh store; whatever it started is ended."""
    with fresh_database(server, template=template, owner=STORE_OWNER) as url:
        name = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        assert isinstance(name, str)
        installation = Installation(
            folder, Store(server.url(name, STORE_RUNTIME), server.url(name, STORE_OWNER))
        )
        try:
            yield installation
        finally:
            installation.end()


def query(url: str, statement: str, values: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
    """Ask a database, or change it."""
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(statement.encode(), values)
        return cursor.fetchall() if cursor.description else []


def backends(url: str, job: int) -> list[tuple[Any, ...]]:
    """The sessions on a database's server that bear a job's name."""
    return query(
        url,
        "SELECT pid, application_name, query FROM pg_stat_activity WHERE application_name LIKE %s",
        [f"cleanstart/{job}/%"],
    )
