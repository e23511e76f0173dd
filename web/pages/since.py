"""What became of a project since its clean start, as its page shows it."""

from __future__ import annotations

from datetime import datetime

from web import addresses, words
from web.access.approval_requests import person
from web.clean_start.since import EnvironmentSince, SinceThen
from web.config import Project
from web.observation.revision_changes import RevisionChange
from web.pages.views.marks import Fact, Link, Mark
from web.pages.views.project import EnvironmentSince as Shown
from web.pages.views.project import SincePanel
from web.starting.operation import Operations


def since_panel(
    since: SinceThen | None, kinds: Operations, project: Project, moment: datetime
) -> SincePanel | None:
    """The panel; None: no clean start of the project is done."""
    if since is None:
        return None
    return SincePanel(
        since.done_at,
        Link("Report", addresses.clean_start_report(project.name, since.run_id)),
        tuple(_facts(since, moment)),
        tuple(_shown(each, kinds, project, moment) for each in since.environments),
    )


def _facts(since: SinceThen, moment: datetime) -> list[Fact]:
    took = (
        (since.seconds_before, "before"),
        (since.seconds_then, "with the baseline"),
        (
            since.seconds_now,
            f"as surveyed {words.ago(since.measured_at, moment)}" if since.measured_at else "",
        ),
    )
    told = ", ".join(f"{words.duration(seconds)} {when}" for seconds, when in took if seconds is not None)
    return [
        Fact("Migrations since", str(since.migrations) if since.migrations is not None else "not known"),
        Fact("From empty to head", told or "not measured"),
    ]


def _shown(each: EnvironmentSince, kinds: Operations, project: Project, moment: datetime) -> Shown:
    change = each.change
    return Shown(
        Link(each.environment, addresses.environment(project.name, each.environment)),
        _drift(each, moment),
        _by_whom(change) if change is not None else None,
        change.words if change is not None else "",
        change.at if change is not None else None,
        tuple(
            Link(f"job {job.id}, {kinds.title(job.kind)}", addresses.job(job.id))
            for job in (change.jobs if change is not None else ())
        ),
    )


def _drift(each: EnvironmentSince, moment: datetime) -> Mark:
    if each.without_drift_since is not None:
        days = (moment - each.without_drift_since).days
        return Mark(
            "ok", f"{words.plural(days, 'day')} without drift" if days else "Under a day without drift"
        )
    if each.drift == "drifted":
        return Mark("drift", "Drifted")
    return Mark("unknown", "Drift not known")


def _by_whom(change: RevisionChange) -> Mark:
    match change.cause:
        case "nobody":
            return Mark("drift", "By nobody we know")
        case "not known":
            return Mark("unknown", "Not known by whom")
        case "pinned":
            return Mark("warn", "Another database was pinned")
        case "job":
            return Mark("ok", f"By {person(change.jobs[-1].requested_by)}")
