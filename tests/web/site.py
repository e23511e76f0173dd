"""The whole application on a filled store, and browsers of everybody who may come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from time import monotonic
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from psycopg.conninfo import conninfo_to_dict
from sqlalchemy import event, text
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.conftest import STORE_OWNER, STORE_RUNTIME, Run, fresh_database
from tests.starting.toy import COUNT
from tests.web.filled import fill, make_configuration
from tests.web.people import PEOPLE, TOKEN
from web.access.csrf import token_for
from web.app import create_app
from web.config import Configuration, Environment
from web.dashboard import Dashboard
from web.jobs.feed import Feed
from web.operations import KINDS
from web.postgres.embedded import EmbeddedServer
from web.store.database import open_store

ORIGIN = "http://127.0.0.1:8321"
#: What htmx sends when it asks for a part of a page.
SWAP = {"HX-Request": "true", "HX-Request-Type": "partial"}
#: The cookie of somebody who is not signed in.
VISIT = "v" * 43


@dataclass
class Site:
    """The application, its store, and the browsers that look at it."""

    app: FastAPI
    store: AsyncEngine
    configuration: Configuration
    feed: Feed
    #: For what only an administrator of the store's server may do.
    superuser_url: str
    clients: dict[str, httpx.AsyncClient] = field(default_factory=dict)

    @property
    def board(self) -> Dashboard:
        board: Dashboard = self.app.state.dashboard
        return board

    def environment(self, label: str) -> Environment:
        """`project/name`."""
        return self.configuration.environment(*label.split("/"))

    def client(self, who: str | None = None) -> httpx.AsyncClient:
        """The browser of one of `PEOPLE`, of `token` (a pipeline's) or of nobody."""
        key = who or "nobody"
        if key not in self.clients:
            self.clients[key] = httpx.AsyncClient(
                transport=httpx.ASGITransport(
                    self.app, raise_app_exceptions=False, client=("127.0.0.1", 40_000)
                ),
                base_url=ORIGIN,
                cookies={"cleanstart-session": f"session-{who}"}
                if who in PEOPLE
                else {"cleanstart-visit": VISIT},
                headers={"Authorization": f"Bearer {TOKEN}"} if who == "token" else None,
            )
        return self.clients[key]

    async def get(self, path: str, who: str | None = "admin", **more: Any) -> httpx.Response:
        return await self.client(who).get(path, **more)

    async def post(
        self, path: str, who: str | None = "admin", data: Mapping[str, str] | None = None, **more: Any
    ) -> httpx.Response:
        """Send a form as one of our own pages does."""
        form = {"csrf_token": form_token(who), **(data or {})}
        headers = {"Origin": ORIGIN, **more.pop("headers", {})}
        return await self.client(who).post(path, data=form, headers=headers, **more)

    async def send(self, method: str, path: str, who: str | None, body: object = None) -> httpx.Response:
        """Send JSON with everything that our own pages would give."""
        headers = {"Origin": ORIGIN, "X-CSRF-Token": form_token(who)}
        return await self.client(who).request(method, path, json=body, headers=headers)

    async def contents(self) -> dict[str, tuple[int, int]]:
        """How many rows each table has, and a hash over which transactions wrote them: equal if nothing did."""
        async with self.store.connect() as connection:
            names = await connection.scalars(
                text(
                    "SELECT format('%I', relname) FROM pg_class"
                    " WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 1"
                )
            )
            parts = " UNION ALL ".join(
                f"SELECT '{name}', count(*), coalesce(sum(hashtext(xmin::text || ctid::text)), 0) FROM {name}"
                for name in names
            )
            return {row[0]: (row[1], int(row[2])) for row in await connection.execute(text(parts))}

    async def count(self, table: str, where: str = "true") -> int:
        """How many rows of a table."""
        async with self.store.connect() as connection:
            return int(await connection.scalar(text(f"SELECT count(*) FROM {table} WHERE {where}")) or 0)

    @asynccontextmanager
    async def statements(self) -> AsyncIterator[list[str]]:
        """Collect the statements that the store is sent meanwhile."""
        seen: list[str] = []

        def note(_c: object, _u: object, statement: str, *_: object) -> None:
            seen.append(statement)

        event.listen(self.store.sync_engine, "before_cursor_execute", note)
        try:
            yield seen
        finally:
            event.remove(self.store.sync_engine, "before_cursor_execute", note)


def form_token(who: str | None) -> str:
    """The form token of a person's session, or of the visit of somebody who is not signed in."""
    return token_for(f"secret-{who}" if who in PEOPLE else VISIT)


def said(response: httpx.Response) -> str:
    """The response's text as a reader meets it."""
    return unescape(response.text)


async def until(fact: Callable[[], bool], within: float = 20) -> None:
    """Wait for a fact; fail when it is not one by then."""
    deadline = monotonic() + within
    while not fact():
        assert monotonic() < deadline
        await asyncio.sleep(0.02)


@pytest.fixture(scope="session")
def filled_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("filled")


@pytest.fixture(scope="session")
def filled_template(
    server: EmbeddedServer, store_template: str, filled_folder: Path, in_background: Run
) -> Iterator[str]:
    """The name of a filled store that fresh ones are copied from."""

    async def write(url: str) -> None:
        engine = open_store(url)
        try:
            await fill(engine, make_configuration(filled_folder))
        finally:
            await engine.dispose()

    with fresh_database(server, template=store_template, owner=STORE_OWNER) as url:
        name = str(conninfo_to_dict(url)["dbname"])
        in_background(write(server.url(name, STORE_RUNTIME)))
        yield name


@pytest.fixture
async def site(server: EmbeddedServer, filled_template: str, filled_folder: Path) -> AsyncIterator[Site]:
    """The application on a fresh copy of the filled store."""
    with fresh_database(server, template=filled_template, owner=STORE_OWNER) as url:
        name = str(conninfo_to_dict(url)["dbname"])
        store = open_store(server.url(name, STORE_RUNTIME))
        configured = make_configuration(filled_folder)
        try:
            async with Feed(store) as feed:
                app = await create_app(configured, store, feed, kinds=(*KINDS, COUNT), bound_to_loopback=True)
                await feed.wait_until_listening()
                site = Site(app, store, configured, feed, url)
                yield site
                for client in site.clients.values():
                    await client.aclose()
        finally:
            await store.dispose()
