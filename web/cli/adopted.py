"""`adopted`: the migration file that `adopt` wrote, for a redirection or a folder."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Annotated

import typer

from web.cli import exits
from web.cli.invocation import Invocation, add
from web.cli.jobs import PANEL, Id
from web.errors import Invalid


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "adopted", panel=PANEL)(adopted)


def adopted(
    call: Invocation,
    number: Id,
    output: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the file into this folder; else to stdout.")
    ] = None,
) -> int:
    """Give the migration that an adoption wrote. Exits 0: it was proven, 1: it was not, 3: there is none."""
    found = call.ask(lambda api: api.get("jobs", number, "migration"))
    if call.as_json:
        call.writer.document(found)
    elif output is None:
        print(found["text"], end="", file=call.writer.out.file)
    else:
        place = output / PurePosixPath(found["path"]).name
        try:
            with place.open("x", encoding="utf-8") as file:
                file.write(found["text"])
        except OSError as error:
            raise Invalid(f"{place} cannot be written: {error.strerror}.") from error
        call.writer.say(f"Wrote {place}.")
    if not found["proven"]:
        call.writer.note("It was not proven: complete it by hand.")
    return exits.YES if found["proven"] else exits.NO
