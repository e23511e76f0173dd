"""The overview that surrounds pages, and the histories that are kept: read once, never older than they may be."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, update
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import configuration, environment, project
from tests.stored import store_history, store_observation
from web.answers import recent
from web.answers.recent import RecentOverview
from web.config import AlembicSettings, Configuration
from web.observation.history_cache import Histories
from web.observation.stored_history import load_history, manifest_digest
from web.store.tables import HistoryRow
from web.tools.history import Migration, make_history

TOOL = AlembicSettings(config=Path("alembic.ini"), python=Path("/usr/bin/python3"))
HISTORY = make_history([Migration("a", digest="1"), Migration("b", ("a",), digest="2")])


@pytest.fixture
async def configured(store: AsyncEngine, tmp_path: Path) -> Configuration:
    dev = environment(tmp_path, "postgresql://nowhere")
    made = configuration(tmp_path, project(tmp_path, TOOL, dev))
    async with store.begin() as connection:
        await store_history(connection, "clinic", HISTORY)
        await store_observation(connection, dev, "a")
    return made


def statements(store: AsyncEngine) -> list[str]:
    seen: list[str] = []

    def note(_c: object, _u: object, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(store.sync_engine, "before_cursor_execute", note)
    return seen


async def test_many_at_once_are_one_reading(store: AsyncEngine, configured: Configuration) -> None:
    overviews = RecentOverview(store, configured, Histories())
    seen = statements(store)

    async def ask() -> recent.Surroundings:
        async with store.connect() as connection:
            return await overviews.recent(connection)

    answers = await asyncio.gather(*(ask() for _ in range(10)))
    assert len({each.mark for each in answers}) == 1
    assert sum("history.digest" in each for each in seen) == 1
    assert overviews.kept(answers[0].mark) is answers[0].overview
    assert overviews.kept("elsewhere") is None


async def test_what_is_asked_for_fresh_is_read_after_the_question(
    store: AsyncEngine, configured: Configuration
) -> None:
    overviews = RecentOverview(store, configured, Histories())
    async with store.connect() as connection:
        first = await overviews.recent(connection)
        assert await overviews.recent(connection) is first
        fresh = await overviews.fresh(connection)
        assert fresh is not first
        assert await overviews.recent(connection) is fresh
        overviews.forget()
        assert await overviews.recent(connection) is not fresh
    for_streams = await asyncio.gather(*(overviews.fresh_for_streams() for _ in range(20)))
    assert len({each.mark for each in for_streams}) == 1


async def test_a_reader_that_goes_away_does_not_stop_the_others(
    store: AsyncEngine, configured: Configuration
) -> None:
    overviews = RecentOverview(store, configured, Histories())

    async def ask() -> recent.Surroundings:
        async with store.connect() as connection:
            return await overviews.recent(connection)

    first, second = asyncio.create_task(ask()), asyncio.create_task(ask())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).overview.rows
    await asyncio.gather(first, return_exceptions=True)


async def test_a_known_history_is_not_fetched_again(store: AsyncEngine, configured: Configuration) -> None:
    histories = Histories()
    async with store.connect() as connection:
        first = await load_history(connection, "clinic", histories)
        again = await load_history(connection, "clinic", histories)
    assert first is not None
    assert again is not None
    assert again.history is first.history
    assert again.history == HISTORY


async def test_another_digest_and_what_is_incomplete_are_fetched(
    store: AsyncEngine, configured: Configuration
) -> None:
    histories = Histories()
    longer = make_history([*HISTORY.migrations, Migration("c", ("b",), digest="3")])
    open_end = make_history(HISTORY.migrations, complete=False)
    for history in (HISTORY, longer, open_end, HISTORY):
        content = history.to_json()
        async with store.begin() as connection:
            await connection.execute(
                update(HistoryRow).values(digest=manifest_digest(content), content=content)
            )
            found = await load_history(connection, "clinic", histories)
        assert found is not None
        assert found.history == history
    # Under one digest the project's code may tell more at a later look.
    digest = manifest_digest(open_end.to_json())
    for history in (open_end, HISTORY, open_end):
        async with store.begin() as connection:
            await connection.execute(update(HistoryRow).values(digest=digest, content=history.to_json()))
            found = await load_history(connection, "clinic", histories)
        assert found is not None
        assert found.history == history


def test_the_least_used_leave_first() -> None:
    histories = Histories(kept=5)
    manifests = {name: make_history([Migration(f"{name}{n}") for n in range(2)]).to_json() for name in "abc"}
    for name in "ab":
        histories.read(name, manifests[name], {})
    known = histories.known()
    histories.read("a", None, known)
    histories.read("c", manifests["c"], known)
    assert list(histories.known()) == ["a", "c"]
    # Who asked before it left still has it.
    assert histories.read("b", None, known).heads
