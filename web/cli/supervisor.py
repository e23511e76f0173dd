"""Runs the processes of one machine (web, worker) for `up` and `demo`, and ends them all together.

A process that dies is started again after a pause; what its death meant for a job is the reaper's question.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

T = TypeVar("T")

#: Seconds a process gets to end by itself. A worker may need nearly as many until a running job has ended truthfully.
GRACE = 40.0
#: A process that lived shorter than this counts as failing to start, which takes its time on a busy machine.
TOO_SHORT = 20.0
TRIES = 3


@dataclass(slots=True)
class Child:
    """One process that is kept running."""

    name: str
    arguments: Sequence[str]
    #: File descriptors that it inherits.
    descriptors: tuple[int, ...] = ()
    process: asyncio.subprocess.Process | None = None
    short_lives: int = field(default=0)


async def supervise(children: Sequence[Child], *, stopping: asyncio.Event) -> int:
    """Keep the children running until `stopping` is set; returns the exit code for the parent.

    A child that ends three times in a row right after its start ends everything, with its exit code.
    """
    keepers = [asyncio.create_task(_keep(child, stopping)) for child in children]
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([*keepers, stopped], return_when=asyncio.FIRST_COMPLETED)
        failed = [task.result() for task in keepers if task.done()]
        return next((code for code in failed if code), 0)
    finally:
        stopping.set()
        stopped.cancel()
        await asyncio.gather(*keepers, return_exceptions=True)


async def _keep(child: Child, stopping: asyncio.Event) -> int:
    loop = asyncio.get_running_loop()
    while not stopping.is_set():
        began = loop.time()
        # Its own session: Ctrl-C in the terminal reaches the parent alone, which ends the children in order.
        child.process = process = await asyncio.create_subprocess_exec(
            sys.executable,
            # -P: a folder named `web` in the working directory is not ours.
            *("-P", "-m", "web.cli"),
            *child.arguments,
            start_new_session=True,
            env=_environment(),
            pass_fds=child.descriptors,
        )
        ended = asyncio.create_task(process.wait())
        stopped = asyncio.create_task(stopping.wait())
        await asyncio.wait([ended, stopped], return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not ended.done():
            await _end(process)
            return 0
        code = ended.result()
        if loop.time() - began < TOO_SHORT:
            child.short_lives += 1
            # Whatever it is may pass: the store's server is started again just now, perhaps.
            if child.short_lives >= TRIES:
                return code or 1
        else:
            child.short_lives = 0
        sys.stderr.write(f"cleanstart: {child.name} ended with exit code {code}; starting it again\n")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stopping.wait(), timeout=1 + child.short_lives)
    return 0


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout=GRACE)
        except TimeoutError:
            process.kill()
            await process.wait()


def _environment() -> dict[str, str]:
    """The parent's, plus its pid: a child whose parent is gone ends by itself."""
    return {**os.environ, "CLEANSTART_PARENT": str(os.getpid()), "PYTHONUNBUFFERED": "1"}


async def unless_stopped(work: Coroutine[Any, Any, T], stopping: asyncio.Event) -> T | None:
    """Run the work to its end; None when `stopping` was set before: the work is cancelled then."""
    running = asyncio.create_task(work)
    stopped = asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait([running, stopped], return_when=asyncio.FIRST_COMPLETED)
        return running.result() if running.done() else None
    finally:
        running.cancel()
        stopped.cancel()
        await asyncio.gather(running, stopped, return_exceptions=True)


def stop_on_signals(stopping: asyncio.Event) -> None:
    """Set the event at SIGINT (Ctrl-C), SIGTERM and SIGHUP."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
