"""What kinds share that write version rows and nothing else: who has to consent, and what the rows say afterwards."""

from __future__ import annotations

from typing import Any

from web.acts.approved import given_to_state
from web.answers.gate import stamp_gate
from web.errors import OperationNotAllowed
from web.jobs.job import Reconciled, Unproven
from web.jobs.work import Evidence, Work
from web.tools.history import History
from web.tools.registry import tool_of


async def require_consent(work: Work[Any], history: History) -> None:
    """Raises OperationNotAllowed where others have to consent and have not."""
    async with work.store.connect() as store:
        gate = stamp_gate(work.job.environment, await given_to_state(work, store, history))
    if not gate.open:
        said = "; ".join(f"{each.title}: {each.detail}" for each in gate.closed_by)
        raise OperationNotAllowed(f"Nothing was recorded. {said}.", hint=gate.closed_by[0].way)


async def judged_by_rows(evidence: Evidence[Any], step: str, again: str) -> Reconciled:
    """Whether the rows are those of before or those that the intent of `step` was about to write."""
    begun = next((intent.what for intent in evidence.intents if intent.step == step), None)
    if begun is None:
        return Reconciled("not done", "It ended before anything was recorded.", next_step=again)
    async with evidence.target() as connection:
        rows = (await tool_of(evidence.job.project).applied(evidence.job.project, connection)).revisions
    found = {"before": begun["from"], "rows": list(rows), "to": begun["to"]}
    where = f"The database is recorded at {', '.join(rows) or 'no revision'}."
    if set(rows) == set(begun["to"]):
        return Reconciled("done", where, found)
    if set(rows) == set(begun["from"]):
        return Reconciled("not done", f"Nothing was recorded. {where}", found, again)
    text = f"{where} Neither what was there before nor what was to come."
    return Reconciled("unknown", text, found, "Look at it by hand.", Unproven(text, by_check=True))
