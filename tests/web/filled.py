"""A store with everything in it: every verdict, jobs in every state, builds, backups, plans, drift, hostile texts.

Nothing here is a real database; it is what workers would have written. Written once, copied for every test.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

from sqlalchemy import Text, cast, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from tests.configured import configuration, environment, project
from tests.stored import store_backup, store_history, store_observation
from tests.web.hostile import HOSTILE
from tests.web.people import fill_people
from tests.web.stored_jobs import JOBS, fill_jobs
from web.access import audit
from web.comparison.snapshots import store_schema
from web.config import AlembicSettings, BackupPolicy, Configuration, Environment, ResetPolicy
from web.jobs.start import environment_row
from web.observation.facts import Extension, Facts, Sessions, Table
from web.plans.plan import Plan, PlannedMigration, executed
from web.schema.ddl.hazard import Hazard
from web.schema.model import Schema
from web.store.tables import (
    AppliedRevisionRow,
    ApprovalRequestRow,
    BackupRow,
    BuildRow,
    DeploymentRow,
    DriftRow,
    EnvironmentRow,
    EnvironmentStateRow,
    HistoryRow,
    PlanRow,
    SchemaSnapshotRow,
    WorkerRow,
)
from web.tools.history import History, Migration, make_history

TITLE = "Clinic <script>alert('title')</script> & \"Söhne\""
SECRET = "postgresql://canary:k4nari3n-pa55@127.0.0.1:1/clinic"
TOOL = AlembicSettings(
    config=Path("alembic.ini"), python=Path("/usr/bin/python3"), url_variable="DATABASE_URL"
)


BACKUP = UUID(int=7)
#: So long ago that pages do not count its age in seconds.
RECENTLY = timedelta(hours=3)


def history(count: int = 5, *, heads: int = 1, hostile: bool = True) -> History:
    """A line of migrations `r1` … with that many heads at its end."""
    steps = [
        Migration(
            f"r{number}",
            (f"r{number - 1}",) if number > 1 else (),
            message=HOSTILE if hostile and number == count else f"Change {number}",
            path=f"migrations/r{number}.py",
            digest=f"{number:064x}",
            created="2026-01-01 10:00",
        )
        for number in range(1, count + 1)
    ]
    steps += [
        Migration(
            f"head{number}", (f"r{count}",), path=f"migrations/head{number}.py", digest=f"{number:064x}"
        )
        for number in range(1, heads)
    ]
    if heads > 1:
        steps.append(Migration("head0", (f"r{count}",), digest="0" * 64))
    return make_history(steps)


def make_configuration(folder: Path) -> Configuration:
    """Four projects: one with every kind of environment, one for other eyes, two that are in trouble."""
    tiers: dict[str, dict[str, Any]] = {
        "dev": {"reset": ResetPolicy()},
        "idle": {"reset": ResetPolicy()},
        "staging": {"tier": "staging"},
        "production": {
            "tier": "production",
            "approvals": 1,
            "backup": BackupPolicy("0 3 * * *", verify=True, max_age=timedelta(hours=24)),
        },
        "down": {},
        "lost": {},
        "fresh": {},
        "empty": {},
        "long-" + "x" * 58: {},
    }
    clinic = project(
        folder / "clinic", TOOL, *(environment(folder, SECRET, name, **more) for name, more in tiers.items())
    )
    object.__setattr__(clinic, "title", TITLE)
    object.__setattr__(clinic, "keeps", ("application code", HOSTILE))
    ledger = project(
        folder / "ledger",
        TOOL,
        environment(folder, SECRET, "dev", "ledger", reset=ResetPolicy()),
        environment(folder, SECRET, "production", "ledger", tier="production"),
        name="ledger",
    )
    broken = project(folder, TOOL, environment(folder, SECRET, "dev", "broken"), name="broken")
    forked = project(folder, TOOL, environment(folder, SECRET, "dev", "forked"), name="forked")
    return configuration(folder, clinic, ledger, broken, forked)


async def fill(engine: AsyncEngine, configured: Configuration) -> None:
    """Write it all."""
    async with engine.begin() as connection:
        await fill_people(connection)
        await _histories(connection)
        await _environments(connection, configured)
        await _builds(connection, configured)
        await fill_jobs(connection)
        await connection.execute(
            insert(WorkerRow),
            [{"name": f"worker {HOSTILE}", "host": "host<b>", "pid": 4242, "version": "0.1.0"}],
        )
        await connection.execute(update(WorkerRow).values(heartbeat_at=datetime.now(UTC) + timedelta(days=1)))
        for number in range(3):
            await audit.append(
                connection,
                actor=f"user:{HOSTILE}",
                action=HOSTILE if number else "reset refused",
                object="clinic/dev",
                detail={"reason": HOSTILE, "job": JOBS["failed"]},
            )


async def _histories(connection: AsyncConnection) -> None:
    await store_history(connection, "clinic", history())
    await store_history(connection, "ledger", history(3))
    await store_history(connection, "forked", history(3, heads=3))
    await connection.execute(
        insert(HistoryRow).values(
            project="broken",
            digest="0" * 64,
            error={"title": HOSTILE, "message": f"cannot read {HOSTILE}", "hint": HOSTILE},
            read_at=datetime.now(UTC),
        )
    )


def facts(tables: int = 12) -> Facts:
    """What a look saw besides revisions and schema."""
    now = datetime.now(UTC)
    return Facts(
        at=now,
        version="17.10",
        started_at=now - timedelta(days=3),
        size=123_456_789,
        in_recovery=False,
        encoding="UTF8",
        collation="C",
        owner=HOSTILE,
        sessions=Sessions({"active": 1, "idle": 2}, 1, 100),
        tables=tuple(
            Table(
                "public",
                f"table_{number}" if number else f"<b>{HOSTILE}",
                "table",
                number * 10 or None,
                8192 * (number + 1),
                8192,
                number * 5000,
                now if number % 2 else None,
                None,
            )
            for number in range(tables)
        ),
        tables_at=now,
        extensions=(Extension("citext", "1.6", "public"),),
        missing=(HOSTILE,),
    )


async def look(
    connection: AsyncConnection, where: Environment, oid: int, *revisions: str, tables: int = 12, **more: Any
) -> int:
    """A look with facts at an environment that is pinned to a database of its own."""
    key = await store_observation(
        connection,
        where,
        *revisions,
        **{
            "server_version": 170_010,
            "database": f"db {HOSTILE}",
            "host": "127.0.0.1:1",
            "fingerprint": f"{oid:064x}",
            "expected_fingerprint": f"{oid:064x}",
            **more,
        },
    )
    await connection.execute(
        update(EnvironmentRow)
        .where(EnvironmentRow.id == key)
        .values(system_identifier="7412000000000000001", database_oid=oid, pinned_at=datetime.now(UTC))
    )
    await connection.execute(
        update(EnvironmentStateRow)
        .where(EnvironmentStateRow.environment_id == key)
        .values(facts=facts(tables).to_json())
    )
    return key


async def _environments(connection: AsyncConnection, configured: Configuration) -> None:
    clinic = configured.project("clinic").environments
    known = await store_schema(connection, Schema(server_major=17))
    await connection.execute(
        insert(SchemaSnapshotRow).values(fingerprint="e" * 64, server_major=17, content=b"of no version")
    )
    await connection.execute(
        insert(DriftRow).values(
            expected_fingerprint="e" * 64,
            actual_fingerprint=known,
            differences=[
                {
                    "kind": "column",
                    "object": f"public.users.{HOSTILE}",
                    "attribute": None,
                    "change": change,
                    "severity": "structure",
                    "a": None if change == "added" else HOSTILE,
                    "b": HOSTILE,
                    "group": "public.users",
                }
                for change in ("added", "removed", "changed", "renamed")
            ],
        )
    )
    dev = await look(connection, clinic["dev"], 1, "r5", fingerprint=known, expected_fingerprint=known)
    await store_backup(connection, dev, age=RECENTLY)
    await _backups(connection, dev)
    idle = await look(connection, clinic["idle"], 9, "r5", fingerprint=known, expected_fingerprint=known)
    await store_backup(connection, idle, age=RECENTLY)
    staging = await look(
        connection,
        clinic["staging"],
        2,
        "r3",
        drift_state="drifted",
        drift_count=4,
        fingerprint=known,
        expected_fingerprint="e" * 64,
    )
    production = await look(connection, clinic["production"], 3, "r2", age=timedelta(hours=2))
    await store_backup(connection, production, age=timedelta(days=3))
    for key, at in ((staging, 3), (production, 2)):
        shown_hash = await _plan(connection, key, at)
        if key == production:
            await _request(connection, key, shown_hash)
        await connection.execute(
            insert(AppliedRevisionRow),
            [
                {
                    "environment_id": key,
                    "revision": f"r{number}",
                    # On production the first file was changed after it was applied.
                    "file_digest": f"{99 if (at, number) == (2, 1) else number:064x}",
                    "first_seen": datetime.now(UTC),
                }
                for number in range(1, at + 1)
            ],
        )
    await look(
        connection,
        clinic["down"],
        4,
        "r5",
        reachable=False,
        error={"title": HOSTILE, "message": HOSTILE, "hint": HOSTILE},
    )
    await look(connection, clinic["lost"], 5, f"zz{HOSTILE}", drift_state="unknown", drift_reason=HOSTILE)
    await look(connection, clinic["empty"], 6, version_table=False, drift_state="not compared")
    ledger = configured.project("ledger").environments
    await look(connection, ledger["dev"], 7, "r3")
    key = await look(connection, ledger["production"], 8, "r2")
    await store_backup(connection, key, age=RECENTLY)


async def _backups(connection: AsyncConnection, key: int) -> None:
    now = datetime.now(UTC)
    manifest = {
        "tables": [{"name": HOSTILE, "rows": 3}],
        "dump": {"sha256": "a" * 64},
        "revisions": ["r5", HOSTILE],
    }
    for number, state in enumerate(("unverified", "failed verification", "removed")):
        await connection.execute(
            insert(BackupRow).values(
                id=UUID(int=BACKUP.int + number),
                environment_id=key,
                key=f"clinic/dev/{number}",
                size=1000,
                sha256="0" * 64,
                manifest_version=1,
                manifest=manifest,
                state=state,
                created_at=now - timedelta(days=number + 1),
                verification={"problems": [HOSTILE], "finished_at": now.isoformat()}
                if state == "failed verification"
                else None,
            )
        )


async def _plan(connection: AsyncConnection, key: int, at: int) -> str:
    steps = range(at + 1, 6)
    plan = Plan(
        (f"r{at}",),
        ("r5",),
        tuple(
            PlannedMigration(
                f"r{number}",
                HOSTILE,
                (
                    executed(
                        f'ALTER TABLE users ADD COLUMN "{HOSTILE}" int',
                        0.01,
                        (Hazard("lock", f"public.{HOSTILE}", "AccessExclusiveLock"),),
                        in_transaction=True,
                    ),
                ),
            )
            for number in steps
        ),
        {f"r{number}": f"{number:064x}" for number in steps},
    )
    await connection.execute(
        insert(PlanRow).values(
            environment_id=key,
            hash=plan.hash,
            cache_key="",
            from_revisions=[f"r{at}"],
            to_revisions=["r5"],
            content=plan.to_json(),
        )
    )
    return plan.hash


async def _request(connection: AsyncConnection, key: int, shown_hash: str) -> None:
    """Somebody asks for the approval of production's plan."""
    identity = await connection.scalar(
        select(EnvironmentRow.system_identifier + "/" + cast(EnvironmentRow.database_oid, Text)).where(
            EnvironmentRow.id == key
        )
    )
    await connection.execute(
        insert(ApprovalRequestRow).values(
            project="clinic",
            environment_id=key,
            kind="migrate",
            shown_hash=shown_hash,
            parameters={},
            identity=identity,
            title=f"Apply 3 migrations to clinic/production {HOSTILE}",
            reason=HOSTILE,
            shown={},
            needed=1,
            asked_by="user:clinic-admin",
            expires_at=datetime.now(UTC) + timedelta(days=1),
        )
    )


async def _builds(connection: AsyncConnection, configured: Configuration) -> None:
    builds = {
        ("clinic", 47): history(4),
        ("clinic", 48): history(5),
        ("clinic", 49): history(5, heads=2),
        ("ledger", 1): history(3),
    }
    for (name, number), manifest in builds.items():
        key = await connection.scalar(
            insert(BuildRow)
            .values(
                project=name,
                number=number,
                commit=HOSTILE if number == 48 else "0123456789abcdef",
                manifest=manifest.to_json(),
                manifest_digest=f"{name}-{number}",
                registered_by=f"token:{HOSTILE}",
            )
            .returning(BuildRow.id)
        )
        if number == 47:
            where, _ = await environment_row(connection, "clinic", "production")
            await connection.execute(
                insert(DeploymentRow).values(environment_id=where, build_id=key, recorded_by=HOSTILE)
            )
