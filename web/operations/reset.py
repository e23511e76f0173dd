"""Reset in place: empty the database (or run the project's own script), run the migrations, then the seed.

Everything that allows it is checked again right before the first drop, in the session that drops.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncConnection

from web import words
from web.access.approval_requests import given as approvals_given
from web.acts.approved import given_to_state
from web.acts.blockers import blockers_told
from web.acts.emptying import Contents, drop, read_contents, still_there
from web.acts.history import history_that_runs, require_one_head
from web.acts.leaving import (
    KEPT,
    Left,
    left_behind,
    require_quoted,
    require_true_rows,
    survey,
    told,
)
from web.acts.observing import observe_afterwards
from web.acts.opening import open_verified
from web.acts.script import Remark, run_script
from web.acts.seen import require_seen
from web.acts.upgrading import (
    WHAT_MIGRATIONS_LEAVE,
    LockPatience,
    read_trace,
    require_head,
    run_prelude,
    seen_in_schema,
    upgrade,
)
from web.answers.environment import View
from web.answers.gate import reset_gate
from web.answers.state_hash import hash_of_view
from web.comparison.snapshots import load_schema
from web.config import Environment, ResetPolicy
from web.errors import OperationNotAllowed
from web.jobs.failpoints import failpoint
from web.jobs.job import Json, Outcome, Reconciled, StepTitle, Unproven
from web.jobs.work import Evidence, Work
from web.observation.records import record_of
from web.operations.parameters import Parameters
from web.postgres.connections import Connection
from web.postgres.identity import require_writable
from web.postgres.scripts import read_script
from web.starting.fate import fate_of
from web.starting.operation import Before, Offer, Operation
from web.tools.history import History
from web.tools.registry import tool_of


class ResetParameters(Parameters):
    """What a reset takes."""

    seed: bool = Field(
        default=True, title="Run the seed", description="The environment's seed file, after the migrations."
    )
    lock_timeout: int = Field(
        default=10,
        ge=1,
        le=600,
        title="Lock timeout in seconds",
        description="The reset gives up, with nothing dropped, where a lock takes longer.",
    )


#: The way back; there is no operation for it yet.
_RESTORE = (
    "restore the newest verified backup by hand: `pg_restore` takes the file that the Backups page names."
)


@dataclass(frozen=True, slots=True)
class _Files:
    """The policy's SQL files, read and split before anything is dropped."""

    script: tuple[str, ...] | None
    seed: tuple[str, ...] | None


async def run(work: Work[ResetParameters]) -> Outcome:
    """Check, empty (or run the script), migrate, seed, look at the result."""
    job, progress = work.job, work.progress
    policy = _policy(job.environment)
    patience = f"{job.parameters.lock_timeout}s"
    async with work.target(lock_timeout=patience) as connection:
        async with progress.step("check"):
            history = await history_that_runs(work)
            require_one_head(history)
            files = await _read_files(policy, with_seed=job.parameters.seed)
            await _require_allowed(work, connection, history)
            contents = None if files.script is not None else await read_contents(connection)
        left: tuple[Left, ...] = ()
        if contents is not None:
            await _empty(work, connection, history, contents)
            await run_prelude(work)
        else:
            assert policy.script is not None
            assert files.script is not None
            left = await _run_script(work, connection, history, policy.script, files.script)
        applied = await _migrate(work, connection, history)
        if policy.seed is not None and files.seed is not None:
            await _run_seed(work, policy.seed, files.seed)
        else:
            await progress.skip("seed", "There is no seed." if policy.seed is None else "Not asked for.")
    async with progress.step("observe"):
        seen = await observe_afterwards(work)
    objects = words.plural(len(left), "object")
    return Outcome(
        f"Reset, but for {objects} that the script left" if left else "Reset",
        f"{job.environment.label} is at {', '.join(history.heads)}; {words.plural(len(applied), 'migration')} ran. "
        f"{seen} "
        f"{told(left)}".strip(),
        "Have the script cover what it leaves, unless it is to stay." if left else "",
        data={
            "dropped": len(contents.objects) if contents else None,
            "applied": applied,
            "left_behind": [each.to_json() for each in left],
            "seeded": files.seed is not None,
        },
    )


