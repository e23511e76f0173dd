"""Rehearsals on real servers: what is recorded, what is seen of locks and losses, what a failure says."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import environment, project
from tests.conftest import Run, fresh_database
from tests.tools.runs import upgrade
from tests.tools.written import execute, migration, write_project
from web.config import Project
from web.errors import Conflict, SeveralHeads, TargetChanged
from web.jobs.start import environment_row
from web.plans.plan import Plan, plan_from_json
from web.plans.rehearsal import Keeps, Stage, Tell, all_but_passing, nothing, rehearse, successes
from web.postgres.connections import connect
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.store.tables import PlanRow
from web.tools.alembic_tool.history_files import read_history
from web.tools.alembic_tool.settings import settings_of

MIGRATIONS = {
    "a": migration(
        "a", None, execute("CREATE TABLE users (id int PRIMARY KEY, email varchar(20), old text)")
    ),
    "b": migration(
        "b",
        "a",
        execute("ALTER TABLE users ADD COLUMN tenant int", "CREATE TABLE tenants (id int PRIMARY KEY)"),
    ),
    "c": migration(
        "c",
        "b",
        execute(
            "ALTER TABLE users ALTER COLUMN id TYPE bigint",
            "UPDATE users SET tenant = 1",
            "CREATE INDEX users_email ON users (email)",
        ),
    ),
    "d": migration("d", "c", execute("ALTER TABLE users DROP COLUMN old")),
}


@dataclass
class Theatre:
    """A target at revision a, a project whose later migrations are pending, and a stage."""

    stage: Stage
    clinic: Project
    url: str
    environment_id: int

    async def rehearse(self, keeps: Keeps = successes, tell: Tell | None = None) -> Plan:
        history = read_history(Path(str(self.clinic.source)), settings_of(self.clinic))
        async with connect(self.url) as connection:
            return await rehearse(
                self.stage,
                self.clinic,
                self.environment_id,
                history,
                connection,
                self.url,
                tell=tell,
                keeps=keeps,
            )

    @property
    def env_py(self) -> Path:
        return Path(str(self.clinic.source)) / "migrations" / "env.py"

    def write(self, **migrations: str) -> None:
        write_project(Path(str(self.clinic.source)), migrations)


@pytest.fixture(scope="module")
def at_a(
    server: EmbeddedServer,
    server15: EmbeddedServer,
    in_background: Run,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[str]:
    """The name of a database at revision a, on either server."""
    folder = tmp_path_factory.mktemp("at a")
    folder.chmod(0o755)
    tool = write_project(folder / "clinic", MIGRATIONS)

    async def ignore(event: object) -> None: ...

    with ExitStack() as ends:
        for each in (server, server15):
            url = ends.enter_context(fresh_database(each, name="rehearsed_from"))
            clinic = project(folder / "clinic", tool, environment(folder, url))
            in_background(upgrade(clinic, url=url, revisions=["a"], on_event=ignore))
        yield "rehearsed_from"


@pytest.fixture(params=["database", "database15"])
def url(
    request: pytest.FixtureRequest, server: EmbeddedServer, server15: EmbeddedServer, at_a: str
) -> Iterator[str]:
    where = {"database": server, "database15": server15}[request.param]
    with fresh_database(where, template=at_a) as url:
        yield url


@pytest.fixture
async def theatre(
    store: AsyncEngine, programs: tuple[Programs, ...], scratch: ScratchServers, tmp_path: Path, url: str
) -> Theatre:
    tool = write_project(tmp_path / "clinic", MIGRATIONS)
    clinic = project(tmp_path / "clinic", tool, environment(tmp_path, url))
    async with store.begin() as connection:
        environment_id, _ = await environment_row(connection, "clinic", "dev")
    return Theatre(Stage(store, scratch, programs), clinic, url, environment_id)


async def test_every_statement_is_recorded_with_what_it_does(theatre: Theatre) -> None:
    plan = await theatre.rehearse()
    assert plan.succeeded, plan.failure
    assert (plan.from_revisions, plan.to_revisions) == (("a",), ("d",))
    assert [(each.revision, len(each.statements)) for each in plan.migrations] == [
        ("b", 2),
        ("c", 3),
        ("d", 1),
    ]
    b, c, d = plan.migrations
    assert b.statements[0].sql == "ALTER TABLE users ADD COLUMN tenant int"
    assert [hazard.words for hazard in b.statements[0].hazards] == ["ACCESS EXCLUSIVE on public.users"]
    assert b.statements[1].hazards == ()
    assert [[hazard.words for hazard in each.hazards] for each in c.statements] == [
        ["Rewrites public.users"],
        [],
        [],
    ]
    assert [hazard.words for hazard in d.hazards] == ["Deletes public.users.old"]
    assert plan.not_exercised == ("c: UPDATE users SET tenant = 1",)
    # The target is as it was.
    with psycopg.connect(theatre.url) as connection:
        rows = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        columns = connection.execute(
            "SELECT count(*) FROM information_schema.columns WHERE table_name = 'users'"
        ).fetchone()
    assert rows == [("a",)]
    assert columns == (3,)


async def test_a_plan_is_kept_and_reused(theatre: Theatre) -> None:
    first = await theatre.rehearse()
    second = await theatre.rehearse()
    assert second == first
    assert second.hash == first.hash
    async with theatre.stage.store.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(PlanRow)) == 1
        row = (await connection.execute(select(PlanRow.content, PlanRow.hash))).one()
    assert plan_from_json(["a"], ["d"], row.content, first.made_at) == first
    assert row.hash == first.hash
    theatre.write(d=migration("d", "c", execute("ALTER TABLE users DROP COLUMN email")))
    third = await theatre.rehearse()
    assert third.hash != first.hash


async def test_a_failure_is_a_result(theatre: Theatre) -> None:
    theatre.write(c=migration("c", "b", execute("CREATE TABLE fine ()", "SELECT 1 / 0")))
    plan = await theatre.rehearse()
    assert plan.failure is not None
    assert (plan.failure.revision, plan.failure.sqlstate) == ("c", "22012")
    assert "division by zero" in plan.failure.message
    assert [(each.revision, len(each.statements)) for each in plan.migrations] == [
        ("b", 2),
        ("c", 2),
        ("d", 0),
    ]


async def test_a_concurrent_index_is_outside_of_a_transaction(theatre: Theatre) -> None:
    body = (
        "with op.get_context().autocommit_block():\n"
        "    op.execute('CREATE INDEX CONCURRENTLY users_email ON users (email)')"
    )
    theatre.write(c=migration("c", "b", body))
    plan = await theatre.rehearse()
    assert plan.succeeded, plan.failure
    (statement,) = plan.migrations[1].statements
    assert statement.alone


async def test_a_role_that_only_the_migration_names(theatre: Theatre) -> None:
    theatre.write(c=migration("c", "b", execute("GRANT SELECT ON users TO somebody_new")))
    plan = await theatre.rehearse()
    assert plan.succeeded, plan.failure


async def test_several_heads_and_unknown_revisions_are_refused(theatre: Theatre) -> None:
    theatre.write(x=migration("x", "a"))
    with pytest.raises(SeveralHeads):
        await theatre.rehearse()
    theatre.write(x=migration("x", "d"))
    with psycopg.connect(theatre.url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'lost'")
    with pytest.raises(Conflict, match="lost"):
        await theatre.rehearse()


async def test_without_scratch_it_cannot_be_held_and_that_may_pass(theatre: Theatre, tmp_path: Path) -> None:
    stage = theatre.stage
    theatre.stage = replace(stage, scratch=ScratchServers(tmp_path / "none", {}, ()))
    first = await theatre.rehearse()
    assert (first.outcome, first.tries) == ("not held", 1)
    assert first.failure is not None
    assert first.failure.passing
    assert (await theatre.rehearse(all_but_passing)).tries == 2
    theatre.stage = stage
    # Nothing that it depends on has changed, and the schedule holds it all the same.
    plan = await theatre.rehearse(all_but_passing)
    assert (plan.outcome, plan.tries, plan.ran) == ("succeeded", 0, ("b", "c", "d"))


async def test_a_driver_that_was_missing(theatre: Theatre) -> None:
    """Not held, since nothing was seen to run; a person's try always runs, the schedule's once it is installed."""
    theatre.env_py.write_text("import a_driver\n" + theatre.env_py.read_text())
    plan = await theatre.rehearse()
    assert plan.outcome == "not held"
    assert plan.failure is not None
    assert not plan.failure.passing
    assert "No module named 'a_driver'" in plan.failure.message
    assert (plan.ran, plan.statements) == ((), 0)
    # Nothing has changed: for the schedule it is the same answer, a person is answered anew.
    assert (await theatre.rehearse(all_but_passing)).made_at == plan.made_at
    assert (await theatre.rehearse(nothing)).made_at > plan.made_at
    (Path(str(theatre.clinic.source)) / "a_driver.py").write_text("")
    assert (await theatre.rehearse(all_but_passing)).outcome == "succeeded"


async def test_a_failure_is_kept_for_the_schedule_alone(theatre: Theatre) -> None:
    theatre.write(c=migration("c", "b", execute("SELECT 1 / 0")))
    plan = await theatre.rehearse()
    assert (plan.outcome, plan.ran) == ("failed", ("b",))
    assert (await theatre.rehearse(all_but_passing)).made_at == plan.made_at
    assert (await theatre.rehearse(successes)).made_at > plan.made_at
    # What lies beside env.py is part of what it depends on.
    (theatre.env_py.parent / "more.sql").write_text("SELECT 1")
    assert (await theatre.rehearse(all_but_passing)).made_at > plan.made_at


@pytest.mark.parametrize("url", ["database"], indirect=True)
async def test_what_was_ended_says_nothing_about_the_migrations(theatre: Theatre) -> None:
    theatre.write(c=migration("c", "b", "import os\nos.kill(os.getpid(), 9)"))
    plan = await theatre.rehearse()
    assert plan.failure is not None
    assert (plan.outcome, plan.failure.passing) == ("not held", True)


@pytest.mark.parametrize("url", ["database"], indirect=True)
async def test_only_what_was_seen_to_run_is_rehearsed(theatre: Theatre) -> None:
    """env.py stops where it likes, or sets version folders of its own."""
    text = theatre.env_py.read_text()
    stops = text.replace(
        "\nrun()\n", "\nplan = context._proxy.script._upgrade_revs\ncontext.configure\n"
        "context._proxy.context_opts['fn'] = lambda rev, ctx: plan('c', rev)\nrun()\n"
    )  # fmt: skip
    theatre.env_py.write_text(stops)
    plan = await theatre.rehearse()
    assert plan.outcome == "not held", plan
    assert plan.failure is not None
    assert "d was not run" in plan.failure.message
    assert plan.ran == ("b", "c")


@pytest.mark.parametrize("url", ["database"], indirect=True)
async def test_a_target_that_changes_meanwhile_is_no_rehearsal(theatre: Theatre) -> None:
    """Whoever says that the database was not touched has looked."""

    async def somebody_else(said: str) -> None:
        with psycopg.connect(theatre.url) as other:
            other.execute("UPDATE alembic_version SET version_num = 'b'")

    with pytest.raises(TargetChanged, match="went from a to b"):
        await theatre.rehearse(tell=somebody_else)
