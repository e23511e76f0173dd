"""After a clean start: databases at the archived history are known, and their rows are exchanged where that is true."""

from __future__ import annotations

import asyncio
import json

import psycopg
import pytest

from tests.operations.conftest import Site, outcome
from tests.operations.test_baseline import kept
from tests.operations.test_endings import page, surfaces
from tests.operations.test_write_baseline import baseline, writable
from tests.tools.written import execute, migration
from web.answers.verdict import Verdict, verdict
from web.errors import TargetChanged
from web.observation.records import Observed
from web.operations.migrate import MIGRATE
from web.operations.rehearse import REHEARSE
from web.operations.reset import RESET
from web.operations.restamp import RESTAMP
from web.operations.restamp_back import RESTAMP_BACK
from web.operations.write_baseline import WRITE_BASELINE
from web.postgres.connections import connect
from web.tools.history import History, Lineage
from web.tools.registry import tool_of


async def clean_start(site: Site) -> str:
    """Put a baseline in place of the history; returns its revision."""
    writable(site)
    made = await baseline(site)
    done = await site.run(WRITE_BASELINE, baseline=made.id)
    assert done.state == "succeeded", outcome(done)
    await site.observe()
    return (await kept(site, made)).baseline.revision


async def two_clean_starts(site: Site) -> tuple[str, str]:
    """One clean start, a migration, and another clean start; the two baselines. The database has seen neither."""
    first = await clean_start(site)
    site.write(d=migration("d", first, execute("CREATE TABLE late (id int PRIMARY KEY)")))
    await site.observe()
    return first, await clean_start(site)


async def history(site: Site) -> History:
    clinic = site.configuration.project("clinic")
    return await tool_of(clinic).history(clinic)


async def judged(site: Site, *rows: str, lineage: Lineage | None = None) -> Verdict:
    return verdict(await history(site), Observed(True, True, rows), lineage=lineage)


async def test_a_database_at_the_old_head_is_known_and_its_row_is_exchanged(site: Site) -> None:
    await site.at_head()
    old = await history(site)
    revision = await clean_start(site)
    place = "/projects/clinic/environments/dev"
    async with surfaces(site) as client:
        told = (await client.get(f"/api/v1{place}/verdict")).json()
        assert (told["verdict"], told["words"], told["exit_code"]) == (
            "before the clean start",
            "Before the clean start",
            2,
        )
        assert told["archive"] == {**told["archive"], "baseline": revision, "migrations": 3, "applied": 3}
        assert f"has to be exchanged for the baseline {revision}" in told["sentence"]
        # The schema was compared with what the baseline gives.
        assert (await client.get(f"/api/v1{place}")).json()["observation"]["drift"]["state"] == "none"
        for path in (place, f"{place}/migrations"):
            assert "Restamp…" in await page(client, path)
        assert "is at the history of before the clean start" in await page(client, "/")
    # Nothing is applied, nothing taken for a lost revision.
    migrate = await site.run(MIGRATE)
    assert migrate.state == "failed"
    assert "cleanstart restamp" in outcome(migrate)["next_step"] or "cleanstart restamp" in str(
        outcome(migrate)
    )
    done = await site.run(RESTAMP)
    assert done.state == "succeeded", outcome(done)
    assert outcome(done)["data"]["before"] == ["c"]
    assert site.revisions == [revision]
    assert site.query("SELECT count(*) FROM users") == [(100,)]
    async with surfaces(site) as client:
        assert (await client.get(f"/api/v1{place}/verdict")).json()["verdict"] == "in sync"
    async with surfaces(site) as client:
        # Who takes the baseline back leaves this database behind, and is told so.
        shown = await page(client, "/projects/clinic/jobs/new/take-back-baseline")
        assert f"clinic/dev is at {revision}" in shown
    again = await site.run(RESTAMP)
    assert "which no archive has" in outcome(again)["account"]
    # A build of before is no reason to stop a roll-back, and nothing of it is pending.
    back = verdict(old, Observed(True, True, (revision,)), lineage=Lineage([old, await history(site)]))
    assert (back.standing, back.exit_code, back.pending, back.beyond) == ("same schema", 0, (), ())


async def test_at_an_older_revision_and_at_several(site: Site) -> None:
    revision = await clean_start(site)
    old = History.from_json({**(await history(site)).archives[0].history.to_json()})
    older = await judged(site, "b")
    assert older.standing == "before the clean start"
    assert "is at 2 of 3 of the history that was archived on" in older.sentence
    assert not older.is_at_the_old_head
    # A build of before is registered: its revisions are known, and still of before.
    assert (await judged(site, "c", lineage=Lineage([old]))).is_at_the_old_head
    assert (await judged(site, "nobody's")).standing == "unknown revision"
    assert (await judged(site, "c", "nobody's")).standing == "unknown revision"
    assert (await judged(site, revision)).standing == "in sync"
    # More than the baseline is there: the old build lacks that, and nothing else.
    site.write(new=migration("new", revision, execute("CREATE TABLE fresh (id int)")))
    now = await history(site)
    behind = verdict(old, Observed(True, True, ("new",)), lineage=Lineage([old, now]))
    assert (behind.standing, behind.beyond, behind.pending) == ("ahead", ("new",), ())


