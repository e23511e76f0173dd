"""What leans on a backup opens it first: whatever became of the files, nothing is begun and the store says so."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select, update

from tests.operations.conftest import Site, outcome
from tests.operations.test_revert import drifted, planned
from web.acts.opening import open_verified
from web.answers.gate import reset_gate
from web.backups.catalog import keys_of
from web.backups.manifest import Manifest
from web.comparison.sources import Reader, parse_source
from web.config import BackupPolicy, Configuration
from web.errors import BackupInvalid
from web.jobs.reading import read_events, read_steps
from web.jobs.work import Work
from web.observation.records import record_of
from web.operations import migrate, revert
from web.operations.migrate import MIGRATE
from web.operations.rehearse import REHEARSE
from web.operations.reset import RESET
from web.operations.revert import REVERT
from web.operations.verify import VERIFY
from web.store.tables import BackupRow


@dataclass(frozen=True)
class Files:
    """The files of one backup."""

    dump: Path
    schema: Path
    manifest: Path


def files_of(configuration: Configuration, backup_id: UUID) -> Files:
    keys = keys_of("clinic", "dev", backup_id)
    place = Path(configuration.backups.location)
    return Files(place / keys.dump, place / keys.schema, place / keys.manifest)


async def stored(site: Site, backup_id: UUID) -> Any:
    async with site.store.connect() as connection:
        query = select(BackupRow.state, BackupRow.verified_at, BackupRow.verification)
        return (await connection.execute(query.where(BackupRow.id == backup_id))).one()


def flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def become(file: Path, make: Callable[[Path], object]) -> None:
    file.unlink()
    make(file)


def link(file: Path) -> None:
    """Put a link in its place, to the same bytes."""
    elsewhere = file.rename(file.with_name(f"{file.name}.elsewhere"))
    file.symlink_to(elsewhere)


def edit(file: Path, **changes: object) -> None:
    """Change a manifest and make its digest anew, as somebody would who knows how it is made."""
    content = {**json.loads(file.read_bytes()), **changes}
    del content["digest"]
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    content["digest"] = sha256(text).hexdigest()
    file.write_text(json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False))


NOT_THE_ONE = "The manifest beside the backup is not the one that was stored when it was made"

#: What became of a part, and what is said of it.
SPOILT: dict[str, tuple[Callable[[Files], object], str]] = {
    "dump moved away": (lambda files: files.dump.rename(files.dump.with_suffix(".away")), "is missing"),
    "schema moved away": (lambda files: files.schema.unlink(), "is missing"),
    "manifest moved away": (lambda files: files.manifest.unlink(), "is missing"),
    "folder moved away": (
        lambda files: files.dump.parent.rename(files.dump.parent.with_name("away")),
        "missing",
    ),
    "one bit": (lambda files: flip(files.dump), "its digest does not fit"),
    "shorter": (lambda files: os.truncate(files.dump, 100), "has 100 bytes"),
    "another schema": (lambda files: files.schema.write_text("{}"), ".schema.json"),
    "a link": (lambda files: link(files.dump), "it is a link"),
    "a pipe": (lambda files: become(files.dump, os.mkfifo), "not a file but a pipe"),
    "a folder": (lambda files: become(files.schema, Path.mkdir), "not a file but a folder"),
    "a manifest that is a pipe": (lambda files: become(files.manifest, os.mkfifo), "not a file but a pipe"),
    "no tables": (lambda files: edit(files.manifest, tables=[]), NOT_THE_ONE),
    "other roles": (lambda files: edit(files.manifest, roles=["somebody"]), NOT_THE_ONE),
    "another identity": (lambda files: edit(files.manifest, identity="1/1"), NOT_THE_ONE),
    "another time": (
        lambda files: edit(files.manifest, finished_at="2031-01-01T00:00:00Z"),
        NOT_THE_ONE,
    ),
    "another way to write it": (
        lambda files: files.manifest.write_text(json.dumps(json.loads(files.manifest.read_bytes()))),
        NOT_THE_ONE,
    ),
}


async def test_a_reset_opens_it_right_before_the_first_drop(site: Site, tmp_path: Path) -> None:
    """Each in turn, on one database: refused, not verified any more; put right and verified, it counts again."""
    await site.at_head()
    backup_id = await site.back_up()
    files = files_of(site.configuration, backup_id)
    whole = tmp_path / "whole"
    shutil.copytree(files.dump.parent, whole)
    for name, (spoil, said) in SPOILT.items():
        spoil(files)
        job = await site.run(RESET)
        told = outcome(job)
        assert (job.state, told["error"]["type"]) == ("failed", "BackupInvalid"), (name, told)
        assert f"Nothing was begun. Backup {backup_id}, taken at " in told["account"], name
        assert said in told["account"], (name, told)
        assert "Back up again and verify that" in told["next_step"]
        assert site.query("SELECT count(*) FROM users") == [(100,)], name
        row = await stored(site, backup_id)
        assert (row.state, row.verified_at) == ("failed verification", None), name
        assert said in row.verification["problems"][0]
        assert row.verification["finished_at"]
        async with site.store.connect() as store:
            gate = reset_gate(site.dev, await record_of(store, site.dev))
        assert [each.name for each in gate.closed_by] == ["verified backup"], name
        assert outcome(await site.run(RESET))["error"]["type"] == "OperationNotAllowed"
        # A restore proves nothing about other files than these, and verify says the same of them.
        assert said in outcome(await site.run(VERIFY, backup=backup_id))["account"], name

        shutil.rmtree(files.dump.parent, ignore_errors=True)
        shutil.copytree(whole, files.dump.parent)
        assert (await site.run(VERIFY, backup=backup_id)).state == "succeeded", name
    assert (await site.run(RESET)).state == "succeeded"


async def test_a_row_put_into_the_store_is_no_backup(site: Site) -> None:
    await site.at_head()
    backup_id = await site.back_up()
    async with site.store.begin() as store:
        await store.execute(update(BackupRow).values(manifest={}))
    job = await site.run(RESET)
    assert "The store has no manifest of this backup" in outcome(job)["account"]
    assert (await stored(site, backup_id)).state == "failed verification"
    assert site.query("SELECT count(*) FROM users") == [(100,)]


async def test_a_place_that_is_away_keeps_the_proof_and_everything_else(site: Site) -> None:
    await site.at_head()
    backup_id = await site.back_up()
    before = await stored(site, backup_id)
    place = Path(site.configuration.backups.location)
    away = place.rename(place.with_name("unmounted"))
    for what in ("no folder", "an empty folder"):
        for kind, values in ((RESET, {}), (VERIFY, {"backup": backup_id})):
            job = await site.run(kind, **values)
            assert (job.state, outcome(job)["error"]["type"]) == ("failed", "PlaceUnavailable"), what
        assert await stored(site, backup_id) == before
        place.mkdir(exist_ok=True)
    assert site.query("SELECT count(*) FROM users") == [(100,)]
    place.rmdir()
    away.rename(place)
    assert (await site.run(RESET)).state == "succeeded"


async def test_a_revert_with_loss_opens_it(site: Site) -> None:
    await drifted(site)
    backup_id = await site.back_up()
    repair = await planned(site, with_loss=True)
    flip(files_of(site.configuration, backup_id).dump)
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert outcome(job)["error"]["type"] == "BackupInvalid", outcome(job)
    assert site.query("SELECT count(note) FROM users") == [(100,)]
    assert (await stored(site, backup_id)).state == "failed verification"
    await site.back_up()
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert job.state == "succeeded", outcome(job)


async def test_a_migrate_on_production_opens_it(site: Site) -> None:
    site.change(tier="production", backup=BackupPolicy(max_age=timedelta(hours=24)), reset=None)
    await site.observe()
    backup_id = await site.back_up()
    assert (await site.run(REHEARSE)).state == "succeeded"
    files_of(site.configuration, backup_id).dump.unlink()
    job = await site.run(MIGRATE)
    assert outcome(job)["error"]["type"] == "BackupInvalid", outcome(job)
    assert site.query("SELECT to_regclass('users')") == [(None,)]
    assert (await stored(site, backup_id)).state == "failed verification"
    await site.back_up()
    assert (await site.run(MIGRATE)).state == "succeeded"


async def test_a_backup_as_a_source_of_a_schema_is_the_stored_one(site: Site) -> None:
    await site.observe()
    backup_id = await site.back_up()
    reader = Reader(site.configuration, site.store, site.resources.scratch, site.resources.programs)
    source = parse_source(f"backup:{backup_id}")
    assert (await reader.read(source, None)).schema.tables == ()
    edit(files_of(site.configuration, backup_id).manifest, roles=["somebody"])
    with pytest.raises(BackupInvalid, match=NOT_THE_ONE):
        await reader.read(source, None)


async def test_a_revert_looks_again_once_the_backup_is_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading it takes its time: what somebody changes meanwhile is not what the repair was made for."""
    await drifted(site)
    await site.back_up()
    repair = await planned(site, with_loss=True)

    async def slowly(work: Work[Any]) -> Manifest:
        manifest = await open_verified(work)
        site.query("CREATE TABLE meanwhile (id int)")
        return manifest

    monkeypatch.setattr(revert, "open_verified", slowly)
    job = await site.run(REVERT, shown_hash=repair.hash)
    assert outcome(job)["error"]["type"] == "TargetChanged", outcome(job)
    assert site.query("SELECT count(note) FROM users") == [(100,)]
    async with site.store.connect() as store:
        log = [each.text for each in await read_events(store, job.id) if each.kind == "log"]
        steps = {each.name: each.state for each in await read_steps(store, job.id)}
    # Right before the first act: everything else was checked and counted by then.
    assert any("is opened in" in line for line in log)
    assert (steps["check"], steps["count"], steps["revert"]) == ("succeeded", "succeeded", "failed")


async def test_a_migrate_looks_again_once_the_backup_is_read(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.change(tier="production", backup=BackupPolicy(max_age=timedelta(hours=24)), reset=None)
    await site.observe()
    await site.back_up()
    assert (await site.run(REHEARSE)).state == "succeeded"

    async def slowly(work: Work[Any]) -> Manifest:
        manifest = await open_verified(work)
        site.query(
            "CREATE TABLE alembic_version (version_num text); INSERT INTO alembic_version VALUES ('a')"
        )
        return manifest

    monkeypatch.setattr(migrate, "open_verified", slowly)
    job = await site.run(MIGRATE, seen_revisions=[])
    assert outcome(job)["error"]["type"] == "TargetChanged", outcome(job)
    assert site.query("SELECT to_regclass('users')") == [(None,)]
