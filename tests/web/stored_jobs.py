"""Jobs in every state, as a worker would have left them in the store."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from tests.web.hostile import HOSTILE
from web.jobs.start import environment_row
from web.store.tables import (
    DoubtRow,
    EnvironmentRow,
    EnvironmentStateRow,
    JobAttemptRow,
    JobEventRow,
    JobRow,
    JobStepRow,
    JobTargetRow,
)

JOB_STATES = (
    "queued",
    "running",
    "cancelling",
    "interrupted",
    "succeeded",
    "failed",
    "cancelled",
    "not done",
    "unknown",
)
#: A job of the project that most people may not see.
LEDGER_JOB = 4711
#: Job by state; all are the clinic's.
JOBS = {state: number for number, state in enumerate(JOB_STATES, start=1)}


async def fill_jobs(connection: AsyncConnection) -> None:
    """A job in every state; they get the numbers of `JOBS`."""
    dev, _ = await environment_row(connection, "clinic", "dev")
    staging, _ = await environment_row(connection, "clinic", "staging")
    ledger, _ = await environment_row(connection, "ledger", "dev")
    for state, number in JOBS.items():
        # One unfinished job that changes something per database: dev has the running one.
        kind = {"queued": "observe", "cancelling": "backup", "interrupted": "verify"}.get(state, "migrate")
        mutating = kind == "migrate"
        where = staging if state == "interrupted" else dev
        await store_job(connection, number, kind, where, state, mutating=mutating)
        if mutating and state in ("running", "unknown"):
            await connection.execute(
                insert(JobTargetRow).values(
                    job_id=number,
                    system_identifier="7412000000000000001",
                    database_oid=1,
                    unfinished=state == "running",
                )
            )
        if state == "unknown":
            await connection.execute(
                insert(DoubtRow).values(job_id=number, sort="outcome not known", what=HOSTILE, by_check=False)
            )
            # The last look came after it.
            await connection.execute(
                update(EnvironmentStateRow)
                .where(EnvironmentStateRow.environment_id == where)
                .values(seen_job=number)
            )
    skip = f"generate_series(1, {LEDGER_JOB - len(JOBS) - 1})"
    await connection.execute(text(f"SELECT nextval(pg_get_serial_sequence('job', 'id')) FROM {skip}"))
    await store_job(connection, LEDGER_JOB, "migrate", ledger, "failed", mutating=True)


async def store_job(
    connection: AsyncConnection,
    number: int,
    kind: str,
    where: int,
    state: str,
    *,
    mutating: bool = False,
    lines: int = 30,
) -> None:
    """A job with two steps, a try, and a log that ends with its state."""
    now = datetime.now(UTC)
    finished = state in ("succeeded", "failed", "cancelled", "not done", "unknown")
    outcome = {
        "title": HOSTILE,
        "account": HOSTILE,
        "next_step": HOSTILE,
        "evidence": {
            "rows": [HOSTILE],
            "half_applied": ["UPDATE t\n   SET a = 1", "UPDATE t SET a = 1"],
            "open": {"sql": f"\nUPDATE {HOSTILE}", "revision": "r4", "recorded": [], "statements": []},
            "invalid_indexes": [],
        },
        "data": {"leftovers": [HOSTILE]},
        "error": {
            "server_message": HOSTILE,
            "sqlstate": "42701",
            "statement": f"SELECT '{HOSTILE}'",
            "revision": "r4",
            "leftovers": [HOSTILE],
        },
    }
    made = await connection.scalar(
        insert(JobRow)
        .values(
            kind=kind,
            project=select(EnvironmentRow.project).where(EnvironmentRow.id == where).scalar_subquery(),
            environment_id=where,
            observes=kind == "observe",
            parameters={"lock_timeout": 5, "note": HOSTILE},
            mutating=mutating,
            state=state,
            requested_by=HOSTILE,
            requested_at=now - timedelta(minutes=5),
            started_at=None if state == "queued" else now - timedelta(minutes=4),
            finished_at=now - timedelta(minutes=1) if finished else None,
            seen_fingerprint="f" * 64,
            seen_revisions=["r3", HOSTILE],
            shown_hash="p" * 64,
            step=None if state == "queued" else "migrate",
            done=3,
            total=7,
            unit="migrations",
            statement=f"UPDATE users SET name = '{HOSTILE}'",
            outcome=outcome if finished else None,
            last_seq=lines,
        )
        .returning(JobRow.id)
    )
    assert made == number
    states = ("succeeded", "running") if not finished else ("succeeded", "failed")
    await connection.execute(
        insert(JobStepRow),
        [
            {
                "job_id": number,
                "name": f"step {position}",
                "position": position,
                "title": HOSTILE,
                "state": each,
                "detail": HOSTILE,
                "started_at": now - timedelta(minutes=4),
                "finished_at": now if each != "running" else None,
            }
            for position, each in enumerate(states, start=1)
        ],
    )
    await connection.execute(
        insert(JobAttemptRow).values(job_id=number, number=1, fence=number, worker=HOSTILE, host=HOSTILE)
    )
    kinds = ("log", "statement", "step", "progress")
    await connection.execute(
        insert(JobEventRow),
        [
            {
                "job_id": number,
                "seq": seq,
                "at": now,
                "kind": kinds[seq % 4] if seq < lines or not finished else "state",
                "level": "info",
                "text": f"{seq} {HOSTILE}",
                "data": {"state": state if seq == lines and finished else "running"},
            }
            for seq in range(1, lines + 1)
        ],
    )