async def test_what_is_not_true_is_not_recorded(site: Site) -> None:
    await site.at_head()
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    revision = await clean_start(site)
    job = await site.run(RESTAMP)
    assert job.state == "failed"
    assert f"not what the baseline {revision} gives: column public.users.by_hand" in outcome(job)["account"]
    site.query("ALTER TABLE users DROP COLUMN by_hand")
    site.query("UPDATE alembic_version SET version_num = 'b'")
    job = await site.run(RESTAMP)
    assert "has 2 of the 3 archived migrations" in outcome(job)["account"]
    site.query("UPDATE alembic_version SET version_num = 'nobody'")
    job = await site.run(RESTAMP)
    assert "No archive of the project has nobody" in outcome(job)["account"]
    assert site.revisions == ["nobody"]
    # A reset needs nothing of the old history.
    await site.observe()
    await site.back_up()
    job = await site.run(RESET)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == [revision]


async def test_rows_are_exchanged_exactly_or_not_at_all(site: Site) -> None:
    """Whoever writes a version row meanwhile comes first, and nothing is exchanged then; or comes after it."""
    await site.at_head()
    clinic = site.configuration.project("clinic")
    tool = tool_of(clinic)
    async with connect(site.url) as ours:
        with psycopg.connect(site.url) as theirs:
            theirs.execute("UPDATE alembic_version SET version_num = 'b'")
            exchanging = asyncio.ensure_future(tool.exchange_applied(clinic, ours, ["c"], ["new"]))
            await asyncio.sleep(0.3)
            assert not exchanging.done()
            theirs.commit()
        with pytest.raises(TargetChanged, match="holds b instead of c"):
            await exchanging
        assert site.revisions == ["b"]
        await tool.exchange_applied(clinic, ours, ["b"], ["new", "plugin"])
        assert site.revisions == ["new", "plugin"]
        with pytest.raises(TargetChanged, match="holds new, plugin instead of new"):
            await tool.exchange_applied(clinic, ours, ["new"], ["c"])


async def test_a_database_that_slept_through_two_clean_starts(site: Site) -> None:
    """It is led to the first baseline, which is archived itself, from there to the end of that, and to the second."""
    await site.at_head()
    first, second = await two_clean_starts(site)
    assert (await judged(site, "c")).is_at_the_old_head
    job = await site.run(RESTAMP)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == [first]
    await site.observe()
    assert "is at 1 of 2 of the history that was archived on" in (await judged(site, first)).sentence
    await site.back_up()
    assert (await site.run(REHEARSE)).state == "succeeded"
    job = await site.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["d"]
    await site.observe()
    job = await site.run(RESTAMP)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == [second]
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_what_the_first_of_two_baselines_does_not_give_is_refused(site: Site) -> None:
    await site.at_head()
    await two_clean_starts(site)
    site.query("CREATE TABLE by_hand (id int)")
    await site.observe()
    job = await site.run(RESTAMP)
    assert job.state == "failed"
    assert "table public.by_hand added" in outcome(job)["account"]
    assert site.revisions == ["c"]


async def test_what_is_no_archive_of_ours(site: Site) -> None:
    """Anything may lie in a folder of that name: it is nobody's archive and breaks nothing."""
    await clean_start(site)
    (folder,) = {each.folder for each in (await history(site)).archives}
    manifest = site.folder / folder / "manifest.json"
    content = json.loads(manifest.read_text())
    for changed in (
        b"",
        b"[]",
        b'"archive"',
        b"[" * 100_000,
        json.dumps({**content, "archive": 2}).encode(),
        json.dumps({**content, "migrations": [{"revision": 1}]}).encode(),
        json.dumps({**content, "migrations": {"a": 1}}).encode(),
        json.dumps({**content, "baseline": None}).encode(),
        b"\xff",
    ):
        manifest.write_bytes(changed)
        found = await history(site)
        assert (found.archives, found.problems) == ((), ())
    # A history that goes round in a circle, or follows what is not there, is still a history.
    odd = [{**each, "down": ["nobody"]} for each in content["migrations"]]
    manifest.write_text(json.dumps({**content, "made_at": "yesterday\0", "migrations": odd}))
    await site.observe()
    (archive,) = (await history(site)).archives
    assert len(archive.history) == 3
    assert "archived on yesterday" in (await judged(site, "c")).sentence
    again = History.from_json(json.loads(json.dumps((await history(site)).to_json())))
    assert again.archives == (await history(site)).archives


async def test_the_rows_go_back_as_long_as_nothing_came_after(site: Site) -> None:
    await site.at_head()
    revision = await clean_start(site)
    job = await site.run(RESTAMP_BACK)
    assert "which is the baseline of no archive" in outcome(job)["account"]
    await site.run(RESTAMP)
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    job = await site.run(RESTAMP_BACK)
    assert "column public.users.by_hand added" in outcome(job)["account"]
    site.query("ALTER TABLE users DROP COLUMN by_hand")
    back = await site.run(RESTAMP_BACK)
    assert back.state == "succeeded", outcome(back)
    assert site.revisions == ["c"]
    assert site.query("SELECT count(*) FROM users") == [(100,)]
    await site.run(RESTAMP)
    site.write(late=migration("late", revision, execute("CREATE TABLE late (id int)")))
    await site.observe()
    applied = await site.run(MIGRATE)
    assert applied.state == "succeeded", outcome(applied)
    job = await site.run(RESTAMP_BACK)
    assert f"Migrations were applied after the baseline {revision}" in outcome(job)["account"]
    assert site.revisions == ["late"]
