"""Every kind × every ending: title, account, steps, log, state, exit code, job page and environment say the same.

What is said is compared with the database itself. Kinds come from KINDS, so a new one has to have its line here.
"""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, replace
from html import unescape
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql
from sqlalchemy import select

from tests.jobs.conftest import say_dead, until
from tests.operations.conftest import Site, outcome
from tests.operations.test_killed import KilledWorkers, killed_workers
from tests.operations.test_revert import drifted, planned
from tests.tools.written import env, execute, migration
from web.access.csrf import HEADER, token_for
from web.access.permissions import local_admin
from web.app import create_app
from web.cli import exits
from web.cli.following import conclude
from web.cli.transport import Asking
from web.cli.writing import Writer
from web.config.values import CleanStart
from web.errors import Conflict
from web.jobs.cancel import cancel
from web.jobs.feed import Feed
from web.jobs.job import FINISHED
from web.jobs.kind import AnyKind, Kinds
from web.jobs.loading import Equipment
from web.jobs.queue import withdraw
from web.jobs.reading import JobRecord, read_events, read_steps
from web.jobs.reconcile import Reaper
from web.observation.records import record_of
from web.observation.witness import observe_again, witness
from web.operations import KINDS
from web.operations.backup import BACKUP
from web.operations.baseline import BASELINE
from web.operations.migrate import MIGRATE
from web.operations.observe import OBSERVE
from web.operations.reset import RESET
from web.operations.restamp import RESTAMP
from web.operations.write_baseline import WRITE_BASELINE
from web.pages.views.marks import JOB_MARKS
from web.postgres.connections import connect, with_database
from web.postgres.identity import read_identity
from web.postgres.urls import parameters
from web.store.tables import DoubtRow, JobRow
from web.upkeep.schedule import start_owed_looks

__all__ = ["killed_workers"]

ORIGIN = "http://localhost"
#: What only an account of something that was not done may say, and only one of something that was.
NOT_DONE = re.compile(
    r"Nothing (had been|was) (changed|applied|dropped|recorded|kept|of)|Not applied|rolled back|No backup was made",
    re.IGNORECASE,
)
DONE = re.compile(r"All migrations are applied|every migration is applied\. The|\bverified: ", re.IGNORECASE)


@dataclass
class Case:
    """How a kind is brought to where it can start, and what it takes there."""

    prepare: Callable[[Site], Awaitable[dict[str, Any]]]


async def pending(site: Site) -> dict[str, Any]:
    await site.observe()
    return {}


async def at_head(site: Site) -> dict[str, Any]:
    await site.at_head()
    return {}


async def backed_up(site: Site) -> dict[str, Any]:
    await at_head(site)
    job = await site.run(BACKUP, verify=True)
    assert job.state == "succeeded", outcome(job)
    return {}


async def with_drift(site: Site) -> dict[str, Any]:
    await drifted(site, "CREATE INDEX by_email ON users (email)", "CREATE INDEX by_tenant ON users (tenant)")
    return {}


async def to_adopt(site: Site) -> dict[str, Any]:
    await with_drift(site)
    return {"message": "two indexes"}


async def to_revert(site: Site) -> dict[str, Any]:
    await with_drift(site)
    return {"shown_hash": (await planned(site)).hash}


async def to_stamp(site: Site) -> dict[str, Any]:
    await at_head(site)
    site.query("UPDATE alembic_version SET version_num = 'b'")
    await site.observe()
    return {}


async def to_pin(site: Site) -> dict[str, Any]:
    await at_head(site)
    async with connect(site.url) as connection:
        return {"identity": (await read_identity(connection)).identity.as_text}


async def from_live(site: Site) -> dict[str, Any]:
    await at_head(site)
    return {"source": "dev"}


async def from_baseline(site: Site) -> dict[str, Any]:
    await to_write(site)
    return {}


