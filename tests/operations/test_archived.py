"""A database with a part of an archived history: rehearsed and migrated from the archive, as every migrate is."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.operations.conftest import Site, outcome
from tests.operations.test_approved import BOB, asked, decided, press
from tests.operations.test_endings import page, surfaces
from tests.operations.test_killed import KilledWorkers, killed_workers
from tests.operations.test_rehearse import due
from tests.operations.test_restamp import clean_start, history
from tests.tools.written import execute, migration
from web.errors import OperationNotAllowed, SourceInvalid
from web.operations.migrate import MIGRATE
from web.operations.rehearse import REHEARSE
from web.operations.restamp import RESTAMP
from web.remedies.old_source import old_source

__all__ = ["killed_workers"]

PLACE = "/projects/clinic/environments/dev"
Manifest = dict[str, Any]


async def left_behind(site: Site) -> str:
    """A clean start while the database lacked the last migration; returns the baseline's revision."""
    await site.at_head()
    site.query("DROP TABLE tenants")
    site.query("UPDATE alembic_version SET version_num = 'b'")
    return await clean_start(site)


async def archive_folder(site: Site) -> Path:
    return site.folder / (await history(site)).archives[0].folder


def without_marks(shown: str) -> str:
    """A page's text; SQL stands in it with its colours."""
    return re.sub(r"<[^>]*>", "", shown)


async def verdict(site: Site) -> dict[str, Any]:
    await site.observe()
    async with surfaces(site) as client:
        return dict((await client.get(f"/api/v1{PLACE}/verdict")).json())


async def test_the_rest_is_rehearsed_and_applied_from_the_archive(site: Site) -> None:
    revision = await left_behind(site)
    folder = (await history(site)).archives[0].folder
    before = sorted(site.folder.rglob("*"))
    assert "is at 2 of 3 of the history that was archived" in (await verdict(site))["sentence"]
    async with surfaces(site) as client:
        for path in (PLACE, f"{PLACE}/migrations"):
            assert "Apply 1 archived migration…" in await page(client, path)
        shown = await page(client, f"{PLACE}/migrations")
        assert "archived, pending" in shown
        assert "Not rehearsed yet" in shown
        assert "Rehearse" in shown
    rehearsed = await site.run(REHEARSE)
    assert rehearsed.state == "succeeded", outcome(rehearsed)
    assert outcome(rehearsed)["data"]["migrations"] == 1
    async with surfaces(site) as client:
        assert "CREATE TABLE tenants" in without_marks(await page(client, f"{PLACE}/migrations"))
        dialog = without_marks(await page(client, f"{PLACE}/jobs/new/migrate"))
        assert f"Applies 1 archived migration, from {folder}, up to the old head." in dialog
        assert "Apply 1 archived migration to clinic/dev?" in dialog
        assert "CREATE TABLE tenants" in dialog
        asked_for = (await client.get(f"/api/v1{PLACE}/jobs/new/migrate")).json()
        assert asked_for["pending"] == ["c"]
        assert asked_for["shown_hash"] == outcome(rehearsed)["data"]["plan_hash"]
    job = await site.run(MIGRATE, shown_hash=asked_for["shown_hash"])
    assert job.state == "succeeded", outcome(job)
    ended = outcome(job)
    assert ended["title"] == "1 migration applied"
    assert "clinic/dev is at c. That is the end of the history that was archived on" in ended["account"]
    assert "cleanstart restamp clinic/dev" in ended["next_step"]
    assert (ended["data"]["applied"], ended["data"]["archive"]) == (["c"], folder)
    assert site.query("SELECT count(*) FROM users, (SELECT count(*) FROM tenants) t") == [(100,)]
    assert "has to be exchanged for the baseline" in (await verdict(site))["sentence"]
    # Nothing was written into the source.
    assert [each for each in sorted(site.folder.rglob("*")) if "__pycache__" not in each.parts] == [
        each for each in before if "__pycache__" not in each.parts
    ]
    done = await site.run(RESTAMP)
    assert done.state == "succeeded", outcome(done)
    assert site.revisions == [revision]
    assert (await verdict(site))["verdict"] == "in sync"


async def test_the_schedule_rehearses_it_once(site: Site) -> None:
    await left_behind(site)
    assert await due(site)
    async with surfaces(site) as client:
        asked_for = (await client.get(f"/api/v1{PLACE}/jobs/new/migrate")).json()
    assert asked_for["rehearsal"] is not None
    assert not await due(site)


async def test_at_the_old_head_there_is_nothing_to_apply(site: Site) -> None:
    await site.at_head()
    await clean_start(site)
    async with surfaces(site) as client:
        assert "archived migration" not in await page(client, PLACE)
    for kind, said in ((MIGRATE, "cleanstart restamp"), (REHEARSE, "no migration of the project has")):
        job = await site.run(kind)
        assert job.state == "failed"
        assert said in str(outcome(job))
    assert site.revisions == ["c"]


