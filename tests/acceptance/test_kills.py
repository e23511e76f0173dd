"""Workers SIGKILLed in the middle: found within 30 seconds, the truth told, nothing run twice, all usable again.

All the workers of a module die first, each at its own point; then one other worker finds out about all of them.
"""

from __future__ import annotations

import signal
import stat
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.acceptance.installation import FINISHED, Installation, backends, query, until
from tests.conftest import fresh_database
from tests.interpreter import project_python
from tests.tools.written import env, migration, write_project
from web.postgres.embedded import EmbeddedServer
from web.postgres.programs import Programs, client_for

pytestmark = pytest.mark.xdist_group("acceptance of killed workers")

#: Every migration has its server write into a file that it runs, whatever becomes of its own transaction. Nothing else
#: could: its code may open its own database only, and write into no folder.
WITNESS = """
op.execute("COPY (SELECT current_setting('application_name'), current_database(), '{revision}') "
           "TO PROGRAM 'cat >> {witness}'")
"""
FIRST = "op.execute('CREATE TABLE users AS SELECT n AS id FROM generate_series(1, 1000) n')"
#: Not so where it is rehearsed.
SLOW = """
op.execute('ALTER TABLE users ADD COLUMN tenant int')
op.execute("SELECT pg_sleep(600) WHERE current_database() LIKE 'test%'")
"""
INDEX = """
op.execute('ALTER TABLE users ADD COLUMN tenant int')
with op.get_context().autocommit_block():
    op.execute('CREATE INDEX CONCURRENTLY users_tenant ON users (tenant)')
"""
#: How the migrations of each project go on after the first one, and options of its env.py.
PROJECTS: dict[str, tuple[list[str], dict[str, str]]] = {
    "plain": (["op.execute('CREATE TABLE tenants (id int)')"], {}),
    "slow": ([SLOW], {}),
    "steps": (["op.execute('CREATE TABLE tenants (id int)')", SLOW], {"transaction_per_migration": "True"}),
    "index": ([INDEX], {}),
    # Of its own, because the others are changed in between.
    "patient": ([SLOW], {}),
}
#: A wrapper that tells of every dump in the witness's file, because pg_dump itself leaves no trace.
PG_DUMP = """#!/bin/sh
case "$1" in --version) ;; *) echo "$PGAPPNAME" >> {witness} ;; esac
exec {real} "$@"
"""


@dataclass(frozen=True)
class Death:
    """One way for a worker to die."""

    kind: str
    project: str
    #: Final states that are true.
    states: tuple[str, ...]
    #: Where the database is afterwards.
    revisions: tuple[str, ...]
    #: What the account has to say.
    says: str
    failpoint: str = ""
    #: Statement that blocks the job from elsewhere; None: it is slow by itself.
    blocker: str | None = None
    #: The statement in the middle of which it dies.
    during: str = ""
    #: Whether the rows of before are still there.
    kept: bool = True
    #: Migrations that were begun.
    ran: tuple[str, ...] = ()


DEATHS = {
    "backup, while it waits": Death(
        "backup", "plain", ("not done",), ("b",), "unharmed", blocker="LOCK TABLE users", during="LOCK TABLE",
    ),
    "backup, after the dump": Death(
        "backup", "plain", ("succeeded",), ("b",), "exists", failpoint="before-receipt:dump"
    ),
    "migrate, in a transaction": Death(
        "migrate", "slow", ("not done",), ("a",), "rolled back", during="pg_sleep", ran=("b",)
    ),
    "migrate, between two revisions": Death(
        "migrate", "steps", ("unknown",), ("b",), "Not applied: c", during="pg_sleep", ran=("b", "c")
    ),
    "migrate, in autocommit": Death(
        "migrate",
        "index",
        ("unknown",),
        ("a",),
        "Invalid indexes: public.users_tenant",
        blocker="SELECT count(*) FROM pg_class",
        during="CONCURRENTLY",
        ran=("b",),
    ),
    "reset, before the drop": Death(
        "reset", "plain", ("not done",), ("b",), "Nothing was dropped", failpoint="before-drop"
    ),
    "reset, during the drop": Death(
        "reset", "plain", ("not done",), ("b",), "Nothing was dropped", blocker="LOCK TABLE users", during="DROP",
    ),
    "reset, after the drop": Death(
        "reset", "plain", ("unknown",), (), "gone", failpoint="after-drop", kept=False
    ),
    "reset, after the migrations": Death(
        "reset", "plain", ("succeeded",), ("b",), "gone", failpoint="before-receipt:upgrade", kept=False,
        ran=("a", "b"),
    ),
}  # fmt: skip


