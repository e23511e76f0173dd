"""Upgrades of real databases by the runner, with projects of every kind."""

from __future__ import annotations

import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from psycopg import sql

from tests.tools.foreign import foreign
from tests.tools.runs import ALEMBIC, Told, ask, project_of, run_upgrade, stamp, upgrade
from tests.tools.written import ASYNC_ENV, ENV, INI, env, execute, linear, migration, write_project
from web.errors import Invalid, ProgramMissing
from web.postgres.connections import connect
from web.postgres.identity import TargetIdentity, read_identity
from web.postgres.urls import libpq_url, parameters
from web.tools.ending import UpgradeStopped
from web.tools.events import (
    AboutToCommit,
    Committed,
    Connected,
    Finished,
    Launched,
    Log,
    Planned,
    RevisionFinished,
    RevisionStarted,
    RunnerEvent,
    StatementFinished,
    StatementStarted,
)

VERSIONS = "SELECT version_num FROM alembic_version ORDER BY 1"


async def with_password(database: str, password: str) -> str:
    """The URL of the same database for a new role with this password."""
    role = f"role_{uuid.uuid4().hex}"
    async with connect(database) as connection:
        await connection.execute(
            sql.SQL("CREATE ROLE {} LOGIN SUPERUSER PASSWORD {}").format(sql.Identifier(role), password)
        )
    return libpq_url({**parameters(database), "user": role, "password": password})


async def test_a_line_of_migrations_is_told_step_by_step(tmp_path: Path, database: str) -> None:
    told = Told()
    result = await run_upgrade(tmp_path, linear(tmp_path, 3), database, told)
    assert result.applied == ("r0002",)
    assert [one.revision for one in result.ran] == ["r0000", "r0001", "r0002"]
    assert await ask(database, VERSIONS) == ["r0002"]
    assert isinstance(told.events[0], Launched)
    assert told.of(Planned)[0].revisions == ("r0000", "r0001", "r0002")
    assert [one.message for one in told.of(RevisionStarted)] == ["step r0000", "step r0001", "step r0002"]
    own = [one.statement for one in told.of(StatementFinished) if not one.statement.bookkeeping]
    assert [(one.revision, one.sql) for one in own] == [
        (f"r000{number}", f"CREATE TABLE t_r000{number} (id int PRIMARY KEY)") for number in range(3)
    ]
    assert all(one.in_transaction for one in own)
    assert [one.recorded for one in told.of(AboutToCommit)] == [("r0000", "r0001", "r0002")]
    assert told.of(Committed)[0].recorded == ("r0000", "r0001", "r0002")
    assert isinstance(told.events[-1], Finished)


async def test_a_second_upgrade_has_nothing_to_do(tmp_path: Path, database: str) -> None:
    tool = linear(tmp_path, 2)
    await run_upgrade(tmp_path, tool, database)
    again = await run_upgrade(tmp_path, tool, database)
    assert (again.ran, again.applied) == ((), ("r0001",))


@pytest.mark.parametrize(
    "revision, reached", [("r0001", "r0001"), ("+1", "r0000"), ("head", "r0003"), ("r0003", "r0003")]
)
async def test_any_target_that_alembic_knows(
    tmp_path: Path, database: str, revision: str, reached: str
) -> None:
    result = await run_upgrade(tmp_path, linear(tmp_path, 4), database, revision=revision)
    assert result.applied == (reached,)
    assert await ask(database, VERSIONS) == [reached]


@pytest.mark.parametrize("revision", ["--sql", "", "a b", "head; drop"])
async def test_what_is_no_revision_is_refused(tmp_path: Path, database: str, revision: str) -> None:
    with pytest.raises(Invalid, match="is not a revision"):
        await run_upgrade(tmp_path, linear(tmp_path, 1), database, revision=revision)


async def test_sessions_carry_our_settings(tmp_path: Path, database: str) -> None:
    settings = "SELECT array[current_setting('application_name'), current_setting('lock_timeout'), "
    settings += (
        "current_setting('statement_timeout'), current_setting('client_connection_check_interval')] AS said"
    )
    tool = write_project(tmp_path, {"a": migration("a", upgrade=execute(f"CREATE TABLE said AS {settings}"))})
    told = Told()
    await upgrade(
        project_of(tmp_path, tool),
        url=database,
        on_event=told,
        application_name="cleanstart/12/it's 1",
        lock_timeout="3s",
        statement_timeout="5min",
    )
    assert await ask(database, "SELECT said FROM said") == [["cleanstart/12/it's 1", "3s", "5min", "2s"]]
    assert told.of(StatementStarted)[0].pid == told.of(Connected)[0].pid


