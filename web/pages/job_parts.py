"""The parts of a job's page, which its stream sends again: first paint and live update never differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses
from web.clean_start.runs import is_of_open_run
from web.dashboard import Dashboard
from web.jobs.events import Event
from web.jobs.reading import JobRecord, StepRecord, live_workers, read_events, read_job, read_steps
from web.observation.changes import JobChange, read_job_change
from web.pages.environment.timeline import LISTED, job_schema
from web.pages.render import swapped
from web.pages.views.jobs import (
    JobHead,
    JobPage,
    JobStep,
    LogLine,
    Outcome,
    Progress,
    SchemaChange,
    Statement,
)
from web.pages.views.marks import (
    JOB_MARKS,
    STEP_MARKS,
    Action,
    Check,
    EnvironmentRef,
    Fact,
    Mark,
    ProjectRef,
    Status,
)
from web.starting.operation import AnyOperation, Onward, Told

#: Lines of the log that a page begins with; the whole log is a download.
LINES = 500
LEVELS: Mapping[str, Any] = {"debug": "debug", "info": "info", "warning": "warn", "error": "error"}


@dataclass(frozen=True, slots=True)
class JobParts:
    """A job as of one moment, ready to be shown."""

    job: JobRecord
    steps: tuple[StepRecord, ...]
    lines: tuple[LogLine, ...]
    earlier: int
    workers: int
    moment: datetime
    #: None: its kind is not known any more.
    kind: AnyOperation | None
    change: JobChange | None = None
    #: It was started for a clean start that goes on.
    of_run: bool = False

    def page(
        self, title: str, where: EnvironmentRef | ProjectRef, parameters: Sequence[Fact], *, can_cancel: bool
    ) -> JobPage:
        """The page's view."""
        job = self.job
        return JobPage(
            number=job.id,
            title=title,
            where=where,
            requested_by=job.requested_by,
            requested_at=job.requested_at,
            steps=self.job_steps,
            log=self.lines,
            facts=(*self._facts(where), *parameters),
            head=None if job.finished else self.head,
            outcome=self.outcome if job.finished else None,
            schema=self.schema,
            statement=self.statement,
            earlier_lines=self.earlier,
            cancel=Action("Cancel job…", addresses.cancellation(job.id), "square", danger=True)
            if can_cancel
            else None,
        )

    def swaps(self, lines: Sequence[LogLine]) -> str:
        """What a stream sends: the parts that may have changed, and new lines of the log."""
        job, moment = self.job, self.moment
        parts = [
            swapped("job-head", "jobs/_outcome.html", outcome=self.outcome, now=moment)
            if job.finished
            else swapped("job-head", "jobs/_head.html", head=self.head, now=moment),
            swapped("job-steps", "jobs/_steps.html", steps=self.job_steps, now=moment),
            swapped(
                "job-statement",
                "jobs/_statement.html",
                statement=self.statement,
                number=job.id,
                now=moment,
            ),
        ]
        if job.finished:
            parts.append(swapped("job-schema", "jobs/_schema.html", schema=self.schema, now=moment))
        return "".join(parts) + log_swap(lines)

    @property
    def schema(self) -> SchemaChange | None:
        """What the job changed in the schema."""
        return job_schema(self.job, self.change)

    @property
    def head(self) -> JobHead:
        """How the job stands."""
        job = self.job
        done = sum(step.state in ("succeeded", "skipped") for step in self.steps)
        current = next((step for step in self.steps if step.state == "running"), None)
        mark = JOB_MARKS.get(job.state, Mark("unknown", job.state))
        if job.state == "running" and current is not None:
            mark = Mark("running", f"{current.title}, step {current.position} of {len(self.steps)}")
        waiting = None
        if job.state == "queued":
            waiting = (
                "It starts as soon as a worker is free."
                if self.workers
                else "No worker is alive. It starts as soon as one is: `cleanstart worker`."
            )
        elif job.state == "interrupted":
            waiting = "It was interrupted. What it did is being looked into; nothing is run again."
        return JobHead(
            number=job.id,
            mark=mark,
            progress=Progress(
                job.done or 0, job.total, job.unit or "", steps_done=done, steps_total=len(self.steps)
            ),
            updated_at=self.moment,
            started_at=job.started_at,
            waiting_because=waiting,
            spoken=mark.words,
        )

    @property
    def job_steps(self) -> tuple[JobStep, ...]:
        """The steps with how long they took."""
        return tuple(
            JobStep(
                title=step.title,
                mark=STEP_MARKS.get(step.state, Mark("unknown", step.state)),
                detail=step.detail,
                seconds=(step.finished_at - step.started_at).total_seconds()
                if step.started_at and step.finished_at
                else None,
                started_at=step.started_at if step.state == "running" else None,
            )
            for step in self.steps
        )

    @property
    def statement(self) -> Statement | None:
        """What runs right now."""
        return None if self.job.finished or not self.job.statement else Statement(self.job.statement)

    @property
    def outcome(self) -> Outcome:
        """How the job ended, from what the engine and the kind wrote down."""
        job = self.job
        said = job.outcome or {}
        error = said.get("error") or {}
        data = said.get("data") or {}
        mark = JOB_MARKS.get(job.state, Mark("unknown", job.state))
        started, finished = job.started_at, job.finished_at
        told = self.kind.tells(job) if self.kind is not None else Told()
        if told.mark is not None:
            mark = Mark(cast(Status, told.mark[0]), told.mark[1])
        return Outcome(
            number=job.id,
            mark=mark,
            heading=str(said.get("title") or mark.words),
            state_of_database=database_state(job),
            account=" ".join(part for part in (said.get("account"), said.get("next_step")) if part),
            message=error.get("server_message"),
            sqlstate=error.get("sqlstate"),
            statement=error.get("statement") or data.get("statement"),
            revision=error.get("revision"),
            evidence=tuple(_evidence(said.get("evidence") or {}, self.kind.evidence if self.kind else {})),
            leftovers=tuple(str(line) for line in error.get("leftovers") or data.get("leftovers") or ()),
            actions=tuple(
                Action(
                    each.words,
                    each.path,
                    each.icon,
                    method="dialog" if each.asks else "page",
                    primary=each.primary,
                )
                for each in (*told.onward, *self._back)
            ),
            started_at=started,
            finished_at=finished,
            seconds=(finished - started).total_seconds() if started and finished else None,
        )

    @property
    def _back(self) -> tuple[Onward, ...]:
        if not self.of_run:
            return ()
        path = addresses.clean_start(self.job.project)
        return (Onward("Back to the clean start", path, "sparkles", primary=True),)

    def _facts(self, where: EnvironmentRef | ProjectRef) -> tuple[Fact, ...]:
        job = self.job
        found = [Fact("Environment" if where.tier else "Project", where.label, mono=True)]
        if job.seen_revisions is not None:
            found.append(Fact("Revision seen", ", ".join(job.seen_revisions) or "none", mono=True))
        if job.seen_fingerprint:
            found.append(Fact("Schema seen", job.seen_fingerprint[:12], mono=True))
        if job.shown_hash:
            found.append(Fact("Plan", job.shown_hash[:12], mono=True))
        return tuple(found)


