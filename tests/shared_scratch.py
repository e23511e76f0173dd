"""Scratch databases on the test servers themselves, so that no further server has to start."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from web.postgres.embedded import EmbeddedServer
from web.postgres.scratch import ScratchServers


@pytest.fixture
async def scratch(
    server: EmbeddedServer, server15: EmbeddedServer, tmp_path: Path
) -> AsyncIterator[ScratchServers]:
    servers = ScratchServers(tmp_path / "scratch", {17: server.url(), 15: server15.url()}, ())
    yield servers
    await servers.stop()