async def test_settings_outlive_a_rollback(tmp_path: Path, database: str) -> None:
    made = execute("CREATE TABLE said AS SELECT current_setting('application_name') AS said")
    tool = write_project(
        tmp_path,
        {"a": migration("a", upgrade=made)},
        env_py=env().replace(
            "        context.configure", "        connection.rollback()\n        context.configure"
        ),
    )
    await run_upgrade(tmp_path, tool, database)
    assert await ask(database, "SELECT said FROM said") == ["cleanstart"]


async def test_branches_merge_and_dependencies(tmp_path: Path, database: str) -> None:
    tool = write_project(
        tmp_path,
        {
            "a": migration("a", upgrade=execute("CREATE TABLE a (id int)")),
            "b1": migration("b1", "a", execute("CREATE TABLE b1 (id int)")),
            "b2": migration("b2", "a", execute("CREATE TABLE b2 (id int)")),
            "c": migration("c", ("b1", "b2"), execute("CREATE TABLE c (id int)")),
            "x": migration("x", None, execute("CREATE TABLE x (id int)"), branch_labels="extra"),
            "y": migration("y", "c", execute("CREATE TABLE y AS SELECT * FROM x"), depends_on="extra"),
        },
    )
    project = project_of(tmp_path, tool)
    result = await run_upgrade(tmp_path, tool, database)
    read = await ALEMBIC.history(project)
    assert result.applied == read.heads == ("y",)
    async with connect(database) as connection:
        assert read.is_at_head((await ALEMBIC.applied(project, connection)).revisions)


async def test_several_heads_each_get_a_row(tmp_path: Path, database: str) -> None:
    tool = write_project(
        tmp_path, {"a": migration("a"), "b1": migration("b1", "a"), "b2": migration("b2", "a")}
    )
    result = await run_upgrade(tmp_path, tool, database)
    assert set(result.applied) == {"b1", "b2"}
    with pytest.raises(UpgradeStopped, match="Multiple head revisions are present"):
        await run_upgrade(tmp_path, tool, database, revision="head")


async def test_a_transaction_per_migration_is_a_commit_per_migration(tmp_path: Path, database: str) -> None:
    told = Told()
    texts = {"a": migration("a", upgrade=execute("CREATE TABLE a (id int)")), "b": migration("b", "a")}
    tool = write_project(tmp_path, texts, env_py=env(transaction_per_migration="True"))
    await run_upgrade(tmp_path, tool, database, told)
    assert [one.recorded for one in told.of(Committed) if one.recorded] == [("a",), ("b",)]


async def test_data_migrations_tell_their_rows(tmp_path: Path, database: str) -> None:
    body = """
    table = op.create_table("people", sa.Column("name", sa.Text))
    op.bulk_insert(table, [{"name": f"secret value {number}"} for number in range(50)])
    op.execute(sa.text("UPDATE people SET name = :name").bindparams(name="another secret value"))
    op.get_bind().execute(sa.text("SELECT name FROM people")).fetchall()
    """
    told = Told()
    tool = write_project(tmp_path, {"a": migration("a", upgrade=body)})
    await run_upgrade(tmp_path, tool, database, told)
    rows = {
        one.statement.sql.split()[0]: one.rowcount
        for one in told.of(StatementFinished)
        if one.statement.revision
    }
    assert (rows["UPDATE"], rows["SELECT"]) == (50, 50)
    assert "secret value" not in repr(told.events), "values bound to statements are nobody's business"


