"""`builds`, `register-build`, `record-deployment`: what CI tells the dashboard."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from web import words
from web.cli.invocation import AnEnvironment, AProject, Invocation, add, project_of, where_of
from web.cli.transport import Api, Json
from web.cli.writing import Writer, ago
from web.errors import SourceInvalid
from web.tools.history import History

PANEL = "Builds"

Number = Annotated[int, typer.Option(metavar="NUMBER", min=1, help="The build's number.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    add(app, "builds", panel=PANEL)(builds)
    add(app, "register-build", acts=True, panel=PANEL)(register)
    add(app, "record-deployment", acts=True, panel=PANEL)(record)


def builds(
    call: Invocation, project: AProject, limit: Annotated[int, typer.Option(min=1, max=500)] = 20
) -> None:
    """List a project's builds, the newest first."""
    name = project_of(project)
    found = call.ask(lambda api: api.get("projects", name, "builds", limit=limit))
    if call.as_json:
        return call.writer.document(found)
    return call.writer.table(
        ("build", "commit", "migrations", "heads", "registered", "by"),
        [
            (
                f"#{each['number']}",
                each["commit"],
                each["migrations"],
                ", ".join(each["heads"]),
                ago(each["registered_at"]),
                each["registered_by"],
            )
            for each in found["builds"]
        ],
        none=f"No build of {name} is registered.",
    )


def register(
    call: Invocation,
    project: AProject,
    number: Number,
    commit: Annotated[str | None, typer.Option(metavar="ID", help="The commit it was made from.")] = None,
    source: Annotated[
        Path, typer.Option("--source", metavar="FOLDER", help="The checkout; its code is read, never run.")
    ] = Path(),
    config_path: Annotated[
        str | None,
        typer.Option(
            "--config-path",
            metavar="PATH",
            help="alembic.ini or pyproject.toml within the checkout; else where the dashboard knows it.",
        ),
    ] = None,
) -> None:
    """Register a build with the migrations of a checkout."""
    name = project_of(project)

    async def ask(api: Api) -> Json:
        tool = (await api.get("projects", name))["tool"]
        history = await asyncio.to_thread(_read, source, tool, config_path)
        if not call.as_json:
            _warn(call.writer, history)
        return await api.post(
            "projects",
            name,
            "builds",
            body={"number": number, "commit": commit, "manifest": history.to_json()},
        )

    made = call.ask(ask)
    if call.as_json:
        return call.writer.document(made)
    return call.writer.say(
        f"Build #{made['number']} of {name} is registered with {words.plural(made['migrations'], 'migration')}; "
        f"head {', '.join(made['heads']) or 'none'}."
    )


def _read(source: Path, tool: Json, config_path: str | None) -> History:
    from web.tools.registry import read_checkout

    if not source.is_dir():
        raise SourceInvalid(f"There is no folder {source}.", hint="Name the checkout with --source.")
    root = source.resolve()
    return read_checkout(tool, root, config=config_path)


def _warn(writer: Writer, history: History) -> None:
    for problem in history.problems:
        writer.note(f"Problem: {problem}")
    if len(history.branch_heads) > 1:
        writer.note(f"The history has several heads: {', '.join(history.branch_heads)}.")


def record(call: Invocation, environment: AnEnvironment, build: Number) -> None:
    """Record that an environment runs a build."""
    where = where_of(environment)
    made = call.ask(lambda api: api.post(*where.path, "deployments", body={"build": build}))
    if call.as_json:
        return call.writer.document(made)
    return call.writer.say(f"{where} runs build #{made['build']}.")