#: Jobs that a person ends in the middle.
CANCELLED = {
    "backup": Death("backup", "plain", ("cancelled",), ("b",), "", blocker="LOCK TABLE users", during="LOCK TABLE"),
    "migrate": Death("migrate", "patient", ("cancelled",), ("a",), "rolled back", during="pg_sleep", ran=("b",)),
    "reset": Death(
        "reset", "plain", ("cancelled",), ("b",), "Nothing was dropped", blocker="LOCK TABLE users", during="DROP",
    ),
}  # fmt: skip
EVERY = {**DEATHS, **{f"{name}, cancelled": each for name, each in CANCELLED.items()}}


@dataclass
class Body:
    """What was found afterwards."""

    where: str
    url: str
    job: dict[str, Any] = field(default_factory=dict)
    #: Between the death and its discovery, for as long as there was somebody to discover it.
    seconds: float = 0.0


@dataclass
class Morgue:
    """An installation with a database for each death, and the witness."""

    cleanstart: Installation
    server: EmbeddedServer
    #: Name of the witness's file in the server's folder.
    witness: str
    dumps: Path
    bodies: dict[str, Body]

    def executions(self, url: str) -> tuple[str, ...]:
        """The revision of every migration that ran on this database, in order."""
        ((written,),) = query(self.server.url(), "SELECT pg_read_file(%s)", [self.witness])
        lines = [line.split("\t") for line in written.splitlines()]
        database = psycopg.conninfo.conninfo_to_dict(url)["dbname"]
        return tuple(revision for _, where, revision in lines if where == database)

    def dumped(self, job: int) -> int:
        """How often pg_dump was started for a job."""
        return self.dumps.read_text().count(f"cleanstart/{job}/")


def revisions(url: str) -> tuple[str, ...]:
    if query(url, "SELECT to_regclass('alembic_version')") == [(None,)]:
        return ()
    return tuple(row[0] for row in query(url, "SELECT version_num FROM alembic_version ORDER BY 1"))


def write_projects(folder: Path, witness: str) -> dict[str, Any]:
    projects: dict[str, Any] = {}
    for name, (further, options) in PROJECTS.items():
        bodies = dict(zip("abc", [FIRST, *further], strict=False))
        downs = dict(zip("bc", "ab", strict=True))
        write_project(
            folder / name,
            {
                one: migration(
                    one, downs.get(one), WITNESS.format(witness=witness, revision=one).strip() + "\n" + body
                )
                for one, body in bodies.items()
            },
            env_py=env(**options),
        )
        projects[name] = {
            "source": str(folder / name),
            "alembic": {
                "config": "alembic.ini",
                "python": str(project_python()),
                "url_variable": "DATABASE_URL",
                "url_driver": "postgresql+psycopg",
            },
            "environments": {},
        }
    return projects


def wrapped_pg_dump(folder: Path, programs: tuple[Programs, ...], witness: Path) -> Path:
    """A folder of programs whose pg_dump tells that it is started."""
    real = client_for(17, programs).directory
    folder.mkdir()
    for program in real.iterdir():
        # Not the server: programs are where it really is.
        if program.name not in ("pg_dump", "postgres"):
            (folder / program.name).symlink_to(program)
    script = folder / "pg_dump"
    script.write_text(PG_DUMP.format(witness=witness, real=real / "pg_dump"))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    witness.touch()
    return folder


@pytest.fixture(scope="module")
def morgue(
    cleanstart: Installation, server: EmbeddedServer, programs: tuple[Programs, ...]
) -> Iterator[Morgue]:
    """Let every worker die, and another one find out."""
    with ExitStack() as stack:
        witness = f"witness-{uuid.uuid4().hex}"
        projects = write_projects(cleanstart.folder, witness)
        bodies = {}
        for number, (name, death) in enumerate(EVERY.items()):
            url = stack.enter_context(fresh_database(server))
            bodies[name] = Body(f"{death.project}/e{number}", url)
            projects[death.project]["environments"][f"e{number}"] = {
                "url": cleanstart.secret(f"e{number}", url),
                "tier": "development",
                "reset": {},
            }
        dumps = cleanstart.folder / "dumps"
        cleanstart.configure(
            projects,
            scratch={"17": cleanstart.secret("scratch", server.url())},
            programs=[str(wrapped_pg_dump(cleanstart.folder / "programs", programs, dumps))],
        )
        found = Morgue(cleanstart, server, witness, dumps, bodies)
        prepare(found)
        kill_all(found)
        yield found


