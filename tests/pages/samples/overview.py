"""Overviews: one cell of each kind, calm, empty, and with five hundred environments."""

from __future__ import annotations

from tests.pages.samples.ground import HEAD, REVISIONS, STAGING, TIERS, before
from web import addresses
from web.config import Tier
from web.pages.views.marks import Action, EnvironmentRef, Link, Mark, Option, Track
from web.pages.views.overview import (
    AnswerPanel,
    AttentionItem,
    Cell,
    Filter,
    Matrix,
    Overview,
    ProjectRow,
    Question,
    RunningJob,
)


def cell(
    project: str,
    name: str,
    tier: Tier,
    *,
    pending: int = 0,
    ahead: int = 0,
    also: Mark | None = None,
    build: str | None = "build #47",
    backup: Mark | None = None,
    minutes: float = 0.4,
) -> Cell:
    """An environment in the overview, in sync where nothing else is said."""
    mark = (
        Mark("pending", f"{pending} pending")
        if pending
        else Mark("ahead", f"{ahead} ahead")
        if ahead
        else Mark("ok", "In sync")
    )
    return Cell(
        EnvironmentRef(project, name, tier),
        mark,
        revisions=(REVISIONS[max(0, 14 - pending)],),
        heads=(HEAD,) if pending or ahead else (),
        track=Track(15 - pending, pending, ahead),
        also=also,
        build=build,
        backup=backup or Mark("ok", "backup 2 h ago, verified"),
        observed_at=before(minutes=minutes),
    )


def migrating() -> Cell:
    """An environment on which a job runs."""
    return Cell(
        STAGING,
        Mark("running", "Migrating, 2 of 3"),
        (REVISIONS[12],),
        (HEAD,),
        Track(13, 2),
        job=RunningJob(1042, "61 %, waiting for a lock", 61, Mark("wait", "waiting")),
        build="build #48",
        backup=Mark("ok", "backup 6 min ago, verified"),
        observed_at=before(seconds=12),
    )


def unreachable() -> Cell:
    """An environment that does not answer."""
    return Cell(
        EnvironmentRef("notify", "dev", "development"),
        Mark("down", "Unreachable"),
        (REVISIONS[3],),
        track=Track(0, lost=True),
        reason="connection refused since 09:12",
        observed_at=before(minutes=90),
    )


def unknown_revision() -> Cell:
    """An environment at a revision that no file has."""
    return Cell(
        EnvironmentRef("notify", "staging", "staging"),
        Mark("unknown", "Unknown revision"),
        ("d4e09b71c2f5",),
        (REVISIONS[3],),
        Track(0, lost=True),
        reason="no file of the project has it",
        backup=Mark("ok", "backup 1 d ago, verified"),
        observed_at=before(seconds=40),
    )


def question() -> Question:
    """The question with an answer."""
    return Question(
        projects=(Option("clinic", "clinic", True), Option("billing", "billing"), Option("lab", "lab")),
        builds=(Option("48", "#48", True), Option("47", "#47"), Option("46", "#46")),
        environments=(
            Option("production", "production", True),
            Option("staging", "staging"),
            Option("dev", "dev"),
        ),
        answer=AnswerPanel(
            "about-clinic-production-48",
            Mark("pending", "Not yet: 3 migrations are pending"),
            f"Production is at {REVISIONS[11]}, build #48 expects {HEAD}.",
            ("The rehearsal found a hazard: ACCESS EXCLUSIVE on users, 1.2M rows",),
            before(seconds=12),
            Link("See all checks", addresses.build("clinic", 48, "production")),
        ),
    )


def attention() -> tuple[AttentionItem, ...]:
    """What needs a person."""
    return (
        AttentionItem(
            Mark("wait", "waiting"),
            "clinic/staging",
            "waits for a lock on users",
            "held for 41 s by pid 4711, app worker · job 1042",
            Link("Open job", addresses.job(1042)),
        ),
        AttentionItem(
            Mark("pending", "pending"),
            "clinic/production",
            "is 3 migrations behind build #48",
            "one takes ACCESS EXCLUSIVE on users, 1.2M rows",
            Link("Review build", addresses.build("clinic", 48)),
        ),
        AttentionItem(
            Mark("drift", "differs"),
            "lab / staging",
            "differs from its migrations in 4 places",
            "first seen yesterday 17:20",
            Link("Compare", addresses.environment("lab", "staging", "drift")),
        ),
        AttentionItem(
            Mark("down", "unreachable"),
            "notify / dev",
            "cannot be reached",
            "connection refused since 09:12, 90 min",
            Link("See error", addresses.environment("notify", "dev")),
        ),
        AttentionItem(
            Mark("warn", "overdue"),
            "lab / production",
            "has no verified backup for 9 days",
            "the rule for production is 24 hours",
            Link("Back up", addresses.environment("lab", "production", "backups")),
        ),
    )


