"""`cleanstart …` as a person starts it: a process in a folder, what it says, everything that it starts in turn."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import httpx
import psutil

T = TypeVar("T")

#: The program as it is installed here, beside this interpreter.
CLEANSTART = str(Path(sys.executable).with_name("cleanstart"))
#: Seconds that anything may take on a busy machine.
PATIENCE = 120.0


@dataclass
class Started:
    """A running `cleanstart`; whatever it says goes into a file."""

    process: subprocess.Popen[bytes]
    output: Path
    #: Everything that it ever started, as far as it was seen.
    descendants: set[psutil.Process] = field(default_factory=set)

    @property
    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def look(self) -> list[psutil.Process]:
        """What lives below it now; remembered for `left`."""
        try:
            found = psutil.Process(self.process.pid).children(recursive=True)
        except psutil.NoSuchProcess:
            found = []
        self.descendants.update(found)
        return found

    def children(self) -> list[psutil.Process]:
        """What it started itself and still lives; those below come and go by the second."""
        return [each for each in psutil.Process(self.process.pid).children() if alive(each)]

    def child(self, command: str) -> psutil.Process:
        """The process that it keeps running under this command, once there is one."""
        return until(
            lambda: next((each for each in self.look() if command in cmdline(each)), None),
            f"no {command} runs",
        )

    def left(self) -> list[str]:
        """What it started that still lives."""
        return [f"{each.pid} {' '.join(cmdline(each))}" for each in self.descendants if alive(each)]

    def end(self, number: signal.Signals = signal.SIGINT, *, within: float = PATIENCE) -> float:
        """Signal it as a terminal does (the whole group) and wait; the seconds that it took."""
        self.look()
        began = time.monotonic()
        os.killpg(self.process.pid, number)
        try:
            self.process.wait(within)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it does not end: {self.said}") from None
        return time.monotonic() - began

    def destroy(self) -> None:
        """End everything, whatever state a test left it in."""
        self.look()
        for each in [*self.descendants, psutil.Process()][:-1]:
            if alive(each):
                each.kill()
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def start(
    arguments: Sequence[str],
    folder: Path,
    output: Path,
    *,
    prefix: Sequence[str] = (),
    program: str = CLEANSTART,
    environment: dict[str, str] | None = None,
) -> Started:
    """Start it in a folder, in a process group of its own as a shell does."""
    with output.open("wb") as stream:
        process = subprocess.Popen(
            [*prefix, program, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env=clean_environment() if environment is None else environment,
            start_new_session=True,
        )
    return Started(process, output)


def clean_environment() -> dict[str, str]:
    """This environment without what steers the program."""
    return {name: value for name, value in os.environ.items() if not name.startswith("CLEANSTART_")}


@dataclass(frozen=True)
class SignIn:
    """Where a demo answers, and who may enter."""

    address: str
    name: str
    password: str

    def enter(self, client: httpx.Client) -> None:
        """Sign in."""
        form = client.get(f"{self.address}/sign-in").text
        token = form.split('name="csrf_token" value="')[1].split('"')[0]
        answer = client.post(
            f"{self.address}/sign-in",
            data={"csrf_token": token, "name": self.name, "password": self.password},
            headers={"Origin": self.address},
        )
        assert answer.status_code == 303, answer.text


def answering(started: Started, directory: Path) -> SignIn:
    """Wait until a demo on this directory is ready; how to enter it. Its note is written anew at each start."""
    note = directory / "secrets" / "demo.json"

    def ready() -> SignIn | None:
        started.look()
        assert started.process.poll() is None, f"it ended: {started.said}"
        if not note.exists() or note.stat().st_mtime < started_at:
            return None
        sign_in = SignIn(**json.loads(note.read_text() or "{}"))
        return sign_in if answers(sign_in.address) else None

    started_at = psutil.Process(started.process.pid).create_time()
    return until(ready, "the demo does not answer", lambda: started.said)


def answers(address: str) -> bool:
    """Whether the web server there is ready."""
    try:
        return httpx.get(f"{address}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False


def until(
    fact: Callable[[], T | None], failing: str, said: Callable[[], str] = str, *, within: float = PATIENCE
) -> T:
    """Wait for a fact that is something, or True."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        found = fact()
        if found:
            return found
        # A look at all processes of the machine is not for nothing.
        time.sleep(0.1)
    raise AssertionError(f"{failing} {said()}")


def alive(process: psutil.Process) -> bool:
    """Whether it runs; one that only waits to be collected does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def cmdline(process: psutil.Process) -> list[str]:
    """Its command line; empty when it has gone."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []
