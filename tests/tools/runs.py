"""Runs a written project and keeps what it told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psycopg

from web.config import AlembicTool, Project
from web.tools.alembic import UpgradeResult, upgrade
from web.tools.events import RunnerEvent

E = TypeVar("E")


def project_of(folder: Path, tool: AlembicTool) -> Project:
    return Project(name="shop", title="Shop", source=folder, alembic=tool)


@dataclass
class Told:
    """Every event of a run, in order."""

    events: list[RunnerEvent] = field(default_factory=list)

    async def __call__(self, event: RunnerEvent) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


async def run_upgrade(
    folder: Path, tool: AlembicTool, url: str, told: Told | None = None, revision: str = "heads"
) -> UpgradeResult:
    return await upgrade(project_of(folder, tool), url=url, on_event=told or Told(), revision=revision)


async def ask(url: str, query: str) -> list[object]:
    """The first column of a query's rows."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        rows = await (await connection.execute(query.encode())).fetchall()
    return [row[0] for row in rows]
