"""The overview: every environment of every project at a glance, and what needs a person first.

Six store queries, whatever the number of environments; one more where requests wait for approval, where a database is
ahead of its source, and where revisions changed since a clean start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Literal

from sqlalchemy.ext.asyncio import AsyncConnection

from web.access.approval_requests import Request, open_requests, person
from web.answers.gate import backup_needed
from web.answers.stored_surveys import Candidate, read_candidates
from web.answers.summary import Summary, summarize, worst
from web.answers.verdict import Standing, Verdict, verdict
from web.config import Configuration, Environment, Project
from web.observation.first_seen import read_changed
from web.observation.history_cache import Histories
from web.observation.records import Observed, Record, read_records
from web.observation.revision_changes import RevisionChange, changed_since_clean_start
from web.observation.stored_history import StoredHistory, load_histories, read_lineage

Hurt = Literal[
    "outcome unknown",
    "half done",
    "approval",
    "unreachable",
    "history",
    "by nobody",
    "drift",
    "failed",
    "backup",
    "pending",
    "not checked",
    "source",
    "clean start",
]

#: What hurts most comes first.
_RANK: Final[tuple[Hurt, ...]] = (
    "outcome unknown",
    "half done",
    "approval",
    "unreachable",
    "history",
    "by nobody",
    "drift",
    "failed",
    "backup",
    "source",
    "pending",
    "not checked",
    "clean start",
)
_TIER: Final[Mapping[str, int]] = {"production": 0, "staging": 1, "development": 2}
_HISTORY: Final[frozenset[Standing]] = frozenset(
    {"before the clean start", "unknown revision", "several heads", "diverged", "edited after apply"}
)
#: By a job kind's name, what a run of it is called in a sentence.
NounOf = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Cell:
    """One environment of the matrix."""

    environment: Environment
    record: Record | None
    verdict: Verdict

    @property
    def summary(self) -> Summary:
        """The environment in one word."""
        return summarize(self.verdict, self.record)

    @property
    def head(self) -> str | None:
        """The head of the source, where there is exactly one."""
        return self.verdict.heads[0] if len(self.verdict.heads) == 1 else None


@dataclass(frozen=True, slots=True)
class Row:
    """One project of the matrix."""

    project: Project
    source: StoredHistory | None
    #: By name, in the order of the configuration.
    cells: Mapping[str, Cell]

    @property
    def worst(self) -> Summary | None:
        """The worst of the project's environments, for the navigation."""
        return worst((cell.verdict, cell.summary) for cell in self.cells.values())


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that needs a person."""

    hurt: Hurt
    #: None: the whole project.
    environment: Environment | None
    project: Project
    status: str
    #: What it is, to be read after the environment's name: "is 3 migrations behind".
    sentence: str
    detail: str = ""
    since: datetime | None = None
    job_id: int | None = None
    #: The request for approval that waits.
    request_id: int | None = None


@dataclass(frozen=True, slots=True)
class Overview:
    """The matrix and what needs attention."""

    rows: tuple[Row, ...]
    attention: tuple[Attention, ...]


async def read_overview(
    connection: AsyncConnection,
    configuration: Configuration,
    *,
    histories: Histories | None = None,
    noun_of: NounOf = str,
    now: datetime | None = None,
) -> Overview:
    """Everything that the overview shows; `noun_of` is how a run of a job kind is called."""
    records = await read_records(connection)
    stored = await load_histories(connection, histories)
    sources = {name: each for name, each in stored.items() if name in configuration.projects}
    changed = await read_changed(connection)
    lineages = await read_lineage(
        connection,
        {name: source.history for name, source in sources.items() if source.history},
        (
            (record.project, revision)
            for record in records.values()
            if record.observation and record.project in sources
            for revision in record.observation.revisions
        ),
        histories,
    )
    rows = []
    for project in configuration.projects.values():
        source = sources.get(project.name)
        cells: dict[str, Cell] = {}
        # Most environments of a project are at one of few revisions: each is judged once.
        judged: dict[
            tuple[Observed | None, tuple[str, ...], tuple[tuple[str, str | None], ...]], Verdict
        ] = {}
        for environment in project.environments.values():
            record = records.get((project.name, environment.name))
            seen = record.observed if record else None
            evidence = changed.get(record.environment_id, {}) if record else {}
            key = (seen, environment.follow, tuple(sorted(evidence.items())))
            if key not in judged:
                judged[key] = verdict(
                    source.history if source else None,
                    seen,
                    lineage=lineages.get(project.name),
                    evidence=evidence,
                    reason=source.reason if source else None,
                    follow=environment.follow,
                )
            cells[environment.name] = Cell(environment, record, judged[key])
        rows.append(Row(project, source, cells))
    found = [each for row in rows for each in _of_project(row, now or datetime.now(UTC), noun_of)]
    for request in await open_requests(connection, configuration.projects):
        project = configuration.projects[request.project]
        if (where := project.environments.get(request.environment)) is not None:
            found.append(_waiting(project, where, request))
    for name, candidate in (await read_candidates(connection)).items():
        if name in configuration.projects:
            found.append(_candidate(configuration.projects[name], candidate))
    for (name, label), change in (await changed_since_clean_start(connection)).items():
        known = configuration.projects.get(name)
        if known is not None and label in known.environments and change.cause == "nobody":
            found.append(_by_nobody(known, known.environments[label], change))
    return Overview(tuple(rows), tuple(sorted(found, key=_order)))


def _by_nobody(project: Project, environment: Environment, change: RevisionChange) -> Attention:
    """That somebody migrated past this dashboard, which is to be over since the clean start."""
    return Attention(
        "by nobody",
        environment,
        project,
        "drift",
        "had its revision changed by nobody we know",
        f"from {change.words}; no job of this dashboard did it",
        change.at,
    )


def _candidate(project: Project, candidate: Candidate) -> Attention:
    """That a clean start goes on, or would be worth its while."""
    if candidate.begun_by is not None:
        said = f"begun by {candidate.begun_by}"
        return Attention(
            "clean start", None, project, "running", "is in a clean start", said, candidate.begun_at
        )
    _, reasons = candidate.survey.way
    return Attention(
        "clean start",
        None,
        project,
        "ahead",
        "is a candidate for a clean start",
        reasons[0],
        candidate.survey.surveyed_at,
    )


def _waiting(project: Project, environment: Environment, request: Request) -> Attention:
    more = f" ({request.given} of {request.needed})" if request.needed > 1 else ""
    return Attention(
        "approval",
        environment,
        project,
        "queued",
        f"waits for an approval{more}",
        f"{request.title}; asked by {person(request.asked_by)}",
        request.asked_at,
        request_id=request.id,
    )


def _order(each: Attention) -> tuple[int, int, str, str]:
    tier = _TIER[each.environment.tier] if each.environment else 0
    return _RANK.index(each.hurt), tier, each.project.name, each.environment.name if each.environment else ""


def _of_project(row: Row, now: datetime, noun_of: NounOf) -> Iterable[Attention]:
    if row.source is not None and row.source.error is not None:
        yield Attention(
            "source",
            None,
            row.project,
            "warn",
            "has migrations that cannot be read",
            row.source.error["message"],
            row.source.read_at,
        )
    for cell in row.cells.values():
        yield from _of_cell(cell, row.project, now, noun_of)


def _of_cell(cell: Cell, project: Project, now: datetime, noun_of: NounOf) -> Iterable[Attention]:
    environment, record, found = cell.environment, cell.record, cell.verdict
    observation = record.observation if record else None
    doubts = record.doubts if record else ()
    for doubt in doubts:
        noun = noun_of(doubt.kind)
        unknown = doubt.sort == "outcome not known"
        yield Attention(
            "outcome unknown" if unknown else "half done",
            environment,
            project,
            "unknown" if unknown else "warn",
            f"had a {noun} whose outcome is not known" if unknown else f"has a {noun} that is half done",
            doubt.what,
            doubt.opened_at,
            doubt.job_id,
        )
    change = record.last_change if record else None
    if (
        change is not None
        and change.state in ("unknown", "failed")
        and change.id not in {doubt.job_id for doubt in doubts}
    ):
        # What is proven by now is no open question any more, but a person wants to know of it all the same.
        noun, verb = noun_of(change.kind), "fail" if change.state == "failed" else "break off"
        yield Attention(
            "failed",
            environment,
            project,
            "failed",
            f"had its last {noun} {verb}",
            change.title or "",
            change.finished_at,
            change.id,
        )
    if observation is None:
        yield Attention("not checked", environment, project, "unknown", "was never checked")
        return
    if not observation.reachable:
        reason = observation.error["message"] if observation.error else ""
        yield Attention(
            "unreachable", environment, project, "down", "cannot be reached", reason, observation.since
        )
        return
    if record and record.unseen is not None:
        # It lasts for seconds, and the word of the cell says so.
        return
    if observation.is_stale(now):
        yield Attention(
            "not checked",
            environment,
            project,
            "unknown",
            "has not been checked for a while",
            since=observation.observed_at,
        )
    if found.standing in _HISTORY or found.standing == "ahead":
        hurt: Hurt = "history" if found.standing in _HISTORY else "pending"
        yield Attention(hurt, environment, project, found.status, _clause(found), found.sentence)
    elif found.pending:
        yield Attention(
            "pending",
            environment,
            project,
            found.status,
            f"is {len(found.pending)} migration{'s' if len(found.pending) > 1 else ''} behind",
            # Messages have commas of their own.
            "; ".join(step.message or step.revision for step in found.pending[:3]),
        )
    if observation.drift.state == "drifted":
        count = observation.drift.count or 0
        yield Attention(
            "drift",
            environment,
            project,
            "drift",
            f"differs from its migrations in {count} place{'s' if count != 1 else ''}",
            since=observation.since,
        )
    if backup_needed(environment):
        yield from _backup(cell, project, now)


def _backup(cell: Cell, project: Project, now: datetime) -> Iterable[Attention]:
    newest = cell.record.backup.verified_created_at if cell.record and cell.record.backup else None
    if newest is not None and now - newest <= cell.environment.backup.max_age:
        return
    hours = int(cell.environment.backup.max_age.total_seconds() // 3600)
    yield Attention(
        "backup",
        cell.environment,
        project,
        "warn",
        "has no verified backup" if newest is None else "has no verified backup that is young enough",
        f"the rule is {hours} h",
        newest,
    )


def _clause(found: Verdict) -> str:
    match found.standing:
        case "before the clean start":
            return "is at the history of before the clean start"
        case "unknown revision":
            return "is at a revision that no migration has"
        case "several heads":
            return "is compared with a history that has several heads"
        case "diverged":
            return "has diverged from its migrations"
        case "edited after apply":
            return "has migrations that were edited after they were applied"
        case _:
            return "is ahead of the source"
