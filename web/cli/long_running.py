"""What every process of ours that keeps running does: it logs, follows who started it, and tells the person."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import structlog


@asynccontextmanager
async def following_parent(stop: Callable[[], None]) -> AsyncIterator[None]:
    """Call `stop` when the supervisor that started this process is gone."""

    async def watch() -> None:
        while os.getppid() == parent:  # noqa: ASYNC110 (no event tells of it)
            await asyncio.sleep(1.0)
        stop()

    # From the environment: a supervisor that died before this line is noticed too.
    parent = int(os.environ.get("CLEANSTART_PARENT", "0"))
    watcher = asyncio.create_task(watch()) if parent else None
    try:
        yield
    finally:
        if watcher is not None:
            watcher.cancel()


def set_up_logging() -> None:
    """Write warnings and what matters as lines to stderr: readable on a terminal, JSON elsewhere."""
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    render: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer()
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                render,
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)


def say(line: str) -> None:
    """Tell the person at the terminal."""
    with suppress(BrokenPipeError):
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
