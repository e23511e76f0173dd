"""The questions before a job starts."""

from __future__ import annotations

from tests.pages.samples.ground import DEV, HEAD, PRODUCTION, REVISIONS, before, dialog_path
from tests.pages.samples.history import HAZARD_DROP, HAZARD_LOCK, MESSAGES, statements
from web import addresses
from web.pages.views.dialogs import (
    Confirmation,
    Dialog,
    FateLine,
    Field,
    PendingMigration,
    ShownFate,
    TableFate,
    Target,
)
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Check, Fact, Link, Mark, Option

TARGET = Target(
    (
        Fact("Address", "db-dev.clinic.internal:5432"),
        Fact("Resolved to", "10.20.4.17", mono=True),
        Fact("Database", "clinic_dev, owner clinic_owner"),
        Fact("Identity", "7398221466021234567/16402", mono=True),
        Fact("Sessions", "2 others: web, psql of marek"),
        Fact("Last write", moment=before(minutes=4)),
    ),
    Mark("ok", "The pinned one"),
)


def pending() -> tuple[PendingMigration, ...]:
    """What a migrate would run."""
    return tuple(
        PendingMigration(
            REVISIONS[number],
            MESSAGES[number],
            f"database/versions/{REVISIONS[number]}.py",
            {13: (HAZARD_LOCK,), 14: (HAZARD_DROP,)}.get(number, ()),
            statements(number),
        )
        for number in (12, 13, 14)
    )


def reset_dialog(closed: bool = False, refused: bool = False) -> Dialog:
    """The reset of dev."""
    backup = (
        Check(
            Mark("failed", "Verified backup"),
            "26 h ago",
            "A reset here needs one younger than 1 h.",
            Link("Back up first", dialog_path(DEV, "backup")),
        )
        if closed
        else Check(
            Mark("ok", "Verified backup"),
            "12 min ago",
            "Restored into a scratch database, 14 tables, all row counts equal. The rule is: younger than 1 h.",
        )
    )
    return Dialog(
        DEV,
        addresses.start_job(DEV.project, DEV.name, "reset"),
        "Reset clinic/dev",
        "Empties the database and builds it again from its migrations. The last one took 12 s.",
        "Reset clinic_dev",
        "Keep the data",
        "eraser",
        danger=True,
        target=TARGET,
        fate=ShownFate(
            (
                FateLine("14 tables with their rows", "48,210 rows"),
                FateLine("Sequences and views", "9"),
                FateLine("Functions and types", "6"),
                FateLine("Recorded revision", HEAD),
            ),
            (
                FateLine("Database, roles and grants", "3 roles"),
                FateLine("Extensions", "pgcrypto, citext"),
                FateLine("Backups", "5"),
                FateLine("application code, object storage", "untouched"),
            ),
            tuple(
                TableFate(f"public.table_{number}", number * 1234, number * 81920)
                for number in range(9, 0, -1)
            ),
            5,
            before(minutes=4),
        ),
        checks=(
            backup,
            Check(Mark("ok", "No other job on this database")),
            Check(Mark("warn", "2 sessions will be ended"), "web, psql of marek"),
        ),
        fields=(
            Field(
                "seed", "Load the seed data afterwards", value="true", checked=True, hint="database/seed.sql"
            ),
        ),
        confirmation=Confirmation(
            "clinic_dev",
            "Type the database name",
            "clinic_prod" if refused else "",
            "That is not the name: clinic_prod is another database." if refused else None,
        ),
        hidden=(("seen_fingerprint", "abc"), ("confirmation_token", "once")),
        closed="Back up and verify first." if closed else None,
        refusal=ErrorView(422, "The typed name does not match", "Nothing was changed.") if refused else None,
    )


def migrate_dialog() -> Dialog:
    """The migrate of production."""
    return Dialog(
        PRODUCTION,
        addresses.start_job(PRODUCTION.project, PRODUCTION.name, "migrate"),
        "Migrate clinic/production",
        f"Applies 3 migrations, from {REVISIONS[11]} to {HEAD}.",
        "Apply 3 migrations",
        "Keep as it is",
        "arrow-down-to-line",
        target=TARGET,
        pending=pending(),
        pending_account="As rehearsed 4 min ago on PostgreSQL 17",
        checks=(
            Check(Mark("ok", "Verified backup"), "2 h ago"),
            Check(Mark("ok", "One head"), HEAD),
            Check(Mark("warn", "2 hazards"), "shown above"),
        ),
        confirmation=Confirmation("clinic/production", "Type the environment's name"),
        hidden=(("plan", "9f8e"),),
    )


def backup_dialog() -> Dialog:
    """A plain question."""
    return Dialog(
        DEV,
        addresses.start_job(DEV.project, DEV.name, "backup"),
        "Back up clinic/dev",
        "Dumps the database while it goes on working. About 212 MB; the last one took 6 s.",
        "Back up clinic_dev",
        "Leave it",
        "database-backup",
        target=TARGET,
        checks=(
            Check(Mark("ok", "pg_dump 17.6 fits the server")),
            Check(Mark("warn", "Not encrypted"), None, "No recipients are configured."),
        ),
        fields=(
            Field(
                "verify",
                "Verify it right afterwards",
                checked=True,
                hint="Restores it into a scratch database and compares.",
            ),
            Field(
                "compression",
                "Compression",
                "select",
                options=(Option("zstd", "zstd, fast", True), Option("gzip", "gzip")),
            ),
            Field("note", "Note", "text", error="At most 200 characters."),
        ),
    )


def verify_dialog() -> Dialog:
    """The verification of a backup."""
    return Dialog(
        PRODUCTION,
        addresses.start_job(PRODUCTION.project, PRODUCTION.name, "verify"),
        "Verify the backup of 20 Nov 08:30",
        "Restores it into a scratch database and compares schema and row counts. "
        "The environment itself is not touched.",
        "Verify this backup",
        "Leave it unverified",
        "shield-check",
        checks=(Check(Mark("blocked", "Scratch server of PostgreSQL 15"), "none found"),),
        hidden=(("backup", "b2"),),
        closed="No PostgreSQL 15 for scratch.",
    )
