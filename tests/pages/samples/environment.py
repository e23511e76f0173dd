"""Heads, state and backups of environments."""

from __future__ import annotations

from tests.pages.samples.changes import timeline
from tests.pages.samples.drift import drift
from tests.pages.samples.ground import DEV, HEAD, PRODUCTION, REVISIONS, STAGING, before, dialog_path
from tests.pages.samples.history import migrations
from tests.pages.samples.jobs import job_rows
from web import addresses
from web.pages.views.environment.backups import BackupRow, BackupsTab
from web.pages.views.environment.head import EnvironmentHead, Tab, TabName
from web.pages.views.environment.jobs import JobsTab
from web.pages.views.environment.page import EnvironmentPage
from web.pages.views.environment.state import Extension, StateTab, TableRow
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Column, EnvironmentRef, Fact, Mark, Pages
from web.pages.views.overview import RunningJob


def check_now(ref: EnvironmentRef) -> Action:
    """The one-click look."""
    return Action("Check now", addresses.start_job(ref.project, ref.name, "observe"), "refresh-cw", "post")


def tabs(pending: int = 3) -> tuple[Tab, ...]:
    """The sections of an environment."""
    return (
        Tab("", "State", "database", "14 tables"),
        Tab("migrations", "Migrations", "git-branch", f"{pending} pending" if pending else None),
        Tab("drift", "Drift", "triangle-alert", "4"),
        Tab("timeline", "Timeline", "history"),
        Tab("backups", "Backups", "archive", "5"),
        Tab("jobs", "Jobs", "list-checks"),
    )


def facts(ref: EnvironmentRef, mark: Mark) -> tuple[Fact, ...]:
    """What the header says about an environment."""
    return (
        Fact("Verdict", mark=mark),
        Fact("At", REVISIONS[11], mono=True),
        Fact("Head of build #48", HEAD, mono=True),
        Fact("Schema", mark=Mark("drift", "4 differences")),
        Fact("Server", "PostgreSQL 17.6, primary"),
        Fact("Address", f"db-{ref.name}-1.clinic.internal:5432"),
        Fact("Database and role", f"clinic_{ref.name} as clinic_migrator"),
        Fact("Identity", "7412093380512345678/16402", Mark("ok", "Pinned"), mono=True),
        Fact("Size", "38.6 GB"),
        Fact("Sessions", "41 of 200, 1 idle in transaction"),
        Fact("Verified backup", mark=Mark("ok", "Within 24 h"), moment=before(hours=2)),
        Fact("Runs", "build #47"),
    )


def production_head() -> EnvironmentHead:
    """Production: no reset, a rule, a closed button with its reason."""
    return EnvironmentHead(
        PRODUCTION,
        tabs(),
        facts(PRODUCTION, Mark("pending", "3 pending")),
        (
            Action("Back up", dialog_path(PRODUCTION, "backup"), "database-backup"),
            Action("Migrate…", dialog_path(PRODUCTION, "migrate"), "arrow-down-to-line", primary=True),
        ),
        check_now(PRODUCTION),
        before(seconds=12),
        0.084,
        "Every change here needs a verified backup and a typed name.",
        ("Reset is not offered on production.",),
    )


def dev_head() -> EnvironmentHead:
    """Development: reset is there, migrate is closed."""
    return EnvironmentHead(
        DEV,
        tabs(0),
        facts(DEV, Mark("ok", "In sync")),
        (
            Action("Back up", dialog_path(DEV, "backup"), "database-backup"),
            Action(
                "Migrate…",
                dialog_path(DEV, "migrate"),
                "arrow-down-to-line",
                closed="Nothing is pending.",
            ),
            Action("Reset…", dialog_path(DEV, "reset"), "eraser", danger=True),
        ),
        check_now(DEV),
        before(seconds=12),
        0.084,
    )


def staging_head() -> EnvironmentHead:
    """Staging: unreachable, with a job running."""
    return EnvironmentHead(
        STAGING,
        tabs(),
        facts(STAGING, Mark("down", "Unreachable"))[:6],
        (
            Action(
                "Back up",
                dialog_path(STAGING, "backup"),
                "database-backup",
                closed="Job 1042 runs on this database.",
            ),
        ),
        check_now(STAGING),
        before(minutes=90),
        None,
        unreachable=ErrorView(
            503,
            "The database cannot be reached",
            'connection to server at "db-staging-1.clinic.internal" (10.20.6.11), port 5432 failed: '
            "Connection refused",
            "Check that the server runs and that this host may reach it. It is tried again every minute.",
        ),
        job=RunningJob(1042, "61 %, waiting for a lock", 61, Mark("wait", "waiting")),
    )


