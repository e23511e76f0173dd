"""The overview of 200 stored environments (50 projects of 17 revisions each, one in five of them behind).

The page as a browser gets it from `cleanstart serve` over one kept connection, and as the application gives it
in this process, against its bare render (the same template with the same values) and against the bare store
queries (the same SQL with the same parameters through psycopg, rows fetched).
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import psycopg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.contest import Contender, contest, say
from bench.servers import benching, web_process
from tests.stored import store_backup, store_history, store_observation
from web.app import create_app
from web.config import Configuration, load
from web.jobs.feed import Feed
from web.operations import KINDS
from web.pages import render, shell
from web.paths import DEMO
from web.store.database import open_store
from web.tools.registry import tool_of

PROJECTS = 50
TIERS = (
    ("dev", "development"),
    ("test", "development"),
    ("staging", "staging"),
    ("production", "production"),
)


async def main() -> None:
    """Measure and print."""
    async with benching() as bench:
        place = await bench.store()
        (bench.folder / "store").write_text(place.runtime_url)
        file = bench.folder / "cleanstart.toml"
        file.write_text(configuration(bench.folder))
        made = load(file)
        store = open_store(place.runtime_url)
        await fill(store, made)
        async with Feed(store) as feed:
            app = await create_app(made, store, feed, kinds=KINDS, bound_to_loopback=True)
            arguments = ["web.cli", "serve", "--config", str(file), "--inherited"]
            async with (
                httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as inside,
                web_process(arguments, ready="/readyz") as address,
                httpx.AsyncClient(base_url=address) as outside,
                await psycopg.AsyncConnection.connect(place.runtime_url, autocommit=True) as bare,
            ):
                await compare(inside, outside, bare, store)
        await store.dispose()


async def compare(
    inside: httpx.AsyncClient, outside: httpx.AsyncClient, bare: psycopg.AsyncConnection, store: AsyncEngine
) -> None:
    """Let them run against each other."""
    # The first request also makes what later ones find in memory.
    await inside.get("/")
    rendered, queries = await overheard(inside, store)
    size = len((await outside.get("/")).content)
    say(f"  {PROJECTS * len(TIERS)} environments, {len(queries)} store queries, {size / 1000:.0f} kB of HTML")

    async def render_again() -> None:
        render.page(*rendered)

    async def query_again() -> None:
        for statement, parameters in queries:
            await (await bare.execute(statement.encode(), parameters)).fetchall()

    async def get(client: httpx.AsyncClient) -> None:
        answer = await client.get("/")
        assert answer.status_code == 200

    await contest(
        [
            Contender("bare render", render_again),
            Contender("bare store queries", query_again),
            Contender("the page, in process", lambda: get(inside)),
            Contender("the page, over HTTP", lambda: get(outside)),
        ],
        rounds=30,
        warm=3,
    )


async def overheard(
    client: httpx.AsyncClient, store: AsyncEngine
) -> tuple[tuple[Any, ...], list[tuple[str, Any]]]:
    """What one request renders, and what it asks of the store."""
    rendered: list[tuple[Any, ...]] = []
    queries: list[tuple[str, Any]] = []

    def render_and_keep(*values: Any) -> str:
        rendered.append(values)
        return render.page(*values)

    def hear(_c: Any, _k: Any, statement: str, parameters: Any, *_: Any) -> None:
        if statement.lstrip().upper().startswith(("SELECT", "WITH")):
            queries.append((statement, parameters))

    event.listen(store.sync_engine, "before_cursor_execute", hear)
    try:
        with patch.object(shell, "page", render_and_keep):
            await client.get("/")
    finally:
        event.remove(store.sync_engine, "before_cursor_execute", hear)
    return rendered[-1], queries


def configuration(folder: Path) -> str:
    """A configuration of so many environments; their databases are never asked."""
    (folder / "target").write_text("postgresql://nobody@127.0.0.1:9/nothing")
    lines = [f'data_directory = "{folder}"', f'store.url = "file:{folder}/store"']
    for number in range(PROJECTS):
        name = f"projects.service-{number:02}"
        lines += [
            f"[{name}]",
            f'title = "Service {number}"',
            f'source = "{DEMO / "clinic"}"',
            f"[{name}.alembic]",
            'config = "backend/alembic.ini"',
            'python = "/usr/bin/python3"',
        ]
        for environment, tier in TIERS:
            lines += [
                f"[{name}.environments.{environment}]",
                f'url = "file:{folder}/target"',
                f'tier = "{tier}"',
            ]
    return "\n".join(lines) + "\n"


async def fill(store: AsyncEngine, configuration: Configuration) -> None:
    """Store what a worker would have seen."""
    async with store.begin() as connection:
        for number, project in enumerate(configuration.projects.values()):
            history = tool_of(project).read_history(project.tool, project.source)  # type: ignore[arg-type]
            await store_history(connection, project.name, history)
            order = [each.revision for each in history.migrations]
            for environment in project.environments.values():
                behind = number % 5 == 0 and environment.tier != "development"
                at = order[-3] if behind else order[-1]
                key = await store_observation(
                    connection,
                    environment,
                    at,
                    server_version=170004,
                    database="app",
                    age=timedelta(seconds=20),
                    drift_count=0,
                )
                if environment.tier == "production":
                    await store_backup(connection, key, age=timedelta(hours=3))
