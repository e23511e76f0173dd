"""Programs: fixed argv, allow-listed environment, a process group that dies with us and can be seen gone.

Which program to run and with what arguments is for others to say.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import psutil

from web.errors import CommandFailed, OperationFailed, ProgramMissing, TimeLimitExceeded
from web.walls.accounts import Account
from web.walls.layers import Wall, launch

#: The only variables that programs inherit from us; everything else is given by the caller.
INHERITED = (
    "PATH",
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
)
#: A cancelled program is gone after this many seconds, or an error says that it is not.
GONE_WITHIN = 10.0
#: What a program behind a wall inherits: nothing that names a place of ours.
SPOKEN = ("LANG", "LC_ALL", "LC_CTYPE", "TZ")
_GRACE = 5.0
#: So long may the reader of the messages lag behind when the program has ended.
_LAST_LINES = 60.0
_TAIL = 8192


@dataclass(frozen=True, slots=True)
class Completed:
    """How a program ended."""

    argv: tuple[str, ...]
    exit_code: int
    #: The last 8 KiB of what it wrote to stderr, secrets taken out.
    stderr_tail: str
    #: What it wrote to stdout, where that was captured.
    stdout: bytes
    seconds: float


def environment(
    given: Mapping[str, str] | None = None, *, inherited: Sequence[str] = INHERITED
) -> dict[str, str]:
    """Return the environment of a program: the allow-listed variables of ours, then the given ones."""
    return {**{name: os.environ[name] for name in inherited if name in os.environ}, **(given or {})}


def launch_argv(
    argv: Sequence[str], *, death_signal: int, account: Account | None = None, adopt: bool = False
) -> tuple[str, ...]:
    """Return the argv that starts a program which ends with us, as another user where one is given.

    The kernel ties the program to the *thread* that forks: start programs in the event loop's thread, not in
    a worker thread.
    """
    spec: dict[str, object] = {"parent": os.getpid(), "death_signal": int(death_signal), "adopt": adopt}
    if account is not None:
        spec |= {"uid": account.uid, "gid": account.gid}
    return launch(argv, spec)


class RunningProgram:
    """A running program, in a session and group of its own; end it with `terminate` or `async with`."""

    def __init__(
        self,
        argv: Sequence[str],
        process: asyncio.subprocess.Process,
        on_stderr_line: Callable[[str], Awaitable[None]] | None,
        redact: Collection[str],
        *,
        walled: bool = False,
    ) -> None:
        self._walled = walled
        self.argv = tuple(argv)
        self.pid = process.pid
        self.process_group = process.pid
        self._process = process
        self._started = time.monotonic()
        self._redact = tuple(secret for secret in redact if secret)
        self._tail = ""
        self._on_line = on_stderr_line
        self._line_error: Exception | None = None
        self._stderr = asyncio.create_task(self._read_stderr())
        self._exit = asyncio.create_task(process.wait())

    @property
    def stdin(self) -> asyncio.StreamWriter | None:
        return self._process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader | None:
        return self._process.stdout

    @property
    def stderr_tail(self) -> str:
        return self._tail

    async def wait(self, *, check: bool = True) -> Completed:
        """Wait for its end; what it leaves in its group is killed. Raises CommandFailed (unless not `check`).

        What `on_stderr_line` raised ends the program and is raised here.
        Read stdout to its end first where it is a pipe.
        """
        exit_code = await self._exited()
        if members(self.process_group):
            await self._kill_group()
        await self._last_lines(_LAST_LINES)
        if self._line_error is not None:
            raise self._line_error
        done = Completed(self.argv, exit_code, self._tail, b"", time.monotonic() - self._started)
        if check and exit_code != 0:
            raise CommandFailed(self.argv, exit_code, self._tail)
        return done

    async def terminate(self, grace: float = _GRACE) -> None:
        """End the whole group: SIGTERM, after `grace` seconds SIGKILL, and see it gone within 10 s.

        Descendants that left the group are ended too, as far as they are still known. Raises OperationFailed
        when something survives.
        """
        deadline = time.monotonic() + GONE_WITHIN
        # Twice: a process whose parent ends during the first look is only found by the second.
        family = descendants(self.pid) | descendants(self.pid)
        _signal_group(self.process_group, signal.SIGTERM)
        # A stopped process does not see SIGTERM before it goes on.
        _signal_group(self.process_group, signal.SIGCONT)
        await self._until_gone(min(deadline, time.monotonic() + grace), family)
        if self._alive(family):
            family |= descendants(self.pid)
            await self._kill_group()
            for process in family:
                _kill(process)
            await self._until_gone(deadline, family)
        if left := self._alive(family):
            raise OperationFailed(f"{self.argv[0]} does not end: processes {sorted(left)} are still there.")
        await self._exited()
        await self._last_lines(1.0)
        self._close_pipes()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process.returncode is None or members(self.process_group):
            await asyncio.shield(self.terminate())
        self._stderr.cancel()
        self._exit.cancel()
        self._close_pipes()

    async def _exited(self) -> int:
        """Wait for the program itself: asyncio's `wait` also waits until nobody holds its pipes (3.11, seen)."""
        while self._process.returncode is None:
            await asyncio.wait({self._exit}, timeout=0.1)
        code = self._process.returncode
        # From behind a wall a signal comes as shells tell it.
        return 128 - code if self._walled and 128 < code <= 128 + signal.NSIG else code

    def _close_pipes(self) -> None:
        """Close what is left of the pipes: a process that got away may hold their other ends for ever."""
        # asyncio offers no other way; without it a warning comes at some later garbage collection.
        self._process._transport.close()  # type: ignore[attr-defined]

    def _alive(self, family: Collection[psutil.Process]) -> set[int]:
        return set(members(self.process_group)) | {process.pid for process in family if _runs(process)}

    async def _until_gone(self, deadline: float, family: Collection[psutil.Process]) -> None:
        await until(lambda: not self._alive(family), deadline - time.monotonic())

    async def _kill_group(self) -> None:
        _signal_group(self.process_group, signal.SIGKILL)
        await until(lambda: not members(self.process_group), GONE_WITHIN)

    async def _last_lines(self, seconds: float) -> None:
        """Wait until stderr is read to its end, which a process that got away may keep open for ever."""
        await asyncio.wait({self._stderr}, timeout=seconds)
        if not self._stderr.done():
            self._stderr.cancel()
            self._close_pipes()

    async def _read_stderr(self) -> None:
        reader = self._process.stderr
        if reader is None:
            return
        rest = b""
        while chunk := await reader.read(65536):
            *lines, rest = (rest + chunk).split(b"\n")
            if len(rest) > 65536:
                lines, rest = [*lines, rest], b""
            for line in lines:
                await self._take(line)
        if rest:
            await self._take(rest)

    async def _take(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip("\r")
        for secret in self._redact:
            text = text.replace(secret, "•••")
        self._tail = (self._tail + text + "\n")[-_TAIL:]
        if self._on_line is None or self._line_error is not None:
            return
        try:
            await self._on_line(text)
        except Exception as error:
            # Nobody may learn of the work any more, so it ends; its pipe is still read, or it could not.
            self._line_error = error
            _signal_group(self.process_group, signal.SIGTERM)


async def start(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: int | IO[bytes] = DEVNULL,
    stdout: int | IO[bytes] = DEVNULL,
    pass_fds: Sequence[int] = (),
    on_stderr_line: Callable[[str], Awaitable[None]] | None = None,
    redact: Collection[str] = (),
    death_signal: int = signal.SIGKILL,
    account: Account | None = None,
    wall: Wall | None = None,
) -> RunningProgram:
    """Start a program. `env` is added to the allow-listed variables; `redact` is taken out of its stderr.

    It runs as another user where an `account` is given; a wall has its own.

    When this process dies, the program gets `death_signal`; behind a wall it is killed, whatever it started too.
    Pass `asyncio.subprocess.PIPE` for the streams that the caller wants. Raises ProgramMissing.
    """
    if not os.access(argv[0], os.X_OK):
        raise ProgramMissing(f"{argv[0]} is not there or cannot be run.")
    process = await asyncio.create_subprocess_exec(
        *(
            launch_argv(argv, death_signal=death_signal, account=account, adopt=True)
            if wall is None
            else wall.enclose(argv, cwd=cwd)
        ),
        stdin=stdin,
        stdout=stdout,
        stderr=PIPE,
        # Behind a wall of namespaces the folder is that of the program's own tree.
        cwd=cwd,
        env=environment(env, inherited=INHERITED if wall is None else SPOKEN),
        pass_fds=tuple(pass_fds),
        start_new_session=True,
        limit=1 << 20,
    )
    return RunningProgram(argv, process, on_stderr_line, redact, walled=wall is not None)


async def run(
    argv: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes | IO[bytes] | None = None,
    on_stderr_line: Callable[[str], Awaitable[None]] | None = None,
    redact: Collection[str] = (),
    death_signal: int = signal.SIGKILL,
    time_limit: timedelta | None = None,
    check: bool = True,
    account: Account | None = None,
    wall: Wall | None = None,
) -> Completed:
    """Run a program to its end and return what it wrote to stdout. Cancelling ends its whole group first.

    Raises ProgramMissing, CommandFailed, TimeLimitExceeded.
    """
    source: int | IO[bytes] = PIPE if isinstance(stdin, bytes) else DEVNULL if stdin is None else stdin
    program = await start(
        argv,
        env=env,
        cwd=cwd,
        stdin=source,
        stdout=PIPE,
        on_stderr_line=on_stderr_line,
        redact=redact,
        death_signal=death_signal,
        account=account,
        wall=wall,
    )
    limit = time_limit.total_seconds() if time_limit else None
    try:
        async with program, asyncio.timeout(limit):
            return await _finish(program, stdin if isinstance(stdin, bytes) else None, check)
    except TimeoutError as error:
        raise TimeLimitExceeded(f"{Path(argv[0]).name} was ended after {limit:g} s.") from error


async def until(fact: Callable[[], bool], seconds: float, *, every: float = 0.02) -> bool:
    """Look again and again until something is so that nobody tells us; say whether it came in time."""
    deadline = time.monotonic() + seconds
    while not fact():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(every)
    return True


def members(process_group: int) -> list[int]:
    """Return the pids in a process group that still run (zombies do not)."""
    found = []
    for pid in psutil.pids():
        try:
            if os.getpgid(pid) == process_group and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
        except (ProcessLookupError, PermissionError, psutil.Error):
            continue
    return found


def descendants(pid: int) -> set[psutil.Process]:
    """Return the processes below a process, those included that left its group (it adopts their orphans)."""
    try:
        return set(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return set()


async def _finish(program: RunningProgram, given: bytes | None, check: bool) -> Completed:
    async def feed() -> None:
        if given is not None and program.stdin is not None:
            try:
                program.stdin.write(given)
                await program.stdin.drain()
            except (BrokenPipeError, ConnectionResetError):
                pass  # it ended without reading all; its exit code says why
            program.stdin.close()

    async def drain() -> None:
        while program.stdout is not None and (chunk := await program.stdout.read(1 << 16)):
            output.extend(chunk)

    output = bytearray()
    feeding, draining = asyncio.create_task(feed()), asyncio.create_task(drain())
    try:
        done = await program.wait(check=check)
        # A process that got away may hold the pipe for ever; what the program itself wrote is there by now.
        await asyncio.wait({draining}, timeout=5.0)
    finally:
        feeding.cancel()
        draining.cancel()
    return Completed(done.argv, done.exit_code, done.stderr_tail, bytes(output), done.seconds)


def _signal_group(process_group: int, number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process_group, number)


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _kill(process: psutil.Process) -> None:
    with suppress(psutil.Error):
        process.kill()
