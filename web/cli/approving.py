"""`approvals`: what waits for somebody's consent, asking for it, and deciding."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli import exits
from web.cli.invocation import AnEnvironment, Invocation, add, where_of
from web.cli.transport import Api, Json
from web.cli.writing import ago, coloured
from web.errors import Invalid

PANEL = "Operations"
#: Seconds that one request waits for a decision.
PATIENCE = 25.0
_MARKS = {"open": "warn", "approved": "ok", "used": "ok", "rejected": "failed"}

Number = Annotated[int, typer.Argument(metavar="REQUEST", min=1)]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    commands = typer.Typer(
        help="Consent of a second person, where a policy asks for it.", no_args_is_help=True
    )
    add(commands, "list")(list_requests)
    add(commands, "show")(show)
    add(commands, "ask", acts=True)(ask)
    add(commands, "approve", acts=True)(approve)
    add(commands, "reject", acts=True)(reject)
    add(commands, "withdraw", acts=True)(withdraw)
    app.add_typer(commands, name="approvals", rich_help_panel=PANEL)


def list_requests(
    call: Invocation,
    every: Annotated[bool, typer.Option("--all", help="Also what was decided or has ended.")] = False,
) -> None:
    """List the requests that wait, the oldest first."""
    found = call.ask(lambda api: api.get("approvals", state="all" if every else "open"))
    if call.as_json:
        return call.writer.document(found)
    return call.writer.table(
        ("request", "", "what", "approvals", "asked by", "asked", "holds until", "reason"),
        [
            (
                each["id"],
                coloured(each["state"], _MARKS.get(each["state"], "")),
                each["title"],
                f"{each['given']} of {each['needed']}",
                each["asked_by"],
                ago(each["asked_at"]),
                each["expires_at"][:16].replace("T", " "),
                each["reason"],
            )
            for each in found["requests"]
        ],
        none="There is no request." if every else "Nothing waits for approval.",
    )


def show(call: Invocation, request: Number) -> None:
    """Show a request: what was asked, and who decided what."""
    found = call.ask(lambda api: api.get("approvals", request))
    if call.as_json:
        return call.writer.document(found)
    return _write(call, found)


def ask(
    call: Invocation,
    environment: AnEnvironment,
    kind: Annotated[str, typer.Argument(metavar="COMMAND", help="What would be started: migrate, reset …")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What the others should know.")] = "",
    given: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="An option of that command, such as revision=ab12."),
    ] = None,
    wait: Annotated[
        bool, typer.Option("--wait", help="Stay until it is decided. Exits 0: approved, 1: not.")
    ] = False,
) -> int:
    """Ask others to approve a command as it would run now."""
    where = where_of(environment)
    parameters = dict(_pair(each) for each in given or ())
    body = {"parameters": parameters, "reason": reason}

    async def asked(api: Api) -> Json:
        made = await api.post(*where.path, "approvals", kind, body=body)
        if wait and not call.as_json:
            call.writer.note(f"Request {made['id']} waits for {_left(made)}.")
        while wait and made["state"] == "open":
            made = await api.get("approvals", made["id"], wait=PATIENCE)
        return made

    made = call.ask(asked)
    if call.as_json:
        call.writer.document(made)
    elif wait:
        _write(call, made)
    else:
        call.writer.say(f"Request {made['id']} waits for {_left(made)}.")
    return exits.NO if wait and made["state"] != "approved" else exits.YES


def approve(
    call: Invocation,
    request: Number,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What the others should know.")] = "",
) -> None:
    """Approve a request of somebody else."""
    _decide(call, request, "approve", note)


def reject(
    call: Invocation,
    request: Number,
    note: Annotated[str, typer.Option(metavar="TEXT", help="What would have to be different.")],
) -> None:
    """Reject a request of somebody else. It ends."""
    _decide(call, request, "reject", note)


def withdraw(call: Invocation, request: Number) -> None:
    """Take a request back."""
    done = call.ask(lambda api: api.post("approvals", request, "withdrawal"))
    if call.as_json:
        return call.writer.document(done)
    return call.writer.say(f"Request {request} is withdrawn.")


def _decide(call: Invocation, request: int, decision: str, note: str) -> None:
    body = {"decision": decision, "note": note}
    done = call.ask(lambda api: api.post("approvals", request, "decisions", body=body))
    if call.as_json:
        return call.writer.document(done)
    said = "rejected" if decision == "reject" else "approved"
    more = f" It waits for {_left(done)}." if done["state"] == "open" else ""
    return call.writer.say(f"You {said} request {request}: {done['title']}.{more}")


def _write(call: Invocation, found: Json) -> None:
    call.writer.say(f"Request {found['id']}, {found['state']}: {found['title']}")
    call.writer.say(f"Asked by {found['asked_by']} {ago(found['asked_at'])}. {found['reason']}".strip())
    for each in found["decisions"]:
        said = "Approved" if each["approves"] else "Rejected"
        call.writer.say(f"{said} by {each['by']} {ago(each['at'])}. {each['note']}".strip())
    if found["why"]:
        call.writer.say(found["why"])
    if found["state"] == "open":
        call.writer.say(f"It waits for {_left(found)}, until {found['expires_at'][:16].replace('T', ' ')}.")


def _left(found: Json) -> str:
    count = found["needed"] - found["given"]
    return "1 approval" if count == 1 else f"{count} approvals"


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Invalid(f"“{text}” is not NAME=VALUE.")
    return name.replace("-", "_"), value
