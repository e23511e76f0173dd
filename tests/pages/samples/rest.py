"""Audit, settings, errors, sign-in."""

from __future__ import annotations

from tests.pages.samples.ground import PRODUCTION, STAGING, before
from web import addresses
from web.pages.views.audit import AuditList, AuditRow
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Link, Mark, Option, Pages
from web.pages.views.settings import ProgramRow, Setting, SettingGroup, Settings, TokenRow, WorkerRow
from web.pages.views.sign_in import SignIn


def audit_list() -> AuditList:
    """The audit trail."""
    return AuditList(
        (
            AuditRow(
                2481,
                before(minutes=6),
                "Ana Ruiz",
                "Started migrate to build #48",
                "77b2aa90f1",
                STAGING,
                result=Mark("running", "Running"),
                evidence=Link("job 1042", addresses.job(1042)),
            ),
            AuditRow(
                2480,
                before(minutes=20),
                "Marek Novák",
                "Asked for migrate",
                "e34a01ff92",
                PRODUCTION,
                result=Mark("blocked", "Refused"),
            ),
            AuditRow(
                2479,
                before(hours=5),
                "ci",
                "Registered build #48",
                "2d19bb7758",
                None,
                "clinic",
                Mark("ok", "Allowed"),
                Link("build #48", addresses.build("clinic", 48)),
            ),
        ),
        Mark("ok", "Chain intact, 2,481 entries"),
        Pages("3 of 2,481", None, addresses.audit(before=2479)),
        projects=(Option("", "All projects", True), Option("clinic", "clinic")),
    )


def settings() -> Settings:
    """The configuration."""
    return Settings(
        "/etc/cleanstart/cleanstart.toml",
        "0.1.0",
        (
            SettingGroup(
                "store",
                (Setting("url", "env:CLEANSTART_STORE_URL", "cleanstart.toml:3", Mark("ok", "Readable")),),
            ),
            SettingGroup(
                "backups",
                (
                    Setting("location", "s3://acme-backups/cleanstart", "cleanstart.toml:9"),
                    Setting("keep", "last 7, daily 14, monthly 6", "cleanstart.toml:10"),
                    Setting("recipients", "none: backups are not encrypted", "default"),
                ),
            ),
            SettingGroup(
                "projects.clinic.environments.production",
                (
                    Setting(
                        "url",
                        "file:/run/secrets/clinic_production_url",
                        "cleanstart.toml:41",
                        Mark("failed", "Cannot be read"),
                    ),
                    Setting("approvals", "1", "cleanstart.toml:43"),
                ),
                "production",
            ),
        ),
        (
            WorkerRow(
                "worker-1",
                "app-1",
                4120,
                "0.1.0",
                Mark("ok", "Alive"),
                before(days=3),
                before(seconds=2),
                Mark("ok", "Namespaces of their own, by /usr/bin/bwrap"),
                (1042,),
            ),
            WorkerRow(
                "worker-2",
                "app-2",
                991,
                "0.1.0",
                Mark("failed", "Dead"),
                before(days=3),
                before(minutes=12),
                Mark("warn", "None: only projects with without_wall are run"),
            ),
        ),
        (
            TokenRow(
                "ci",
                "cs_4fa1",
                "viewer",
                "clinic",
                "Ana Ruiz",
                before(days=30),
                Mark("ok", "Valid"),
                before(hours=1),
            ),
            TokenRow(
                "old-ci",
                "cs_77b0",
                "operator",
                "*",
                "Ana Ruiz",
                before(days=300),
                Mark("cancelled", "Revoked"),
                expires_at=before(days=1),
            ),
        ),
        (
            ProgramRow("17.6", "/usr/lib/postgresql/17/bin", "system", True),
            ProgramRow("15.14", "/opt/pg15/bin", "configuration", False),
        ),
    )


def errors() -> dict[str, ErrorView]:
    """One error per status."""
    return {
        "401": ErrorView(
            401,
            "Sign in first",
            "This needs a signed-in person or a token.",
            "",
            None,
            (Link("Sign in", addresses.sign_in("/jobs")),),
        ),
        "403": ErrorView(
            403,
            "This operation is not allowed",
            "Your role on clinic is viewer; migrating needs operator.",
            "Ask an admin of clinic.",
        ),
        "404": ErrorView(
            404,
            "Not found",
            "There is no environment clinic/qa.",
            "The ones that exist are on the project's page.",
            None,
            (Link("Open clinic", addresses.project("clinic")),),
        ),
        "409": ErrorView(
            409,
            "Another job is running on this database",
            "Job 1042 (migrate on clinic/staging) is not finished; only one operation changes a database at a time.",
            "Wait for job 1042 or cancel it.",
            None,
            (Link("Open job 1042", addresses.job(1042)),),
        ),
        "422": ErrorView(422, "This cannot be done as asked", "`compression` is not one of zstd, gzip, lz4."),
        "429": ErrorView(
            429, "Too many attempts", "Five sign-ins failed within a minute.", "Try again in 48 s."
        ),
        "503": ErrorView(
            503,
            "The store cannot be reached",
            "The dashboard's own database does not answer.",
            "It is tried again with every request.",
            None,
            (Link("Try again", "/"),),
        ),
        "500": ErrorView(
            500,
            "Something went wrong here",
            "This is a bug, not something you did. Nothing is known to have been changed.",
            "Tell whoever runs the dashboard the reference.",
            "e-7f3a91c2",
        ),
    }


def sign_in(refused: bool = False) -> SignIn:
    """The sign-in page."""
    return SignIn(
        "csrf-sample",
        "/",
        "ana" if refused else "",
        ErrorView(401, "Name or password is wrong", "Nothing says which of the two.") if refused else None,
        "Demo: admin / demo",
    )
