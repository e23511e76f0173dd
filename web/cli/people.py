"""`users`, `tokens`, `audit`: who may come in, and what they did. A password is never an argument."""

from __future__ import annotations

import getpass
import sys
from typing import Annotated, Literal

import typer

from web.access.permissions import EVERY_PROJECT, Role
from web.cli import exits
from web.cli.invocation import Invocation, add
from web.cli.transport import ENCODED, Json
from web.cli.writing import ago, coloured, plain
from web.errors import Invalid

PANEL = "People"

Name = Annotated[str, typer.Argument(metavar="NAME")]
OnProject = Annotated[
    str | None, typer.Option("--project", metavar="PROJECT", help="On this project; else on every project.")
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    users = typer.Typer(help="Users who may sign in.", no_args_is_help=True)
    add(users, "list")(list_users)
    add(users, "create", acts=True)(create_user)
    add(users, "grant", acts=True)(grant)
    add(users, "disable", acts=True)(disable)
    add(users, "enable", acts=True)(enable)
    add(users, "password", acts=True)(password)
    add(users, "forget-devices", acts=True)(forget_devices)
    app.add_typer(users, name="users", rich_help_panel=PANEL)
    tokens = typer.Typer(help="API tokens for CI and scripts.", no_args_is_help=True)
    add(tokens, "list")(list_tokens)
    add(tokens, "create", acts=True)(create_token)
    add(tokens, "revoke", acts=True)(revoke_token)
    app.add_typer(tokens, name="tokens", rich_help_panel=PANEL)
    add(app, "audit", panel=PANEL)(audit)


def list_users(call: Invocation) -> None:
    """List all users with their roles."""
    found = call.ask(lambda api: api.get("users"))
    if call.as_json:
        return call.writer.document(found)
    return call.writer.table(
        ("name", "", "roles", "created"),
        [
            (
                each["name"],
                coloured("disabled", "failed") if each["disabled"] else each["display_name"],
                ", ".join(f"{role} on {_project(name)}" for name, role in each["grants"].items()) or "none",
                ago(each["created_at"]),
            )
            for each in found["users"]
        ],
        none="There is no user: whoever reaches this machine's loopback address is an administrator.",
    )


def create_user(
    call: Invocation,
    name: Name,
    role: Annotated[Role, typer.Option(help="What they may do.")],
    project: OnProject = None,
    display_name: Annotated[str, typer.Option(metavar="TEXT", help="How pages call them.")] = "",
) -> None:
    """Create a user. The password is asked for, or read from the first line of stdin."""
    body = {
        "name": name,
        "display_name": display_name,
        "grants": {_on(project): role},
        "password": ask_password(f"Password for {name}"),
    }
    made = call.ask(lambda api: api.post("users", body=body))
    _done(call, made, f"User {made['name']} may sign in.")


def grant(
    call: Invocation,
    name: Name,
    role: Annotated[
        Literal["viewer", "operator", "admin", "none"], typer.Argument(help="none takes it away.")
    ],
    project: OnProject = None,
) -> None:
    """Give a user a role, in place of the one they had there."""
    given = None if role == "none" else role
    made = call.ask(lambda api: api.patch("users", name, body={"grants": {_on(project): given}}))
    _done(call, made, f"{name} is {role} on {_project(_on(project))}.")


def disable(call: Invocation, name: Name) -> None:
    """Disable a user and end their sessions at once."""
    _done(
        call, call.ask(lambda api: api.patch("users", name, body={"disabled": True})), f"{name} is disabled."
    )


def enable(call: Invocation, name: Name) -> None:
    """Let a disabled user sign in again."""
    changed = call.ask(lambda api: api.patch("users", name, body={"disabled": False}))
    _done(call, changed, f"{name} may sign in again.")


def password(call: Invocation, name: Name) -> None:
    """Set a user's password and end their sessions. It is asked for, or read from the first line of stdin."""
    chosen = ask_password(f"New password for {name}")
    changed = call.ask(lambda api: api.patch("users", name, body={"password": chosen}))
    _done(call, changed, f"{name} has a new password, and has to sign in again.")


def forget_devices(call: Invocation, name: Name) -> None:
    """Let every browser that the user has signed in with be unknown again; sessions go on."""
    changed = call.ask(lambda api: api.patch("users", name, body={"forget_devices": True}))
    _done(call, changed, f"No browser is known as {name}'s any more.")


def list_tokens(call: Invocation) -> None:
    """List tokens, never the tokens themselves."""
    found = call.ask(lambda api: api.get("tokens"))
    if call.as_json:
        return call.writer.document(found)
    return call.writer.table(
        ("name", "begins", "role", "project", "made by", "last used", "ends"),
        [
            (
                each["name"],
                f"{each['prefix']}…",
                each["role"],
                _project(each["project"]),
                each["created_by"],
                ago(each["last_used_at"]),
                coloured("revoked", "failed") if each["revoked"] else (each["expires_at"] or "never")[:10],
            )
            for each in found["tokens"]
        ],
        none="There is no token.",
    )


def create_token(
    call: Invocation,
    name: Name,
    role: Annotated[Role, typer.Option(help="What it may do.")],
    project: OnProject = None,
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="How long it holds; else until revoked.")
    ] = None,
) -> None:
    """Make a token and print it: the only time that it can be seen."""
    body = {"name": name, "project": _on(project), "role": role, "days": days}
    made = call.ask(lambda api: api.post("tokens", body=body))
    if call.as_json:
        return call.writer.document(made)
    call.writer.note("Keep it now, it is not shown again. For CI: CLEANSTART_TOKEN.")
    return call.writer.say(made["token"])


