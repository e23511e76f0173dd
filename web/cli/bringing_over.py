"""`bring-over`: a database that no dashboard knows, from an archived history to its baseline, from a checkout alone."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.prompt import Prompt

from web import words
from web.cli import exits
from web.cli.invocation import Invocation, add
from web.cli.writing import plain
from web.comparison.sources import parse_source
from web.config import Secret
from web.errors import ConfirmationMismatch, Invalid, ProgramMissing, SourceInvalid
from web.remedies.bringing_over import (
    ArchivedProject,
    Way,
    bring_over,
    find_archives,
    find_ways,
    read_archived_project,
)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "bring-over", acts=True, panel="Operations")(bring_over_command)


def bring_over_command(
    call: Invocation,
    database: Annotated[
        str,
        typer.Argument(
            metavar="env:VARIABLE", help="The variable of the environment that holds the database's URL."
        ),
    ],
    archive: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The archive; else those below this folder.")
    ] = None,
    python: Annotated[
        str | None,
        typer.Option(
            metavar="PROGRAM", help="The project's interpreter; else that of the virtual environment."
        ),
    ] = None,
    confirm: Annotated[
        str | None,
        typer.Option("--confirm", metavar="NAME", help="The database's name, to go on without being asked."),
    ] = None,
) -> int:
    """Bring a database from the history of before a clean start to the baseline, from a checkout alone.

    What it lacks of the archived migrations is shown, then applied, then its version row is exchanged. Its schema is
    not compared with the baseline's. Exits 0: it is there, 1: it was refused.
    """
    source = parse_source(database)
    if source.kind != "url":
        raise Invalid(f"“{database}” is no variable of the environment.", hint="Write env:DATABASE_URL.")
    folders = [archive] if archive is not None else find_archives(Path.cwd())
    archives = _read(call, folders, _interpreter(python))
    url = Secret(f"env:{source.name}").read()
    return asyncio.run(_bring_over(call, archives, url, confirm))


def _read(call: Invocation, folders: Sequence[Path], program: Path) -> list[ArchivedProject]:
    """The archives that can be read; most databases need the newest alone. Raises SourceInvalid where none can be."""
    found, unread = [], []
    for each in folders:
        try:
            found.append(read_archived_project(each.absolute(), program))
        except SourceInvalid as error:
            unread.append(error)
    if not found:
        raise unread[0]
    for refused in unread:
        call.writer.note(f"Left out: {refused}")
    return found


async def _bring_over(
    call: Invocation, archives: Sequence[ArchivedProject], url: str, confirm: str | None
) -> int:
    ways = await find_ways(archives, url)
    if not ways:
        if call.as_json:
            baseline = archives[0].archive.baseline
            call.writer.document({"baseline": baseline, "brought_over": False, "applied": []})
        else:
            call.writer.say("The database is at no archived history: there is nothing to bring over.")
        return exits.YES
    way, baseline = ways[0], ways[-1].archived.archive.baseline
    call.writer.note(f"Database: {way.name}, at {', '.join(way.before)}")
    for each in ways:
        _show(call, each)
    if confirm is None:
        if not sys.stdin.isatty():
            raise Invalid(
                "Nobody is there to type the database's name.", hint=f"For scripts: --confirm {way.name}."
            )
        confirm = Prompt.ask(f"Type {plain(way.name)} to go on", console=call.writer.err)
    if confirm.strip() != way.name:
        raise ConfirmationMismatch(
            f"“{confirm}” is not “{way.name}”. Nothing was changed.", hint=f"Type {way.name} to go on."
        )

    async def tell(revision: str) -> None:
        call.writer.note(f"  Applying {revision}")

    for each in ways:
        await bring_over(each, tell)
    if call.as_json:
        applied = [step.revision for each in ways for step in each.pending]
        call.writer.document({"baseline": baseline, "brought_over": True, "applied": applied})
    else:
        call.writer.say(f"{way.name} is recorded at the baseline {baseline}. Its schema was not compared.")
    return exits.YES


def _show(call: Invocation, way: Way) -> None:
    archive = way.archived.archive
    call.writer.note(f"Archive:  {archive.folder}, {words.plural(len(archive.history), 'migration')}")
    if way.pending:
        call.writer.note("Applies first, from the archive:")
        for each in way.pending:
            call.writer.note(f"  {each.revision}  {each.message}")
    call.writer.note(
        f"Then its version row becomes {archive.baseline}. Its schema is not compared with that."
    )


def _interpreter(given: str | None) -> Path:
    """The project's interpreter: as given, of the virtual environment, or the first on the path.

    Raises ProgramMissing.
    """
    active = os.environ.get("VIRTUAL_ENV")
    wanted = given or (str(Path(active) / "bin" / "python") if active else "python")
    found = shutil.which(wanted) or (None if given or active else shutil.which("python3"))
    if found is None:
        raise ProgramMissing(
            f"There is no interpreter {wanted}.", hint="Name the project's own with --python."
        )
    # Not resolved: the interpreter of a virtual environment is a link.
    return Path(found).absolute()
