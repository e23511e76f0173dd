"""What a clean start shows: a survey, a baseline, a cut-over."""

from __future__ import annotations

from tests.pages.samples.drift import drift
from tests.pages.samples.ground import DEV, PRODUCTION, REVISIONS, STAGING, before
from web import addresses
from web.answers.strategy import STRATEGIES
from web.cutover.tasks import NoPublicUrl
from web.pages.presenting import error_view
from web.pages.views.baseline import BaselinePage, LookupTable, ReplacedMigration, RowsForm
from web.pages.views.cut_over import CutOverPage, FoundGroup, FoundPlace, ShownFile, ShownTask
from web.pages.views.marks import Action, Check, Fact, Mark
from web.pages.views.survey import SurveyedRow, SurveyPage


def survey(*, messy: bool = True) -> SurveyPage:
    """A survey of a project."""
    rows = (
        SurveyedRow(
            DEV,
            Mark("warn", "2 pending, 4 differences"),
            "9.4 MB",
            "about 12,400 rows",
            before(minutes=40),
            STRATEGIES["reset"],
            (
                "It is a development database, and its policy allows a reset.",
                "About 12,000 rows of its own go; a verified backup comes first.",
            ),
        ),
        SurveyedRow(
            STAGING,
            Mark("warn", "In sync, 3 differences"),
            "1.4 GB",
            "about 3.2 million rows",
            None,
            STRATEGIES["repair"],
            (
                "Its policy allows no reset: data are kept.",
                "Its schema has 3 differences from what its migrations give.",
            ),
        ),
        SurveyedRow(
            PRODUCTION,
            Mark("down", "Unreachable"),
            "size not known",
            "rows not known",
            None,
            STRATEGIES["leave out"],
            ("Nothing is known about it: the database could not be reached.",),
        ),
    )
    return SurveyPage(
        "clinic",
        "Clinic",
        Mark("ahead", "A clean start is recommended") if messy else Mark("ok", "The history can be kept"),
        (
            "2 migrations edited after being applied: 3f1c2a9b7d04, 6c08d4e7a1f9.",
            "Changes were made by hand: dev, staging differ from it.",
        )
        if messy
        else (
            "Its 3 migrations run from nothing to one head, and nobody has edited them: little would be won.",
        ),
        before(minutes=2),
        rows,
        (
            Fact("Migrations", "20"),
            Fact("Ends at", "6c08d4e7a1f9", mono=True),
            Fact("Begins with", "3f1c2a9b7d04, 2026-01-12 09:30:00 UTC"),
            Fact("From empty to head", "6.4 s"),
        ),
        (("extension", 2), ("function", 3), ("view", 1), ("policy", 2)) if messy else (),
        (("public.roles", 4), ("public.tenants", 1)) if messy else (),
        (("backend/docker-entrypoint.sh:14", "alembic upgrade"),) if messy else (),
        Mark("warn", "1 place may migrate at start-up")
        if messy
        else Mark("ok", "Nothing migrates at start-up"),
        Mark("warn", "The models differ in 22 places") if messy else None,
        "1 table, 12 columns, 9 indexes. No model knows public.legacy_import." if messy else "",
        ("S3 bucket clinic-documents", "Keycloak realm clinic") if messy else (),
        (
            Action(
                "Make a baseline…",
                addresses.new_project_job("clinic", "baseline"),
                "git-branch",
                primary=messy,
            ),
        ),
    )


def cut_over(*, done: bool = False) -> CutOverPage:
    """What migrates besides the dashboard."""
    groups = (
        FoundGroup(
            "start-up",
            "At start-up",
            (
                "Take it out: the application starts without migrating. One task for each deployment does it before.",
            ),
            (
                FoundPlace(
                    "backend/docker-entrypoint.sh:14",
                    'alembic upgrade head && exec "$@"',
                    "alembic upgrade, the image's ENTRYPOINT",
                    Mark("warn", "Runs then"),
                ),
                FoundPlace(
                    "backend/clinic/db.py:8",
                    "Base.metadata.create_all(engine)",
                    "create_all, the application",
                    Mark("unknown", "May run then"),
                ),
            ),
        ),
        FoundGroup(
            "by-hand",
            "By hand",
            ("Keep it for databases of your own; for the ones that are watched, press Migrate.",),
            (
                FoundPlace(
                    "Makefile:21",
                    "alembic upgrade head",
                    "alembic upgrade, a recipe",
                    Mark("wait", "By hand"),
                ),
            ),
        ),
    )
    return CutOverPage(
        1043,
        "clinic",
        "Clinic",
        Mark("ok", "Nothing migrates at start-up") if done else Mark("warn", "1 place at start-up"),
        412,
        before(minutes=2),
        () if done else groups,
        () if done else (("data/old.json", "larger than 1 MiB"),),
        0 if done else 3,
        ()
        if done
        else (
            Check(Mark("ok", "On dev, clinic_app can change no schema"), account="clinic_app owns nothing."),
            Check(
                Mark("blocked", "On production, clinic_app can change the schema"),
                account="clinic_app owns table public.users, table public.visits and 40 more.",
            ),
        ),
        (
            ShownTask(
                "compose",
                "Docker Compose",
                "A service that has to end well before the application starts.",
                (ShownFile("compose.migrate.yaml", "services:\n  migrate: {}\n"),),
                addresses.cut_over_task(1043, "compose"),
            ),
        )
        if done
        else (),
        None if done else error_view(NoPublicUrl()),
        (Action("Look again…", addresses.new_project_job("clinic", "cut-over"), "list-checks"),),
    )


def baseline(*, proven: bool = True) -> BaselinePage:
    """A baseline in place of a history."""
    return BaselinePage(
        1042,
        "clinic",
        "4f2a9c1b7e30",
        "backend/migrations/versions/4f2a9c1b7e30_baseline.py",
        "op.execute('SELECT 1')",
        Mark("ok", "Proven in a scratch database") if proven else Mark("failed", "Not proven"),
        "Run in an empty scratch database, it gave exactly the schema of clinic@head.",
        before(minutes=2),
        (
            Check(Mark("ok", "From nothing to clinic@head"), end="3.4 s"),
            Check(Mark("ok", "Down to empty, types included, and up again")),
        ),
        tuple(
            ReplacedMigration(
                revision,
                "users.tenant_id becomes NOT NULL",
                f"backend/migrations/versions/{revision}.py",
                f"backend/migrations/archive/2026-11-21/versions/{revision}.py" if proven else "",
            )
            for revision in REVISIONS
        ),
        "backend/migrations/archive/2026-11-21" if proven else "",
        against_head=() if proven else drift().groups,
        count=0 if proven else 4,
        left=() if proven else ("cast (text AS integer): Clean Start does not write a cast.",),
        rows=RowsForm(
            addresses.new_project_job("clinic", "baseline"),
            (("source", "head"), ("message", "baseline"), ("archive", "true")),
            (
                LookupTable("public.country", 249, carried=True),
                LookupTable("public.invoice_state", 5, carried=True),
                LookupTable('public."Odd name, with a comma"', 1, carried=False),
                LookupTable("public.patient", 9_840, carried=False),
            ),
            "4 tables held rows in clinic@head. Tick those that every database needs: countries, roles, states. "
            "The rows of 2 tables are not in this baseline.",
        ),
    )