async def to_rehearse_clean_start(site: Site) -> dict[str, Any]:
    await to_write(site)
    await site.back_up()
    return {"strategies": ("dev=stamp",)}


async def to_write(site: Site) -> dict[str, Any]:
    await at_head(site)
    clinic = replace(site.configuration.project("clinic"), clean_start=CleanStart(write=True))
    site.configuration = replace(site.configuration, projects={"clinic": clinic})
    job = await site.run(BASELINE)
    assert job.state == "succeeded", outcome(job)
    return {"baseline": job.id}


async def written_baseline(site: Site) -> dict[str, Any]:
    given = await to_write(site)
    job = await site.run(WRITE_BASELINE, **given)
    assert job.state == "succeeded", outcome(job)
    return given


async def to_restamp(site: Site) -> dict[str, Any]:
    await written_baseline(site)
    await site.observe()
    return {}


async def restamped(site: Site) -> dict[str, Any]:
    await to_restamp(site)
    job = await site.run(RESTAMP)
    assert job.state == "succeeded", outcome(job)
    await site.observe()
    return {}


async def two_heads(site: Site) -> dict[str, Any]:
    await at_head(site)
    site.write(d=migration("d", "b", execute("CREATE TABLE rooms (id int PRIMARY KEY)")))
    await site.observe()
    return {}


CASES: dict[str, Case] = {
    "observe": Case(at_head),
    "backup": Case(at_head),
    "verify": Case(backed_up),
    "rehearse": Case(pending),
    "migrate": Case(pending),
    "adopt": Case(to_adopt),
    "stamp": Case(to_stamp),
    "plan-revert": Case(with_drift),
    "revert": Case(to_revert),
    "reset": Case(backed_up),
    "pin": Case(to_pin),
    "compare": Case(at_head),
    "baseline": Case(from_live),
    "survey": Case(at_head),
    "prove-baseline": Case(from_baseline),
    "rehearse-clean-start": Case(to_rehearse_clean_start),
    "write-baseline": Case(to_write),
    "restamp": Case(to_restamp),
    "restamp-back": Case(restamped),
    "smoke-check": Case(pending),
    "beside": Case(at_head),
    "take-back-baseline": Case(written_baseline),
    "merge-heads": Case(two_heads),
    "cut-over": Case(at_head),
}


@asynccontextmanager
async def surfaces(site: Site) -> AsyncIterator[httpx.AsyncClient]:
    """The application on the site's store, as the command line on the host asks it."""
    secret = secrets.token_urlsafe(32)
    async with Feed(site.store) as feed:
        app = await create_app(site.configuration, site.store, feed, kinds=site.kinds, bound_to_loopback=True)
        asking = Asking(app, local_admin("ada"), secret)
        headers = {"Origin": ORIGIN, HEADER: token_for(secret)}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(asking), base_url=ORIGIN, headers=headers
        ) as client:
            yield client


async def page(client: httpx.AsyncClient, path: str) -> str:
    response = await client.get(path)
    assert response.status_code == 200, (path, response.text[:500])
    return unescape(response.text)


