"""One command per job kind, derived from it: options from its parameters, the question from its preparation."""

from __future__ import annotations

import inspect
import sys
import types
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo
from rich.prompt import Prompt

from web import words
from web.cli import exits
from web.cli.following import conclude, display_for, watch
from web.cli.invocation import (
    AnEnvironment,
    AProject,
    Command,
    Invocation,
    Where,
    WholeProject,
    add,
    project_of,
    where_of,
)
from web.cli.transport import Api, Json
from web.cli.writing import Writer, plain, write_doubts, write_gate
from web.errors import ConfirmationMismatch, Invalid, OperationNotAllowed
from web.starting.operation import AnyOperation

#: What every such command takes, whatever its kind.
_OWN = frozenset({"environment", "project", "wait", "confirm", "context", "format_", "config", "format"})
Wait = Annotated[
    bool, typer.Option("--wait", help="Stay until it has ended. Exits 0: succeeded, 1: not, 3: unknown.")
]
Confirm = Annotated[
    str | None,
    typer.Option("--confirm", metavar="NAME", help="The environment's name, where it has to be typed."),
]


def add_to(app: typer.Typer, kinds: tuple[AnyOperation, ...]) -> None:
    """Add a command for every kind."""
    for kind in kinds:
        add(app, kind.name, acts=True, panel="Operations")(command_of(kind))


def command_of(kind: AnyOperation) -> Command:
    """The command of a kind. Raises ValueError where a parameter has the name of an option of ours."""
    fields: Mapping[str, FieldInfo] = kind.parameters.model_fields
    if taken := _OWN & fields.keys():
        raise ValueError(f"{kind.name} has parameters that the command line uses itself: {', '.join(taken)}")

    on_project = kind.belongs_to == "project"

    def command(
        call: Invocation,
        *,
        environment: str = "",
        project: str = "",
        wait: bool,
        confirm: str | None = None,
        **given: Any,
    ) -> int:
        where = WholeProject(project_of(project)) if on_project else where_of(environment)
        parameters = {name: value for name, value in given.items() if value is not None}
        return call.ask(lambda api: start(api, call.writer, kind, where, parameters, wait, confirm))

    keyword = inspect.Parameter.KEYWORD_ONLY
    command.__name__ = kind.name.replace("-", "_")
    command.__doc__ = f"{kind.help}\n\nStarts a job; with --wait it is shown until it has ended."
    command.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [
            inspect.Parameter("call", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Invocation),
            inspect.Parameter("project", keyword, annotation=AProject)
            if on_project
            else inspect.Parameter("environment", keyword, annotation=AnEnvironment),
            *(_option(name, field) for name, field in fields.items()),
            inspect.Parameter("wait", keyword, annotation=Wait, default=False),
            *(
                [inspect.Parameter("confirm", keyword, annotation=Confirm, default=None)]
                if kind.mutating
                else []
            ),
        ]
    )
    return command


def _option(name: str, field: FieldInfo) -> inspect.Parameter:
    extra = field.json_schema_extra
    named = extra.get("flag") if isinstance(extra, dict) else None
    flag = str(named or f"--{name.replace('_', '-')}")
    simple = _simple(field.annotation)
    declared = f"{flag}/--no-{flag[2:]}" if simple is bool else flag
    read_as = simple if field.is_required() else simple | None
    option = typer.Option(declared, help=field.description, show_default=False)
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        annotation=Annotated[read_as, option],
        # Not the kind's default: what was not given is left to the server.
        default=inspect.Parameter.empty if field.is_required() else None,
    )


