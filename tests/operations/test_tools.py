"""Look, rehearse, migrate, gate and pages with a tool that is not Alembic, through the same tests as with Alembic."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from tests.operations.conftest import Site, outcome
from tests.operations.test_endings import page, surfaces
from tests.tools.numbered import Numbered, write_files
from tests.tools.test_protocol import has_psql
from tests.tools.written import execute, migration
from web.answers.environment import View, view
from web.operations.adopt import ADOPT
from web.operations.migrate import MIGRATE
from web.operations.rehearse import REHEARSE
from web.operations.reset import RESET
from web.operations.stamp import STAMP
from web.postgres.programs import Programs
from web.store.tables import BackupRow
from web.tools.registry import TOOLS

USERS = "CREATE TABLE users (id int PRIMARY KEY, email text NOT NULL)"
TENANT = "ALTER TABLE users ADD COLUMN tenant int"
TENANTS = "CREATE TABLE tenants (id int PRIMARY KEY)"


@dataclass(frozen=True)
class Driven:
    """A site whose project has three migrations of one of the tools."""

    site: Site
    revisions: tuple[str, ...]
    #: Version rows of a database with all of them.
    rows: tuple[str, ...]
    #: Writes one more, which comes last.
    add: Callable[[str], None]

    async def seen(self) -> View:
        """What pages, API and CLI know."""
        async with self.site.store.connect() as store:
            return await view(store, self.site.configuration, "clinic", "dev")


@pytest.fixture(params=["alembic", "numbered"])
def driven(
    request: pytest.FixtureRequest,
    site: Site,
    programs: tuple[Programs, ...],
    monkeypatch: pytest.MonkeyPatch,
) -> Driven:
    if request.param == "alembic":
        site.write(
            a=migration("a", None, execute(USERS)),
            b=migration("b", "a", execute(TENANT)),
            c=migration("c", "b", execute(TENANTS)),
        )
        return Driven(
            site,
            ("a", "b", "c"),
            ("c",),
            lambda statement: site.write(d=migration("d", "c", execute(statement))),
        )
    monkeypatch.setitem(TOOLS, "numbered", Numbered())
    use_numbered(site, next(each.path("psql") for each in programs if has_psql(each)))
    names = ("0001", "0003", "0004")
    return Driven(site, names, names, lambda statement: _write(site, n0005_more=statement))


def use_numbered(site: Site, psql: Path) -> None:
    """Make the site's project one of numbered files; the second number is left out."""
    settings = write_files(site.folder, psql, n0001_users=USERS, n0003_tenant=TENANT, n0004_tenants=TENANTS)
    clinic = site.configuration.project("clinic")
    site.configuration = replace(site.configuration, projects={"clinic": replace(clinic, tool=settings)})


def _write(site: Site, **files: str) -> None:
    write_files(site.folder, Path("psql"), **files)


@pytest.fixture
async def client(driven: Driven) -> AsyncIterator[httpx.AsyncClient]:
    """The application."""
    async with surfaces(driven.site) as client:
        yield client


async def test_from_nothing_to_in_sync(driven: Driven) -> None:
    """Look, rehearse, migrate, look: what is said is what the tool's own table and a replay say."""
    site = driven.site
    await site.observe()
    before = (await driven.seen()).verdict
    assert (before.standing, before.gaps) == ("pending", ())
    assert [each.revision for each in before.pending] == list(driven.revisions)

    rehearsed = await site.run(REHEARSE)
    assert rehearsed.state == "succeeded", outcome(rehearsed)
    plan = (await driven.seen()).rehearsed
    assert plan is not None
    assert [each["revision"] for each in plan.content["migrations"]] == list(driven.revisions)
    assert plan.content["failure"] is None

    migrated = await site.run(MIGRATE)
    assert migrated.state == "succeeded", outcome(migrated)
    assert outcome(migrated)["data"]["applied"] == list(driven.revisions)
    assert f"is at {driven.revisions[-1]}." in outcome(migrated)["account"]

    seen = await driven.seen()
    assert seen.verdict.standing == "in sync"
    assert seen.observation is not None
    assert set(seen.observation.revisions) == set(driven.rows)
    assert (seen.observation.drift.state, seen.observation.drift.reason) == ("none", None)
    assert outcome(await site.run(MIGRATE))["title"] == "Nothing to apply"


