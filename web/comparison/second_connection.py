"""A second connection to a target, for reading a large schema in half the time, where there is room for it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.resources import files
from typing import Final

from web.errors import CleanStartError
from web.postgres.connections import Connection, connect_to_observe

#: With fewer relations connecting takes longer than what it saves.
RELATIONS: Final = 500
#: A pooler without a free connection lets one wait; the first connection does without, then.
WITHIN: Final = 2.0


@asynccontextmanager
async def second_connection(
    first: Connection, url: str, *, application_name: str
) -> AsyncIterator[Connection | None]:
    """Connect once more, with the settings of a look; None where that does not pay or there is no room."""
    async with AsyncExitStack() as stack:
        second: Connection | None = None
        if await _pays(first):
            try:
                async with asyncio.timeout(WITHIN):
                    second = await stack.enter_async_context(
                        connect_to_observe(url, application_name=application_name)
                    )
            except (CleanStartError, TimeoutError):
                second = None
        yield second


async def _pays(first: Connection) -> bool:
    query = files("web.comparison").joinpath("queries", "room.sql").read_bytes()
    parameters = {"pid": first.info.backend_pid, "relations": RELATIONS}
    row = await (await first.execute(query, parameters)).fetchone()
    return row is not None and row[0] is True
