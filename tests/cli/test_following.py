"""Watching a job: at a terminal, and through a restart of the dashboard."""

from __future__ import annotations

import os
import pty
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.cli.conftest import ROOT, Site, clean_environment, start_program, until_answering
from tests.forked import Forked


@pytest.fixture
def port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        free: int = sock.getsockname()[1]
    return free


@pytest.fixture
def servers() -> Iterator[list[Forked]]:
    """Web servers of one test."""
    started: list[Forked] = []
    yield started
    for process in started:
        process.kill()
        process.wait()


def test_a_restart_of_the_dashboard_is_borne(site: Site, port: int, servers: list[Forked]) -> None:
    address, log = f"http://127.0.0.1:{port}", site.folder / "processes.log"

    def serve() -> None:
        servers.append(start_program(log, site.config, "serve", "--port", str(port)))
        until_answering(address, log)

    serve()
    site.worker.send_signal(signal.SIGSTOP)
    try:
        watching = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "observe", "clinic/synced", "--wait"],
            cwd=ROOT,
            env={**clean_environment(), "CLEANSTART_URL": address, "CLEANSTART_TOKEN": site.token},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert watching.stderr is not None
        assert watching.stderr.readline().startswith("Job ")
        servers[0].kill()
        servers[0].wait()
        serve()
    finally:
        site.worker.send_signal(signal.SIGCONT)
    out, err = watching.communicate(timeout=90)
    assert watching.returncode == 0, err
    assert "succeeded" in out
    steps = [line for line in err.splitlines() if "Check the database" in line]
    assert [line.rpartition(" ")[2] for line in steps] == ["running", "succeeded"]


def test_at_a_terminal(site: Site) -> None:
    outside, inside = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "web.cli", "observe", "clinic/synced", "--wait", "--config", str(site.config)],
        cwd=ROOT,
        env={**clean_environment(), "TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=inside,
        stderr=inside,
    )
    os.close(inside)
    said = b""
    try:
        while chunk := os.read(outside, 65_536):
            said += chunk
    except OSError:
        # Linux says so when the last one at the other end has gone.
        pass
    finally:
        os.close(outside)
    assert process.wait(timeout=30) == 0
    shown = said.decode()
    assert "Check the database" in shown
    assert "clinic/synced observe" in shown
    assert "In sync" in shown
    assert "Traceback" not in shown