def prepare(morgue: Morgue) -> None:
    """Bring every database to where it is when its worker dies; with a verified backup where one is needed."""
    cleanstart = morgue.cleanstart
    first = cleanstart.work()
    for body, death in zip(morgue.bodies.values(), EVERY.values(), strict=True):
        # As an earlier deployment left it, without the engine.
        query(body.url, "CREATE TABLE users AS SELECT n AS id FROM generate_series(1, 1000) n")
        query(body.url, "INSERT INTO users VALUES (4711)")
        query(body.url, "CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)")
        query(body.url, "INSERT INTO alembic_version VALUES (%s)", ["b" if death.project == "plain" else "a"])
        if death.project == "plain":
            query(body.url, "CREATE TABLE tenants (id int)")
    jobs = [cleanstart.start_job("observe", body.where) for body in morgue.bodies.values()]
    assert {cleanstart.finished(job)["state"] for job in jobs} == {"succeeded"}
    backups = [
        cleanstart.start_job("backup", body.where, "--verify")
        for body, death in zip(morgue.bodies.values(), EVERY.values(), strict=True)
        if death.kind == "reset"
    ]
    assert {cleanstart.finished(job)["state"] for job in backups} == {"succeeded"}, cleanstart.log_tail()
    first.send_signal(signal.SIGTERM)
    assert first.wait(timeout=30) == 0, cleanstart.log_tail()


def start(morgue: Morgue, name: str) -> int:
    death, body = EVERY[name], morgue.bodies[name]
    options = ["--lock-timeout", "600"] if death.kind != "backup" else []
    options += ["--confirm", body.where] if death.kind == "reset" else []
    number = morgue.cleanstart.start_job(death.kind, body.where, *options)
    body.job = {"id": number}
    return number


def kill_all(morgue: Morgue) -> None:
    """The blocked ones die together with the two workers that run them, the others at their failpoints."""
    cleanstart = morgue.cleanstart
    died: dict[str, datetime] = {}
    with ExitStack() as blockers:
        running = [name for name, death in DEATHS.items() if not death.failpoint]
        for name in running:
            if DEATHS[name].blocker is not None:
                blockers.enter_context(blocked(morgue.bodies[name].url, DEATHS[name].blocker or ""))
        workers = [cleanstart.work(), cleanstart.work()]
        numbers = {name: start(morgue, name) for name in running}
        for name, number in numbers.items():
            until(partial(in_the_middle, morgue, name, number), what=partial(described, morgue, number))
        for worker in workers:
            worker.send_signal(signal.SIGKILL)
            worker.wait()
        died.update(dict.fromkeys(running, datetime.now(UTC)))
        for name in set(DEATHS) - set(running):
            worker = cleanstart.work(failpoint=DEATHS[name].failpoint)
            start(morgue, name)
            assert worker.wait(timeout=60) == -signal.SIGKILL, cleanstart.log_tail()
            died[name] = datetime.now(UTC)
        cleanstart.work()
        watched = datetime.now(UTC)
        for name in DEATHS:
            body = morgue.bodies[name]
            body.job = cleanstart.finished(body.job["id"], within=180)
            # By whichever worker lived at that time; one that died in turn left an attempt of its own.
            dead, *_ = cleanstart.ask(
                "SELECT ended_at FROM job_attempt WHERE job_id = %s AND outcome = 'worker died' ORDER BY number",
                body.job["id"],
            )
            body.seconds = (dead["ended_at"] - max(died[name], watched)).total_seconds()


@contextmanager
def blocked(url: str, statement: str) -> Iterator[None]:
    """Hold what a statement takes, in a transaction that stays open."""
    with psycopg.connect(url) as connection:
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        connection.execute(statement.encode())
        yield


def described(morgue: Morgue, number: int) -> str:
    return f"{morgue.cleanstart.job(number)}\n{morgue.cleanstart.log_tail()}"


def in_the_middle(morgue: Morgue, name: str, number: int) -> bool:
    body, death = morgue.bodies[name], EVERY[name]
    assert morgue.cleanstart.job(number)["state"] not in FINISHED, morgue.cleanstart.job(number)
    return any(death.during in text for _, _, text in backends(body.url, number))


@pytest.mark.parametrize("name", DEATHS)
def test_found_dead_within_thirty_seconds_and_the_truth_told(morgue: Morgue, name: str) -> None:
    body, death = morgue.bodies[name], DEATHS[name]
    outcome = body.job["outcome"]
    assert body.job["state"] in death.states, outcome
    assert death.says in outcome["account"], outcome
    assert body.seconds < 30
    assert revisions(body.url) == death.revisions
    there = query(body.url, "SELECT to_regclass('users')") != [(None,)]
    kept = there and query(body.url, "SELECT count(*) FROM users WHERE id = 4711") == [(1,)]
    assert kept == death.kept
    # Two attempts: the one that died, and the one that looked.
    attempts = morgue.cleanstart.ask(
        "SELECT number, outcome FROM job_attempt WHERE job_id = %s ORDER BY number", body.job["id"]
    )
    assert attempts[0]["outcome"] == "worker died"
    assert backends(body.url, body.job["id"]) == []


