"""`ignore-rules`: differences that somebody answers for until a day."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from web.cli.invocation import AProject, Invocation, add, project_of, where_of
from web.cli.writing import coloured
from web.errors import Invalid

PANEL = "Questions"
_MARKS = {"active": "ok", "expired": "warn", "removed": ""}


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    rules = typer.Typer(help="Differences that somebody answers for until a day.", no_args_is_help=True)
    add(rules, "list")(list_rules)
    add(rules, "add", acts=True)(add_rule)
    add(rules, "remove", acts=True)(remove_rule)
    app.add_typer(rules, name="ignore-rules", rich_help_panel=PANEL)


def list_rules(call: Invocation, project: AProject) -> None:
    """List every rule that a project ever had; those in force come first."""
    name = project_of(project)
    found = call.ask(lambda api: api.get("projects", name, "ignore-rules"))
    if call.as_json:
        return call.writer.document(found)
    return call.writer.table(
        ("rule", "object", "of", "where", "", "until", "owner", "reason"),
        [
            (
                each["id"],
                each["object"],
                " ".join(part for part in (each["kind"], each["attribute"]) if part),
                each["environment"] or "every environment",
                coloured(each["state"], _MARKS[each["state"]]),
                each["expires_at"][:10],
                each["owner"],
                each["reason"],
            )
            for each in found["rules"]
        ],
        none=f"{name} has no ignore rule.",
    )


def add_rule(
    call: Invocation,
    where: Annotated[str, typer.Argument(metavar="PROJECT[/ENVIRONMENT]", help="Where it counts.")],
    pattern: Annotated[
        str, typer.Argument(metavar="OBJECT", help="The whole name; * stands for any characters, ? for one.")
    ],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why the difference may stay.")],
    until: Annotated[datetime, typer.Option(formats=["%Y-%m-%d"], help="The rule's last day, in UTC.")],
    kind: Annotated[str | None, typer.Option(metavar="KIND", help="Only objects of this kind.")] = None,
    attribute: Annotated[str | None, typer.Option(metavar="NAME", help="Only this attribute.")] = None,
    owner: Annotated[str, typer.Option(metavar="NAME", help="Who answers for it; else you.")] = "",
) -> None:
    """Ignore differences until a day. Then they count again."""
    if until.replace(tzinfo=UTC).date() < datetime.now(UTC).date():
        raise Invalid("The rule would end before it begins.", hint="Name a day to come.")
    environment = where_of(where).environment if "/" in where else None
    project = project_of(where.partition("/")[0])
    body = {
        "object": pattern,
        "reason": reason,
        "until": until.date().isoformat(),
        "environment": environment,
        "kind": kind,
        "attribute": attribute,
        "owner": owner,
    }
    made = call.ask(lambda api: api.post("projects", project, "ignore-rules", body=body))
    if call.as_json:
        return call.writer.document(made)
    return call.writer.say(f"Rule {made['id']} is in force on {where} until {until:%Y-%m-%d}.")


def remove_rule(
    call: Invocation, project: AProject, rule: Annotated[int, typer.Argument(metavar="RULE", min=1)]
) -> None:
    """End a rule now; it stays listed."""
    name = project_of(project)
    done = call.ask(lambda api: api.delete("projects", name, "ignore-rules", str(rule)))
    if call.as_json:
        return call.writer.document(done)
    return call.writer.say(f"Rule {rule} is removed. What it covered counts again.")
