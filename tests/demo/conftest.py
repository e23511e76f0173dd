"""A server for the demo alone, since its databases and its role have fixed names; and the demo on it."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.build import Demo, create
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs


@pytest.fixture(scope="session")
def demo_server(servers_folder: Path, programs: tuple[Programs, ...]) -> Iterator[EmbeddedServer]:
    server = EmbeddedServer(servers_folder / "demo", programs=programs, major=17, durable=False)
    with asyncio.Runner() as runner:
        runner.run(server.start())
        yield server
        runner.run(server.remove())


@pytest.fixture(scope="session")
def demo_directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("demo") / "a folder with spaces"


@pytest.fixture(scope="session")
def demo(demo_server: EmbeddedServer, demo_directory: Path) -> Demo:
    with asyncio.Runner() as runner:
        return runner.run(create(demo_server.url(), demo_directory, Path(sys.executable)))
