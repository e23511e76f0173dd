"""Whether a target's schema is what a history gives: asked before anything is recorded that says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from web.comparison.alike import drift
from web.comparison.expected import excluded_tables, expected_schema
from web.comparison.ignore_rules import active_rules, sort_out
from web.comparison.roles import read_roles
from web.errors import Conflict
from web.jobs.work import Work
from web.postgres.connections import Connection
from web.postgres.identity import read_identity
from web.schema.difference import unknown_parts
from web.schema.snapshot import read_schema
from web.tools.history import History


async def require_schema(
    work: Work[Any], connection: Connection, history: History, rows: Sequence[str], gives: str
) -> None:
    """Refuse to record what the schema contradicts; `gives` says what does and that it does. Raises Conflict.

    Differences that a rule ignores do not contradict it.
    """
    job = work.job
    target = await read_identity(connection)
    actual = await read_schema(connection, exclude_tables=excluded_tables(job.project))
    await work.progress.log(f"Comparing the schema with what {gives}")
    expected = await expected_schema(
        work.store,
        work.resources.scratch,
        job.project,
        history,
        rows,
        major=target.major,
        roles=tuple(await read_roles(connection)),
        extensions=[(each.name, each.version) for each in actual.extensions],
    )
    if expected.schema is None:
        raise Conflict(
            f"Whether the schema is what {gives} cannot be told. {expected.reason}", hint=expected.hint
        )
    if blind := unknown_parts(expected.schema, actual):
        raise Conflict(
            f"Whether the schema is what {gives} cannot be told: the role may not read {', '.join(blind)}."
        )
    async with work.store.connect() as store:
        rules = await active_rules(store, job.environment.project, job.environment.name)
    differs = sort_out(drift(expected.schema, actual), rules).differences
    if differs:
        first = differs[0]
        more = f" and {len(differs) - 1} more differences" if len(differs) > 1 else ""
        raise Conflict(
            f"The schema is not what {gives}: {first.kind} {first.object} {first.change}{more}. Nothing was "
            "recorded.",
            hint="Apply the migrations instead, or adopt or revert what differs first.",
        )