@pytest.mark.parametrize(
    "table, schema", [("versions", None), ("alembic_version", "meta"), ("v", 'Odd "name"')]
)
async def test_a_version_table_of_another_name(
    tmp_path: Path, database: str, table: str, schema: str | None
) -> None:
    options = env(version_table=repr(table), version_table_schema=repr(schema))
    before = "        context.configure"
    create = f"connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS ' + {sql_name(schema or 'public')!r})"
    tool = write_project(
        tmp_path,
        {"a": migration("a"), "b": migration("b", "a")},
        env_py=options.replace(before, f"        {create}\n        connection.commit()\n{before}"),
    )
    tool = replace(tool, version_table=table, version_table_schema=schema)
    assert (await run_upgrade(tmp_path, tool, database)).applied == ("b",)
    async with connect(database) as connection:
        assert (await ALEMBIC.applied(project_of(tmp_path, tool), connection)).revisions == ("b",)


def sql_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


async def test_stamp_writes_rows_and_runs_nothing(tmp_path: Path, database: str) -> None:
    project = project_of(tmp_path, linear(tmp_path, 3))
    told = Told()
    assert (await stamp(project, url=database, on_event=told, revision="r0001")).applied == ("r0001",)
    assert await ask(database, VERSIONS) == ["r0001"]
    assert await ask(database, "SELECT to_regclass('t_r0001')") == [None]
    assert (await stamp(project, url=database, on_event=told, revision="r0000", purge=True)).applied == (
        "r0000",
    )
    assert await ask(database, VERSIONS) == ["r0000"]


@pytest.mark.parametrize("way", ["variable", "option", "x"])
async def test_every_way_to_tell_the_url(tmp_path: Path, database: str, way: str) -> None:
    source = {
        "variable": 'os.environ["DATABASE_URL"]',
        "option": 'context.config.get_main_option("sqlalchemy.url")',
        "x": 'context.get_x_argument(as_dictionary=True)["db"]',
    }[way]
    tool = write_project(
        tmp_path,
        {"a": migration("a")},
        env_py=ENV.replace("{options}", "").replace('os.environ["DATABASE_URL"]', source),
        ini=INI + "sqlalchemy.url = postgresql://wrong:wrong@localhost/wrong\n",
    )
    tool = replace(tool, url_variable="DATABASE_URL" if way == "variable" else None, x_arguments=("db",))
    # A password with everything that a URL, an ini and a shell could stumble over.
    url = await with_password(database, "p%25 $(x)%s:/@")
    assert (await run_upgrade(tmp_path, tool, url)).applied == ("a",)
    assert "wrong:wrong" in tool.config.read_text(), "set in memory, not on disk"


async def test_secrets_reach_neither_argv_nor_events(tmp_path: Path, database: str) -> None:
    body = """
    import os, sys, subprocess
    print("argv", sys.argv, open("/proc/self/cmdline").read())
    print("environment", sorted(os.environ))
    print("the url is", os.environ["DATABASE_URL"])
    print("the url is", os.environ["DATABASE_URL"], file=sys.stderr)
    op.execute("CREATE TABLE canary AS SELECT 'canary p@ss' AS said")
    """
    told = Told()
    tool = write_project(tmp_path, {"a": migration("a", upgrade=body)})
    url = await with_password(database, "canary p@ss")
    await run_upgrade(tmp_path, tool, url, told)
    assert "canary p@ss" not in repr(told.events)
    assert "canary%20p" not in repr(told.events)
    lines = {one.text.split()[0]: one.text for one in told.of(Log)}
    assert "DATABASE_URL" in lines["environment"]
    assert "CLEANSTART" not in lines["environment"]
    assert "canary" not in lines["argv"]


