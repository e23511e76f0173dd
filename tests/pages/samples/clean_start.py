"""What a clean start shows: survey, baseline, the run with its steps, proofs, rehearsals, cut-over, report."""

from __future__ import annotations

from tests.pages.samples.drift import drift
from tests.pages.samples.ground import DEV, PRODUCTION, REVISIONS, STAGING, before
from web import addresses
from web.answers.strategy import STRATEGIES, Strategy
from web.cutover.tasks import NoPublicUrl
from web.pages.presenting import error_view
from web.pages.views.baseline import BaselinePage, LookupTable, ReplacedMigration, RowsForm
from web.pages.views.clean_start import (
    CleanStartPage,
    NoCleanStartPage,
    ProofPage,
    RehearsedPage,
    RehearsedRow,
    ReportPage,
    ShownComparison,
    ShownDifference,
    ShownEnvironment,
    ShownProof,
    ShownStep,
)
from web.pages.views.cut_over import CutOverPage, FoundGroup, FoundPlace, ShownFile, ShownTask
from web.pages.views.marks import Action, Check, EnvironmentRef, Fact, Link, Mark, Option
from web.pages.views.merge import MergedEnvironment, MergePage
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
            STRATEGIES["leave-out"],
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


def merge(*, proven: bool = True) -> MergePage:
    """A merge of two heads."""
    heads = (REVISIONS[-1], REVISIONS[-2])
    forth, back = ", then ".join(heads), ", then ".join(reversed(heads))
    return MergePage(
        1044,
        "clinic",
        "7c0d1f2e9b34",
        heads,
        "backend/migrations/versions/7c0d1f2e9b34_merge.py",
        "def upgrade() -> None:\n    pass",
        Mark("ok", "Proven in scratch databases") if proven else Mark("failed", "Not proven"),
        "On PostgreSQL 17 the schema is the same whichever of its branches comes first, from nothing, and before it."
        if proven
        else f"The branches do not commute: {back} gives another schema than {forth}, 4 differences, beginning with "
        "the column public.patient.note.",
        before(minutes=2),
        (
            Check(Mark("ok", f"{forth}, then the merge"), end="4.2 s"),
            Check(
                Mark("ok", f"{back}, then the merge: the same")
                if proven
                else Mark("failed", f"{back}, then the merge: 4 differences"),
                end="4.4 s",
            ),
            Check(Mark("ok", "From nothing to the merge"), end="3.9 s"),
            Check(Mark("ok", "Down to the heads, and up again"))
            if proven
            else Check(Mark("warn", "No way down"), account="The project's own template has no downgrade."),
        ),
        (
            MergedEnvironment("dev", DEV.path, heads[:1], before(minutes=3), (heads[1], "7c0d1f2e9b34")),
            MergedEnvironment("staging", STAGING.path, heads, before(minutes=3), ("7c0d1f2e9b34",)),
            MergedEnvironment("production", PRODUCTION.path, (), None, (), "It was not seen yet."),
        ),
        remarks=()
        if proven
        else ("It does not follow c, which another branch depends on: it is applied with that one.",),
        unlike="" if proven else "What the order of the branches changes",
        groups=() if proven else drift().groups,
        count=0 if proven else 4,
        actions=(
            Action(
                "Write it into the source…",
                addresses.new_project_job("clinic", "write-baseline", merge=1044),
                "git-branch",
                primary=True,
            ),
        )
        if proven
        else (),
    )


def chosen_environments(*, choosing: bool = True, begun: bool = True) -> tuple[ShownEnvironment, ...]:
    """What is done with each environment."""
    options = (
        Option("reset", "Reset", selected=True),
        Option("stamp", "Stamp"),
        Option("leave-out", "Leave out"),
    )
    chosen: tuple[tuple[EnvironmentRef, Strategy], ...] = (
        (DEV, "reset"),
        (STAGING, "repair"),
        (PRODUCTION, "stamp"),
    )
    return tuple(
        ShownEnvironment(
            each,
            STRATEGIES[strategy],
            ("It is a development database, and its policy allows a reset.",) if each is DEV else (),
            "The backup of 2026-11-21 09:58:03 UTC holds everything that was there." if begun else "",
            options if choosing else (),
        )
        for each, strategy in chosen
    )


def _proofs(*, changes: bool = True) -> tuple[ShownProof, ...]:
    return (
        ShownProof(Mark("ok", "It runs from nothing"), "3.4 s, before 6.4 s", 1042, before(minutes=4)),
        ShownProof(
            Mark("pending", "The models: 9 differences"),
            "",
            1042,
            None,
            "models:dfe7451acd" if changes else "",
        ),
        ShownProof(
            Mark("warn", "There is no way down"),
            "The project's own template has no downgrade.",
            None,
            None,
            "",
            "Accepted by Joy Okafor: nobody goes down.",
        ),
        ShownProof(Mark("failed", "clinic/dev is gone through without a backup"), "", None, None),
        ShownProof(Mark("running", "clinic/staging is being compared"), "", 1043, before(minutes=1)),
    )