CHECK_ALL = Action("Check all now", "/observations", "refresh-cw", "post")


def overview() -> Overview:
    """An overview with one cell of each kind."""
    overdue = Mark("warn", "backup 9 d ago, overdue")
    rows = (
        ProjectRow(
            "clinic",
            "Clinic",
            "15 migrations · Alembic",
            (
                (cell("clinic", "dev", "development", build=None),),
                (migrating(),),
                (cell("clinic", "production", "production", pending=3, also=Mark("drift", "2 differences")),),
            ),
        ),
        ProjectRow(
            "billing",
            "Billing",
            "31 migrations · Alembic",
            (
                (cell("billing", "dev", "development", ahead=2, build=None),),
                (cell("billing", "staging", "staging", build="build #211"),),
                (
                    cell("billing", "eu", "production", build="build #211"),
                    cell("billing", "us", "production", pending=1, build="build #210"),
                ),
            ),
        ),
        ProjectRow(
            "lab",
            "Lab",
            "22 migrations · Alembic",
            (
                (),
                (cell("lab", "staging", "staging", also=Mark("drift", "4 differences")),),
                (cell("lab", "production", "production", build="build #89", backup=overdue),),
            ),
            Mark("warn", "2 heads"),
        ),
        ProjectRow(
            "notify",
            "Notify",
            "9 migrations · Alembic",
            ((unreachable(),), (unknown_revision(),), (cell("notify", "production", "production"),)),
        ),
    )
    return Overview(
        4,
        11,
        attention(),
        Matrix(TIERS, rows),
        question(),
        CHECK_ALL,
        observed_at=before(minutes=90),
    )


def calm_overview() -> Overview:
    """An overview where nothing needs anybody."""
    rows = (
        ProjectRow(
            "portal",
            "Portal",
            "17 migrations · Alembic",
            (
                (cell("portal", "dev", "development", build="build #61"),),
                (cell("portal", "production", "production", build="build #61"),),
            ),
        ),
    )
    ask = Question((Option("portal", "portal", True),), (), (Option("dev", "dev", True),))
    return Overview(
        1,
        2,
        (),
        Matrix(("development", "production"), rows),
        ask,
        CHECK_ALL,
        observed_at=before(seconds=30),
    )


def large_overview(projects: int = 100) -> Overview:
    """An overview of five hundred environments."""
    rows = []
    for number in range(projects):
        name = f"service-{number:03d}"
        rows.append(
            ProjectRow(
                name,
                name,
                f"{number + 3} migrations",
                (
                    (
                        cell(name, "dev", "development", ahead=2 if number % 17 == 0 else 0),
                        cell(name, "qa", "development"),
                    ),
                    (
                        cell(
                            name,
                            "staging",
                            "staging",
                            pending=2 if number % 9 == 0 else 0,
                            also=Mark("drift", "1 difference") if number % 7 == 0 else None,
                        ),
                    ),
                    (
                        cell(name, "eu", "production", pending=3 if number % 11 == 0 else 0),
                        cell(
                            name,
                            "us",
                            "production",
                            backup=Mark("warn", "backup 3 d ago, overdue") if number % 13 == 0 else None,
                        ),
                    ),
                ),
            )
        )
    return Overview(
        projects,
        projects * 5,
        attention(),
        Matrix(TIERS, tuple(rows), dense=True),
        question(),
        CHECK_ALL,
        Filter(words=f"{projects * 5} environments"),
        observed_at=before(minutes=2),
    )


def no_projects() -> Overview:
    """The very first overview."""
    return Overview(0, 0, (), Matrix((), ()), config_file="/etc/cleanstart/cleanstart.toml")
