"""One call of the program: its format, its configuration, its way to the API; and how a command is added.

Every command takes `--format` and `--config`, before its name or after it; one decorator sees to that.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import re
import traceback
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

from web.cli import exits
from web.cli.transport import AddressInvalid, Api, Problem, in_process, over_http
from web.cli.writing import Writer
from web.config import Configuration, load
from web.errors import CleanStartError, ConfigurationInvalid, Invalid

Format = Literal["text", "json"]
T = TypeVar("T")
#: What a command is: it gets the invocation and its own parameters, and returns its exit code (None: 0).
Command = Callable[..., int | None]

FILE = "cleanstart.toml"
FORMAT = typer.Option(
    "--format", help="How to print: text for people, json for programs.", show_default="text"
)
CONFIG = typer.Option(
    "--config", metavar="FILE", help=f"The configuration; else CLEANSTART_CONFIG, else ./{FILE}."
)


@dataclass(frozen=True, slots=True)
class Invocation:
    """One call of the program."""

    writer: Writer
    #: As given on the command line; None: it was not.
    config: Path | None = None
    #: How to print; some commands know more than text and JSON.
    format: str = "text"

    @property
    def as_json(self) -> bool:
        """Whether programs read the answer."""
        return self.writer.as_json

    @property
    def remote(self) -> str | None:
        """The address of the dashboard to speak to; None: the store of this machine.

        A configuration that is named on the command line is nearer than a variable of the environment.
        """
        return (os.environ.get("CLEANSTART_URL") or "").strip() or None if self.config is None else None

    @property
    def configuration_file(self) -> Path:
        """The file that counts."""
        return self.config or Path(os.environ.get("CLEANSTART_CONFIG") or FILE)

    def configuration(self) -> Configuration:
        """Read the configuration. Raises ConfigurationInvalid."""
        try:
            return load(self.configuration_file)
        except ConfigurationInvalid as error:
            if isinstance(error.__cause__, FileNotFoundError | IsADirectoryError):
                error.hint = (
                    "Name one with --config or CLEANSTART_CONFIG; to ask a dashboard elsewhere, set CLEANSTART_URL "
                    "and CLEANSTART_TOKEN."
                )
            raise

    def api(self) -> AbstractAsyncContextManager[Api]:
        """Open the way to the API for the length of a block."""
        token = os.environ.get("CLEANSTART_TOKEN") or ""
        if self.remote is not None:
            if not token.strip():
                raise AddressInvalid(
                    "CLEANSTART_URL is set, and CLEANSTART_TOKEN is not.",
                    hint="Make a token with `cleanstart tokens create`.",
                )
            return over_http(self.remote, token)
        if token and self.config is None and not os.environ.get("CLEANSTART_CONFIG"):
            raise AddressInvalid(
                "CLEANSTART_TOKEN is set, and CLEANSTART_URL is not.", hint="Set both, or name a --config."
            )
        return in_process(self.configuration())

    def ask(self, question: Callable[[Api], Awaitable[T]]) -> T:
        """Run a coroutine function with the API, to its end."""

        async def asked() -> T:
            async with self.api() as api:
                return await question(api)

        return asyncio.run(asked())


def add(
    app: typer.Typer, name: str, *, acts: bool = False, panel: str | None = None, formats: Any = Format
) -> Callable[[Command], Command]:
    """Make a function a command of the program. An act can be refused (exit code 1); a question cannot.

    `formats` is the Literal of what `--format` takes.
    """

    def added(command: Command) -> Command:
        own = inspect.signature(command, eval_str=True)

        def invoked(**given: Any) -> int:
            context: typer.Context = given.pop("context")
            call = invocation(context, given.pop("format_"), given.pop("config"))
            try:
                return command(call, **given) or exits.YES
            except CleanStartError as error:
                if os.environ.get("CLEANSTART_DEBUG"):
                    traceback.print_exc()
                call.writer.error(error)
                return exits.of_error(error, acts=acts)

        invoked.__name__ = command.__name__
        invoked.__doc__ = command.__doc__
        invoked.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                _keyword("context", typer.Context),
                *(each.replace(kind=each.KEYWORD_ONLY) for each in list(own.parameters.values())[1:]),
                _keyword("format_", Annotated[formats | None, FORMAT], None),
                _keyword("config", Annotated[Path | None, CONFIG], None),
            ]
        )
        invoked.__annotations__ = {}
        app.command(name, rich_help_panel=panel)(invoked)
        return command

    return added


def invocation(context: typer.Context, format_: str | None, config: Path | None) -> Invocation:
    """What was given after the command's name, else what was given before it."""
    before_format, before_config = context.obj or (None, None)
    chosen = format_ or before_format or "text"
    return Invocation(Writer(as_json=chosen == "json"), config or before_config, chosen)


def _keyword(name: str, annotation: object, default: object = inspect.Parameter.empty) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=annotation, default=default)


@dataclass(frozen=True, slots=True)
class Where:
    """An environment as people name it."""

    project: str
    environment: str

    def __str__(self) -> str:
        return f"{self.project}/{self.environment}"

    @property
    def path(self) -> tuple[str, str, str, str]:
        """The segments of its address."""
        return ("projects", self.project, "environments", self.environment)


@dataclass(frozen=True, slots=True)
class WholeProject:
    """A project as people name it."""

    project: str

    def __str__(self) -> str:
        return self.project

    @property
    def path(self) -> tuple[str, str]:
        """The segments of its address."""
        return ("projects", self.project)


#: What names of projects and environments are made of; nothing else gets into an address.
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")

AnEnvironment = Annotated[
    str, typer.Argument(metavar="PROJECT/ENVIRONMENT", help="The environment, such as clinic/production.")
]
AProject = Annotated[str, typer.Argument(metavar="PROJECT", help="The project, such as clinic.")]


def where_of(text: str) -> Where:
    """Read `project/environment`. Raises Invalid."""
    project, slash, environment = text.partition("/")
    if not (project and slash and environment):
        raise Invalid(f"“{text}” names no environment.", hint="Write PROJECT/ENVIRONMENT: clinic/production.")
    return Where(project_of(project), project_of(environment))


def project_of(text: str) -> str:
    """Read a name. Raises Problem, as the API would."""
    if not _NAME.fullmatch(text):
        raise Problem(404, "Not found", f"There is nothing by the name “{text}”.")
    return text
