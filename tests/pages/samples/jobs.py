"""Jobs while they run, and lists of them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

from tests.pages.samples.ground import DEV, HEAD, NOW, PRODUCTION, REVISIONS, STAGING, before, shell
from tests.pages.samples.history import SQL_NOT_NULL
from web import addresses
from web.pages.views.jobs import (
    Blocker,
    Cancellation,
    JobFilter,
    JobHead,
    JobList,
    JobPage,
    JobRow,
    JobStep,
    LockWait,
    LogLine,
    Progress,
    Statement,
)
from web.pages.views.marks import (
    JOB_MARKS,
    STEP_MARKS,
    Action,
    EnvironmentRef,
    Fact,
    Link,
    Mark,
    Option,
    Pages,
)
from web.pages.views.shell import Shell


def job_rows() -> tuple[JobRow, ...]:
    """One job in each state."""
    rows = (
        (1043, JOB_MARKS["queued"], "Verify backup of 10:28", DEV, None, None),
        (
            1042,
            Mark("wait", "Waiting for a lock, 61 %"),
            "Migrate to build #48",
            STAGING,
            before(minutes=6),
            None,
        ),
        (1041, JOB_MARKS["cancelling"], "Back up", DEV, before(minutes=1), None),
        (1040, JOB_MARKS["succeeded"], "Reset", DEV, before(minutes=13), 11.9),
        (
            1039,
            Mark("failed", "Failed: lock timeout"),
            "Migrate to build #48",
            STAGING,
            before(minutes=30),
            300.0,
        ),
        (1036, JOB_MARKS["cancelled"], "Migrate to build #47", PRODUCTION, before(hours=3), 72.0),
        (1029, JOB_MARKS["unknown"], "Migrate to build #46", STAGING, before(hours=13), 169.0),
        (1028, JOB_MARKS["not done"], "Reset", DEV, before(days=2), 3.0),
    )
    return tuple(
        JobRow(
            number,
            mark,
            what,
            ref,
            "Ana Ruiz",
            started or before(seconds=20),
            started if took is None else None,
            took,
        )
        for number, mark, what, ref, started, took in rows
    )


def job_list() -> JobList:
    """The list of jobs."""
    return JobList(
        job_rows(),
        JobFilter(
            projects=(Option("", "All projects", True), Option("clinic", "clinic")),
            kinds=(Option("", "All kinds", True), Option("backup", "Backup"), Option("migrate", "Migrate")),
            states=(Option("", "All outcomes", True), Option("failed", "Failed")),
        ),
        Pages("1 to 8 of 1,043", None, addresses.jobs(before=1028)),
    )


STEPS = (
    ("Check the target", "succeeded", None, 0.4),
    ("Back up and verify", "succeeded", "1.9 GB, restored and counted", 178.0),
    ("Take the migration lock", "succeeded", None, 0.1),
    ("backfill users.tenant_id", "succeeded", f"{REVISIONS[12]} · 1,204,311 rows", 145.0),
    ("users.tenant_id NOT NULL", "running", REVISIONS[13], None),
    ("drop legacy sessions", "queued", REVISIONS[14], None),
    ("Compare the schema", "queued", None, None),
)


def steps(failed: bool = False) -> tuple[JobStep, ...]:
    """The steps of a migrate, in the middle or after it broke."""
    shown = []
    for title, name, detail, seconds in STEPS:
        if failed:
            name = {"running": "failed", "queued": "skipped"}.get(name, name)
        shown.append(
            JobStep(
                title, STEP_MARKS[name], detail, seconds, before(seconds=41) if name == "running" else None
            )
        )
    return tuple(shown)


def log() -> tuple[LogLine, ...]:
    """A log with every level."""
    texts: tuple[tuple[Literal["debug", "info", "warn", "error"], str], ...] = (
        ("info", "Job 1042: migrate clinic/staging to build #48"),
        ("info", "Step 1 Check the target"),
        ("debug", "system identifier 7405551820931234567, server 10.20.6.11:5432, tls verify-full"),
        ("info", "Identity is the pinned one"),
        ("info", "Step 2 Back up and verify"),
        ("debug", "pg_dump --format=custom --compress=zstd:3"),
        ("info", "Dump finished, 1.9 GB, sha256 7d1f…c402"),
        ("info", "Restored into a scratch database, 14 tables, row counts equal"),
        ("info", "Step 4 backfill users.tenant_id"),
        ("warn", "batch 3 slow: 44.1 s, autovacuum is running on users"),
        ("info", "1,204,311 rows updated in 2 min 25 s"),
        ("info", "ALTER TABLE users ALTER COLUMN tenant_id SET NOT NULL"),
        ("warn", "Waiting 41 s for AccessExclusiveLock on users, held by pid 4711 app=worker"),
        ("error", "<b>not markup</b>\nsecond line of the same message\n\tDETAIL: kept as it is"),
    )
    return tuple(
        LogLine(number, before(seconds=400 - number * 28.3), level, text)
        for number, (level, text) in enumerate(texts, 1)
    )


JOB_FACTS = (
    Fact("Database", "clinic_staging on db-staging-1:5432"),
    Fact("Identity", "7405551820931234567/16402", Mark("ok", "Pinned"), mono=True),
    Fact("From", REVISIONS[11], mono=True),
    Fact("To", HEAD, mono=True),
    Fact("Way back", "verified backup", moment=before(minutes=9)),
    Fact("Worker", "worker-2 on app-1, attempt 1"),
)


def job_head() -> JobHead:
    """A job that waits for a lock."""
    return JobHead(
        1042,
        Mark("wait", "Waiting for a lock, step 5 of 7"),
        Progress(1_204_311, 1_964_000, "rows", 4, 7),
        before(seconds=1),
        before(minutes=6, seconds=5),
        spoken="61 percent. Step 5 of 7 has been waiting for a lock on users for 41 seconds.",
    )


def lock_wait() -> LockWait:
    """Who blocks it."""
    return LockWait(
        "AccessExclusiveLock on users",
        5207,
        "ALTER TABLE users ALTER COLUMN tenant_id SET NOT NULL",
        before(seconds=41),
        NOW + timedelta(seconds=79),
        (
            Blocker(
                4711,
                "clinic_app",
                "app worker",
                "idle in transaction",
                "UPDATE users SET last_seen = now() WHERE id = $1",
                before(minutes=6, seconds=12),
            ),
        ),
        "3 other sessions queue behind this job while it waits.",
    )


def job_shell(ref: EnvironmentRef, number: int, *, ended: bool = False) -> Shell:
    """The surroundings of a job's page."""
    return shell(
        addresses.job(number),
        section="jobs",
        here=f"Job {number}",
        crumbs=(
            Link("Overview", "/"),
            Link(ref.project, addresses.project(ref.project)),
            Link(ref.name, ref.path),
        ),
        environment=ref,
        stream=None if ended else addresses.job_stream(number, 14),
    )


