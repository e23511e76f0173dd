"""Takes backups for tests, and keeps what is told meanwhile."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Literal

from web.backups.manifest import Manifest
from web.backups.places import Place
from web.backups.reporting import Watch
from web.backups.take import Source, take
from web.postgres.connections import Connection, connect
from web.postgres.programs import Programs
from web.tools.protocol import Applied


class Told:
    """Keeps what is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.measures: list[tuple[int, int | None, str]] = []

    async def log(self, text: str, *, level: Literal["debug", "info", "warning", "error"] = "info") -> None:
        self.lines.append(text)

    async def at(self, done: int, total: int | None = None, unit: str = "") -> None:
        self.measures.append((done, total, unit))


async def take_backup(
    url: str,
    place: Place,
    programs: Sequence[Programs],
    watch: Watch | None = None,
    *,
    applied: Callable[[Connection], Awaitable[Applied]] | None = None,
    environment: str = "dev",
    backup_id: uuid.UUID | None = None,
) -> Manifest:
    """Take a backup as a job does."""
    async with connect(url) as connection:
        source = Source("clinic", environment, url, applied)
        return await take(connection, source, place, backup_id or uuid.uuid4(), programs, watch or Watch())


def files_in(folder: Path) -> list[str]:
    """Every file below a folder, hidden ones too."""
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if not file.is_dir())