def state() -> StateTab:
    """Tables of a clinic."""
    names = (
        ("appointments", 9_412_033, 4_812_000_000, 2_100_000_000),
        ("audit_log", 31_204_882, 12_904_000_000, 3_400_000_000),
        ("users", 1_204_311, 410_000_000, 220_000_000),
        ("invoices", 822_140, 302_000_000, 104_000_000),
        ("memberships", 18_233, 4_100_000, 2_200_000),
        ("tenants", 318, 163_840, 65_536),
        ("roles", 12, 49_152, 32_768),
        ("never_analyzed", -1, 8_192, 16_384),
    )
    largest = max(size for _, _, size, _ in names)
    tables = tuple(
        TableRow(
            "public",
            name,
            rows,
            size,
            index,
            round(size * 100 / largest),
            None if rows < 0 else (size % 97) / 10,
            before(hours=size % 40) if rows > 1000 else None,
            Mark("pending", "changes") if name == "users" else None,
        )
        for name, rows, size, index in sorted(names, key=lambda item: -item[2])
    )
    here = PRODUCTION.path
    return StateTab(
        (
            Fact("Version", "PostgreSQL 17.6 on aarch64"),
            Fact("Up since", moment=before(days=41)),
            Fact("Size", "38.6 GB"),
            Fact("Sessions", "41 of 200"),
            Fact("Encoding", "UTF8, en_US.utf8"),
            Fact("Read-only", "no"),
        ),
        (
            Column("Table", f"{here}?sort=name"),
            Column("Rows", f"{here}?sort=rows", numeric=True),
            Column("Size", f"{here}?sort=size", "descending"),
            Column("Indexes", f"{here}?sort=indexes", numeric=True),
            Column("Dead", numeric=True),
            Column("Vacuumed"),
        ),
        tables,
        214,
        (
            Extension("citext", "1.6"),
            Extension("pg_stat_statements", "1.10", "1.11"),
            Extension("plpgsql", "1.0"),
        ),
        before(seconds=12),
    )


DIGEST = "7d1f0c9be43a5568fe01" * 3 + "c402"


def backups() -> BackupsTab:
    """One backup of each kind."""
    verify = Action(
        "Verify", addresses.new_job("clinic", "production", "verify", backup="b2"), "shield-check"
    )
    return BackupsTab(
        (
            BackupRow(
                "b1",
                before(hours=2),
                Mark("ok", "Verified"),
                "Restored, 14 tables, 41,204,118 rows equal",
                6_871_000_000,
                DIGEST,
                (REVISIONS[11],),
                422.0,
                "schedule",
                True,
                1033,
            ),
            BackupRow(
                "b2",
                before(hours=26),
                Mark("unknown", "Not verified"),
                "Nobody has restored it yet",
                6_870_000_000,
                DIGEST,
                (REVISIONS[11],),
                418.2,
                "asked by Ana Ruiz",
                False,
                1021,
                (verify,),
            ),
            BackupRow(
                "b3",
                before(days=3),
                Mark("failed", "Verification failed"),
                "Row counts differ in appointments",
                6_640_000_000,
                DIGEST,
                (REVISIONS[10],),
                411.0,
                "before",
                False,
                987,
                (
                    Action(
                        "Verify",
                        addresses.new_job("clinic", "production", "verify", backup="b3"),
                        "shield-check",
                        closed="The file's digest is not the manifest's.",
                    ),
                ),
            ),
        ),
        Mark("ok", "Rule met: verified within 24 h"),
        "s3://acme-backups/cleanstart, encrypted",
        (Action("Back up now", dialog_path(PRODUCTION, "backup"), "database-backup"),),
    )


def environment_page(tab: TabName, head: EnvironmentHead | None = None, **content: object) -> EnvironmentPage:
    """A tab of an environment."""
    chosen: dict[str, object] = {
        "": {"state": state()},
        "migrations": {"migrations": migrations()},
        "drift": {"drift": drift()},
        "timeline": {"timeline": timeline()},
        "backups": {"backups": backups()},
        "jobs": {"jobs": JobsTab(job_rows(), Pages("8 of 8"))},
    }
    values = content or chosen[tab]
    assert isinstance(values, dict)
    return EnvironmentPage(head or production_head(), tab, **values)