def running_job() -> JobPage:
    """A job in the middle of its work."""
    return JobPage(
        1042,
        "Migrate clinic to build #48",
        STAGING,
        "Ana Ruiz",
        before(minutes=6, seconds=8),
        steps(),
        log(),
        JOB_FACTS,
        head=job_head(),
        statement=Statement(SQL_NOT_NULL, REVISIONS[13], "1 of 2 · lock_timeout 2 min", before(seconds=41)),
        lock_wait=lock_wait(),
        cancel=Action("Cancel job…", addresses.cancellation(1042), "square", danger=True),
    )


def queued_job() -> JobPage:
    """A job that nobody works on."""
    return JobPage(
        1043,
        "Back up clinic/dev",
        DEV,
        "Ana Ruiz",
        before(seconds=20),
        tuple(
            JobStep(title, STEP_MARKS["queued"]) for title in ("Check the target", "Dump", "Store and check")
        ),
        (),
        JOB_FACTS[:2],
        head=JobHead(
            1043,
            Mark("queued", "Queued"),
            Progress(),
            before(seconds=1),
            waiting_because="No worker is alive. The job starts as soon as one is.",
            spoken="Queued. No worker is alive.",
        ),
        cancel=Action("Remove from queue…", addresses.cancellation(1043), "square", danger=True),
    )


def cancellation() -> Cancellation:
    """The question before cancelling."""
    return Cancellation(
        1042,
        STAGING,
        "Migrate clinic to build #48",
        "The waiting statement is withdrawn and step 5 is rolled back. Step 4 is committed, so staging "
        f"will stand on {REVISIONS[12]}.",
        Link("Back to the job", addresses.job(1042)),
    )


def cancellation_too_late() -> Cancellation:
    """The same of a job that has ended meanwhile."""
    return replace(cancellation(), account="There is nothing to cancel.", ended=JOB_MARKS["succeeded"])