async def agree(site: Site, job_id: int, *, reachable: bool = True) -> JobRecord:
    """Everything that tells of a job's end tells the same, and the environment is what it says."""
    job = await site.job(job_id)
    assert job.state in FINISHED
    said = outcome(job)
    title, account = said["title"], said["account"]
    kind = Kinds(KINDS).by_name[job.kind]
    _consistent(job, title, account, said.get("error"))
    async with site.store.connect() as connection:
        events = await read_events(connection, job_id)
        steps = await read_steps(connection, job_id)
        record = await record_of(connection, site.dev)
        doubts = (await connection.execute(select(DoubtRow).where(DoubtRow.job_id == job_id))).all()
    assert record is not None
    last = [each for each in events if each.kind == "state"][-1]
    assert last.data is not None
    assert (last.data["state"], last.text) == (job.state, title)
    assert not {"queued", "running"} & {step.state for step in steps}
    if job.state == "succeeded":
        assert "failed" not in {step.state for step in steps}
    # What is in doubt: exactly what a job that changes something left unknown or half done.
    changes = kind.mutating and not kind.harmless
    if changes and job.state == "unknown":
        assert doubts
    if not changes or job.state == "succeeded":
        assert not doubts
    async with surfaces(site) as client:
        told = (await client.get(f"/api/v1/jobs/{job_id}")).json()
        assert (told["state"], told["outcome"]["title"], told["outcome"]["account"]) == (
            job.state,
            title,
            account,
        )
        writer = Writer(as_json=True)
        assert conclude(writer, told) == exits.OF_JOB[job.state]
        shown = await page(client, f"/jobs/{job_id}")
        head = shown[shown.index('id="job-head"') :]
        assert title in head
        if job.kind not in ("observe", "backup"):
            assert f'data-status="{JOB_MARKS[job.state].status}"' in head[:200]
        place = "/projects/clinic/environments/dev"
        seen = (await client.get(f"/api/v1{place}")).json()
        verdict = (await client.get(f"/api/v1{place}/verdict")).json()
        overview, environment = await page(client, "/"), await page(client, place)
        listed = (await client.get("/api/v1/projects")).json()["projects"][0]["environments"][0]
    words = seen["words"]
    assert words == verdict["words"] == listed["words"]
    assert words in overview
    assert words in environment
    assert seen["status"] == verdict["status"] == listed["status"]
    still = {each["job"] for each in seen["doubts"]}
    assert still == {each["job"] for each in verdict["doubts"]}
    assert (job_id in still) == any(row.settled_at is None for row in doubts)
    if job_id in still:
        assert f"job {job_id}".lower() in environment.lower()
        assert "nothing in doubt" in {
            each["name"] for each in verdict["gate"]["conditions"] if each["state"] != "met"
        }
        assert seen["status"] not in ("ok", "pending")
        assert verdict["exit_code"] != exits.YES
    if not reachable:
        return job
    # It was looked at after the end, and what is told is what is there.
    assert seen["unseen_job"] is None
    if seen["observation"]["reachable"] and kind.mutating:
        there = site.query("SELECT to_regclass('alembic_version')") != [(None,)]
        assert seen["observation"]["revisions"] == (site.revisions if there else [])
    if seen["observation"]["drift"]["state"] != "none":
        assert seen["status"] != "ok"
    return job


def _consistent(job: JobRecord, title: str, account: str, error: Any) -> None:
    assert title
    if job.state == "succeeded":
        assert error is None
        assert title not in {"Not done", "Cancelled", "The operation failed", "Not known how it ended"}
        assert not NOT_DONE.search(account), account
        return
    assert account
    assert not DONE.search(account), account
    if job.state == "cancelled":
        assert title.startswith("Cancelled")
    elif job.state == "unknown":
        assert title == "Not known how it ended"
    elif job.state == "not done":
        assert title in {"Not done", "Not begun"}
    else:
        assert job.state == "failed"
        assert title != "Done"
        assert error is not None


@contextmanager
def away(site: Site) -> Any:
    """Nobody may connect to the database."""
    with psycopg.connect(with_database(site.url, "postgres"), autocommit=True) as connection:
        name = sql.Identifier(parameters(site.url)["dbname"])
        connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS false").format(name))
        try:
            yield
        finally:
            connection.execute(sql.SQL("ALTER DATABASE {} ALLOW_CONNECTIONS true").format(name))


async def owed(site: Site) -> list[int]:
    """The looks that the schedule starts because a job has ended since the last one."""
    await start_owed_looks(site.store, site.configuration)
    async with site.store.begin() as connection:
        rows = await connection.scalars(
            select(JobRow.id).where(JobRow.kind == OBSERVE.name, JobRow.state == "queued").order_by(JobRow.id)
        )
        looks = list(rows)
        for look in looks:
            # As a worker does that takes it out of the queue.
            await withdraw(connection, look)
    return looks