async def test_only_the_allowed_environment_comes_along(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OUR_OWN_SECRET", "x")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    told = Told()
    body = "import os\nprint('environment', sorted(os.environ))"
    await run_upgrade(tmp_path, write_project(tmp_path, {"a": migration("a", upgrade=body)}), database, told)
    (line,) = [one.text for one in told.of(Log) if one.text.startswith("environment")]
    assert "OUR_OWN_SECRET" not in line
    assert "PYTHONPATH" not in line
    assert "'PATH'" in line


async def test_a_folder_named_alembic_beside_the_ini(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {"a": migration("a")}, **{"types.py": "raise SystemExit('shadowed')"})
    (tmp_path / "migrations").rename(tmp_path / "alembic")
    (tmp_path / "alembic" / "__init__.py").write_text("raise RuntimeError('shadowed')\n")
    tool.config.write_text(
        "[alembic]\nscript_location = alembic\nprepend_sys_path = .\npath_separator = os\n"
    )
    assert (await run_upgrade(tmp_path, tool, database)).applied == ("a",)


async def test_the_ini_puts_the_project_on_the_import_path(tmp_path: Path, database: str) -> None:
    tool = write_project(
        tmp_path, {"a": "import shop_models\n" + migration("a")}, **{"shop_models.py": "NAME = 'shop'"}
    )
    assert (await run_upgrade(tmp_path, tool, database)).applied == ("a",)
    tool.config.write_text("[alembic]\nscript_location = migrations\n")
    with pytest.raises(UpgradeStopped, match="No module named 'shop_models'"):
        await run_upgrade(tmp_path, tool, database)


async def test_floods_of_output_and_logging_that_is_set_up_anew(tmp_path: Path, database: str) -> None:
    noise = "import logging, sys\nlogging.disable(logging.CRITICAL)\nprint('x' * 99 * 1200)\n"
    noise += "for number in range(1200):\n"
    noise += "    print('noise', number, 'x' * 90)\n    print('more', file=sys.stderr)\n"
    told = Told()
    tool = write_project(tmp_path, {"a": migration("a"), "b": migration("b", "a")}, env_py=noise + env())
    assert (await run_upgrade(tmp_path, tool, database, told)).applied == ("b",)
    assert [one.revision for one in told.of(RevisionFinished)] == ["a", "b"]
    assert sum(one.text.startswith("noise") for one in told.of(Log)) == 1200


async def test_an_async_environment(tmp_path: Path, database: str) -> None:
    tool = replace(
        write_project(
            tmp_path, {"a": migration("a", upgrade=execute("CREATE TABLE a (id int)"))}, env_py=ASYNC_ENV
        ),
        python=foreign("asyncpg").python,
        url_driver="postgresql+asyncpg",
    )
    told = Told()
    result = await run_upgrade(tmp_path, tool, database, told)
    assert (result.applied, set(result.libraries)) == (("a",), {"alembic", "sqlalchemy"})
    assert told.of(Connected)
    assert "CREATE TABLE a (id int)" in [one.statement.sql for one in told.of(StatementFinished)]
    assert [one.recorded for one in told.of(Committed) if one.recorded] == [("a",)]


@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
async def test_the_oldest_alembic_and_sqlalchemy(tmp_path: Path, database: str, driver: str) -> None:
    block = (
        "with op.get_context().autocommit_block():\n    op.execute('CREATE INDEX CONCURRENTLY i ON a (id)')"
    )
    tool = replace(
        write_project(
            tmp_path,
            {
                "a": migration("a", upgrade=execute("CREATE TABLE a (id int)")),
                "b": migration("b", "a", block),
            },
            env_py=env() if driver == "psycopg2" else ASYNC_ENV,
        ),
        python=foreign("oldest").python,
        url_driver=f"postgresql+{driver}",
    )
    told = Told()
    result = await run_upgrade(tmp_path, tool, database, told)
    assert result.applied == ("b",)
    assert result.libraries == {"alembic": "1.8.1", "sqlalchemy": "1.4.54"}
    concurrent = [one for one in told.of(StatementStarted) if "CONCURRENTLY" in one.sql]
    assert [one.in_transaction for one in concurrent] == [False]


async def test_pyproject(tmp_path: Path, database: str) -> None:
    tool = linear(tmp_path, 2)
    tool.config.unlink()
    (tmp_path / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/migrations"\n')
    tool = replace(tool, config=tmp_path / "pyproject.toml")
    assert (await run_upgrade(tmp_path, tool, database)).applied == ("r0001",)


async def test_another_database_is_refused_in_the_session_that_would_act(
    tmp_path: Path, database: str
) -> None:
    tool = linear(tmp_path, 1)
    project = project_of(tmp_path, tool)
    async with connect(database) as connection:
        here = (await read_identity(connection)).identity
    elsewhere = TargetIdentity(here.system_identifier, here.database_oid + 1)
    with pytest.raises(UpgradeStopped, match="this run may open shop/dev only") as stopped:
        await upgrade(project, url=database, on_event=Told(), identity=elsewhere)
    assert stopped.value.account.is_clean
    assert await ask(database, "SELECT to_regclass('alembic_version')") == [None]
    assert (await upgrade(project, url=database, on_event=Told(), identity=here)).applied == ("r0000",)


async def test_a_session_does_nothing_before_it_is_known(tmp_path: Path, database: str) -> None:
    seen: list[object] = []

    async def look(event: RunnerEvent) -> None:
        if isinstance(event, Connected):
            seen.extend(await ask(database, f"SELECT state FROM pg_stat_activity WHERE pid = {event.pid}"))
            seen.extend(await ask(database, "SELECT to_regclass('alembic_version')"))

    await upgrade(project_of(tmp_path, linear(tmp_path, 1)), url=database, on_event=look)
    assert seen == ["idle", None]


async def test_nothing_is_committed_before_it_is_acknowledged(tmp_path: Path, database: str) -> None:
    seen: list[tuple[AboutToCommit, object]] = []

    async def acknowledge(event: AboutToCommit) -> None:
        seen.append((event, (await ask(database, "SELECT to_regclass('t_r0001') IS NULL"))[0]))

    project = project_of(tmp_path, linear(tmp_path, 2))
    await upgrade(project, url=database, on_event=Told(), acknowledge=acknowledge)
    assert [(event.recorded, gone) for event, gone in seen] == [(("r0000", "r0001"), True)]


async def test_a_refused_commit_does_not_happen(tmp_path: Path, database: str) -> None:
    class Fenced(Exception):
        pass

    async def refuse(event: AboutToCommit) -> None:
        raise Fenced

    with pytest.raises(Fenced):
        await upgrade(
            project_of(tmp_path, linear(tmp_path, 2)), url=database, on_event=Told(), acknowledge=refuse
        )
    assert await ask(database, "SELECT to_regclass('t_r0000')") == [None]


async def test_step_by_step_locks_can_be_looked_at(tmp_path: Path, database: str) -> None:
    locks: list[object] = []

    async def look(event: RunnerEvent) -> None:
        if isinstance(event, StatementFinished) and event.statement.revision == "r0001":
            query = "SELECT count(*) FROM pg_locks WHERE relation = 't_r0000'::regclass"
            locks.extend(await ask(database, query))

    tool = linear(tmp_path, 1)
    (tmp_path / "migrations/versions/r0001.py").write_text(
        migration("r0001", "r0000", execute("ALTER TABLE t_r0000 ADD COLUMN b int", "SELECT 1"))
    )
    await run_upgrade(tmp_path, tool, database, revision="r0000")
    await upgrade(project_of(tmp_path, tool), url=database, on_event=look, step_by_step=True)
    assert locks[:2] == [1, 1]


async def test_an_interpreter_without_alembic(tmp_path: Path, database: str) -> None:
    tool = replace(linear(tmp_path, 1), python=foreign("empty").python)
    with pytest.raises(ProgramMissing, match=r"has no Alembic .*No module named 'alembic'"):
        await run_upgrade(tmp_path, tool, database)


@pytest.mark.parametrize("python", ["nowhere/python", "alembic.ini"])
async def test_what_is_no_interpreter(tmp_path: Path, database: str, python: str) -> None:
    tool = replace(linear(tmp_path, 1), python=tmp_path / python)
    with pytest.raises(ProgramMissing, match="There is no interpreter"):
        await run_upgrade(tmp_path, tool, database)


async def test_computed_histories_are_asked_of_the_interpreter(tmp_path: Path) -> None:
    computed = migration("b").replace("down_revision = None", "down_revision = chr(97)")
    tool = write_project(
        tmp_path, {"a": migration("a"), "b": computed, "c": migration("c", "b", depends_on="a")}
    )
    project = project_of(tmp_path, tool)
    read, asked = await ALEMBIC.history(project), await ALEMBIC.ask_history(project)
    assert (read.complete, asked.complete, asked.problems) == (False, True, ())
    assert [(one.revision, one.down, one.literal) for one in asked.migrations] == [
        ("a", (), True),
        ("b", ("a",), False),
        ("c", ("b",), True),
    ]
    assert {one.path: one.digest for one in asked.migrations} == {
        one.path: one.digest for one in read.migrations
    }
    assert [one.message for one in asked.migrations] == ["step a", "step b", "step c"]