def revoke_token(call: Invocation, name: Name) -> None:
    """End a token."""
    _done(call, call.ask(lambda api: api.delete("tokens", name)), f"Token {name} is revoked.")


def audit(
    call: Invocation,
    verify: Annotated[
        bool, typer.Option("--verify", help="Check the whole trail's hashes; exits 1 where one is wrong.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    before: Annotated[int | None, typer.Option(metavar="ID", help="Only older entries than this.")] = None,
) -> int:
    """Show who did what, the newest first."""
    if verify:
        return _verify(call)
    found = call.ask(lambda api: api.get("audit", limit=limit, before=before))
    if call.as_json:
        call.writer.document(found)
        return exits.YES
    call.writer.table(
        ("entry", "at", "who", "what", "on", "with"),
        [
            (
                each["id"],
                each["at"][:19].replace("T", " "),
                each["actor"],
                each["action"],
                each["object"],
                _words(each["detail"]),
            )
            for each in found["entries"]
        ],
        none="Nothing was done yet.",
    )
    return exits.YES


def _verify(call: Invocation) -> int:
    found = call.ask(lambda api: api.get("audit", "chain"))
    if call.as_json:
        call.writer.document(found)
    elif found["intact"]:
        head = found["head"]
        call.writer.say(f"All {found['entries']} entries are intact.")
        if head:
            call.writer.say(f"Head: {head['id']} {head['hash']}")
    else:
        call.writer.say(f"The audit trail was tampered with: {found['problem']}.")
    return exits.YES if found["intact"] else exits.NO


def ask_password(prompt: str) -> str:
    """Ask at the terminal, twice and unseen; else read the first line of stdin. Raises Invalid."""
    try:
        if not sys.stdin.isatty():
            return sys.stdin.readline().rstrip("\r\n")
        chosen = getpass.getpass(f"{plain(prompt)}: ", sys.stderr)
        if getpass.getpass("The same again: ", sys.stderr) != chosen:
            raise Invalid("The two passwords differ. Nothing was changed.")
        return chosen
    except UnicodeDecodeError:
        # It would carry the password.
        raise Invalid("The password is not UTF-8 text.", hint=ENCODED) from None


def _words(detail: object) -> str:
    """An entry's detail without brackets, and without what is empty."""
    if isinstance(detail, dict):
        told = ((key, _words(value)) for key, value in detail.items())
        return ", ".join(f"{key} {value}" for key, value in told if value)
    if isinstance(detail, list):
        return " ".join(_words(each) for each in detail)
    if isinstance(detail, bool):
        return "yes" if detail else "no"
    return "" if detail is None else str(detail)


def _on(project: str | None) -> str:
    # An empty name is a shell variable that is not set, and means no project rather than every one.
    return EVERY_PROJECT if project is None else project


def _project(name: str) -> str:
    return "every project" if name == EVERY_PROJECT else name


def _done(call: Invocation, made: Json, sentence: str) -> None:
    if call.as_json:
        call.writer.document(made)
    else:
        call.writer.say(sentence)
