"""A whole replay behind the wall of filters, as where namespaces are not to be had."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from tests.tools.runs import ALEMBIC, ask, project_of
from tests.tools.written import execute, migration, write_project
from tests.walls.interpreter import make_interpreter
from web.config import Project
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.tools.confinement import in_scratch
from web.tools.ending import UpgradeStopped
from web.walls.layers import find_filters

PACKAGES = (
    *("alembic", "sqlalchemy", "mako", "markupsafe", "typing_extensions.py"),
    *("psycopg", "psycopg_binary", "psycopg_binary.libs"),
)


@pytest.fixture(scope="module")
def place() -> Iterator[Path]:
    """A folder that every user reaches, as a checkout has to be where there are no mounts of a run's own."""
    with tempfile.TemporaryDirectory(prefix="cleanstart-filters-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture(scope="module")
def python(place: Path) -> Path:
    return make_interpreter(place / "venv", PACKAGES)


@pytest.fixture
async def scratch(tmp_path: Path, programs: tuple[Programs, ...]) -> AsyncIterator[ScratchServers]:
    servers = ScratchServers(tmp_path / "scratch", {}, programs, layers=find_filters(), spare=False)
    yield servers
    await servers.stop()


def shop(place: Path, python: Path, name: str, body: str) -> Project:
    folder = place / name
    tool = write_project(folder, {"a": migration("a", None, body)})
    return project_of(folder, replace(tool, python=python))


async def test_a_replay_runs(place: Path, python: Path, scratch: ScratchServers) -> None:
    project = shop(place, python, "plain", execute("CREATE TABLE a ()"))
    async with scratch.database(17) as database:
        assert database.layers is not None
        assert database.layers.kind == "filters"
        confinement = await in_scratch(project, database)
        assert (await ALEMBIC.replay(project, confinement=confinement)).applied == ("a",)
        assert await ask(database.url, "SELECT to_regclass('a')::text") == ["a"]


async def test_it_reaches_no_other_server(
    place: Path, python: Path, scratch: ScratchServers, server: EmbeddedServer
) -> None:
    with psycopg.connect(server.url()):
        pass  # from here it can be reached
    project = shop(place, python, "elsewhere", f"import psycopg\npsycopg.connect({server.url()!r})")
    async with scratch.database(17) as database:
        confinement = await in_scratch(project, database)
        with pytest.raises(UpgradeStopped, match="this run may open the scratch database only"):
            await ALEMBIC.replay(project, confinement=confinement)
