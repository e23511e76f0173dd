"""What taking, restoring and verifying tell while they run; whoever runs a job hands in its progress."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from web.postgres.connections import Connection


class Report(Protocol):
    """Takes log lines and measures; a job's progress does."""

    async def log(self, text: str, *, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        """Add a line."""

    async def at(self, done: int, total: int | None = None, unit: str = "") -> None:
        """Say how far it is."""


class Silence:
    """Takes everything and tells nobody."""

    async def log(self, text: str, *, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        pass

    async def at(self, done: int, total: int | None = None, unit: str = "") -> None:
        pass


async def _ignore(_: object) -> None:
    pass


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told what."""

    report: Report = field(default_factory=Silence)
    #: Called with every program's process group, so that a reaper can end it.
    on_process_group: Callable[[int], Awaitable[None]] = _ignore
    #: Called with every further connection to the target, so that a reaper can end its session.
    on_connection: Callable[[Connection], Awaitable[None]] = _ignore
    #: The name that all sessions bear.
    application_name: str = "cleanstart"
