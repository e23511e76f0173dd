"""The program: all commands together, and what every failure becomes on the way out."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated, TextIO, TypeGuard

import typer
from typer.core import TyperGroup
from typer.main import get_command

import web
from web.cli import (
    adopted,
    approving,
    builds,
    change_sets,
    checking,
    cut_over_tasks,
    doctor,
    exits,
    ignoring,
    jobs,
    people,
    questions,
    running,
    settling,
)
from web.cli.invocation import CONFIG, FORMAT, Format
from web.cli.writing import Writer
from web.errors import CleanStartError


class UsageWrong(CleanStartError):
    """This command does not exist, or not with these options."""

    title = "Usage"


class NamesClash(Exception):
    """A job kind has the name of a command that scripts rely on. Who added the kind finds out at the first start."""


class NoRoom(CleanStartError):
    """A disk is full: that of the answer, or that of what is made on the way to it."""

    title = "There is no room"
    hint = "Make room where the answer goes, and where temporary files are kept (TMPDIR)."


class Commands(TyperGroup):
    """The commands; `diff` and those of the job kinds are made when one is asked for that is not among the others.

    They bring the engine and everything below it, which takes longer to load than `status` to answer.
    """

    _complete = False

    def list_commands(self, ctx: typer.Context) -> list[str]:  # type: ignore[override]
        """Every command's name."""
        self._add_operations()
        return super().list_commands(ctx)

    def get_command(self, ctx: typer.Context, cmd_name: str):  # type: ignore[no-untyped-def, override]
        """The command of this name."""
        if cmd_name not in self.commands:
            self._add_operations()
        return super().get_command(ctx, cmd_name)

    def _add_operations(self) -> None:
        """Once. Raises NamesClash."""
        if self._complete:
            return
        from web.cli import bringing_over, clean_start, comparing, operations
        from web.operations import KINDS

        made = typer.Typer()
        operations.add_to(made, KINDS)
        clean_start.add_to(made, KINDS)
        comparing.add_to(made)
        bringing_over.add_to(made)
        more = getattr(get_command(made), "commands", {})
        if twice := self.commands.keys() & more.keys():
            raise NamesClash(f"These are commands and job kinds: {', '.join(sorted(twice))}.")
        self.commands.update(more)
        self._complete = True


def program() -> typer.Typer:
    """The program with all its commands."""
    app = typer.Typer(
        name="cleanstart",
        cls=Commands,
        help="See, back up, reset and migrate the PostgreSQL databases of your projects, and start clean.",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
    )
    app.callback()(_before)
    for module in (
        questions,
        checking,
        ignoring,
        builds,
        jobs,
        approving,
        settling,
        adopted,
        change_sets,
        cut_over_tasks,
        people,
        doctor,
        running,
    ):
        module.add_to(app)
    return app


def _say_version(wanted: bool) -> None:
    if wanted:
        print(web.__version__)  # noqa: T201
        raise typer.Exit


def _before(
    context: typer.Context,
    format_: Annotated[Format | None, FORMAT] = None,
    config: Annotated[Path | None, CONFIG] = None,
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_say_version, help="Print the version.")
    ] = False,
) -> None:
    context.obj = (format_, config)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    debug = bool(os.environ.get("CLEANSTART_DEBUG"))
    _open_what_is_closed()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            # A terminal that cannot show a name gets its escapes, not a crash.
            stream.reconfigure(errors="backslashreplace")
    if not debug and not logging.getLogger().handlers:
        # What libraries log is for servers, which set up their own; here the answer counts.
        logging.getLogger().addHandler(logging.NullHandler())
    received: list[int] = []
    try:
        with _ended_in_order(received):
            code = get_command(program())(arguments, prog_name="cleanstart", standalone_mode=False)
        sys.stdout.flush()
        if received:
            return exits.of_signal(received[0])
        return code if isinstance(code, int) else exits.YES
    except typer.TyperException as error:
        # Without any words it is the help, which was printed by being asked for nothing.
        if _words(error):
            _say(arguments, _usage(error))
    except (typer.Abort, KeyboardInterrupt):
        return exits.INTERRUPTED
    except BrokenPipeError:
        # The reader has gone (`| head`): nothing is wrong, and nothing more can be said.
        _forget(sys.stdout)
        return exits.CANNOT_TELL
    except Exception as error:
        if debug:
            traceback.print_exc()
        _say(arguments, NoRoom(f"{error.strerror}.") if _is_full(error) else _bug(error))
        if isinstance(error, OSError):
            # What it still holds would be tried again at the very end, and become an exit code of Python's.
            _forget(sys.stdout)
    return exits.CANNOT_TELL


@contextmanager
def _ended_in_order(received: list[int]) -> Iterator[None]:
    """End as after Ctrl-C when terminated or hung up: what was made on the way goes.

    Servers do so by themselves. `received` gets the number of the signal.
    """

    def end(number: int, frame: object) -> None:
        received.append(number)
        raise KeyboardInterrupt

    # Who ignores a signal (nohup) goes on ignoring it.
    here = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGTERM, signal.SIGHUP) if here else ()
    before = {number: signal.getsignal(number) for number in numbers}
    taken = [number for number, handler in before.items() if handler == signal.SIG_DFL]
    for number in taken:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, signal.SIG_DFL)


def _open_what_is_closed() -> None:
    """Who closes a stream wants nothing of it; the next file to be opened would take its place."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    # Python has none for what was closed when it started.
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 (open to the end)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _is_full(error: Exception) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def _forget(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _say(arguments: Sequence[str], error: CleanStartError) -> None:
    try:
        _writer(arguments).error(error)
        sys.stderr.flush()
    except OSError:
        # Nobody can be told; the exit code still says it.
        _forget(sys.stderr)


def _words(error: typer.TyperException) -> str:
    return str(error.format_message() if hasattr(error, "format_message") else error)


def _usage(error: typer.TyperException) -> UsageWrong:
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "cleanstart"
    return UsageWrong(_words(error), hint=f"See `{command} --help`.")


def _bug(error: Exception) -> CleanStartError:
    # Its words may hold anything, a password too; its name does not.
    return CleanStartError(
        f"This is a mistake in Clean Start ({type(error).__name__}).",
        hint="CLEANSTART_DEBUG=1 shows where it happened.",
    )


def _writer(arguments: Sequence[str]) -> Writer:
    """How to print when the options themselves could not be read."""
    joined = " ".join(arguments)
    return Writer(as_json="--format json" in joined or "--format=json" in joined)
