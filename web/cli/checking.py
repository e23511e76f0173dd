"""`check`: is this build ready for that environment? It looks at the database first, and exits with the answer."""

from __future__ import annotations

import asyncio
import re
from typing import Annotated

import typer

from web.cli import exits
from web.cli.following import follow
from web.cli.invocation import AnEnvironment, Invocation, Where, add, where_of
from web.cli.transport import Api, Json
from web.cli.writing import Writer, ago, coloured, write_doubts, write_gate
from web.errors import CleanStartError, Invalid

MaxAge = Annotated[
    str | None,
    typer.Option("--max-age", metavar="AGE", help="A check that is younger will do: 30s, 5m, 2h, 1d."),
]
#: Seconds that a look may take where nothing else is said.
PATIENCE = 300.0
#: Seconds that are waited for a worker where none is alive: one may just be restarting.
NO_WORKER = 15.0
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class CouldNotCheck(CleanStartError):
    """The check of the database did not come to its end."""

    status = 503
    title = "Could not tell"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "check", panel="Questions")(check)


def check(
    call: Invocation,
    environment: AnEnvironment,
    build: Annotated[
        int | None,
        typer.Option("--build", metavar="NUMBER", min=1, help="The build; else the source as it is."),
    ] = None,
    gate: Annotated[bool, typer.Option("--gate", help="Ask for the policy's conditions too.")] = False,
    max_age: MaxAge = None,
    patience: Annotated[
        str,
        typer.Option(
            "--patience", metavar="TIME", help="How long the check may take, a free worker included."
        ),
    ] = "5m",
) -> int:
    """Tell whether a build is ready for an environment.

    Exits 0: in sync, or gate open. 1: pending, or gate closed. 2: ahead, diverged, edited after apply, several
    heads or unknown revision. 3: it could not be told, which includes that what a job left is in doubt.
    Without --gate differences of the schema are said and change no code; with it they keep the gate closed.
    """
    where, oldest, longest = where_of(environment), duration(max_age), duration(patience)

    async def ask(api: Api) -> Json:
        # Asked before the look as well: a build that there is not needs no look.
        await _answer(api, where, build)
        await look(api, where, max_age=oldest, patience=longest)
        return await _answer(api, where, build)

    found = call.ask(ask)
    if call.as_json:
        call.writer.document(found)
    else:
        _write(call.writer, where, found, gate=gate)
    return exits.of_server(found["gate_exit_code" if gate else "exit_code"])


async def _answer(api: Api, where: Where, build: int | None) -> Json:
    if build is None:
        return await api.get(*where.path, "verdict")
    return await api.get("projects", where.project, "builds", build, "environments", where.environment)


async def look(api: Api, where: Where, *, max_age: float | None, patience: float | None = PATIENCE) -> None:
    """Have a worker look at the environment and wait for it, unless the last look is younger than `max_age` seconds.

    Raises:
        CouldNotCheck: no worker is alive, the look took longer than `patience`, or it ended some other way.
    """
    if max_age is not None:
        age = (await api.get(*where.path, "verdict"))["observation_age"]
        if age is not None and age <= max_age:
            return
    job = (await api.post(*where.path, "observations"))["id"]
    try:
        async with asyncio.timeout(patience):
            ended = await _wait_for(api, job)
    except TimeoutError:
        raise CouldNotCheck(f"The check of {where} (job {job}) has not ended in time.") from None
    if ended["state"] != "succeeded":
        outcome = ended["outcome"] or {}
        raise CouldNotCheck(
            f"The check of {where} (job {job}) is {ended['state']}: {outcome.get('title') or 'no reason is known'}. "
            f"{outcome.get('account') or ''}".strip(),
            hint=outcome.get("next_step") or "",
        )


async def _wait_for(api: Api, job: int) -> Json:
    loop = asyncio.get_running_loop()
    began, ended = loop.time(), Json()
    async for answer, _ in follow(api, job, wait=3):
        ended = answer["job"]
        alone = ended["state"] == "queued" and answer["live_workers"] == 0
        if alone and loop.time() - began > NO_WORKER:
            raise CouldNotCheck(
                f"No worker is alive, so nobody can check {ended['label']}.",
                hint="Start one with `cleanstart worker`.",
            )
    return ended


def duration(text: str | None) -> float | None:
    """Read `5m` as seconds. Raises Invalid."""
    if text is None:
        return None
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", text.strip())
    if match is None:
        raise Invalid(f"“{text}” is no length of time.", hint="Write 30s, 5m, 2h or 1d.")
    return float(int(match[1]) * _UNITS[match[2]])


def _write(writer: Writer, where: Where, found: Json, *, gate: bool) -> None:
    build = found["build"]
    what = f"build #{build['number']}" if build else "the source"
    writer.out.print(
        coloured(found["words"], found["status"]).append(f": {what} on {where}", style="default"),
        soft_wrap=True,
    )
    writer.say(found["sentence"])
    write_doubts(writer, found["doubts"])
    if found["also"]:
        writer.say(f"Besides: {', '.join(found['also'])}.")
    writer.table(
        ("pending", "message", "file"),
        [(each["revision"], each["message"], each["path"]) for each in found["pending"]],
        none="",
    )
    if gate:
        write_gate(writer, found["gate"])
    writer.note(f"Checked {ago((found['observation'] or {}).get('observed_at'))}.")
