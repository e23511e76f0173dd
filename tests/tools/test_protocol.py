"""The contract of a migration tool: the same questions to Alembic and to a tool that is as unlike it as may be."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.tools.numbered import Numbered, write_files
from tests.tools.runs import Told, confined
from tests.tools.written import execute, migration, write_project
from web.config import Project
from web.errors import NotSupported, SourceInvalid
from web.postgres.connections import connect
from web.postgres.programs import Programs
from web.tools.alembic_tool.tool import Alembic
from web.tools.ending import UpgradeStopped
from web.tools.events import AboutToCommit, Planned, RevisionFinished
from web.tools.protocol import MigrationTool
from web.tools.registry import TOOLS, read_checkout, tool_of

STEPS = (
    "CREATE TABLE users (id int PRIMARY KEY)",
    "ALTER TABLE users ADD COLUMN email text",
    "CREATE TABLE tenants (id int PRIMARY KEY)",
)


@dataclass(frozen=True)
class Tried:
    """A tool with a project of three migrations, and a way to change what the last one does."""

    tool: MigrationTool
    project: Project
    revisions: tuple[str, ...]
    #: Writes another statement into the last migration.
    change: Callable[[str], None]
    #: Version rows of a database that is at the n-th migration, from 1.
    rows: Callable[[int], tuple[str, ...]]


@pytest.fixture(params=["alembic", "numbered"])
def tried(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    programs: tuple[Programs, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> Tried:
    if request.param == "alembic":
        return _alembic(tmp_path)
    monkeypatch.setitem(TOOLS, "numbered", Numbered())
    return _numbered(tmp_path, next(each.path("psql") for each in programs if has_psql(each)))


def has_psql(programs: Programs) -> bool:
    return (programs.directory / "psql").is_file()


def _alembic(folder: Path) -> Tried:
    names = ("a", "b", "c")

    def write(last: str) -> None:
        steps = (*STEPS[:2], last)
        write_project(
            folder,
            {
                name: migration(name, names[number - 1] if number else None, execute(steps[number]))
                for number, name in enumerate(names)
            },
        )

    write(STEPS[2])
    settings = write_project(folder, {})
    project = Project(name="shop", title="Shop", source=folder, tool=settings)
    return Tried(Alembic(), project, names, write, lambda number: names[number - 1 : number])


def _numbered(folder: Path, psql: Path) -> Tried:
    def write(last: str) -> None:
        write_files(folder, psql, n0001_users=STEPS[0], n0002_email=STEPS[1], n0003_tenants=last)

    write(STEPS[2])
    project = Project(name="shop", title="Shop", source=folder, tool=write_files(folder, psql))
    names = ("0001", "0002", "0003")
    return Tried(Numbered(), project, names, write, lambda number: names[:number])


async def applied(tried: Tried, database: str) -> tuple[bool, tuple[str, ...]]:
    async with connect(database) as connection:
        found = await tried.tool.applied(tried.project, connection)
    return found.table_exists, found.revisions


async def tables(database: str) -> list[str]:
    async with connect(database) as connection:
        rows = await connection.execute(
            "SELECT table_name::text FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        )
        return [row[0] for row in await rows.fetchall()]


async def test_the_history_is_read_without_running_anything(tried: Tried) -> None:
    history = await tried.tool.history(tried.project)
    assert [each.revision for each in history.migrations] == list(tried.revisions)
    assert history.heads == tried.revisions[-1:]
    assert history.goal == tried.rows(3)
    assert all(
        len(each.digest) == 64 and (tried_source(tried) / each.path).is_file() for each in history.migrations
    )
    assert history == await tried.tool.ask_history(tried.project)
    assert history == type(history).from_json(history.to_json())


def tried_source(tried: Tried) -> Path:
    assert isinstance(tried.project.source, Path)
    return tried.project.source


async def test_a_checkout_is_read_by_whoever_knows_the_settings(tried: Tried) -> None:
    """As `register-build` does, elsewhere, with what the API tells."""
    source = tried_source(tried)
    told = tried.project.tool.to_json(source)
    assert read_checkout(told, source) == await tried.tool.history(tried.project)
    assert tool_of(tried.project).name == tried.tool.name


def test_a_folder_without_migrations_is_refused(tried: Tried, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    with pytest.raises(SourceInvalid):
        tried.tool.read_history(
            tried.project.tool.in_checkout(tried_source(tried), tmp_path / "nothing"), tmp_path / "nothing"
        )


async def test_an_upgrade_applies_everything_in_order(tried: Tried, database: str) -> None:
    assert await applied(tried, database) == (False, ())
    told = Told()
    result = await tried.tool.upgrade(
        tried.project, confinement=await confined(tried.project, database), on_event=told
    )
    assert [each.revision for each in result.ran] == list(tried.revisions)
    assert result.applied == tried.rows(3)
    assert await applied(tried, database) == (True, tried.rows(3))
    assert [each.revisions for each in told.of(Planned)] == [tried.revisions]
    assert [(each.revision, each.rows) for each in told.of(RevisionFinished)] == [
        (name, tried.rows(number)) for number, name in enumerate(tried.revisions, 1)
    ]
    assert await tables(database) == sorted(["tenants", "users", *tried.tool.version_tables(tried.project)])


async def test_an_upgrade_goes_up_to_a_revision(tried: Tried, database: str) -> None:
    result = await tried.tool.upgrade(
        tried.project,
        confinement=await confined(tried.project, database),
        on_event=Told(),
        revisions=[tried.revisions[1]],
    )
    assert result.applied == tried.rows(2)
    history = await tried.tool.history(tried.project)
    assert [each.revision for each in history.pending(result.applied)] == [tried.revisions[2]]
    assert history.place(result.applied) == tried.revisions[1]
    assert history.rows_at(tried.revisions[1]) == tried.rows(2)
    assert not history.is_at_head(result.applied)


async def test_nothing_is_committed_that_was_not_acknowledged(tried: Tried, database: str) -> None:
    asked: list[tuple[str, ...]] = []

    async def refuse(event: AboutToCommit) -> None:
        asked.append(event.recorded)
        if tried.revisions[1] in event.recorded:
            raise RuntimeError("not this one")

    with pytest.raises(RuntimeError, match="not this one"):
        await tried.tool.upgrade(
            tried.project,
            confinement=await confined(tried.project, database),
            on_event=Told(),
            acknowledge=refuse,
        )
    assert any(tried.revisions[1] in recorded for recorded in asked)
    _, rows = await applied(tried, database)
    assert not set(tried.revisions[1:]) & set(rows)
    assert "tenants" not in await tables(database)


async def test_a_migration_that_fails_is_named_and_nothing_of_it_kept(tried: Tried, database: str) -> None:
    tried.change("CREATE TABLE users (id int)")
    with pytest.raises(UpgradeStopped) as stopped:
        await tried.tool.upgrade(
            tried.project, confinement=await confined(tried.project, database), on_event=Told()
        )
    assert stopped.value.revision == tried.revisions[2]
    assert stopped.value.account.is_clean
    assert "already exists" in str(stopped.value)
    assert stopped.value.hint


async def test_a_stamp_records_a_revision_with_all_below_it(tried: Tried, database: str) -> None:
    history = await tried.tool.history(tried.project)
    result = await tried.tool.stamp(
        tried.project,
        confinement=await confined(tried.project, database),
        on_event=Told(),
        revision=tried.revisions[1],
    )
    assert result.applied == history.rows_at(tried.revisions[1])
    assert await tables(database) == sorted(tried.tool.version_tables(tried.project))


async def test_a_replay_gives_what_the_rows_stand_for(tried: Tried, database: str) -> None:
    result = await tried.tool.replay(
        tried.project, confinement=await confined(tried.project, database), revisions=tried.rows(2)
    )
    assert set(result.applied) == set(tried.rows(2))
    assert not result.cut_off
    assert await tables(database) == sorted(["users", *tried.tool.version_tables(tried.project)])


async def test_version_rows_are_put_into_a_copy(tried: Tried, database: str) -> None:
    await tried.tool.stamp(
        tried.project,
        confinement=await confined(tried.project, database),
        on_event=Told(),
        revision=tried.revisions[0],
    )
    async with connect(database) as connection:
        for table in tried.tool.version_tables(tried.project):
            await connection.execute(f"DELETE FROM {table}")
        await tried.tool.put_applied(tried.project, connection, tried.rows(3))
    assert await applied(tried, database) == (True, tried.rows(3))


async def test_what_a_run_stands_on_changes_with_its_files(tried: Tried) -> None:
    before = tried.tool.digest_of_inputs(tried.project)
    history = await tried.tool.history(tried.project)
    known = [each.path for each in history.migrations]
    without = tried.tool.digest_of_inputs(tried.project, without=known)
    assert before is not None
    tried.change("CREATE TABLE other (id int)")
    assert tried.tool.digest_of_inputs(tried.project) not in (before, None)
    assert tried.tool.digest_of_inputs(tried.project, without=known) == without


async def test_what_it_cannot_do_it_refuses_by_name(tried: Tried, database: str) -> None:
    confinement = await confined(tried.project, database)
    history = await tried.tool.history(tried.project)
    attempts: dict[str, Callable[[], Awaitable[object]]] = {
        "downgrade": lambda: tried.tool.downgrade(tried.project, confinement=confinement, revision=None),
        "models": lambda: tried.tool.create_models(tried.project, confinement=confinement),
        "write a migration": lambda: tried.tool.write_migration(tried.project, history, "more", (), ()),
        "merge": lambda: tried.tool.write_merge(tried.project, ("a", "b"), "both"),
    }
    for ability, attempt in attempts.items():
        if ability not in tried.tool.can:
            with pytest.raises(NotSupported, match=ability):
                await attempt()
    if "downgrade" in tried.tool.can:
        await tried.tool.upgrade(tried.project, confinement=confinement, on_event=Told())
        back = await tried.tool.downgrade(tried.project, confinement=confinement, revision=tried.revisions[0])
        assert back.applied == tried.rows(1)
