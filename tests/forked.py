"""Programs of the product as processes that are forked with everything imported, where starting is not what is tested.

A process of its own group of modules takes two to three seconds to import them. What is forked has its own variables,
folder and output, is killed and waited for like any other, and is gone when the test process is.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from multiprocessing.reduction import DupFd
from pathlib import Path
from typing import Any

_forking = multiprocessing.get_context("forkserver")
_forking.set_forkserver_preload(
    ["web.app", "web.cli.program", "web.jobs.worker", "tests.jobs.program", "tests.settled"]
)


@dataclass
class Forked:
    """A process with the manners of `subprocess.Popen`."""

    process: ForkServerProcess

    @property
    def pid(self) -> int:
        assert self.process.pid is not None
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it; None while it lives."""
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        self.process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.process.name, timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


#: A program under test, however it was begun.
Process = Forked | subprocess.Popen[bytes]


def start(
    module: str,
    arguments: Sequence[str],
    *,
    log: Path,
    environment: Mapping[str, str],
    folder: Path,
    passed: int | None = None,
    errors: Path | None = None,
) -> Forked:
    """Start what `python -m MODULE …` would be. What it says is appended to the log; its errors to `errors`, if given.

    `passed` is a file descriptor for it; where the arguments have its number, they get the one that it has there.
    """
    process = _forking.Process(
        name=module,
        target=_run,
        args=(module, list(arguments), (log, errors or log), dict(environment), folder, _Passed(passed)),
    )
    process.start()
    return Forked(process)


def run(
    module: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    folder: Path,
    timeout: float = 120,
) -> subprocess.CompletedProcess[str]:
    """Run what `python -m MODULE …` would be to its end, with nothing to read from."""
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said, "out"), Path(said, "err")
        process = start(module, arguments, log=out, errors=err, environment=environment, folder=folder)
        try:
            code = process.wait(timeout)
        finally:
            process.kill()
        return subprocess.CompletedProcess([module, *arguments], code, out.read_text(), err.read_text())


@dataclass
class _Passed:
    """A file descriptor that goes to the new process with the request for it."""

    number: int | None

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (self.number, None if self.number is None else DupFd(self.number))


def _received(number: int | None, there: Any) -> tuple[str, str] | None:
    """What the number was, and what it is in this process."""
    return None if there is None else (str(number), str(there.detach()))


def _run(
    module: str,
    arguments: list[str],
    outputs: tuple[Path, Path],
    environment: dict[str, str],
    folder: Path,
    passed: tuple[str, str] | None,
) -> None:
    """In the new process: be the program."""
    for number, file in enumerate(outputs, start=1):
        with file.open("ab") as stream:
            os.dup2(stream.fileno(), number)
    os.environ.clear()
    # The web server follows its parent where it is told of one; a worker of the tests does anyway.
    os.environ.update(environment, CLEANSTART_PARENT=str(os.getppid()))
    os.chdir(folder)
    if passed is not None:
        arguments = [passed[1] if each == passed[0] else each for each in arguments]
    sys.argv = [module, *arguments]
    runpy.run_module(module, run_name="__main__", alter_sys=True)