#: Kinds that end well although the database is away.
WITHOUT = {"observe", "survey", "smoke-check", "cut-over", "merge-heads"}
#: Kinds that may have ended before they can be cancelled.
QUICK = {"write-baseline", "take-back-baseline", "smoke-check", "cut-over"}
ALL = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


def test_every_kind_has_its_case() -> None:
    assert set(CASES) == {kind.name for kind in KINDS}


@ALL
async def test_succeeded(site: Site, kind: AnyKind) -> None:
    given = await CASES[kind.name].prepare(site)
    job = await site.run(kind, **given)
    assert job.state == "succeeded", outcome(job)
    await agree(site, job.id)
    assert await owed(site) == []


@ALL
async def test_failed_because_the_database_is_away(site: Site, kind: AnyKind) -> None:
    given = await CASES[kind.name].prepare(site)
    if kind.name == "verify":
        given = {"backup": "0" * 32}
    if kind.name == "compare":
        given = {"a": "clinic@nothing"}
    if kind.name in ("write-baseline", "take-back-baseline", "prove-baseline", "rehearse-clean-start"):
        given = {"baseline": 10**9}
    with away(site):
        job = await site.run(kind, **given)
        # A look that does not reach the database has found out just that.
        assert job.state == ("succeeded" if kind.name in WITHOUT else "failed"), outcome(job)
        await agree(site, job.id, reachable=False)
        if kind.mutating:
            assert outcome(job)["error"]["type"] == "TargetUnavailable"
            (look,) = await owed(site)
            await site.execution(look).run()
            # Just tried: not again at once.
            assert await owed(site) == []
    if kind.mutating:
        looks: list[int] = []

        async def again() -> bool:
            looks.extend(await owed(site))
            return bool(looks)

        await until(again, within=30, what="the look that is owed is tried again")
        await site.execution(looks[0]).run()
        assert await owed(site) == []
        await agree(site, job.id)


@ALL
async def test_cancelled_before_it_began(site: Site, kind: AnyKind) -> None:
    given = await CASES[kind.name].prepare(site)
    job_id = await site.start(kind, **given)
    async with site.store.begin() as connection:
        assert await cancel(connection, job_id, requested_by="bob") == "cancelled"
    await agree(site, job_id)
    assert await owed(site) == []


@ALL
async def test_cancelled_while_it_runs(site: Site, kind: AnyKind) -> None:
    given = await CASES[kind.name].prepare(site)
    job_id = await site.start(kind, **given)
    execution = site.execution(job_id)
    running = asyncio.ensure_future(execution.run())

    async def begun() -> bool:
        return execution.attempt is not None

    await until(begun)
    try:
        async with site.store.begin() as connection:
            await cancel(connection, job_id, requested_by="bob")
    except Conflict:
        # Files are written before anybody can ask for anything.
        assert kind.name in QUICK
        await running
        assert (await site.job(job_id)).state == "succeeded"
        return
    execution.stop("cancelled", "bob")
    await running
    job = await site.job(job_id)
    if kind.name in QUICK and job.state == "succeeded":
        return
    assert job.state == "cancelled", outcome(job)
    assert "bob asked for it" in outcome(job)["account"].lower()
    for look in await owed(site):  # where its two seconds were not enough
        await site.execution(look).run()
    await agree(site, job_id)


