"""`jobs`, `job`, `cancel`: what runs, what ran, and how it ended."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from web.cli import exits
from web.cli.following import conclude, describe_end, display_for, line_of, watch
from web.cli.invocation import Invocation, add, project_of, where_of
from web.cli.transport import Api, Json
from web.cli.writing import Writer, ago, coloured, plain

PANEL = "Jobs"

Id = Annotated[int, typer.Argument(metavar="ID", min=1, help="The job's number.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    add(app, "jobs", panel=PANEL)(jobs)
    add(app, "job", panel=PANEL)(job)
    add(app, "cancel", acts=True, panel=PANEL)(cancel)


def jobs(
    call: Invocation,
    where: Annotated[str | None, typer.Argument(metavar="[PROJECT[/ENVIRONMENT]]")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 20,
    before: Annotated[int | None, typer.Option(metavar="ID", help="Only older ones than this.")] = None,
) -> None:
    """List jobs, the newest first."""
    project = environment = None
    if where is not None and "/" in where:
        project, environment = where_of(where).project, where_of(where).environment
    elif where is not None:
        project = project_of(where)
    found = call.ask(
        lambda api: api.get(
            "jobs", project=project, environment=environment, kind=kind, before=before, limit=limit
        )
    )
    if call.as_json:
        return call.writer.document(found)
    return call.writer.table(
        ("job", "kind", "environment", "state", "by", "asked for", "outcome"),
        [
            (
                each["id"],
                each["kind"],
                each["label"],
                coloured(each["state"], each["state"]),
                each["requested_by"],
                ago(each["requested_at"]),
                (each["outcome"] or {}).get("title"),
            )
            for each in found["jobs"]
        ],
        none="There is no job.",
    )


def job(
    call: Invocation,
    number: Id,
    follow: Annotated[
        bool, typer.Option("--follow", help="Stay until it has ended, and exit with its outcome.")
    ] = False,
) -> int:
    """Show a job with its log. With --follow, exits 0: succeeded, 1: failed, cancelled or not done, 3: unknown."""
    if follow:
        return call.ask(lambda api: _follow(api, call.writer, number))
    shown, log = call.ask(lambda api: _read(api, number))
    if call.as_json:
        call.writer.document({**shown, "events": log})
    else:
        _show(call.writer, shown, log)
    return exits.YES


async def _follow(api: Api, writer: Writer, number: int) -> int:
    ended = await watch(api, writer, number, display_for(writer, stream=True))
    if writer.as_json:
        writer.document({"job": ended}, line=True)
        return exits.OF_JOB.get(ended["state"], exits.CANNOT_TELL)
    return conclude(writer, ended)


async def _read(api: Api, number: int) -> tuple[Json, list[Json]]:
    shown, events = await api.get("jobs", number), list[Json]()
    while True:
        answer = await api.get("jobs", number, "events", after=events[-1]["seq"] if events else 0)
        events += answer["events"]
        if not answer["more"]:
            return shown, events


def _show(writer: Writer, shown: Json, log: list[Json]) -> None:
    for event in log:
        if event["kind"] != "progress" and (line := line_of(event)):
            writer.out.print(Text(f"{event['at'][:19].replace('T', ' ')} ").append(line), soft_wrap=True)
    if log:
        writer.say()
    writer.table(
        ("step", "state", "detail"),
        [(each["title"], coloured(each["state"], each["state"]), each["detail"]) for each in shown["steps"]],
        none="",
    )
    writer.say(f"Asked for by {plain(shown['requested_by'])} {ago(shown['requested_at'])}.")
    describe_end(writer, shown)


def cancel(call: Invocation, number: Id) -> None:
    """Ask for a job's end. It ends in its true state, within seconds: see `cleanstart job`."""
    asked = call.ask(lambda api: api.post("jobs", number, "cancellation"))
    if call.as_json:
        return call.writer.document(asked)
    return call.writer.say(f"Job {number} ({asked['kind']} on {asked['label']}) is {asked['state']}.")