async def _read_files(policy: ResetPolicy, *, with_seed: bool) -> _Files:
    return _Files(
        await read_script(policy.script) if policy.script is not None else None,
        await read_script(policy.seed) if policy.seed is not None and with_seed else None,
    )


async def _require_allowed(work: Work[ResetParameters], connection: Connection, history: History) -> None:
    """Everything that allows the reset, as it is now. Raises OperationNotAllowed, TargetChanged."""
    job = work.job
    if (reason := available(job.environment)) is not None:
        raise OperationNotAllowed(reason)
    await require_writable(connection)
    async with work.store.connect() as store:
        given = await given_to_state(work, store, history)
        gate = reset_gate(job.environment, await record_of(store, job.environment), given=given)
    if not gate.open:
        said = "; ".join(f"{each.title}: {each.detail or each.state}" for each in gate.closed_by)
        raise OperationNotAllowed(f"Nothing was dropped. {said}.", hint=gate.closed_by[0].way)
    applied = await tool_of(job.project).applied(job.project, connection)
    await require_seen(work, connection, applied.revisions)


async def _empty(
    work: Work[ResetParameters], connection: Connection, history: History, contents: Contents
) -> None:
    progress = work.progress
    async with progress.step("drop"):
        batches = list(contents.batches())
        what = f"{words.plural(len(contents.objects), 'object')} with {words.plural(len(contents.tables), 'table')}"
        if contents.in_one_transaction:
            await progress.log(f"Dropping {what} in one transaction: all of it or nothing")
        else:
            await progress.log(
                f"Dropping {what} in {len(batches)} transactions: they need {contents.locks} locks, and the "
                f"lock table has room for {contents.room}. Stopped half way, a part is gone.",
                level="warning",
            )
        # The way back first, which may take long. Between the first check and here files were read and objects
        # listed: once more, in this session.
        await open_verified(work)
        await _require_allowed(work, connection, history)
        failpoint("before-drop")
        for number, batch in enumerate(batches, start=1):
            listed = batch if len(batches) > 1 else (*contents.objects, *contents.within)
            intent = await work.intend(
                "drop",
                {
                    "batch": number,
                    "batches": len(batches),
                    "oids": [each.oid for each in listed],
                    "names": [each.name for each in listed[:100]],
                },
            )
            async with blockers_told(work, [connection.info.backend_pid]):
                await drop(connection, batch)
            failpoint("after-drop")
            await work.receive(intent, {"dropped": len(batch)})
            await progress.at(number, len(batches), "transactions")


async def _migrate(work: Work[ResetParameters], connection: Connection, history: History) -> list[str]:
    async with work.progress.step("migrate"):
        rows = (await tool_of(work.job.project).applied(work.job.project, connection)).revisions
        intent = await work.intend("upgrade", {"from": list(rows), "to": list(history.goal)})
        result = await upgrade(
            work, "commit", LockPatience(work.job.parameters.lock_timeout), history.targets
        )
        require_head(work.job.project, history, result)
        await work.receive(intent, {"rows": list(result.applied)})
        return [step.revision for step in result.ran]


async def _run_script(
    work: Work[ResetParameters],
    connection: Connection,
    history: History,
    file: Path,
    statements: tuple[str, ...],
) -> tuple[Left, ...]:
    """Run the project's own script and see what it has left, before any migration runs on that.

    Raises NameFolded, VersionRowsKept.
    """
    progress = work.progress
    async with progress.step("drop"):
        await open_verified(work)
        await _require_allowed(work, connection, history)
        before = await survey(connection)
        intent = await work.intend("drop", {"file": file.name, "statements": len(statements)})
        remarks = await _run_file(work, file, statements)
        after = await survey(connection)
        left = await left_behind(connection, before, after)
        rows = (await tool_of(work.job.project).applied(work.job.project, connection)).revisions
        await work.receive(
            intent,
            {
                "statements": len(statements),
                "left": told(left),
                "left_behind": [each.to_json() for each in left[:KEPT]],
                "rows": list(rows),
            },
        )
        if left:
            await progress.log(
                told(left), level="warning", data={"left_behind": [each.words for each in left]}
            )
        require_quoted(file, remarks, left)
        await require_true_rows(work, connection, history, file, rows, before, after)
    return left


