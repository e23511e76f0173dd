"""Projects with commands of their own: the hooks come in by the environment."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.tools.runs import ALEMBIC, Told, ask, project_of, run_upgrade, upgrade
from tests.tools.written import execute, linear, migration, write_project
from web.config import AlembicSettings
from web.errors import OperationFailed, ProgramMissing
from web.tools.ending import UpgradeStopped
from web.tools.events import AboutToCommit, Connected, Log, RevisionFinished, StatementFinished

VERSIONS = "SELECT version_num FROM alembic_version ORDER BY 1"

#: An application that sets its version folders by code and runs Alembic with a connection of its own.
SHOP = """#!{python}
import os, sys
print("shop 1.0: welcome")
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine

here = os.path.dirname(os.path.abspath(__file__))
config = Config()
config.set_main_option("script_location", os.path.join(here, "migrations"))
if sys.argv[1] == "history":
    from alembic.script import ScriptDirectory
    print(list(ScriptDirectory.from_config(config).walk_revisions()))
else:
    engine = create_engine(os.environ["DATABASE_URL"])
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, sys.argv[2] if len(sys.argv) > 2 else "head")
"""
SHARED = """
from alembic import context
context.configure(connection=context.config.attributes["connection"])
context.run_migrations()
"""


def shop(folder: Path, length: int = 2) -> AlembicSettings:
    tool = linear(folder, length)
    (folder / "migrations" / "env.py").write_text(SHARED)
    program = folder / "shop"
    program.write_text(SHOP.format(python=tool.python))
    program.chmod(0o755)
    tool.config.write_text("[alembic]\n")
    return replace(
        tool, commands={"upgrade": (str(program), "upgrade"), "history": (str(program), "history")}
    )


async def test_a_projects_own_command_is_watched(tmp_path: Path, database: str) -> None:
    told = Told()
    result = await run_upgrade(tmp_path, shop(tmp_path), database, told)
    assert result.applied == ("r0001",)
    assert [one.revision for one in told.of(RevisionFinished)] == ["r0000", "r0001"]
    assert [one.recorded for one in told.of(AboutToCommit)] == [("r0000", "r0001")]
    assert "CREATE TABLE t_r0001 (id int PRIMARY KEY)" in [
        one.statement.sql for one in told.of(StatementFinished)
    ]
    assert told.of(Connected)
    assert "shop 1.0: welcome" in [one.text for one in told.of(Log)]


async def test_a_refused_commit_of_an_own_command(tmp_path: Path, database: str) -> None:
    async def refuse(event: AboutToCommit) -> None:
        raise OperationFailed("not now")

    with pytest.raises(OperationFailed, match="not now"):
        await upgrade(project_of(tmp_path, shop(tmp_path)), url=database, on_event=Told(), acknowledge=refuse)
    assert await ask(database, "SELECT to_regclass('alembic_version')") == [None]


async def test_an_own_command_that_fails(tmp_path: Path, database: str) -> None:
    tool = shop(tmp_path)
    (tmp_path / "migrations/versions/z.py").write_text(migration("z", "r0001", execute("SELECT 1/0")))
    with pytest.raises(UpgradeStopped, match="Revision z failed: division by zero") as stopped:
        await run_upgrade(tmp_path, tool, database)
    assert (stopped.value.sqlstate, stopped.value.account.is_clean) == ("22012", True)


async def test_a_target_is_filled_in_where_the_command_takes_it(tmp_path: Path, database: str) -> None:
    tool = shop(tmp_path, 3)
    with pytest.raises(OperationFailed, match="cannot be told to go to r0001"):
        await run_upgrade(tmp_path, tool, database, revision="r0001")
    taking = replace(tool, commands={"upgrade": (*tool.commands["upgrade"], "{revision}")})
    assert (await run_upgrade(tmp_path, taking, database, revision="r0001")).applied == ("r0001",)


async def test_commands_are_found_beside_the_interpreter_and_by_shells(tmp_path: Path, database: str) -> None:
    tool = linear(tmp_path, 1)
    alembic = ("alembic", "upgrade", "head")
    assert (await run_upgrade(tmp_path, replace(tool, commands={"upgrade": alembic}), database)).applied == (
        "r0000",
    )
    (tmp_path / "migrations/versions/z.py").write_text(migration("z", "r0000"))
    shell = replace(tool, commands={"upgrade": ("sh", "-c", "echo before; alembic upgrade head; echo after")})
    assert (await run_upgrade(tmp_path, shell, database)).applied == ("z",)


@pytest.mark.parametrize(
    "command, sentence",
    [
        (
            ("sh", "-c", "echo it went wrong >&2; exit 3"),
            "ended with exit code 3 before our hooks were loaded: it went wrong",
        ),
        (("true",), "ended with exit code 0 before our hooks were loaded"),
        (("python", "-I", "-c", "pass"), "before our hooks were loaded"),
    ],
)
async def test_a_command_that_is_not_watched_is_an_error(
    tmp_path: Path, database: str, command: tuple[str, ...], sentence: str
) -> None:
    tool = replace(linear(tmp_path, 1), commands={"upgrade": command})
    with pytest.raises(OperationFailed, match=sentence):
        await run_upgrade(tmp_path, tool, database)


async def test_a_command_that_is_not_there(tmp_path: Path, database: str) -> None:
    tool = replace(linear(tmp_path, 1), commands={"upgrade": ("no-such-program",)})
    with pytest.raises(ProgramMissing, match="no program no-such-program"):
        await run_upgrade(tmp_path, tool, database)


async def test_a_command_that_never_runs_alembic(tmp_path: Path, database: str) -> None:
    tool = replace(linear(tmp_path, 1), commands={"upgrade": ("python", "-c", "print('tables were made')")})
    with pytest.raises(UpgradeStopped, match="it never ran Alembic on the database"):
        await run_upgrade(tmp_path, tool, database)


async def test_the_interpreters_own_sitecustomize_still_runs(tmp_path: Path, database: str) -> None:
    tool = linear(tmp_path, 1)
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "sitecustomize.py").write_text("import builtins\nbuiltins.OWN = 'own site'\n")
    program = "print(OWN); from alembic.config import main; main()"
    program = f"PYTHONPATH=$PYTHONPATH:{tmp_path}/own exec python -c '{program}' upgrade head"
    told = Told()
    tool = replace(tool, commands={"upgrade": ("sh", "-c", program)})
    assert (await run_upgrade(tmp_path, tool, database, told)).applied == ("r0000",)
    assert "own site" in [one.text for one in told.of(Log)]


async def test_a_history_whose_folders_are_set_by_code(tmp_path: Path) -> None:
    asked = await ALEMBIC.ask_history(project_of(tmp_path, shop(tmp_path, 3)))
    assert ([one.revision for one in asked.migrations], asked.heads) == (
        ["r0000", "r0001", "r0002"],
        ("r0002",),
    )


async def test_a_second_import_of_the_library_changes_nothing(tmp_path: Path, database: str) -> None:
    told = Told()
    tool = write_project(tmp_path, {"a": migration("a", upgrade=execute("CREATE TABLE a (id int)"))})
    program = "import sqlalchemy, sqlalchemy.orm; from alembic import command; from alembic.config import main; main()"
    tool = replace(tool, commands={"upgrade": ("python", "-c", program, "upgrade", "head")})
    await run_upgrade(tmp_path, tool, database, told)
    assert [one.statement.sql for one in told.of(StatementFinished)].count("CREATE TABLE a (id int)") == 1
