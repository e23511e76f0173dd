"""`cut-over-task`: the files of the task that migrates once for each deployment."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from web.cli.builds import PANEL
from web.cli.invocation import AProject, Invocation, add, project_of
from web.cli.placing import write_new


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "cut-over-task", panel=PANEL)(cut_over_task)


def cut_over_task(
    call: Invocation,
    project: AProject,
    form: Annotated[
        str, typer.Option(metavar="FORM", help="ecs, compose, github-actions, or manual: a checklist.")
    ],
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the files into this folder; else to stdout.")
    ] = None,
) -> None:
    """Give the task that migrates a project once for each deployment, filled in from the configuration."""
    name = project_of(project)
    found = call.ask(lambda api: api.get("projects", name, "cut-over-tasks", form))
    if call.as_json:
        return call.writer.document(found)
    for each in found["files"]:
        if output is None:
            print(each["text"], end="", file=call.writer.out.file)
        else:
            # The name is the server's: only its last part counts here.
            write_new(call.writer, output / PurePosixPath(each["name"]).name, each["text"].encode())
    return None