@pytest.mark.parametrize("name", DEATHS)
def test_nothing_is_run_twice(morgue: Morgue, name: str) -> None:
    body, death = morgue.bodies[name], DEATHS[name]
    assert morgue.executions(body.url) == death.ran
    number = body.job["id"]
    assert morgue.dumped(number) == (1 if death.kind == "backup" else 0)
    intents = morgue.cleanstart.ask(
        "SELECT step, count(*) AS times FROM intent JOIN job_attempt a ON a.id = attempt_id "
        "WHERE intent.job_id = %s AND step IN ('dump', 'drop', 'upgrade') GROUP BY step", number
    )  # fmt: skip
    assert all(each["times"] == 1 for each in intents), intents


def test_the_account_of_what_is_half_applied(morgue: Morgue) -> None:
    """The committed statement, the index that is there and not valid, the revision that is not recorded."""
    body = morgue.bodies["migrate, in autocommit"]
    account = body.job["outcome"]["account"]
    assert "ALTER TABLE users ADD COLUMN tenant int" in account
    assert "public.users_tenant" in body.job["outcome"]["next_step"]
    invalid = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
    assert query(body.url, invalid) == [("users_tenant",)]


def test_backups_that_were_not_finished_left_nothing(morgue: Morgue) -> None:
    """Every file belongs to a backup that the store knows."""
    known = [str(row["id"]) for row in morgue.cleanstart.ask("SELECT id FROM backup")]
    files = [file for file in (morgue.cleanstart.folder / "backups").rglob("*") if file.is_file()]
    assert files
    for file in files:
        assert any(each in str(file) for each in known), file


def test_ended_by_a_person_with_two_workers(morgue: Morgue) -> None:
    """All three end within ten seconds, in their true state, run by one worker each, and nothing is left."""
    cleanstart = morgue.cleanstart
    cleanstart.work()
    names = [f"{name}, cancelled" for name in CANCELLED]
    with ExitStack() as blockers:
        for name in names:
            if (statement := EVERY[name].blocker) is not None:
                blockers.enter_context(blocked(morgue.bodies[name].url, statement))
        numbers = {name: start(morgue, name) for name in names}
        for name, number in numbers.items():
            until(partial(in_the_middle, morgue, name, number), what=partial(described, morgue, number))
        # Meanwhile nothing else changes this database, whichever worker would run it.
        where = morgue.bodies[names[0]].where
        refused = cleanstart("migrate", where)
        assert refused.code == 1
        assert f"Job {numbers[names[0]]} (backup on {where})" in refused.text
        asked = {}
        for name, number in numbers.items():
            asked[name] = datetime.now(UTC)
            assert cleanstart("cancel", str(number)).code == 0
        ended = {name: cleanstart.finished(number) for name, number in numbers.items()}
        for name, job in ended.items():
            body, death = morgue.bodies[name], EVERY[name]
            assert (job["finished_at"] - asked[name]).total_seconds() < 10, name
            assert job["state"] in death.states, job["outcome"]
            assert death.says in job["outcome"]["account"], job["outcome"]
            assert backends(body.url, job["id"]) == []
            assert len(cleanstart.ask("SELECT 1 FROM job_attempt WHERE job_id = %s", job["id"])) == 1
    for name in names:
        body, death = morgue.bodies[name], EVERY[name]
        assert revisions(body.url) == death.revisions
        assert query(body.url, "SELECT count(*) FROM users WHERE id = 4711") == [(1,)]
        assert morgue.executions(body.url) == death.ran
        cleanstart.succeed("backup", body.where)


@pytest.mark.parametrize("name", DEATHS)
def test_the_database_is_usable_again(morgue: Morgue, name: str) -> None:
    """Whoever reads the account can go on from there with the next job."""
    body, death = morgue.bodies[name], DEATHS[name]
    cleanstart = morgue.cleanstart
    if death.during == "pg_sleep":
        file = cleanstart.folder / death.project / "migrations" / "versions" / f"{death.ran[-1]}.py"
        file.write_text(file.read_text().replace("pg_sleep(600)", "pg_sleep(0)"))
    if death.during == "CONCURRENTLY":
        query(body.url, "DROP INDEX users_tenant")
        query(body.url, "ALTER TABLE users DROP COLUMN tenant")
    cleanstart.succeed("observe", body.where)
    if death.kind == "migrate":
        cleanstart.succeed("migrate", body.where)
    elif death.kind == "reset":
        cleanstart.succeed("reset", body.where, "--confirm", body.where)
        assert query(body.url, "SELECT count(*) FROM users WHERE id = 4711") == [(0,)]
    cleanstart.succeed("backup", body.where)
    assert revisions(body.url) == ("c" if death.project == "steps" else "b",)
