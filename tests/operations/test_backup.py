"""Backup and verify as jobs: the row, the manifest, the policy, what is said of a bad backup."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from tests.operations.conftest import Site, outcome
from tests.tools.written import execute, migration
from web.config import BackupPolicy, Keep
from web.errors import Conflict
from web.jobs.reading import read_steps
from web.observation.records import record_of
from web.operations import KINDS
from web.operations.backup import BACKUP
from web.operations.observe import OBSERVE
from web.operations.rehearse import REHEARSE
from web.operations.verify import VERIFY
from web.store.tables import BackupRow


async def prepare(site: Site) -> None:
    await site.at_head()


async def backups(site: Site) -> list[tuple[UUID, str]]:
    async with site.store.connect() as connection:
        rows = await connection.execute(select(BackupRow.id, BackupRow.state).order_by(BackupRow.created_at))
        return [(row.id, row.state) for row in rows]


def parts(site: Site) -> list[Path]:
    return sorted(Path(site.configuration.backups.location).rglob("*.*"))


async def test_a_backup_is_written_down_and_then_verified(site: Site) -> None:
    await prepare(site)
    job = await site.run(BACKUP)
    assert job.state == "succeeded", outcome(job)
    ((backup_id, state),) = await backups(site)
    assert outcome(job)["data"] | {"size": 0} == {
        "backup": str(backup_id),
        "size": 0,
        "rows": 101,
        "tables": 3,
        "verified": False,
    }
    assert state == "unverified"
    assert len(parts(site)) == 3
    job = await site.run(VERIFY, backup=backup_id)
    assert job.state == "succeeded", outcome(job)
    assert await backups(site) == [(backup_id, "verified")]
    async with site.store.connect() as connection:
        record = await record_of(connection, site.dev)
    assert record is not None
    assert record.backup is not None
    assert record.backup.verified_created_at is not None


async def test_the_policy_has_it_verified_at_once(site: Site) -> None:
    site.change(backup=BackupPolicy(verify=True))
    await prepare(site)
    job = await site.run(BACKUP)
    assert outcome(job)["title"] == "Backed up and verified"
    assert [state for _, state in await backups(site)] == ["verified"]
    async with site.store.connect() as connection:
        steps = await read_steps(connection, job.id)
    assert [(step.name, step.state) for step in steps] == [("dump", "succeeded"), ("verify", "succeeded")]


async def test_a_torn_backup_fails_verification(site: Site) -> None:
    await prepare(site)
    await site.run(BACKUP)
    (dump,) = [part for part in parts(site) if part.suffix == ".dump"]
    content = bytearray(dump.read_bytes())
    content[len(content) // 2] ^= 1
    dump.write_bytes(content)
    job = await site.run(VERIFY)
    assert job.state == "failed"
    assert outcome(job)["error"]["type"] == "BackupInvalid"
    assert "back up again" in outcome(job)["next_step"].lower()
    assert [state for _, state in await backups(site)] == ["failed verification"]
    async with site.store.connect() as connection:
        verification = await connection.scalar(select(BackupRow.verification))
    assert verification is not None
    assert verification["problems"]


async def test_only_what_a_rule_keeps_stays(site: Site) -> None:
    site.configuration = replace(
        site.configuration, backups=replace(site.configuration.backups, keep=Keep(last=2))
    )
    await prepare(site)
    for _ in range(3):
        assert (await site.run(BACKUP)).state == "succeeded"
    assert [state for _, state in await backups(site)] == ["removed", "unverified", "unverified"]
    assert len(parts(site)) == 6


async def test_a_backup_in_use_is_kept(site: Site) -> None:
    site.configuration = replace(
        site.configuration, backups=replace(site.configuration.backups, keep=Keep(last=1))
    )
    await prepare(site)
    assert (await site.run(BACKUP)).state == "succeeded"
    ((first, _),) = await backups(site)
    verifying = await site.start(VERIFY, backup=str(first))
    assert (await site.run(BACKUP)).state == "succeeded"
    assert [state for _, state in await backups(site)] == ["unverified", "unverified"]
    await site.execution(verifying).run()
    assert (await site.job(verifying)).state == "succeeded"


async def test_a_database_that_is_gone_leaves_no_backup(site: Site) -> None:
    await prepare(site)
    job_id = await site.start(BACKUP)
    Path(site.dev.url.reference.removeprefix("file:")).write_text("postgresql://nobody@127.0.0.1:1/none")
    await site.execution(job_id).run()
    job = await site.job(job_id)
    assert outcome(job)["error"]["type"] == "TargetUnavailable"
    assert await backups(site) == []
    assert parts(site) == []


async def test_a_backup_that_does_not_exist(site: Site) -> None:
    await prepare(site)
    job = await site.run(VERIFY)
    assert outcome(job)["error"]["type"] == "NotFound"


async def test_nothing_is_backed_up_before_it_is_known_what_it_is(site: Site) -> None:
    with pytest.raises(Conflict, match="never been reached"):
        await site.start(BACKUP)


async def test_a_look_is_a_job(site: Site) -> None:
    job = await site.run(OBSERVE)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["data"] == {
        "verdict": "pending",
        "status": "pending",
        "drift": "none",
        "revisions": [],
    }
    Path(site.dev.url.reference.removeprefix("file:")).write_text("postgresql://nobody@127.0.0.1:1/none")
    job = await site.run(OBSERVE)
    assert (job.state, outcome(job)["title"]) == ("succeeded", "Unreachable")


async def test_a_rehearsal_that_fails_says_so_and_touches_nothing(site: Site) -> None:
    await site.observe()
    job = await site.run(REHEARSE)
    assert job.state == "succeeded", outcome(job)
    assert outcome(job)["data"]["migrations"] == 3
    site.write(c=migration("c", "b", execute("SELECT 1 / 0")))
    job = await site.run(REHEARSE)
    assert job.state == "failed"
    assert "division by zero" in outcome(job)["account"]
    assert site.query("SELECT to_regclass('users')") == [(None,)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_kind_is_whole(kind: Any, site: Site) -> None:
    assert kind.title
    assert kind.verb
    assert kind.steps
    assert len({step.name for step in kind.steps}) == len(kind.steps)
    assert kind.parameters().model_dump(mode="json") is not None
    assert kind.parameters.model_config["extra"] == "forbid"
    assert kind.mutating or not kind.destructive
    assert kind.available(site.dev) is None
    production = replace(site.dev, tier="production")
    assert (kind.available(production) is None) == (not kind.destructive)
