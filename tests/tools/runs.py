"""Runs a written project and keeps what it told."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import psycopg

from web.config import AlembicSettings, Project
from web.postgres.connections import connect
from web.postgres.identity import KnownDatabase, TargetIdentity, read_identity
from web.tools.alembic_tool.tool import Alembic
from web.tools.confinement import Confinement, on_target
from web.tools.ending import UpgradeResult
from web.tools.events import RunnerEvent

E = TypeVar("E")
ALEMBIC = Alembic()


def project_of(folder: Path, tool: AlembicSettings) -> Project:
    return Project(name="shop", title="Shop", source=folder, tool=tool)


@dataclass
class Told:
    """Every event of a run, in order."""

    events: list[RunnerEvent] = field(default_factory=list)

    async def __call__(self, event: RunnerEvent) -> None:
        self.events.append(event)

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]


async def confined(
    project: Project, url: str, identity: TargetIdentity | None = None, source: Path | None = None
) -> Confinement:
    """A run on the database that the URL leads to, or on the one of this identity only."""
    async with connect(url) as connection:
        found = await read_identity(connection)
    database = KnownDatabase(url, identity or found.identity, "shop/dev")
    return await on_target(project, database, source=source)


async def upgrade(
    project: Project, *, url: str, identity: TargetIdentity | None = None, **how: Any
) -> UpgradeResult:
    """`alembic.upgrade` on the database of a URL, as a migrate runs it."""
    confinement = await confined(project, url, identity, how.get("source"))
    return await ALEMBIC.upgrade(project, confinement=confinement, **how)


async def stamp(project: Project, *, url: str, **how: Any) -> UpgradeResult:
    return await ALEMBIC.stamp(project, confinement=await confined(project, url), **how)


async def replay(project: Project, *, url: str, **how: Any) -> UpgradeResult:
    return await ALEMBIC.replay(project, confinement=await confined(project, url), **how)


async def downgrade(project: Project, *, url: str, **how: Any) -> UpgradeResult:
    return await ALEMBIC.downgrade(project, confinement=await confined(project, url), **how)


async def create_models(project: Project, *, url: str, **how: Any) -> None:
    await ALEMBIC.create_models(project, confinement=await confined(project, url), **how)


async def run_upgrade(
    folder: Path, tool: AlembicSettings, url: str, told: Told | None = None, revision: str = "heads"
) -> UpgradeResult:
    return await upgrade(project_of(folder, tool), url=url, on_event=told or Told(), revisions=[revision])


async def ask(url: str, query: str) -> list[object]:
    """The first column of a query's rows."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        rows = await (await connection.execute(query.encode())).fetchall()
    return [row[0] for row in rows]