def clean_start(*, at: int = 4, changes: bool = True, ended: str = "") -> CleanStartPage:
    """A run at one of its steps."""
    names = ("survey", "back-up", "baseline", "proof", "rehearsal", "apply", "cut-over", "report")
    titles = (
        "Survey",
        "Back up",
        "Make the baseline",
        "Prove it",
        "Rehearse and commit",
        "Apply it",
        "Cut over",
        "Report",
    )
    steps = tuple(
        ShownStep(
            number,
            name,
            title,
            "Everything is looked at and nothing is changed.",
            "ok" if number < at else "current" if number == at else "locked",
            Mark("ok", "Proven, 3 of 3")
            if number < at
            else Mark("pending", "2 of 5 proven")
            if number == at
            else Mark("queued", f"It opens after “{titles[at - 1]}”."),
            _proofs(changes=changes and number == at) if number <= at else (),
            (
                Action(
                    "Compare again",
                    addresses.clean_start_step("clinic", name, kind="prove-baseline"),
                    "list-checks",
                    method="post",
                    primary=True,
                    closed=None if changes else "Your role does not allow it.",
                ),
            )
            if number == at
            else (),
            (
                ShownDifference(
                    "0123456789",
                    "models: index public.bookings_tenant_idx removed",
                    "CREATE INDEX bookings_tenant_idx ON public.bookings USING btree (tenant_id) → nothing",
                ),
            )
            if number == at and changes
            else (),
            12 if number == at else 0,
            (Link("See the proof", addresses.proof(1042)),) if number == at else (),
            chooses=number == 1,
        )
        for number, (name, title) in enumerate(zip(names, titles, strict=True), start=1)
    )
    return CleanStartPage(
        "clinic",
        "Clinic",
        "Clean start of Clinic",
        "From 20 migrations to one fresh baseline. Each step opens when the proof of the one before it holds.",
        3,
        not ended,
        ended,
        before(minutes=50),
        "Ana Ruiz",
        steps,
        f"Step {at} of 8",
        at - 1,
        chosen_environments(choosing=changes),
        changes,
        False,
        bool(ended),
        (Link("21 Nov 2026, stopped", addresses.clean_start("clinic", 2)),),
    )


def no_clean_start(*, surveyed: bool = True) -> NoCleanStartPage:
    """A project without a run."""
    return NoCleanStartPage(
        "clinic",
        "Clinic",
        Mark("ahead", "A clean start is recommended") if surveyed else None,
        ("Changes were made by hand: staging differs from it.",) if surveyed else (),
        Link("Survey", addresses.survey(1041)) if surveyed else None,
        chosen_environments(begun=False) if surveyed else (),
        (Action("Survey…", addresses.new_project_job("clinic", "survey"), "activity", primary=not surveyed),),
        True,
    )


def report() -> ReportPage:
    """The report of a run."""
    return ReportPage(
        "clinic",
        "Clinic",
        3,
        Mark("ok", "Done"),
        (Fact("Migrations", "20 before, 1 now"), Fact("Baseline", "4f2a9c1b7e30", mono=True)),
        (
            (
                "production",
                STRATEGIES["stamp"],
                "Nothing is pending.",
                "Nothing but the version rows is changed.",
            ),
        ),
        (("Back up", _proofs(changes=False)),),
        (
            (
                "models: index public.bookings_tenant_idx removed",
                "The models never had it.",
                "Joy Okafor, 2026-11-21",
            ),
        ),
        ((before(minutes=5), "Joy Okafor", "Restamp on production", 1044),),
        ("S3 bucket clinic-documents",),
        "backend/migrations/archive/2026-11-21",
    )


def proof(*, equal: bool = False) -> ProofPage:
    """How everything stands to a baseline."""
    return ProofPage(
        "clinic",
        "4f2a9c1b7e30",
        Mark("ok", "Everything is equal") if equal else Mark("drift", "4 differences"),
        "Its file was run as it is in the source.",
        before(minutes=2),
        _proofs(changes=False)[:3],
        (
            ShownComparison("The old migrations", Mark("ok", "The same"), "", ()),
            ShownComparison(
                "clinic/staging", Mark("unknown", "Not compared"), "The database could not be reached.", ()
            ),
            ShownComparison(
                "clinic/dev",
                Mark("ok", "The same") if equal else Mark("drift", "4 differences"),
                "It lacks 2 old migrations, and was held against those that it has.",
                () if equal else drift().groups,
            ),
        ),
        None,
        (
            Link("See the baseline", addresses.baseline(1042)),
            Link("Clean start", addresses.clean_start("clinic")),
        ),
    )


def clean_start_rehearsal() -> RehearsedPage:
    """What was done to copies."""
    return RehearsedPage(
        "clinic",
        "4f2a9c1b7e30",
        before(minutes=2),
        Mark("failed", "It failed"),
        (
            RehearsedRow(
                "dev",
                STRATEGIES["reset"],
                Mark("ok", "1.0 s"),
                "",
                (("Restore the backup", "184 kB", "310 ms"), ("Run the baseline", "", "640 ms")),
                ("ALTER TABLE public.users DROP COLUMN by_hand",),
            ),
            RehearsedRow(
                "production",
                STRATEGIES["stamp"],
                Mark("failed", "Failed"),
                "The schema is not what the baseline gives: table public.users, owner, changed.",
                (("Restore the backup", "2.9 MB", "1.2 s"),),
                (),
            ),
        ),
    )
