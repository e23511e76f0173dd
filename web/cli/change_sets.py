"""`change-set`: the patch and the zip file that a job wrote for a repository."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Annotated

import typer

from web.cli import exits
from web.cli.invocation import Invocation, add
from web.cli.jobs import PANEL, Id
from web.cli.placing import write_new


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "change-set", panel=PANEL)(change_set)


def change_set(
    call: Invocation,
    number: Id,
    output: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write the patch and the zip file into this folder: baseline.patch, or merge.patch.",
        ),
    ] = None,
) -> int:
    """Give what a baseline or merge changes in the repository. Exits 0: it was proven, 1: it was not, 3: there is none.

    Without --output it lists the files. Apply the patch at the repository's root: git apply baseline.patch.
    """
    found = call.ask(lambda api: api.get("jobs", number, "change-set"))
    if call.as_json:
        call.writer.document(found)
    elif output is None:
        for path in found["files"]:
            call.writer.say(path)
    else:
        for form in ("patch", "zip"):
            write_new(call.writer, output / f"{found['of']}.{form}", base64.b64decode(found[form]))
    if not found["proven"]:
        call.writer.note("It was not proven: complete it by hand.")
    return exits.YES if found["proven"] else exits.NO