async def test_one_more_is_pending_and_a_change_by_hand_is_drift(driven: Driven) -> None:
    site = driven.site
    await site.observe()
    await site.run(MIGRATE)
    driven.add("CREATE TABLE more (id int)")
    site.query("ALTER TABLE users ADD COLUMN by_hand int")
    await site.observe()
    seen = await driven.seen()
    assert (seen.verdict.words, seen.verdict.gaps) == ("1 pending", ())
    assert seen.observation is not None
    assert (seen.observation.drift.state, seen.observation.drift.count) == ("drifted", 1)
    edited = sorted(site.folder.rglob("*0001_users.sql")) or [site.folder / "migrations/versions/a.py"]
    edited[0].write_text(edited[0].read_text() + "\n")
    await site.observe()
    assert (await driven.seen()).verdict.edited == driven.revisions[:1]


async def test_a_migration_that_fails_leaves_the_rest_applied(driven: Driven) -> None:
    site = driven.site
    driven.add("CREATE TABLE users (id int)")
    await site.observe()
    failed = await site.run(MIGRATE)
    assert failed.state == "failed"
    assert "already exists" in outcome(failed)["account"]
    await site.observe()
    # Alembic has them in one transaction here, the other tool has one for each.
    pending = [each.revision for each in (await driven.seen()).verdict.pending]
    assert pending in ([*driven.revisions, "d"], ["0005"])
    assert "already exists" in outcome(await site.run(REHEARSE))["account"]


async def test_reset_backup_and_stamp(driven: Driven) -> None:
    site = driven.site
    await site.observe()
    await site.run(MIGRATE)
    await site.back_up()
    async with site.store.connect() as store:
        manifest = await store.scalar(select(BackupRow.manifest))
    assert manifest is not None
    assert manifest["revisions"] == sorted(driven.rows)
    reset = await site.run(RESET)
    assert reset.state == "succeeded", outcome(reset)
    assert outcome(reset)["data"]["applied"] == list(driven.revisions)
    site.query(f"DELETE FROM {'alembic_version' if len(driven.rows) == 1 else 'numbered_applied'}")
    await site.observe()
    stamped = await site.run(STAMP, revision="head")
    assert stamped.state == "succeeded", outcome(stamped)
    assert set(outcome(stamped)["data"]["after"]) == set(driven.rows)
    assert (await driven.seen()).verdict.standing == "in sync"


async def test_pages_and_api_name_the_tool(driven: Driven, client: httpx.AsyncClient) -> None:
    await driven.site.observe()
    settings = driven.site.configuration.project("clinic").tool
    assert settings.title in await page(client, "/projects/clinic")
    told = (await client.get("/api/v1/projects/clinic")).json()["tool"]
    assert told["name"] == settings.name
    migrations = await page(client, "/projects/clinic/environments/dev/migrations")
    assert all(revision in migrations for revision in driven.revisions)


class TestGaps:
    """What only a tool has whose table lists every migration."""

    @pytest.fixture
    def numbered(self, site: Site, programs: tuple[Programs, ...], monkeypatch: pytest.MonkeyPatch) -> Driven:
        monkeypatch.setitem(TOOLS, "numbered", Numbered())
        use_numbered(site, next(each.path("psql") for each in programs if has_psql(each)))
        return Driven(site, (), (), lambda statement: None)

    async def test_a_gap_is_pending_named_and_filled(self, numbered: Driven) -> None:
        site = numbered.site
        await site.observe()
        await site.run(MIGRATE)
        _write(site, n0002_late="CREATE TABLE late (id int)")
        await site.observe()
        seen = await numbered.seen()
        assert (seen.verdict.standing, seen.verdict.gaps) == ("pending", ("0002",))
        assert seen.verdict.sentence == "1 migration is pending, older than what is applied."
        # What the database has is replayed, not what comes before its newest row.
        assert seen.observation is not None
        assert (seen.observation.drift.state, seen.observation.drift.reason) == ("none", None)
        async with surfaces(site) as client:
            assert "older than what is applied" in await page(
                client, "/projects/clinic/environments/dev/migrations"
            )
        migrated = await site.run(MIGRATE)
        assert outcome(migrated)["data"]["applied"] == ["0002"]
        assert (await numbered.seen()).verdict.standing == "in sync"

    async def test_what_it_cannot_do_is_not_offered(self, numbered: Driven) -> None:
        site = numbered.site
        await site.observe()
        await site.run(MIGRATE)
        site.query("ALTER TABLE users ADD COLUMN by_hand int")
        await site.observe()
        async with surfaces(site) as client:
            drift = await page(client, "/projects/clinic/environments/dev/drift")
            assert "Clean Start cannot write a migration with Numbered files." in drift
            compare = await page(client, "/projects/clinic/comparison")
            assert "clinic:models" not in compare
        refused = await site.run(ADOPT)
        assert refused.state == "failed"
        assert outcome(refused)["account"] == "Clean Start cannot write a migration with Numbered files."
