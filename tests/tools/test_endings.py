"""However the process leaves: version rows and acknowledged commits decide, and what is told fits them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.tools.runs import ALEMBIC, Told, ask, project_of, run_upgrade, stamp, upgrade
from tests.tools.written import env, execute, migration, write_project
from web.config import AlembicSettings
from web.errors import SourceInvalid
from web.tools import runner
from web.tools.ending import UpgradeResult, UpgradeStopped
from web.tools.events import Finished, RunnerEvent, StatementFinished

#: Enough for all that a run does before it hangs.
LIMIT = timedelta(seconds=15)
ONE_BY_ONE = env(transaction_per_migration="True")
#: Ends the process on either side of a commit that it has asked for, before anybody hears of it.
BEFORE, AFTER = (
    "import os, signal\n"
    "from sqlalchemy.engine.default import DefaultDialect\n"
    "commit, commits = DefaultDialect.do_commit, []\n"
    "def do_commit(self, connection):\n"
    "    commits.append(1)\n"
    f"    if len(commits) == {{number}}:\n        {lines}\n"
    "    commit(self, connection)\n"
    "DefaultDialect.do_commit = do_commit\n"
    for lines in (
        "os.kill(os.getpid(), signal.SIGKILL)",
        "commit(self, connection); os.kill(os.getpid(), signal.SIGKILL)",
    )
)
DAEMON = """
import os, time
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
    os._exit(0)
"""


@dataclass(frozen=True)
class Ending:
    """A way to leave, and what is true then: the version rows, and what is said of it."""

    env_py: str
    rows: tuple[str, ...]
    said: str | None
    #: Of migration b, after its table was made.
    body: str = ""

    @property
    def arrived(self) -> bool:
        return self.rows == ("b",)


ENDINGS = {
    "as it should": Ending(env(), ("b",), None),
    "leaves slowly": Ending(
        env() + "\nimport atexit, time\natexit.register(time.sleep, 8)\n", ("b",), "did not leave"
    ),
    "a thread never ends": Ending(
        env() + "\nimport threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n",
        ("b",),
        "did not leave",
    ),
    "a daemon holds the pipes": Ending(DAEMON + env(), ("b",), None),
    "atexit raises": Ending("import atexit\natexit.register(lambda: 1 / 0)\n" + env(), ("b",), None),
    "killed after its last commit": Ending(
        env() + "\nimport os\nos.kill(os.getpid(), 9)\n", ("b",), "exit code -9"
    ),
    "killed between commit and report": Ending(AFTER.format(number=1) + env(), ("b",), "exit code -9"),
    "killed between the second commit and its report": Ending(
        AFTER.format(number=2) + ONE_BY_ONE, ("b",), "exit code -9"
    ),
    "exits non-zero after success": Ending(env() + "\nimport sys\nsys.exit(3)\n", ("b",), "SystemExit: 3"),
    "raises after success": Ending(env() + "\nraise OSError('late')\n", ("b",), "OSError: late"),
    "leaves without a word after success": Ending(env() + "\nos._exit(0)\n", ("b",), "before Alembic came"),
    "leaves badly after success": Ending(env() + "\nos._exit(5)\n", ("b",), "exit code 5"),
    "hangs after success": Ending(
        env() + "\nimport time\ntime.sleep(600)\n", ("b",), "did not come to its end within"
    ),
    "exits 0 after a failure": Ending(
        env().replace("\nrun()\n", "\ntry:\n    run()\nexcept Exception:\n    raise SystemExit(0)\n"),
        (),
        "division by zero",
        execute("SELECT 1/0"),
    ),
    "swallows the exception": Ending(
        ONE_BY_ONE.replace("\nrun()\n", "\ntry:\n    run()\nexcept Exception:\n    pass\n"),
        ("a",),
        "division by zero",
        execute("SELECT 1/0"),
    ),
    "slowly after a failure": Ending(
        "import atexit, time\natexit.register(time.sleep, 8)\n" + env(),
        (),
        "division by zero",
        execute("SELECT 1/0"),
    ),
    "leaves in the middle": Ending(
        ONE_BY_ONE, ("a",), "version table does not say that it is done", "import os\nos._exit(0)"
    ),
    "leaves badly in the middle": Ending(env(), (), "exit code 7", "import os\nos._exit(7)"),
    "says that all is well in the middle": Ending(env(), (), "SystemExit: 0", "raise SystemExit(0)"),
    "killed in the middle": Ending(ONE_BY_ONE, ("a",), "exit code -9", "import os\nos.kill(os.getpid(), 9)"),
    "killed right before its commit": Ending(BEFORE.format(number=1) + env(), (), "exit code -9"),
    "killed right before the second commit": Ending(
        BEFORE.format(number=2) + ONE_BY_ONE, ("a",), "exit code -9"
    ),
    "hangs in the middle": Ending(
        ONE_BY_ONE, ("a",), "did not come to its end within", "import time\ntime.sleep(600)"
    ),
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than ten seconds to leave, in less."""
    monkeypatch.setattr(runner, "LINGER", 3.0)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("name", ENDINGS)
