"""Upgrades that do not come to their end: what is left is said exactly, and nothing runs on."""

from __future__ import annotations

import asyncio
import os
import signal
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.tools.runs import Told, ask, project_of, run_upgrade, upgrade
from tests.tools.written import env, execute, linear, migration, write_project
from web.postgres.connections import connect
from web.postgres.processes import members
from web.tools.ending import UpgradeStopped
from web.tools.events import Connected, Launched, Log, RevisionStarted, RunnerEvent, StatementStarted

VERSIONS = "SELECT version_num FROM alembic_version ORDER BY 1"
CONCURRENT = """
op.add_column("people", sa.Column("email", sa.Text))
with op.get_context().autocommit_block():
    op.execute("CREATE UNIQUE INDEX CONCURRENTLY people_name ON people (name)")
"""
TWINS = execute("CREATE TABLE people (name text)", "INSERT INTO people VALUES ('twin'), ('twin')")


async def test_a_failed_concurrent_index_is_accounted_for(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a", upgrade=TWINS), "b": migration("b", "a", CONCURRENT)})
    with pytest.raises(UpgradeStopped, match="Revision b failed: could not create unique index") as stopped:
        await run_upgrade(tmp_path, tool, database)
    assert (stopped.value.revision, stopped.value.sqlstate) == ("b", "23505")
    account = stopped.value.account
    assert (account.reached, account.recorded, account.revision) == (("a",), ("a",), "b")
    assert account.committed == ("ALTER TABLE people ADD COLUMN email TEXT",)
    assert account.interrupted is not None
    assert "CONCURRENTLY people_name" in account.interrupted
    assert not account.is_clean
    assert "Half applied: 1 statement of b is committed" in stopped.value.hint
    assert "The database is at a" in stopped.value.hint
    assert any("versions/b.py:" in place for place in stopped.value.places)
    # And so it is.
    assert await ask(database, VERSIONS) == ["a"]
    assert await ask(database, "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid") == [
        "people_name"
    ]
    with pytest.raises(UpgradeStopped, match="already exists") as again:
        await run_upgrade(tmp_path, tool, database)
    assert again.value.sqlstate == "42701"
    assert (again.value.account.is_clean, again.value.account.reached) == (True, None)


@pytest.mark.parametrize("per_migration, reached", [(False, None), (True, ("a",))])
async def test_a_failed_statement_leaves_nothing(
    tmp_path: Path, database: str, per_migration: bool, reached: tuple[str, ...] | None
) -> None:
    tool = write_project(
        tmp_path,
        {
            "a": migration("a", upgrade=execute("CREATE TABLE a (id int)")),
            "b": migration("b", "a", execute("CREATE TABLE b (id int)", "SELECT no_such_thing FROM a")),
        },
        env_py=env(transaction_per_migration=str(per_migration)),
    )
    with pytest.raises(UpgradeStopped, match='column "no_such_thing" does not exist') as stopped:
        await run_upgrade(tmp_path, tool, database)
    account = stopped.value.account
    assert (account.is_clean, account.reached, stopped.value.sqlstate) == (True, reached, "42703")
    assert "Nothing of b was kept" in stopped.value.hint
    assert await ask(database, "SELECT to_regclass('b')") == [None]


NESTED = "with op.get_bind().begin_nested() as point:\n    op.execute('CREATE TABLE b (id int)')\n"
BLOCK = "with op.get_context().autocommit_block():\n    op.execute('CREATE TABLE b (id int)')\n"
THEN = execute("CREATE TABLE c (id int)", "COMMIT", "SELECT 1/0")
FAILS = execute("SELECT 1/0")


@pytest.mark.parametrize(
    "body, committed",
    [
        (execute("CREATE TABLE b (id int)", "COMMIT", "CREATE TABLE c (id int)", "SELECT 1/0"), 1),
        (execute("CREATE TABLE b (id int)") + "\nop.get_bind().commit()\n" + FAILS, 1),
        (NESTED + "    point.rollback()\n" + THEN, 1),
        (NESTED + THEN, 2),
        (BLOCK + FAILS, 1),
    ],
)
async def test_every_kind_of_early_commit_is_seen(
    tmp_path: Path, database: str, body: str, committed: int
) -> None:
    tool = write_project(tmp_path, {"a": migration("a"), "b": migration("b", "a", body)})
    with pytest.raises(UpgradeStopped, match="division by zero") as stopped:
        await run_upgrade(tmp_path, tool, database)
    account = stopped.value.account
    assert (len(account.committed), account.revision) == (committed, "b"), account
    tables = await ask(database, "SELECT relname FROM pg_class WHERE relname IN ('b', 'c')")
    assert len(tables) == committed


async def test_an_early_commit_records_what_came_before_it(tmp_path: Path, database: str) -> None:
    """All in one transaction: the block of b commits a, which is complete, and the beginning of b."""
    body = """
    op.execute("CREATE TABLE b (id int)")
    with op.get_context().autocommit_block():
        op.execute("SELECT 1/0")
    """
    tool = write_project(
        tmp_path,
        {"a": migration("a", upgrade=execute("CREATE TABLE a (id int)")), "b": migration("b", "a", body)},
    )
    with pytest.raises(UpgradeStopped) as stopped:
        await run_upgrade(tmp_path, tool, database)
    account = stopped.value.account
    assert (account.recorded, account.reached, account.committed) == (
        ("a",),
        ("a",),
        ("CREATE TABLE b (id int)",),
    )
    assert await ask(database, VERSIONS) == ["a"]


async def test_a_lock_that_is_not_to_be_had(tmp_path: Path, database: str) -> None:
    tool = linear(tmp_path, 1)
    (tmp_path / "migrations/versions/b.py").write_text(
        migration("b", "r0000", execute("ALTER TABLE t_r0000 ADD COLUMN b int"))
    )
    await run_upgrade(tmp_path, tool, database, revision="r0000")
    async with connect(database, autocommit=False) as other:
        await other.execute("LOCK TABLE t_r0000 IN ACCESS SHARE MODE")
        with pytest.raises(UpgradeStopped) as stopped:
            await upgrade(project_of(tmp_path, tool), url=database, on_event=Told(), lock_timeout="100ms")
    assert (stopped.value.sqlstate, stopped.value.account.is_clean) == ("55P03", True)


SWALLOW = env().replace(
    "\nrun()\n", "\ntry:\n    run()\nexcept BaseException as error:\n    print('ERROR it went wrong')\n"
)
FORGETS = env().replace("with context.begin_transaction()", "connection.begin()\n        if True")
PRETENDS = "from sqlalchemy import MetaData\nprint('tables are made elsewhere')\n"


@pytest.mark.parametrize(
    "env_py, sentence",
    [
        (SWALLOW, "division by zero"),
        (PRETENDS, "it never ran Alembic on the database"),
        ("raise SystemExit(7)", "SystemExit: 7"),
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("import os\nos._exit(0)", "it never ran Alembic on the database"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "ended with exit code -11"),
        ("def broken(:", "SyntaxError: invalid syntax"),
    ],
)
async def test_an_exit_code_says_little(tmp_path: Path, database: str, env_py: str, sentence: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a", upgrade=execute("SELECT 1/0"))}, env_py=env_py)
    with pytest.raises(UpgradeStopped, match=sentence) as stopped:
        await run_upgrade(tmp_path, tool, database)
    assert stopped.value.account.is_clean


async def test_an_upgrade_that_nobody_commits_is_noticed(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a")}, env_py=FORGETS)
    with pytest.raises(UpgradeStopped, match="the version table does not say that it is done"):
        await run_upgrade(tmp_path, tool, database)


async def test_a_version_row_that_no_file_has(tmp_path: Path, database: str) -> None:
    tool = linear(tmp_path, 1)
    await run_upgrade(tmp_path, tool, database)
    await ask(database, "UPDATE alembic_version SET version_num = 'gone' RETURNING 1")
    with pytest.raises(UpgradeStopped, match="Can't locate revision identified by 'gone'"):
        await run_upgrade(tmp_path, tool, database)


@pytest.mark.parametrize(
    "body", ["while True: pass", "import time\ntime.sleep(1000)", "op.execute('SELECT pg_sleep(1000)')"]
)
@pytest.mark.parametrize("ignore_signals", [False, True])
async def test_what_hangs_is_ended_at_its_time_limit(
    tmp_path: Path, database: str, body: str, ignore_signals: bool
) -> None:
    deaf = "import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n" if ignore_signals else ""
    child = "import subprocess\nsubprocess.Popen(['sleep', '1000'])\n"
    tool = write_project(
        tmp_path,
        {"a": migration("a"), "b": migration("b", "a", deaf + child + body)},
        env_py=env(transaction_per_migration="True"),
    )
    told = Told()
    with pytest.raises(UpgradeStopped, match="did not come to its end within 0:00:04") as stopped:
        await run_upgrade(tmp_path, replace(tool, time_limit=timedelta(seconds=4)), database, told)
    assert (stopped.value.revision, stopped.value.account.reached) == ("b", ("a",))
    await nothing_is_left(database, told)


async def test_a_run_that_waits_for_itself_is_told_so(tmp_path: Path, database: str) -> None:
    body = """
    op.execute("ALTER TABLE a ADD COLUMN b int")
    engine = sa.create_engine(op.get_bind().engine.url)
    with engine.connect() as second:
        second.execute(sa.text("SELECT * FROM a"))
    """
    tool = write_project(
        tmp_path,
        {"a": migration("a", upgrade=execute("CREATE TABLE a (id int)")), "b": migration("b", "a", body)},
        env_py=env(transaction_per_migration="True"),
    )
    told = Told()
    with pytest.raises(UpgradeStopped, match=r"waits for session .* of the same run .*SELECT") as stopped:
        await run_upgrade(tmp_path, replace(tool, time_limit=timedelta(seconds=4)), database, told)
    assert (stopped.value.revision, stopped.value.account.reached) == ("b", ("a",))
    await nothing_is_left(database, told)


async def test_cancelling_ends_process_and_session(tmp_path: Path, database: str) -> None:
    asleep = asyncio.Event()
    told = Told()

    async def listen(event: RunnerEvent) -> None:
        await told(event)
        if isinstance(event, StatementStarted) and "pg_sleep" in event.sql:
            asleep.set()

    tool = write_project(tmp_path, {"a": migration("a", upgrade=execute("SELECT pg_sleep(1000)"))})
    task = asyncio.create_task(upgrade(project_of(tmp_path, tool), url=database, on_event=listen))
    await asyncio.wait_for(asleep.wait(), 60)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await nothing_is_left(database, told)


async def test_a_killed_interpreter_and_a_terminated_session(tmp_path: Path, database: str) -> None:
    tool = write_project(
        tmp_path, {"a": migration("a", upgrade=execute("CREATE TABLE a (id int)", "SELECT pg_sleep(1000)"))}
    )

    async def kill(event: RunnerEvent) -> None:
        await told(event)
        if isinstance(event, StatementStarted) and "pg_sleep" in event.sql:
            os.killpg(told.of(Launched)[0].process_group, signal.SIGKILL)

    told = Told()
    with pytest.raises(UpgradeStopped, match="exit code -9") as stopped:
        await upgrade(project_of(tmp_path, tool), url=database, on_event=kill)
    assert stopped.value.account.is_clean
    await nothing_is_left(database, told)

    async def terminate(event: RunnerEvent) -> None:
        if isinstance(event, StatementStarted) and "pg_sleep" in event.sql:
            await ask(database, f"SELECT pg_terminate_backend({event.pid})")

    with pytest.raises(UpgradeStopped, match="terminating connection") as terminated:
        await upgrade(project_of(tmp_path, tool), url=database, on_event=terminate)
    assert (terminated.value.sqlstate, terminated.value.account.is_clean) == ("57P01", True)


async def test_an_error_of_the_listener_ends_the_run(tmp_path: Path, database: str) -> None:
    class StoreGone(Exception):
        pass

    async def fail(event: RunnerEvent) -> None:
        await told(event)
        if isinstance(event, RevisionStarted):
            raise StoreGone

    told = Told()
    with pytest.raises(StoreGone):
        await upgrade(project_of(tmp_path, linear(tmp_path, 1)), url=database, on_event=fail)
    await nothing_is_left(database, told)


async def test_values_stay_out_of_errors(tmp_path: Path, database: str) -> None:
    body = "op.get_bind().execute(sa.text('SELECT 1 / CAST(:x AS int)'), {'x': 0, })\n"
    told = Told()
    tool = write_project(tmp_path, {"a": migration("a", upgrade=body.replace("'x': 0, ", "'x': 0"))})
    with pytest.raises(UpgradeStopped) as stopped:
        await run_upgrade(tmp_path, tool, database, told)
    assert str(stopped.value) == "Revision a failed: division by zero"
    assert not told.of(Log)


async def nothing_is_left(database: str, told: Told) -> None:
    """Neither a process of the group nor a session that the run opened."""
    assert members(told.of(Launched)[0].process_group) == []
    left = "SELECT pid FROM pg_stat_activity WHERE pid = ANY ('{{{}}}')"
    assert await ask(database, left.format(",".join(str(one.pid) for one in told.of(Connected)))) == []
