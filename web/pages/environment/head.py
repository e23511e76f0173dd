"""What every tab of an environment shows first: facts of the last look, and what the person can do about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import cast

from web import addresses, words
from web.access.permissions import Principal, may
from web.answers.environment import View
from web.answers.gate import backup_needed, way_out
from web.config import Environment
from web.dashboard import Dashboard
from web.observation.records import JobGlance, Record
from web.pages.presenting import (
    backup_mark,
    ref,
    running_job,
    stored_error,
    summary_mark,
)
from web.pages.views.environment.head import DoubtNote, EnvironmentHead, Tab, Unseen
from web.pages.views.errors import ErrorView
from web.pages.views.marks import Action, Fact, Link, Mark, Status
from web.starting.operation import AnyOperation, Before, ButtonPlace, Operations


def environment_head(
    board: Dashboard, who: Principal | None, seen: View, moment: datetime
) -> EnvironmentHead:
    """The head; without a person (in a stream, where it is the same for all) it has no actions."""
    environment = seen.environment
    observation = seen.observation
    record = seen.record
    production = environment.tier == "production"
    return EnvironmentHead(
        environment=ref(environment),
        tabs=_tabs(seen),
        facts=_facts(seen, moment),
        actions=_actions(board, who, seen) if who else (),
        check=check_action(board.kinds, who, environment, "Check now"),
        observed_at=observation.observed_at if observation else None,
        rule="Changes here need a rehearsal, a verified backup and the typed name." if production else None,
        missing=tuple(
            f"No {kind.title.lower()} here: {reason}"
            for kind, offer in board.kinds.at("environment")
            if not offer.hidden and (reason := kind.available(environment)) is not None
        ),
        unreachable=_unreachable(board.kinds, environment, observation.error)
        if observation and observation.error
        else None,
        job=running_job(told_job(record), board.kinds),
        unseen=_unseen(board.kinds, record),
        doubts=doubt_notes(record),
    )


def _unseen(kinds: Operations, record: Record | None) -> Unseen | None:
    """The job whose end no look has come after, so that nothing below is what is there now."""
    if record is None or (job := record.unseen) is None:
        return None
    return Unseen(kinds.title(job.kind), Link(f"job {job.id}", addresses.job(job.id)), job.finished_at)


def told_job(record: Record | None) -> JobGlance | None:
    """The job that runs on an environment, where people are told of it."""
    job = record.job if record is not None else None
    return None if job is None or job.observes else job


def doubt_notes(record: Record | None, who: Principal | None = None) -> tuple[DoubtNote, ...]:
    """What is in doubt, as the head of every tab and every dialog say it, with the next step.

    With a person, the way to settle it is among them for who may; the head has it beside its other actions.
    """
    if record is None:
        return ()
    may_settle = who is not None and may(who, "settle", record.project)
    return tuple(
        DoubtNote(
            Mark("unknown", f"How job {each.job_id} ({each.kind}) ended is not known.")
            if each.sort == "outcome not known"
            else Mark("warn", f"Job {each.job_id} ({each.kind}) is half done."),
            each.what,
            way_out((each,)),
            each.opened_at,
            Link(f"Open job {each.job_id}", addresses.job(each.job_id)),
            Link("Settle it…", addresses.settlement(record.project, record.name, each.job_id))
            if may_settle
            else None,
        )
        for each in record.doubts
    )


def _unreachable(kinds: Operations, environment: Environment, error: Mapping[str, str]) -> ErrorView:
    """Why it was not reached; where another database answered, the way to take that one."""
    shown = stored_error(error)
    if "found" not in error:
        return shown
    names = environment.project, environment.name
    links = (
        Link(offer.words, addresses.new_job(*names, kind.name, identity=error["found"]))
        for kind, offer in kinds.at("another database")
    )
    return replace(shown, links=tuple(links))


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
    observation, record = seen.observation, seen.record
    if observation is None:
        return ()
    found = [Fact("State", mark=summary_mark(seen.summary), value="")]
    outdated = record is not None and record.unseen is not None
    if not outdated and (observation.revisions or observation.version_table):
        found.append(
            Fact(
                "Revision",
                ", ".join(words.short(each) for each in observation.revisions) or "none",
                mono=True,
            )
        )
    drift = observation.drift
    found.append(Fact("Schema", mark=Mark(cast(Status, drift.status), drift.words)))
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


def check_action(kinds: Operations, who: Principal | None, environment: Environment, text: str) -> Action:
    """The button that has an environment looked at now."""
    kind = kinds.check
    allowed = who is None or may(who, kind.permission, environment.project)
    return Action(
        text,
        addresses.start_job(environment.project, environment.name, kind.name),
        "refresh-cw",
        method="post",
        closed=None if allowed else "Your role does not allow it.",
    )


def _actions(board: Dashboard, who: Principal, seen: View) -> tuple[Action, ...]:
    environment = seen.environment
    settling = (
        Action(
            f"Settle what job {doubt.job_id} left…",
            addresses.settlement(environment.project, environment.name, doubt.job_id),
            "shield-check",
        )
        for doubt in (seen.record.doubts if seen.record else ())
        if may(who, "settle", environment.project)
    )
    kinds = (
        job_action(kind, who, seen, text=offer.words)
        for kind, offer in board.kinds.at("environment")
        if kind.available(environment) is None
    )
    archived = (
        actions_at(board.kinds, "archived history", who, seen)
        if seen.verdict.standing == "before the clean start"
        else ()
    )
    return (*settling, *archived, *kinds)


def actions_at(
    kinds: Operations,
    place: ButtonPlace,
    who: Principal,
    seen: View,
    *,
    made: bool = False,
    **query: str | int | None,
) -> tuple[Action, ...]:
    """The buttons of a place. `made`: what they make is there already; `query` fills in what stands beside them."""
    return tuple(
        job_action(kind, who, seen, text=(made and offer.again) or offer.words, chosen=query)
        for kind, offer in kinds.at(place)
        if kind.available(seen.environment) is None
        and not (offer.hidden and not may(who, kind.permission, seen.environment.project))
    )


def job_action(
    kind: AnyOperation,
    who: Principal,
    seen: View,
    *,
    text: str = "",
    before: Before | None = None,
    chosen: Mapping[str, str | int | None] = MappingProxyType({}),
) -> Action:
    """The button for a kind of job here, with the reason next to it where it is closed.

    `before` is what its dialog would show, where the page has read that; `chosen` is filled in there.
    """
    project, name = seen.environment.project, seen.environment.name
    return Action(
        text or f"{kind.button_words(seen)}{'' if kind.at_once else '…'}",
        addresses.start_job(project, name, kind.name)
        if kind.at_once
        else addresses.new_job(project, name, kind.name, **chosen),
        kind.icon,
        method="post" if kind.at_once else "dialog",
        primary=kind.primary(seen),
        danger=kind.destructive,
        closed=_closed(kind, who, seen, before),
    )


def _closed(kind: AnyOperation, who: Principal, seen: View, before: Before | None) -> str | None:
    """Why the button is closed; a destructive one opens all the same, because its dialog tells more."""
    record = seen.record
    if not may(who, kind.permission, seen.environment.project):
        return "Your role does not allow it."
    if kind.mutating and (record is None or not record.pinned):
        return "Check the environment once: that pins which database it is."
    if kind.mutating and (job := told_job(record)) is not None:
        return f"Job {job.id} is running here."
    if before is not None and before.held_by:
        return f"{before.held_by[0].title}. {before.held_by[0].way}"
    return kind.closed(seen)