async def _run_seed(work: Work[ResetParameters], file: Path, statements: tuple[str, ...]) -> None:
    async with work.progress.step("seed"):
        intent = await work.intend("seed", {"file": file.name, "statements": len(statements)})
        await _run_file(work, file, statements)
        await work.receive(intent, {"statements": len(statements)})


async def _run_file(
    work: Work[ResetParameters], file: Path, statements: tuple[str, ...]
) -> tuple[Remark, ...]:
    await work.progress.log(f"Running {file.name}: {words.plural(len(statements), 'statement')}")
    # A file may set whatever it likes, so the session that holds the lock is not its session.
    async with work.target(lock=False, lock_timeout=f"{work.job.parameters.lock_timeout}s") as session:
        return await run_script(session, work.url, file, statements, work.progress)


async def reconcile(evidence: Evidence[ResetParameters]) -> Reconciled:
    """By the oids that the intents listed, the version rows, and the receipts of the rest."""
    drops = [intent for intent in evidence.intents if intent.step == "drop"]
    if not drops:
        return Reconciled(
            "not done", "Nothing was dropped: it ended before the first drop.", next_step="Reset again."
        )
    oids = [oid for intent in drops for oid in intent.what.get("oids", ())]
    async with evidence.target() as connection:
        remaining = await still_there(connection, oids)
        applied = await tool_of(evidence.job.project).applied(evidence.job.project, connection)
    rows = list(applied.revisions) if applied.table_exists else []
    begun = next((intent for intent in evidence.intents if intent.step == "upgrade"), None)
    trace = read_trace(evidence.intents, "commit", rows)
    found = {
        "listed": len(oids),
        "remaining": len(remaining),
        "rows": rows,
        "to": begun.what["to"] if begun else None,
        "half_applied": list(trace.half),
        "half_applied_of": trace.half_of,
        "finished_steps": [intent.step for intent in evidence.intents if intent.proof is not None],
        **(
            {"left_behind": drops[0].proof.get("left_behind", [])}
            if drops[0].proof and "file" in drops[0].what
            else {}
        ),
    }
    if "file" in drops[0].what and drops[0].proof is None:
        text = f"The script {drops[0].what['file']} did not come to its end; how far it got is not known."
        return Reconciled("unknown", text, found, "Look at what is there, then reset again.", Unproven(text))
    if oids and len(remaining) == len(oids):
        return Reconciled(
            "not done",
            "Nothing was dropped: every listed object is still there.",
            found,
            # What failed says itself what to do about it.
            "" if evidence.reason == "failed" else "Reset again.",
        )
    if remaining:
        gone = f"{len(oids) - len(remaining)} of {words.plural(len(oids), 'object')}"
        text = f"{gone} are gone, {len(remaining)} are still there."
        return Reconciled("unknown", text, found, f"Reset again, or {_RESTORE}", Unproven(text))
    return _after_the_drop(evidence, rows, found, begun.what["to"] if begun else ())