async def test_a_row_of_both_histories_is_no_part(site: Site) -> None:
    """Nothing is applied from an archive beside what the source has."""
    revision = await left_behind(site)
    site.query(f"INSERT INTO alembic_version VALUES ('{revision}')")
    await site.observe()
    job = await site.run(MIGRATE)
    assert job.state == "failed"
    assert site.revisions == sorted(["b", revision])


async def test_a_failure_is_told_as_ever(site: Site) -> None:
    site.write(c=migration("c", "b", execute("CREATE TABLE tenants (id int PRIMARY KEY)")))
    await left_behind(site)
    site.query("CREATE TABLE tenants (by_hand int)")
    await site.observe()
    rehearsed = await site.run(REHEARSE)
    assert outcome(rehearsed)["title"] == "The rehearsal failed"
    job = await site.run(MIGRATE)
    assert "The rehearsal failed" in outcome(job)["account"]
    site.query("DROP TABLE tenants")
    await site.observe()
    site.query("CREATE TABLE tenants (by_hand int)")
    assert (await site.run(REHEARSE)).state == "failed"


async def test_production_needs_all_that_it_ever_needs(site: Site) -> None:
    await left_behind(site)
    site.change(tier="production", reset=None)
    await site.observe()
    with pytest.raises(OperationNotAllowed, match="verified backup"):
        await press(site, MIGRATE)
    await site.back_up()
    job = await site.run(MIGRATE)
    assert "Not rehearsed in a scratch database" in outcome(job)["account"]
    assert (await site.run(REHEARSE)).state == "succeeded"
    async with surfaces(site) as client:
        asked_for = (await client.get(f"/api/v1{PLACE}/jobs/new/migrate")).json()
        assert (asked_for["type_to_confirm"], asked_for["closed"]) == ("clinic/dev", [])
    job = await press(site, MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["c"]


async def test_others_consent_to_exactly_this_plan(site: Site) -> None:
    await left_behind(site)
    site.change(approvals=1)
    await site.observe()
    assert (await site.run(REHEARSE)).state == "succeeded"
    with pytest.raises(OperationNotAllowed, match="Not approved"):
        await press(site, MIGRATE)
    number = await asked(site, MIGRATE)
    await decided(site, number, BOB)
    job = await press(site, MIGRATE)
    assert job.state == "succeeded", outcome(job)


async def test_an_edited_file_is_refused(site: Site) -> None:
    await left_behind(site)
    assert (await site.run(REHEARSE)).state == "succeeded"
    (kept,) = site.folder.glob("**/archive/*/**/c.py")
    kept.write_text(kept.read_text().replace("tenants", "intruders"))
    for kind in (REHEARSE, MIGRATE):
        job = await site.run(kind)
        assert job.state == "failed"
        assert "c.py is not the file that was archived." in outcome(job)["account"]
    assert site.revisions == ["b"]
    # Who edits the manifest too has another plan.
    manifest = await archive_folder(site) / "manifest.json"
    content = json.loads(manifest.read_text())
    for each in content["migrations"]:
        each["digest"] = hashlib.sha256((site.folder / each["kept"]).read_bytes()).hexdigest()
    manifest.write_text(json.dumps(content))
    seen = await site.observe()
    async with surfaces(site) as client:
        shown = (await client.get(f"/api/v1{PLACE}/jobs/new/migrate")).json()
    job = await site.run(MIGRATE, shown_hash=shown["shown_hash"], seen_revisions=list(seen.revisions))
    assert outcome(job)["title"] == "The database has changed since you looked"
    assert site.revisions == ["b"]


def _each(content: Manifest, **values: object) -> Manifest:
    """The manifest with other values of the newest migration."""
    rows = [{**each, **(values if each["revision"] == "c" else {})} for each in content["migrations"]]
    return {**content, "migrations": rows}


def _other_digest(content: Manifest) -> Manifest:
    digest = hashlib.sha256(Path("/etc/passwd").read_bytes()).hexdigest()
    return _each(content, kept="../../../../../../../../../../etc/passwd", digest=digest)


def _more(content: Manifest) -> Manifest:
    last = next(each for each in content["migrations"] if each["revision"] == "c")
    more = {**last, "revision": "more", "down": ["c"], "path": "migrations/versions/more.py"}
    return {**content, "migrations": [*content["migrations"], more]}


def _without_its_file(content: Manifest) -> Manifest:
    rows = [each for each in content["migrations"] if each["revision"] != "a"]
    return {
        **content,
        "migrations": [{**each, "down": []} if each["revision"] == "b" else each for each in rows],
    }


HOSTILE: dict[str, tuple[Callable[[Manifest], Manifest], str]] = {
    "above the source": (lambda m: _each(m, path="../../evil.py"), "no place of a migration"),
    "absolute": (lambda m: _each(m, path="/tmp/cleanstart-evil.py"), "behind a link"),
    "no character of a path": (lambda m: _each(m, path="versions/\0.py"), "no place of a migration"),
    "half a character": (lambda m: _each(m, path="versions/\ud800.py"), "no place of a migration"),
    "what is there": (lambda m: _each(m, path="migrations/env.py"), "is there already"),
    "below a file": (lambda m: _each(m, path="alembic.ini/c.py"), "does not fit there"),
    "too long": (lambda m: _each(m, path="migrations/versions/" + "x" * 300), "does not fit there"),
    "a folder": (lambda m: _each(m, path="migrations/versions"), "is there already"),
    "where no tool looks": (lambda m: _each(m, path="migrations/c.py"), "not what its manifest tells: c"),
    "a file from elsewhere": (_other_digest, "is no file in"),
    "a device": (lambda m: _each(m, kept="../../../../../../../../../../dev/zero"), "is no file in"),
    "not kept": (lambda m: _each(m, kept=None), "was not kept"),
    "two in one place": (lambda m: _each(m, path="migrations/versions/b.py"), "twice"),
    "other parents": (lambda m: _each(m, down=["a"]), "not what its manifest tells"),
    "one more": (_more, "is no migration|twice|not what its manifest tells"),
    "one less": (_without_its_file, "not what its manifest tells: b|would not run"),
    "a circle": (lambda m: _each(m, depends_on=["c"]), "Revisions go round in a circle"),
}


@pytest.mark.parametrize("case", HOSTILE)
async def test_a_hostile_manifest_is_refused(site: Site, case: str) -> None:
    change, said = HOSTILE[case]
    await left_behind(site)
    manifest = await archive_folder(site) / "manifest.json"
    manifest.write_text(json.dumps(change(json.loads(manifest.read_text()))))
    await site.observe()
    for kind in (REHEARSE, MIGRATE):
        job = await site.run(kind)
        assert job.state == "failed", outcome(job)
        assert any(each in str(outcome(job)) for each in said.split("|")), outcome(job)
    assert site.revisions == ["b"]
    assert site.query("SELECT to_regclass('tenants')") == [(None,)]
    assert not Path("/tmp/cleanstart-evil.py").exists()
    assert not (site.folder.parent / "evil.py").exists()


async def test_a_link_in_the_archive_is_not_followed(site: Site, tmp_path: Path) -> None:
    await left_behind(site)
    (kept,) = site.folder.glob("**/archive/*/**/c.py")
    kept.rename(tmp_path / "c.py")
    kept.symlink_to(tmp_path / "c.py")
    job = await site.run(MIGRATE)
    assert "is no file in" in outcome(job)["account"]


async def test_a_manifest_that_changes_meanwhile(site: Site) -> None:
    await left_behind(site)
    clinic = site.configuration.project("clinic")
    before = await history(site)
    manifest = await archive_folder(site) / "manifest.json"
    manifest.write_text(json.dumps(_each(json.loads(manifest.read_text()), digest="0" * 64)))
    with pytest.raises(SourceInvalid, match="has changed since the history was read"):
        async with old_source(clinic, before, before.archives[0]):
            pass


async def test_several_old_heads_are_all_gone_to(site: Site) -> None:
    site.write(other=migration("other", "b", execute("CREATE TABLE other (id int)")))
    clinic = site.configuration.project("clinic")
    site.configuration = replace(site.configuration, projects={"clinic": replace(clinic, follow=("heads",))})
    site.change(follow=("heads",))
    await site.observe()
    assert (await site.run(MIGRATE)).state == "succeeded"
    site.query("DROP TABLE other")
    site.query("DELETE FROM alembic_version WHERE version_num = 'other'")
    revision = await clean_start(site)
    job = await site.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["c", "other"]
    done = await site.run(RESTAMP)
    assert done.state == "succeeded", outcome(done)
    assert site.revisions == [revision]


async def test_a_second_clean_start(site: Site) -> None:
    """An archive beside an archive: each database is brought to the end of the one that it has a part of."""
    await site.at_head()
    first = await clean_start(site)
    assert (await site.run(RESTAMP)).state == "succeeded"
    site.write(d=migration("d", first, execute("CREATE TABLE later (id int)")))
    await site.observe()
    second = await clean_start(site)
    assert [len(each.history) for each in (await history(site)).archives] == [2, 3]
    assert "is at 1 of 2 of the history" in (await verdict(site))["sentence"]
    assert (await site.run(REHEARSE)).state == "succeeded"
    job = await site.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["d"]
    done = await site.run(RESTAMP)
    assert done.state == "succeeded", outcome(done)
    assert site.revisions == [second]
    # One that has slept through both.
    site.query("DROP TABLE later, tenants")
    site.query("UPDATE alembic_version SET version_num = 'b'")
    assert "is at 2 of 3 of the history" in (await verdict(site))["sentence"]
    job = await site.run(MIGRATE)
    assert job.state == "succeeded", outcome(job)
    assert site.revisions == ["c"]


@pytest.mark.parametrize(
    ("failpoint", "state", "rows"),
    [
        ("after-intent:upgrade", "not done", ["b"]),
        ("before-receipt:upgrade", "succeeded", ["c"]),
        ("before-status", "succeeded", ["c"]),
    ],
)
async def test_killed(killed_workers: KilledWorkers, failpoint: str, state: str, rows: list[str]) -> None:
    site = killed_workers.site
    await left_behind(site)
    job = await killed_workers.killed(MIGRATE, failpoint)
    assert job.state == state, outcome(job)
    assert site.revisions == rows