def _simple(annotation: Any) -> Any:
    """The type that the command line reads; the server makes the kind's own of it, and says what is wrong."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        (annotation,) = [each for each in arguments if each is not type(None)][:1]
        return _simple(annotation)
    if origin is Annotated:
        return _simple(arguments[0])
    if origin is Literal:
        return annotation
    if origin in (list, tuple, set, frozenset):
        return list[str]
    return annotation if annotation in (bool, int, float) else str


async def start(
    api: Api,
    writer: Writer,
    kind: AnyOperation,
    where: Where | WholeProject,
    parameters: Mapping[str, object],
    wait: bool,
    confirm: str | None,
    *,
    step: str | None = None,
) -> int:
    """Start a job of a kind, for a `step` of a clean start where one is named, and follow it with `wait`."""
    body: dict[str, object] = {"parameters": parameters, **({"step": step} if step is not None else {})}
    if kind.mutating:
        prepared = await api.get(*where.path, "jobs", "new", kind.name)
        if not writer.as_json:
            write_doubts(writer, prepared["doubts"], aside=True)
        if prepared["type_to_confirm"] is not None:
            body |= _confirmed(writer, kind, prepared, confirm)
        elif prepared["wants_reason"] is not None and parameters.get(kind.reason):
            # The reason is for the failure that is shown here, and for no other.
            writer.note(f"  The rehearsal failed: {prepared['wants_reason']}")
            body["shown_hash"] = prepared["shown_hash"]
    job = await api.post(*where.path, "jobs", kind.name, body=body)
    if wait:
        if not writer.as_json:
            writer.note(f"Job {job['id']}: {kind.name} on {where}")
        return conclude(writer, await watch(api, writer, job["id"], display_for(writer)))
    if writer.as_json:
        writer.document(job)
    else:
        writer.say(f"Job {job['id']} ({kind.name} on {where}) is {job['state']}.")
        writer.note(f"`cleanstart job {job['id']} --follow` shows it.")
    return exits.YES


def _confirmed(writer: Writer, kind: AnyOperation, prepared: Json, confirm: str | None) -> dict[str, object]:
    """Ask the question and return what answers it, bound to what was shown.

    Raises:
        OperationNotAllowed: it cannot be started now.
        Invalid: nobody is there to be asked.
        ConfirmationMismatch: another name was typed.
    """
    expected = prepared["type_to_confirm"]
    if not writer.as_json:
        _show(writer, kind, prepared)
    if prepared["closed"]:
        raise OperationNotAllowed(
            f"{kind.title} is not open on {prepared['environment']}. {' '.join(prepared['closed'])}"
        )
    if confirm is None:
        if not sys.stdin.isatty():
            raise Invalid(
                f"{kind.title} wants the environment's name typed, and nobody is there to type it.",
                hint=f"For scripts: --confirm {expected}.",
            )
        confirm = Prompt.ask(f"Type {plain(expected)} to go on", console=writer.err)
    if confirm.strip() != expected:
        raise ConfirmationMismatch(
            f"“{confirm}” is not “{expected}”. Nothing was started.", hint=f"Type {expected} to go on."
        )
    return {
        "typed": confirm,
        "confirmation": prepared["confirmation"],
        "seen_fingerprint": prepared["seen_fingerprint"],
        "seen_revisions": prepared["seen_revisions"],
        "shown_hash": prepared["shown_hash"],
    }


def _show(writer: Writer, kind: AnyOperation, prepared: Json) -> None:
    """What a person has to know before: the target, what goes, what stays, what holds it back."""
    writer.note(f"{kind.title}: {prepared['environment']} ({prepared['tier']})")
    writer.note(f"  Database: {prepared['database'] or 'not known'} on {prepared['host'] or 'not known'}")
    writer.note(f"  Identity: {prepared['identity'] or 'not known'}")
    if (repair := prepared["repair"]) is not None:
        writer.note("  Runs:")
        for each in repair["statements"]:
            loses = "  -- may lose data" if each["destructive"] else ""
            for line in f"{each['sql']};{loses}".splitlines():
                writer.note(f"    {line}")
        for each in repair["left"]:
            writer.note(f"  Stays: {each['kind']} {each['object']}. {each['reason']}")
    elif prepared["pending"] and not kind.runs_what_was_shown:
        writer.note(f"  Pending: {', '.join(prepared['pending'])}")
    if kind.destructive:
        tables = prepared["goes"]["tables"]
        rows, size = (sum(each[key] or 0 for each in tables) for key in ("rows", "bytes"))
        there = prepared["goes"]["objects"].get("table", len(tables))
        writer.note(f"  Goes: {words.plural(there, 'table')}, about {rows:,} rows, {words.size(size)}")
        for each in tables:
            writer.note(f"    {each['name']}: {each['rows'] or 0:,} rows, {words.size(each['bytes'] or 0)}")
        others = {name: number for name, number in prepared["goes"]["objects"].items() if name != "table"}
        for name, number in others.items():
            schemas = f": {', '.join(prepared['goes']['schemas'])}" if name == "schema" else ""
            writer.note(f"    {words.plural(number, name)}{schemas}")
        writer.note("  Stays:")
        for each in prepared["stays"]:
            writer.note(f"    {each}")
    if prepared["gate"]:
        write_gate(writer, prepared["gate"], aside=True)
    if not prepared["live_workers"]:
        writer.note("  No worker is alive: it would start as soon as one is.")