def _after_the_drop(
    evidence: Evidence[ResetParameters], rows: Collection[str], found: Json, heads: Collection[str]
) -> Reconciled:
    """Everything that was listed is gone; how far did the rest come?"""
    where = f"The database is at {', '.join(rows) or 'no revision'}."
    gone = _what_went(evidence)
    open_steps = {intent.step for intent in evidence.open_intents} - {"drop", "commit", "upgrade"}
    policy = evidence.job.environment.reset
    wants_seed = evidence.job.parameters.seed and policy is not None and policy.seed is not None
    seeded = any(intent.step == "seed" and intent.proof is not None for intent in evidence.intents)
    at_head = bool(heads) and set(rows) == set(heads)
    if at_head and not open_steps and (seeded or not wants_seed):
        return Reconciled("done", f"{gone} Every migration is applied. {where}", found)
    # A run that lived to say what stopped it has failed; only after a death is it an open question.
    state: Literal["not done", "unknown"] = "unknown" if evidence.reason == "worker died" else "not done"
    if at_head and wants_seed:
        seed = "was cut off" if "seed" in open_steps else "did not run"
        text = f"{gone} Every migration is applied, but the seed {seed}. {where}"
        return Reconciled(state, text, found, "Reset again, or run the seed by hand.", Unproven(text))
    text = f"{gone} The migrations did not come to their end. {where}"
    # Without a seed nothing but migrations was to come, and what of those is there, the schema tells.
    by_check = not wants_seed and seen_in_schema(found["half_applied"])
    # What a script was refused for says itself what to do about it, and its rows may leave nothing pending.
    refused = evidence.reason == "failed" and not heads and "left_behind" in found
    next_step = "" if refused else f"Apply the pending migrations, reset again, or {_RESTORE}"
    return Reconciled(state, text, found, next_step, Unproven(text, by_check=by_check))


def _what_went(evidence: Evidence[ResetParameters]) -> str:
    """What emptying took, which is all that it listed, or what a script did, which it decides itself."""
    drop = next(intent for intent in evidence.intents if intent.step == "drop")
    if "file" not in drop.what:
        return "The old objects are gone."
    left = (drop.proof or {}).get("left")
    return f"{drop.what['file']} ran. {left or 'It left nothing that was there before.'}"


def _policy(environment: Environment) -> ResetPolicy:
    if environment.reset is None:
        raise OperationNotAllowed(f"{environment.label} is not configured to be reset.")
    return environment.reset


def available(environment: Environment) -> str | None:
    """Reset exists only where it is configured, and never on production."""
    if environment.tier == "production":
        return "Reset is not offered on production."
    if environment.reset is None:
        return f"{environment.label} is not configured to be reset."
    return None


async def before(store: AsyncConnection, seen: View) -> Before:
    """What goes and what stays, as of the last look, and the gate."""
    fingerprint = seen.observation.fingerprint if seen.observation else None
    schema = await load_schema(store, fingerprint) if fingerprint is not None else None
    fate = fate_of(schema, seen.project, seen.environment)
    if seen.facts is not None:
        # A snapshot leaves the version table out; it goes all the same.
        stored = len(seen.facts.stored)
        goes = tuple((kind, stored if kind == "table" else number) for kind, number in fate.goes)
        fate = replace(fate, goes=goes)
    shown_hash = hash_of_view(RESET.name, seen)
    given = 0
    if seen.record is not None and shown_hash is not None:
        given = await approvals_given(store, seen.record.environment_id, shown_hash)
    gate = reset_gate(seen.environment, seen.record, given=given)
    return Before(gate, gate.closed_by, fate=fate, shown_hash=shown_hash)


RESET = Operation(
    name="reset",
    title="Reset",
    verb="Reset",
    parameters=ResetParameters,
    permission="reset",
    mutating=True,
    destructive=True,
    renews=True,
    steps=(
        StepTitle("check", "Check everything that allows it"),
        StepTitle("drop", "Empty the database"),
        StepTitle("migrate", "Run the migrations"),
        StepTitle("seed", "Load the seed"),
        StepTitle("observe", "Check the result"),
    ),
    available=available,
    run=run,
    reconcile=reconcile,
    icon="eraser",
    help="Empty a database, apply all migrations and load the seed. Never on production.",
    lead="Everything in this database goes and cannot be brought back except from a backup.",
    keep="Keep the data",
    offers=(Offer("environment"),),
    before=before,
    approved_for=("seed",),
    evidence=WHAT_MIGRATIONS_LEAVE,
    code="on the target",
)