async def test_rows_decide_and_not_how_the_process_left(tmp_path: Path, database: str, name: str) -> None:
    ending = ENDINGS[name]
    tool = write_project(
        tmp_path,
        {
            "a": migration("a", upgrade=execute("CREATE TABLE a ()")),
            "b": migration("b", "a", execute("CREATE TABLE b ()") + f"\n{ending.body}"),
        },
        env_py=ending.env_py,
    )
    tool = replace(tool, time_limit=LIMIT) if name.startswith("hangs") else tool
    outcome = await _outcome(tmp_path, tool, database)
    if isinstance(outcome, UpgradeStopped):
        told: str | None = f"{outcome} {outcome.hint}"
        # One database, and one account of it.
        assert f"The database is at {', '.join(ending.rows) or 'no revision'}." in outcome.hint
        assert "Nothing of b was kept." in outcome.hint or "Nothing of a was kept." in outcome.hint
        assert outcome.account.is_clean
    else:
        told = outcome.remark
        assert outcome.applied == ("b",)
        assert [one.revision for one in outcome.ran] == ["a", "b"]
    assert isinstance(outcome, UpgradeResult) == ending.arrived, outcome
    assert (told is None) if ending.said is None else (ending.said in (told or "")), told
    rows = await ask(database, "SELECT to_regclass('alembic_version')::text")
    found = await ask(database, "SELECT version_num FROM alembic_version") if rows != [None] else []
    assert tuple(found) == ending.rows
    there = await ask(
        database,
        "SELECT relname::text FROM pg_class WHERE relname IN ('a', 'b') AND relkind = 'r' ORDER BY 1",
    )
    assert there == {(): [], ("a",): ["a"], ("b",): ["a", "b"]}[ending.rows]


async def _outcome(folder: Path, tool: AlembicSettings, url: str) -> UpgradeResult | UpgradeStopped:
    try:
        return await run_upgrade(folder, tool, url)
    except UpgradeStopped as stopped:
        return stopped


async def test_nothing_of_what_was_reported_is_lost_on_a_slow_listener(tmp_path: Path, database: str) -> None:
    """The process has long gone while its last reports are still being written down."""
    many = execute(*(f"SELECT {number}" for number in range(30)))
    tool = write_project(tmp_path, {"a": migration("a", upgrade=many)})
    told = Told()

    async def slowly(event: RunnerEvent) -> None:
        if isinstance(event, StatementFinished):
            await asyncio.sleep(0.1)
        await told(event)

    result = await upgrade(project_of(tmp_path, tool), url=database, on_event=slowly)
    assert result.remark is None
    assert told.of(Finished)
    assert len(told.of(StatementFinished)) == result.statements


@pytest.mark.usefixtures("impatient")
async def test_a_stamp_is_judged_by_its_rows_too(tmp_path: Path, database: str) -> None:
    ordinary, dies = env(), AFTER.format(number=1) + env()
    tool = write_project(tmp_path, {"a": migration("a"), "b": migration("b", "a")}, env_py=dies)
    result = await stamp(project_of(tmp_path, tool), url=database, on_event=Told(), revision="b")
    assert (result.applied, result.remark) == (
        ("b",),
        "What Alembic planned is applied, but the process ended with exit code -9.",
    )
    write_project(tmp_path, {}, env_py=BEFORE.format(number=1) + ordinary)
    with pytest.raises(UpgradeStopped, match="exit code -9") as stopped:
        await stamp(project_of(tmp_path, tool), url=database, on_event=Told(), revision="a")
    assert "The database is at b." in stopped.value.hint
    assert await ask(database, "SELECT version_num FROM alembic_version") == ["b"]


async def test_part_of_a_history_is_none(tmp_path: Path) -> None:
    """An interpreter that ends while it tells its migrations has not told them."""
    ends = "import os\nos._exit(0)\n"
    tool = write_project(
        tmp_path, {"a": migration("a"), "b": "import os\n" + migration("b", "a") + f"\n{ends}"}
    )
    with pytest.raises(SourceInvalid, match="could not read the history"):
        await ALEMBIC.ask_history(project_of(tmp_path, tool))
