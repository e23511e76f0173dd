"""Waits for a job and shows what it tells: a bar on a terminal, plain lines elsewhere, JSON lines for programs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from web.cli import exits
from web.cli.transport import Api, Json, Problem, Unreachable
from web.cli.writing import Writer, coloured, plain

#: Seconds that one request waits for something new.
WAIT = 20
#: As many failed requests in a row are borne: a restart of the dashboard is no reason to stop watching.
TRIES = 8


class Display(Protocol):
    """Shows a job while it runs."""

    def __enter__(self) -> Display: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def show(self, job: Json, events: Sequence[Json]) -> None:
        """Show what is new."""


def display_for(writer: Writer, *, stream: bool = False) -> Display:
    """The display that fits who looks. `stream`: JSON lines on stdout, where programs asked for every event."""
    if writer.as_json and stream:
        return Stream(writer)
    return Bar(writer) if writer.err.is_terminal and not writer.as_json else Lines(writer)


class Stream:
    """One JSON object per line, on stdout."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *ended: object) -> None: ...

    def show(self, job: Json, events: Sequence[Json]) -> None:
        """Print the events."""
        for event in events:
            self.writer.document({"event": event}, line=True)


class Lines:
    """A line for each thing told, on stderr; of a measure, a line for every tenth."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.tenth = 0

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *ended: object) -> None: ...

    def show(self, job: Json, events: Sequence[Json]) -> None:
        """Print the lines."""
        for event in events:
            if line := self._line(event):
                self.writer.err.print(Text(f"{event['at'][11:19]} ").append(line), soft_wrap=True)

    def _line(self, event: Json) -> Text | None:
        if event["kind"] == "step":
            self.tenth = 0
        if event["kind"] != "progress":
            return line_of(event)
        done, total = (event["data"] or {}).get("done"), (event["data"] or {}).get("total")
        if not total or done is None or done * 10 // total <= self.tenth:
            return None
        self.tenth = done * 10 // total
        return Text(plain(f"{min(done * 100 // total, 100)} % ({measure(event['data'])})"))


class Bar:
    """The present step as a bar, with the log above it, on stderr."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.fields[words]}", markup=False),
            BarColumn(),
            TextColumn("{task.fields[measure]}", markup=False),
            TimeElapsedColumn(),
            console=writer.err,
            transient=True,
        )
        self.task = self.progress.add_task("", total=None, words="", measure="")

    def __enter__(self) -> Bar:
        self.progress.start()
        return self

    def __exit__(self, *ended: object) -> None:
        self.progress.stop()

    def show(self, job: Json, events: Sequence[Json]) -> None:
        """Print new lines above the bar and move it."""
        for event in events:
            if event["kind"] != "progress" and (line := line_of(event)):
                self.progress.console.print(line)
        statement = " ".join(plain(job["statement"], lines=True).split())
        words = f"{job['label']} {job['kind']}: {statement or job['step'] or job['state']}"
        self.progress.update(
            self.task,
            words=plain(words if len(words) <= 70 else words[:69] + "…"),
            measure=plain(measure(job)),
            total=job["total"],
            completed=job["done"] or 0,
        )


def line_of(event: Json) -> Text | None:
    """An event as a line of a log; None: it has no words of its own."""
    data: Mapping[str, Any] = event["data"] or {}
    text = plain(event["text"], lines=True)
    match event["kind"]:
        case "step":
            return Text(f"{text}: ").append(coloured(data.get("state"), data.get("state")))
        case "state":
            return (
                Text("job: ")
                .append(coloured(data.get("state"), data.get("state")))
                .append(f" {text}".rstrip())
            )
        case "statement":
            return Text(" ".join(text.split()), style="dim") if text else None
    return Text(text, style={"error": "red", "warning": "yellow", "debug": "dim"}.get(event["level"], ""))


def measure(of: Mapping[str, Any]) -> str:
    """How far, in the job's own unit."""
    if of.get("done") is None:
        return ""
    total = f" of {of['total']:,}" if of.get("total") else ""
    return f"{of['done']:,}{total} {of.get('unit') or ''}".strip()


async def follow(
    api: Api, job: int, *, after: int = 0, wait: float = WAIT
) -> AsyncIterator[tuple[Json, list[Json]]]:
    """The job and what it told since, again and again until it has ended; nothing is left out or told twice.

    Raises:
        Unreachable, Problem: the dashboard has not answered for about a minute; the job goes on.
    """
    failures = 0
    while True:
        try:
            answer = await api.get("jobs", job, "events", after=after, wait=wait if after else 1)
        except (Unreachable, Problem) as error:
            failures += 1
            if error.status not in (502, 503, 504) or failures >= TRIES:
                error.hint = f"Job {job} goes on. Look again with `cleanstart job {job}`."
                raise
            await asyncio.sleep(min(2.0**failures / 4, 15))
            continue
        failures = 0
        events: list[Json] = answer["events"]
        after = events[-1]["seq"] if events else after
        yield answer, events
        if answer["job"]["finished"] and not answer["more"]:
            return


async def watch(api: Api, writer: Writer, job: int, display: Display) -> Json:
    """Show a job until it has ended, and return it. Ctrl-C leaves it running and says so."""
    told = False
    last: Json = {}
    try:
        with display:
            async for answer, events in follow(api, job):
                last = answer["job"]
                display.show(last, events)
                if last["state"] == "queued" and answer.get("live_workers") == 0 and not told:
                    told = True
                    writer.note("No worker is alive. The job starts as soon as one is: `cleanstart worker`.")
    except asyncio.CancelledError:
        if not last.get("finished"):
            writer.note(
                f"Job {job} goes on. `cleanstart job {job} --follow` shows it, "
                f"`cleanstart cancel {job}` ends it."
            )
        raise
    return last


def conclude(writer: Writer, job: Json) -> int:
    """Print how a job ended, and return the exit code for it."""
    if writer.as_json:
        writer.document(job)
    else:
        describe_end(writer, job)
    return exits.OF_JOB.get(job["state"], exits.CANNOT_TELL)


def describe_end(writer: Writer, job: Json) -> None:
    """Say how a job ended, with what to do next."""
    outcome = job["outcome"] or {}
    line = Text(f"Job {job['id']} ({plain(job['kind'])} on {plain(job['label'])}) ")
    line.append(coloured(job["state"], job["state"]))
    writer.out.print(
        line.append(f": {plain(outcome['title'])}" if outcome.get("title") else ""), soft_wrap=True
    )
    for part in ("account", "next_step"):
        if outcome.get(part):
            writer.say(outcome[part])
    if schema := job.get("schema"):
        between = f" ({schema['a'][:25]} to {schema['b'][:25]})" if schema["count"] else ""
        writer.say(f"schema: {schema['words']}{between}")