async def reaped(
    killed_workers: KilledWorkers, kind: AnyKind, failpoint: str, given: dict[str, Any]
) -> JobRecord:
    """Run a job in a process that dies at the point; then find out here."""
    site = killed_workers.site
    job_id = await killed_workers.start(kind, **given)
    process = killed_workers.work(failpoint)

    async def dead() -> bool:
        return process.poll() is not None

    await until(dead, within=90, what=killed_workers.log.read_text()[-3000:])
    await say_dead(site.store)
    equipment = Equipment(
        site.store, site.configuration, Kinds(KINDS), site.resources, "reaper", witness, observe_again
    )
    reaper = Reaper(equipment, lambda: ())

    async def ended() -> bool:
        # Again and again, as a worker does: what the killed one had locked is free when the server has noticed.
        await reaper.look()
        return (await site.job(job_id)).state in FINISHED

    await until(ended, within=60)
    return await site.job(job_id)


@ALL
async def test_killed_before_its_end_was_written(killed_workers: KilledWorkers, kind: AnyKind) -> None:
    given = await CASES[kind.name].prepare(killed_workers.site)
    job = await reaped(killed_workers, kind, "before-status", given)
    acts = {
        "backup",
        "migrate",
        "stamp",
        "revert",
        "reset",
        "restamp",
        "restamp-back",
        "beside",
        "write-baseline",
        "take-back-baseline",
    }
    assert job.state == ("succeeded" if kind.name in acts else "not done"), outcome(job)
    await agree(killed_workers.site, job.id)


@pytest.mark.parametrize(
    "kind", [each for each in KINDS if each.mutating and each.name != "backup"], ids=lambda kind: kind.name
)
async def test_killed_before_its_act(killed_workers: KilledWorkers, kind: AnyKind) -> None:
    given = await CASES[kind.name].prepare(killed_workers.site)
    job = await reaped(killed_workers, kind, "after-intent", given)
    assert job.state == "not done", outcome(job)
    await agree(killed_workers.site, job.id)


async def test_an_unknown_ending_is_in_doubt_until_a_reset_succeeds(killed_workers: KilledWorkers) -> None:
    site = killed_workers.site
    given = await CASES["reset"].prepare(site)
    (site.folder / "seed.sql").write_text("INSERT INTO tenants VALUES (1)")
    job = await reaped(killed_workers, RESET, "after-drop", given)
    assert job.state == "unknown", outcome(job)
    await agree(site, job.id)
    again = await site.run(RESET)
    assert again.state == "succeeded", outcome(again)
    await agree(site, again.id)
    async with site.store.connect() as connection:
        left = (await connection.execute(select(DoubtRow.job_id).where(DoubtRow.settled_at.is_(None)))).all()
    assert left == []


#: Commits a column and fails on the index, which stays behind invalid.
HALF = "\n".join(
    [
        "op.execute('ALTER TABLE users ADD COLUMN extra int')",
        "{more}",
        "with op.get_context().autocommit_block():",
        "    op.execute('CREATE UNIQUE INDEX CONCURRENTLY users_twice ON users (tenant)')",
    ]
)


async def half_applied(site: Site, more: str = "pass") -> JobRecord:
    await at_head(site)
    site.query("UPDATE users SET tenant = 1")
    site.write(d=migration("d", "c", HALF.format(more=more)))
    job = await site.run(MIGRATE)
    assert job.state in ("failed", "unknown"), outcome(job)
    return await agree(site, job.id)


async def doubts(site: Site) -> dict[int, str | None]:
    """Every doubt there ever was, with who settled it."""
    async with site.store.connect() as connection:
        rows = await connection.execute(select(DoubtRow.job_id, DoubtRow.settled_by))
        return {row.job_id: row.settled_by for row in rows}


async def test_what_is_half_applied_is_settled_by_the_look_that_finds_it_gone(site: Site) -> None:
    job = await half_applied(site)
    assert await doubts(site) == {job.id: None}
    site.query("DROP INDEX users_twice")
    await site.observe()
    assert await doubts(site) == {job.id: None}
    site.query("ALTER TABLE users DROP COLUMN extra")
    await site.observe()
    assert await doubts(site) == {job.id: "a check"}
    await agree(site, job.id)


