"""`settle`: somebody vouches for what a job left in doubt."""

from __future__ import annotations

from typing import Annotated

import typer

from web.cli.invocation import AnEnvironment, Invocation, add, where_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "settle", acts=True, panel="Jobs")(settle)


def settle(
    call: Invocation,
    environment: AnEnvironment,
    job: Annotated[int, typer.Argument(metavar="JOB", min=1, help="The job that left it.")],
    reason: Annotated[str, typer.Option(metavar="TEXT", help="What you have looked at.")],
) -> None:
    """Settle what a job left in doubt on an environment. `status` names it; the reason stands in the audit trail."""
    where = where_of(environment)
    done = call.ask(lambda api: api.post(*where.path, "doubts", job, "settlement", body={"reason": reason}))
    if call.as_json:
        return call.writer.document(done)
    return call.writer.say(f"What job {job} left on {where} is settled.")
