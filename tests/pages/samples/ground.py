"""What all sample views stand on: the moment, the names, the surroundings."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from web import addresses
from web.config import Tier
from web.pages.views.environment.head import TabName
from web.pages.views.errors import ErrorView
from web.pages.views.marks import EnvironmentRef, Link, Mark
from web.pages.views.shell import Notice, Person, RailEnvironment, RailProject, Section, Shell, Theme

NOW = datetime(2026, 11, 21, 10, 42, 9, 120000, tzinfo=UTC)


TIERS: tuple[Tier, ...] = ("development", "staging", "production")


DEV = EnvironmentRef("clinic", "dev", "development")


STAGING = EnvironmentRef("clinic", "staging", "staging")


PRODUCTION = EnvironmentRef("clinic", "production", "production")


#: Names that break careless pages: markup, quotes, emoji, right-to-left, and no place to wrap.
HOSTILE = (
    "<script>alert(1)</script>",
    "\"><img src=x onerror='alert(2)'>",
    "a'b\"c`d&e</textarea>{{ 7*7 }}",
    "🦄 naïve مرحبا ‮reversed",
    "x" * 180,
    "../../etc/passwd?a=b#c%2F",
)


def before(**span: float) -> datetime:
    """A moment that long ago."""
    return NOW - timedelta(**span)


def revision(number: int) -> str:
    """A believable revision id."""
    return f"{0x1C7F5E8D2A46 + number * 0x3F1B2C9D7E11 & 0xFFFFFFFFFFFF:012x}"


REVISIONS = tuple(revision(number) for number in range(15))


HEAD = REVISIONS[14]


def shell(
    address: str,
    *,
    section: Section = "none",
    here: str = "",
    crumbs: tuple[Link, ...] = (),
    environment: EnvironmentRef | None = None,
    theme: Theme = "",
    stream: str | None = None,
    notices: tuple[Notice, ...] = (),
    refusal: ErrorView | None = None,
    projects: tuple[RailProject, ...] | None = None,
) -> Shell:
    """The surroundings of a page."""
    rail = (
        RailProject(
            "clinic",
            "Clinic",
            Mark("pending", "3 pending"),
            tuple(
                RailEnvironment(ref, mark, here=ref == environment)
                for ref, mark in (
                    (DEV, Mark("ok", "in sync")),
                    (STAGING, Mark("running", "job running")),
                    (PRODUCTION, Mark("pending", "3 pending")),
                )
            ),
            open=True,
        ),
        RailProject("billing", "Billing", Mark("ahead", "one environment ahead")),
        RailProject("lab", "Lab", Mark("drift", "one environment drifted")),
        RailProject("notify", "Notify", Mark("down", "one environment unreachable")),
        RailProject("portal", "Portal", Mark("ok", "in sync")),
    )
    return Shell(
        csrf_token="csrf-sample",
        address=address,
        person=Person("Ana Ruiz", "operator of clinic, lab"),
        theme=theme,
        section=section,
        projects=rail if projects is None else projects,
        crumbs=crumbs,
        here=here,
        tier=environment.tier if environment else None,
        stream=stream,
        running_jobs=1,
        notices=notices,
        refusal=refusal,
    )


def at(ref: EnvironmentRef, tab: TabName = "") -> Shell:
    """The surroundings of an environment's page."""
    return shell(
        addresses.environment(ref.project, ref.name, tab),
        section="project",
        here=ref.name,
        crumbs=(Link("Overview", "/"), Link(ref.project, addresses.project(ref.project))),
        environment=ref,
        stream=addresses.environment_stream(ref.project, ref.name),
    )


NO_WORKER = Notice(
    Mark("warn", "No worker is alive."),
    "Jobs stay queued until one runs.",
    Link("See the workers", addresses.settings()),
)


def dialog_path(ref: EnvironmentRef, kind: str) -> str:
    return addresses.new_job(ref.project, ref.name, kind)