async def test_what_is_half_applied_is_settled_by_the_migrate_that_finishes_it(site: Site) -> None:
    job = await half_applied(site)
    site.query(
        "DROP INDEX users_twice",
    )
    site.query("ALTER TABLE users DROP COLUMN extra")
    site.query("CREATE TABLE meanwhile (id int)")
    await site.observe()
    assert await doubts(site) == {job.id: None}
    site.query("DROP TABLE meanwhile")
    site.write(d=migration("d", "c", execute("ALTER TABLE users ADD COLUMN extra int")))
    again = await site.run(MIGRATE)
    assert again.state == "succeeded", outcome(again)
    assert await doubts(site) == {job.id: "a check"}
    await agree(site, again.id)


async def test_no_look_settles_what_may_have_changed_rows(site: Site) -> None:
    job = await half_applied(site, "op.execute('UPDATE users SET id = id + 1000')")
    site.query("DROP INDEX users_twice")
    site.query("ALTER TABLE users DROP COLUMN extra")
    await site.observe()
    # The schema is what it was, the ids are not.
    assert await doubts(site) == {job.id: None}
    await agree(site, job.id)
    async with surfaces(site) as client:
        place = f"/projects/clinic/environments/dev/doubts/{job.id}/settlement"
        for reason in ("", "  ", "…", "x" * 501):
            refused = await client.post(f"/api/v1{place}", json={"reason": reason})
            assert refused.status_code == 422, refused.text
        assert await doubts(site) == {job.id: None}
        settled = await client.post(f"/api/v1{place}", json={"reason": "The ids were put back by hand."})
        assert settled.status_code == 201, settled.text
        assert (await client.post(f"/api/v1{place}", json={"reason": "Once more."})).status_code == 404
        audited = (await client.get("/api/v1/audit")).json()
    assert await doubts(site) == {job.id: "ada"}
    newest = next(each for each in audited["entries"] if each["action"] == "doubt settled")
    assert newest["object"] == "clinic/dev"
    assert newest["detail"]["reason"] == "The ids were put back by hand."
    await agree(site, job.id)


async def test_a_cancelled_migrate_is_looked_at_before_its_end_is_told(site: Site) -> None:
    """The one that was seen: the second of two migrations runs, the first one is committed."""
    site.write(c=migration("c", "b", execute("SELECT pg_sleep(600)")))
    (site.folder / "migrations" / "env.py").write_text(env(transaction_per_migration="True"))
    await site.observe()
    job_id = await site.start(MIGRATE)
    execution = site.execution(job_id)
    running = asyncio.ensure_future(execution.run())

    async def sleeping() -> list[tuple[Any, ...]]:
        asked = (
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_sleep(600)%' AND pid <> pg_backend_pid()"
        )
        return site.query(asked)

    await until(sleeping, within=60)
    execution.stop("cancelled", "bob")
    await running
    job = await site.job(job_id)
    assert job.state == "cancelled", outcome(job)
    assert site.revisions == ["b"]
    for look in await owed(site):
        await site.execution(look).run()
    await agree(site, job_id)
    async with site.store.connect() as connection:
        record = await record_of(connection, site.dev)
    assert record is not None
    assert record.observation is not None
    assert record.observation.revisions == ("b",)
    assert record.unseen is None


async def test_another_environment_with_the_same_database_is_looked_at_too(site: Site) -> None:
    site.also("twin")
    await site.observe()
    await site.observe("twin")
    job = await site.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    async with site.store.connect() as connection:
        record = await record_of(connection, site.configuration.environment("clinic", "twin"))
    assert record is not None
    assert record.unseen is not None
    assert record.unseen.id == job.id
    (look,) = await owed(site)
    await site.execution(look).run()
    async with site.store.connect() as connection:
        record = await record_of(connection, site.configuration.environment("clinic", "twin"))
    assert record is not None
    assert record.unseen is None
    assert record.observation is not None
    assert record.observation.revisions == ("c",)
    assert await owed(site) == []
