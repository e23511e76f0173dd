"""Builds and the project they belong to."""

from __future__ import annotations

from tests.pages.samples.dialogs import pending
from tests.pages.samples.ground import DEV, HEAD, PRODUCTION, REVISIONS, STAGING, before, dialog_path
from tests.pages.samples.jobs import job_rows
from tests.pages.samples.overview import cell, migrating
from web import addresses
from web.pages.views.builds import BuildAnswer, BuildPage, BuildRow, BuildVerdict
from web.pages.views.marks import Action, Check, EnvironmentRef, Fact, Link, Mark, Track
from web.pages.views.project import EnvironmentSince, ProjectPage, SincePanel


def build_rows() -> tuple[BuildRow, ...]:
    """Three builds."""
    return (
        BuildRow("clinic", 48, "9d41f0e7c2ab55d1", (HEAD,), 15, before(hours=16), "ci", (STAGING,)),
        BuildRow("clinic", 47, "41c7b0299f10aa31", (REVISIONS[11],), 12, before(days=3), "ci", (PRODUCTION,)),
        BuildRow(
            "clinic",
            46,
            None,
            (REVISIONS[9], REVISIONS[8]),
            10,
            before(days=9),
            "Ana Ruiz",
            (),
            Mark("warn", "2 heads"),
        ),
    )


def build_page() -> BuildPage:
    """Build #48."""
    return BuildPage(
        "clinic",
        "Clinic",
        48,
        "9d41f0e7c2ab55d1",
        (HEAD,),
        15,
        before(hours=16),
        "ci",
        (
            BuildVerdict(
                DEV,
                Mark("ok", "Nothing pending"),
                Track(15),
                "at its head",
                addresses.build("clinic", 48, "dev"),
                before(seconds=12),
            ),
            BuildVerdict(
                STAGING,
                Mark("running", "2 pending, job runs"),
                Track(13, 2),
                "job 1042 at 61 %",
                addresses.build("clinic", 48, "staging"),
                before(seconds=12),
            ),
            BuildVerdict(
                PRODUCTION,
                Mark("pending", "3 pending"),
                Track(12, 3),
                "runs build #47",
                addresses.build("clinic", 48, "production"),
                before(seconds=12),
                True,
            ),
            BuildVerdict(
                EnvironmentRef("clinic", "eu", "production"),
                Mark("down", "Could not tell"),
                Track(0, lost=True),
                "unreachable",
                addresses.build("clinic", 48, "eu"),
                before(hours=2),
            ),
        ),
        BuildAnswer(
            PRODUCTION,
            Mark("pending", "3 pending"),
            "Yes, 3 migrations of build #48 are pending on production",
            f"Do not deploy yet. Production is at {REVISIONS[11]}; build #48 expects {HEAD}.",
            (
                Check(Mark("ok", "One head"), HEAD),
                Check(Mark("ok", "Production's revision is in this build")),
                Check(Mark("ok", "Migrations unchanged since applied"), "12 digests"),
                Check(Mark("ok", "Verified backup within 24 h"), "2 h ago"),
                Check(Mark("pending", "Nothing pending"), "3 pending"),
                Check(
                    Mark("drift", "No difference touches this build"),
                    "1 does",
                    "appointments lacks an index that no pending migration creates.",
                    Link("1 does", PRODUCTION.path + "/drift"),
                ),
            ),
            Mark("blocked", "Gate closed"),
            pending(),
            "As rehearsed 4 min ago",
            before(seconds=12),
            Action(
                "Check again", addresses.start_job("clinic", "production", "observe"), "refresh-cw", "post"
            ),
            (Action("Migrate…", dialog_path(PRODUCTION, "migrate"), "arrow-down-to-line", primary=True),),
            "cleanstart check clinic/production --build 48 --gate",
        ),
        "![build 48](https://db.acme.internal/projects/clinic/builds/48/environments/production/badge.svg)",
        Link("Build #47", addresses.build("clinic", 47)),
    )


def project_page() -> ProjectPage:
    """The clinic."""
    return ProjectPage(
        "clinic",
        "Clinic",
        (
            Fact("Source", "/srv/clinic", mono=True),
            Fact("Tool", "Alembic, backend/alembic.ini"),
            Fact("Migrations", "15, 1 head"),
            Fact("Head", HEAD, mono=True),
            Fact("Prelude", "database/extensions.sql", mono=True),
            Fact("Read", moment=before(minutes=3)),
        ),
        (
            cell("clinic", "dev", "development"),
            migrating(),
            cell("clinic", "production", "production", pending=3, also=Mark("drift", "4 differences")),
        ),
        build_rows(),
        job_rows()[:4],
        "cleanstart register-build clinic --number 48 --commit $GIT_COMMIT",
        problems=("database/versions/notes.py has no revision and is left out",),
        since=SincePanel(
            before(days=40),
            Link("Report", addresses.clean_start_report("clinic", 1)),
            (
                Fact("Migrations since", "4"),
                Fact(
                    "From empty to head", "4.2 s before, 0.6 s with the baseline, 0.8 s as surveyed 2 d ago"
                ),
            ),
            (
                EnvironmentSince(
                    Link("dev", addresses.environment("clinic", "dev")),
                    Mark("ok", "40 days without drift"),
                    Mark("ok", "By token deploy"),
                    f"{REVISIONS[11]} to {HEAD}",
                    before(days=2),
                    (Link("job 31, Migration", addresses.job(31)),),
                ),
                EnvironmentSince(
                    Link("staging", addresses.environment("clinic", "staging")), Mark("drift", "Drifted")
                ),
                EnvironmentSince(
                    Link("production", addresses.environment("clinic", "production")),
                    Mark("ok", "Under a day without drift"),
                    Mark("drift", "By nobody we know"),
                    f"{REVISIONS[11]} to {HEAD}",
                    before(hours=3),
                ),
            ),
        ),
    )