async def read_job_parts(store: AsyncConnection, board: Dashboard, job: JobRecord) -> JobParts:
    """The parts of a job's page: its steps and the end of its log up to the record's last event."""
    after = max(0, job.last_seq - LINES)
    events = await read_events(store, job.id, after=after)
    lines = log_lines([event for event in events if event.seq <= job.last_seq])
    return JobParts(
        job,
        await read_steps(store, job.id),
        lines,
        after,
        1 if job.state != "queued" else await live_workers(store),
        datetime.now(UTC),
        board.kinds.by_name.get(job.kind),
        await read_job_change(store, job, first=LISTED),
        await is_of_open_run(store, job.id),
    )


async def read_live_parts(board: Dashboard, job_id: int) -> JobParts:
    """The parts as a stream sends them, without lines: those come with their events."""
    async with board.store.connect() as store:
        job = await read_job(store, job_id)
        workers = 1 if job.state != "queued" else await live_workers(store)
        steps, change = await read_steps(store, job_id), await read_job_change(store, job, first=LISTED)
        kind, of_run = board.kinds.by_name.get(job.kind), await is_of_open_run(store, job_id)
        return JobParts(job, steps, (), 0, workers, datetime.now(UTC), kind, change, of_run)


def log_lines(events: Sequence[Event]) -> tuple[LogLine, ...]:
    """The events that are lines of the log: what was said, steps, statements."""
    return tuple(
        LogLine(event.seq, event.at, _level(event), _text(event)) for event in events if _text(event)
    )


def log_swap(lines: Sequence[LogLine]) -> str:
    """New lines as a stream sends them."""
    return swapped("log", "jobs/_log_lines.html", swap="beforeend", lines=lines) if lines else ""


def _level(event: Event) -> Any:
    return "debug" if event.kind == "statement" else LEVELS.get(event.level, "info")


def _text(event: Event) -> str:
    if event.kind == "progress":
        return ""
    if event.kind == "step":
        state = (event.data or {}).get("state", "")
        return f"Step “{event.text}” {STEP_MARKS.get(state, Mark('unknown', state)).words}"
    return event.text


def database_state(job: JobRecord) -> str:
    """What became of the job's database, in a sentence; empty: it has none, or its own account says it."""
    if job.environment is None:
        return ""
    if not job.mutating:
        return "The database was only read."
    return {
        # What a kind did to it, its own account says.
        "succeeded": "",
        "failed": "The job did not finish.",
        "cancelled": "The job was stopped.",
        "not done": "The database is as it was before.",
        "unknown": "Part of what was done is not proven.",
    }.get(job.state, "")


def _evidence(found: Mapping[str, Any], known: Mapping[str, tuple[str, str]]) -> list[Check]:
    ordered = [*(name for name in known if name in found), *(name for name in found if name not in known)]
    lines = []
    for name in ordered:
        if found[name] in (None, "", [], {}, False):
            continue
        status, said = known.get(name, ("unknown", name.replace("_", " ").capitalize()))
        lines.append(Check(Mark(cast(Status, status), said), account=_told(found[name])))
    return lines


def _told(value: Any) -> str:
    """A piece of evidence in words: what came several times is said once."""
    match value:
        case {"sql": str() as sql, "revision": revision}:
            return f"{' '.join(sql.split())} ({revision})"
        case Mapping():
            return "; ".join(
                f"{name.replace('_', ' ')}: {_told(each)}" for name, each in value.items() if each
            )
        case list():
            times = Counter(" ".join(_told(each).split()) for each in value)
            return "; ".join(
                text if number == 1 else f"{text} ({number} times)" for text, number in times.items()
            )
        case _:
            return str(value)
