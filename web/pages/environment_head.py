"""What every tab of an environment shows first: facts of the last look, and what the person can do about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from web.access.permissions import Principal, may
from web.config import Environment
from web.dashboard import Dashboard
from web.inspection.environment import View
from web.inspection.gate import backup_needed
from web.jobs.kind import AnyKind
from web.operations.starting import held_back_by
from web.pages import addresses, words
from web.pages.presenting import (
    backup_mark,
    ref,
    running_job,
    second_mark,
    stored_error,
    verdict_mark,
)
from web.pages.views.environment import EnvironmentHead, Tab
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Fact, Link, Mark

#: Kinds with a place of their own: looking is always there, the others belong to a row or a tab.
ELSEWHERE = frozenset(
    {"observe", "verify", "rehearse", "pin", "plan-revert", "revert", "adopt", "stamp", "compare"}
)
ICONS = {
    "adopt": "git-branch",
    "revert": "history",
    "backup": "archive",
    "migrate": "arrow-down-to-line",
    "reset": "eraser",
    "verify": "shield-check",
}
ONE_CLICK = frozenset({"backup"})


def environment_head(
    board: Dashboard, who: Principal | None, seen: View, moment: datetime
) -> EnvironmentHead:
    """The head; without a person (in a stream, where it is the same for all) it has no actions."""
    environment = seen.environment
    observation = seen.observation
    record = seen.record
    job = record.job if record and record.job and record.job.kind != "observe" else None
    production = environment.tier == "production"
    reset = board.kinds.by_name.get("reset")
    return EnvironmentHead(
        environment=ref(environment),
        tabs=_tabs(seen),
        facts=_facts(seen, moment),
        actions=_actions(board, who, seen) if who else (),
        check=_check(who, seen),
        observed_at=observation.observed_at if observation else None,
        rule="Changes here need a rehearsal, a verified backup and the typed name." if production else None,
        no_reset=f"No reset here: {reason}"
        if reset and (reason := reset.available(environment)) is not None
        else None,
        unreachable=_unreachable(environment, observation.error)
        if observation and observation.error
        else None,
        job=running_job(job, board.kinds),
    )


def _unreachable(environment: Environment, error: Mapping[str, str]) -> ErrorView:
    """Why it was not reached; where another database answered, the way to pin that one."""
    shown = stored_error(error)
    if "found" not in error:
        return shown
    place = addresses.new_job(environment.project, environment.name, "pin", identity=error["found"])
    return replace(shown, links=(Link("Pin the new database…", place),))


def _tabs(seen: View) -> tuple[Tab, ...]:
    observation = seen.observation
    pending, unknown = len(seen.verdict.pending), len(seen.verdict.unknown)
    drift = observation.drift if observation else None
    said = f"{pending} pending" if pending else f"{unknown} unknown" if unknown else None
    return (
        Tab(
            "",
            "State",
            "activity",
            words.plural(seen.table_count, "table") if seen.table_count is not None else None,
        ),
        Tab("migrations", "Migrations", "git-branch", said),
        Tab(
            "drift",
            "Drift",
            "arrow-up-down",
            words.plural(drift.count, "difference") if drift and drift.count else None,
        ),
        Tab("timeline", "Timeline", "history"),
        Tab("backups", "Backups", "archive"),
        Tab("jobs", "Jobs", "list-checks"),
    )


def _facts(seen: View, moment: datetime) -> tuple[Fact, ...]:
    observation, record, verdict = seen.observation, seen.record, seen.verdict
    if observation is None:
        return ()
    found = [Fact("Migrations", mark=verdict_mark(verdict), value="")]
    if observation.revisions or observation.version_table:
        found.append(
            Fact(
                "Revision",
                ", ".join(words.short(each) for each in observation.revisions) or "none",
                mono=True,
            )
        )
    second = second_mark(verdict, observation)
    drift = observation.drift
    found.append(
        Fact(
            "Schema",
            mark=second
            if second and second.status == "drift"
            else Mark("ok" if drift.state == "none" else "unknown", drift.words),
        )
    )
    if observation.database:
        found.append(Fact("Database", observation.database, mono=True))
    if observation.host:
        found.append(Fact("Server", observation.host, mono=True))
    if observation.server_version:
        major, minor = divmod(observation.server_version, 10_000)
        found.append(Fact("PostgreSQL", f"{major}.{minor}"))
    if record and record.identity:
        found.append(Fact("Identity", record.identity, mono=True))
    if facts := seen.facts:
        found += [Fact("Size", words.size(facts.size)), Fact("Sessions", f"{facts.sessions.total}")]
    if record and record.build:
        found.append(Fact("Runs", f"build #{record.build.number}", moment=record.build.recorded_at))
    backup = backup_mark(seen.environment, record, backup_needed(seen.environment), moment)
    if backup:
        found.append(Fact("Backup", mark=Mark(backup.status, backup.words.removeprefix("backup "))))
    return tuple(found)


def _check(who: Principal | None, seen: View) -> Action:
    environment = seen.environment
    allowed = who is None or may(who, "observe", environment.project)
    return Action(
        "Check now",
        addresses.start_job(environment.project, environment.name, "observe"),
        "refresh-cw",
        method="post",
        closed=None if allowed else "Your role does not allow it.",
    )


def _actions(board: Dashboard, who: Principal, seen: View) -> tuple[Action, ...]:
    return tuple(
        job_action(kind, who, seen)
        for kind in board.kinds.all
        if kind.name not in ELSEWHERE and kind.available(seen.environment) is None
    )


def job_action(
    kind: AnyKind, who: Principal, seen: View, *, text: str | None = None, **query: str | int | None
) -> Action:
    """The button for a kind of job here, with the reason next to it where it is closed."""
    project, name = seen.environment.project, seen.environment.name
    at_once = kind.name in ONE_CLICK
    return Action(
        text or _words(kind, seen, "" if at_once else "…"),
        addresses.start_job(project, name, kind.name)
        if at_once
        else addresses.new_job(project, name, kind.name, **query),
        ICONS.get(kind.name, "list-checks"),
        method="post" if at_once else "dialog",
        primary=kind.name == "migrate" and bool(seen.verdict.pending),
        danger=kind.destructive,
        closed=_closed(kind, who, seen),
    )


def _words(kind: AnyKind, seen: View, dots: str) -> str:
    count = len(seen.verdict.pending)
    if kind.name == "migrate" and count:
        return f"Apply {words.plural(count, 'migration')}{dots}"
    return f"{kind.verb}{dots}"


def _closed(kind: AnyKind, who: Principal, seen: View) -> str | None:
    """Why the button is closed; a destructive one opens all the same, because its dialog tells more."""
    record = seen.record
    if not may(who, kind.permission, seen.environment.project):
        return "Your role does not allow it."
    if kind.mutating and (record is None or not record.pinned):
        return "Check the environment once: that pins which database it is."
    if kind.mutating and record and record.job and record.job.kind != "observe":
        return f"Job {record.job.id} is running here."
    if kind.name == "migrate":
        if not seen.verdict.pending:
            return "Nothing is pending."
        held = held_back_by(kind, seen)
        if held:
            return f"{held[0].title}: {held[0].detail or held[0].state}. {held[0].way}"
    return None
