"""From answers and jobs to the small values that all pages share. No page of its own, no queries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import cast

from web import addresses, words
from web.access.permissions import Principal, may
from web.answers.gate import Condition
from web.answers.summary import Summary
from web.answers.verdict import Verdict
from web.config import Configuration, Environment
from web.errors import CleanStartError, SeveralHeads
from web.jobs.reading import JobRecord
from web.observation.records import JobGlance, Record
from web.pages.views.errors import ErrorView
from web.pages.views.jobs import JobRow
from web.pages.views.marks import (
    JOB_MARKS,
    Action,
    Check,
    EnvironmentRef,
    Fact,
    Link,
    Mark,
    ProjectRef,
    Status,
    Track,
)
from web.pages.views.overview import RunningJob
from web.starting.operation import ButtonPlace, Operations


def environments(configuration: Configuration) -> dict[str, EnvironmentRef]:
    """The configured environments by label."""
    return {
        each.label: ref(each)
        for project in configuration.projects.values()
        for each in project.environments.values()
    }


def ref(environment: Environment) -> EnvironmentRef:
    """An environment as pages name it."""
    return EnvironmentRef(environment.project, environment.name, environment.tier)


def summary_mark(summary: Summary) -> Mark:
    """An environment in one word: the only mark that says how it stands."""
    return Mark(cast(Status, summary.status), summary.words)


def second_mark(verdict: Verdict) -> Mark | None:
    """The verdict that holds besides the first one and matters most."""
    also = [each for each in verdict.also if each != "in sync"]
    if also:
        return Mark("warn", also[0][0].upper() + also[0][1:])
    return None


def track(verdict: Verdict, total: int) -> Track | None:
    """Where a database stands on the line to the head; None: nobody knows."""
    if verdict.standing in ("unreachable", "not known", "never migrated") and not verdict.pending:
        return None
    if verdict.unknown:
        return Track(applied=0, lost=True)
    return Track(
        applied=max(0, total - len(verdict.pending)), pending=len(verdict.pending), ahead=len(verdict.beyond)
    )


def backup_mark(environment: Environment, record: Record | None, needed: bool, now: datetime) -> Mark | None:
    """The newest backup, whether a restore has proven it, and whether the environment's rule is met."""
    newest = record.backup if record else None
    if newest is None:
        return Mark("warn", "no backup") if needed else Mark("queued", "no backup")
    taken = f"backup {words.ago(newest.created_at, now)}"
    proven = newest.verified_created_at
    if needed and (proven is None or now - proven > environment.backup.max_age):
        return Mark("warn", f"{taken}, {'not verified' if proven is None else 'overdue'}")
    if newest.state == "failed verification":
        return Mark("failed", f"{taken}, verification failed")
    if newest.state != "verified":
        older = f"; the one of {words.ago(proven, now)} is" if proven else ""
        return Mark("unknown", f"{taken}, not verified{older}")
    return Mark("ok", f"{taken}, verified")


def project_actions(
    kinds: Operations,
    place: ButtonPlace,
    who: Principal,
    project: str,
    *,
    primary: bool = False,
    **query: str | int | None,
) -> tuple[Action, ...]:
    """The buttons of a place, of kinds that belong to a project; `query` fills in what stands beside them."""
    return tuple(
        Action(
            offer.words or f"{kind.verb}…",
            addresses.new_project_job(project, kind.name, **query),
            kind.icon,
            primary=primary,
            closed=None if may(who, kind.permission, project) else "Your role does not allow it.",
        )
        for kind, offer in kinds.at(place)
    )


def running_job(job: JobGlance | None, kinds: Operations) -> RunningJob | None:
    """An unfinished job as a cell shows it."""
    if job is None:
        return None
    mark = JOB_MARKS.get(job.state, Mark("unknown", job.state))
    percent = words.percent(job.done, job.total) if job.done is not None and job.total else None
    title = kinds.title(job.kind)
    said = f"{title}, {mark.words.lower()}" if job.state != "running" else title
    return RunningJob(job.id, f"{said}, {percent} %" if percent is not None else said, percent, mark)


def job_title(job: JobRecord, kinds: Operations) -> str:
    """What a job is called: `Backup of clinic/production`."""
    return f"{kinds.title(job.kind)} of {job.label}"


def job_parameters(job: JobRecord, kinds: Operations) -> tuple[Fact, ...]:
    """What a job was started with, in the words of the form that started it."""
    kind = kinds.by_name.get(job.kind)
    fields = kind.parameters.model_fields if kind else {}
    return tuple(
        Fact(
            (field.title if (field := fields.get(name)) else None) or name.replace("_", " ").capitalize(),
            "yes" if value is True else ", ".join(map(str, value)) if isinstance(value, list) else str(value),
        )
        for name, value in job.parameters.items()
        if value
    )


def where_of(job: JobRecord, known: Mapping[str, EnvironmentRef]) -> EnvironmentRef | ProjectRef:
    """What a job belongs to; an environment that is no longer configured keeps its name."""
    if job.environment is None:
        return ProjectRef(job.project)
    return known.get(job.label) or EnvironmentRef(job.project, job.environment, "development")


def job_row(job: JobRecord, kinds: Operations, tiers: Mapping[str, EnvironmentRef]) -> JobRow:
    """A job in a list; `tiers` are the configured environments by label."""
    seconds = None
    if job.started_at is not None:
        seconds = ((job.finished_at or datetime.now(UTC)) - job.started_at).total_seconds()
    return JobRow(
        number=job.id,
        mark=JOB_MARKS.get(job.state, Mark("unknown", job.state)),
        what=kinds.title(job.kind),
        where=where_of(job, tiers),
        requested_by=job.requested_by,
        requested_at=job.requested_at,
        started_at=job.started_at,
        seconds=seconds,
    )


def check(
    condition: Condition, *, warning: bool = False, now: datetime | None = None, link: Link | None = None
) -> Check:
    """A condition of a gate; `warning` is one that does not hold anything back here, `link` leads to what opens it."""
    status: Status = {"met": "ok", "not met": "blocked", "not known": "unknown"}[condition.state]  # type: ignore[assignment]
    if warning and condition.state == "not met":
        status = "warn"
    end = condition.detail
    if end and now is not None:
        end = _moment(end, now)
    return Check(Mark(status, condition.title), end=end or None, account=condition.way or None, link=link)


def _moment(text: str, now: datetime) -> str:
    """A time of the store's in people's words; any other text as it is."""
    try:
        return words.ago(datetime.fromisoformat(text), now)
    except (ValueError, TypeError):
        return text


def error_view(error: CleanStartError) -> ErrorView:
    """An expected error with the links that lead on."""
    links: tuple[Link, ...] = ()
    job = getattr(error, "job_id", None)
    if job is not None:
        links = (Link(f"Open job {job}", addresses.job(job)),)
    return ErrorView(error.status, error.title, str(error), error.hint, links=links)


def several_heads(
    kinds: Operations, who: Principal, project: str, heads: Sequence[str], *, separate: bool
) -> ErrorView:
    """The refusal of a history with several heads, with the ways to join them where they share a base."""
    refusal = error_view(SeveralHeads(heads, separate=separate))
    if separate:
        return refusal
    ways = project_actions(kinds, "several heads", who, project)
    return replace(refusal, links=tuple(Link(each.words, each.path) for each in ways if each.closed is None))


def stored_error(stored: Mapping[str, str], status: int = 503) -> ErrorView:
    """An error as an observation or a history keeps it."""
    return ErrorView(
        status, stored.get("title", "It failed"), stored.get("message", ""), stored.get("hint", "")
    )
