"""Starts a job for a person: the one road for pages, API and command line.

Permission, the environment's policy, the typed name and the confirmation are checked here; the audit entry
and the job are written in one transaction. The worker checks again what can change in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.access import audit, confirmations
from web.access.permissions import Principal, require
from web.config import Configuration, Environment
from web.errors import (
    CleanStartError,
    ConfirmationMismatch,
    Invalid,
    NotFound,
    OperationNotAllowed,
    TargetChanged,
)
from web.inspection.environment import View, view
from web.inspection.gate import Condition, enforced, excusable, repair_gate, reset_gate
from web.inspection.repair import Repair, read_repair
from web.jobs.kind import AnyKind, Kinds
from web.jobs.start import start

#: All that a form of ours sends to be written down is shorter, in characters: names, digests, revisions.
LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for, as the form or the request brought it."""

    kind: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    #: The name that was typed, where one had to be.
    typed: str | None = None
    confirmation: str | None = None
    #: What the person saw; None: whatever is there.
    seen_fingerprint: str | None = None
    seen_revisions: tuple[str, ...] | None = None
    plan_hash: str | None = None


def kind_for(kinds: Kinds, environment: Environment, name: str) -> AnyKind:
    """The kind of this name, if this environment has it: otherwise there is no such thing, whoever asks.

    Raises:
        NotFound: no such kind, or not on this environment (a reset on production).
    """
    kind = kinds.by_name.get(name)
    if kind is None:
        raise NotFound(f"There is no operation “{name}”.")
    if (reason := kind.available(environment)) is not None:
        raise NotFound(f"There is no {kind.name} on {environment.label}: {reason}")
    return kind


def name_to_type(kind: AnyKind, environment: Environment) -> str | None:
    """What has to be typed before this kind may start: the environment's name, wherever data are at risk."""
    at_risk = (
        kind.destructive
        or kind.name in ("revert", "stamp")
        or (kind.name == "migrate" and environment.tier == "production")
    )
    return environment.label if at_risk else None


def held_back_by(kind: AnyKind, seen: View, repair: Repair | None = None) -> tuple[Condition, ...]:
    """The conditions that keep this kind from starting now; empty: it may. A revert runs the `repair`."""
    if kind.destructive:
        return reset_gate(seen.environment, seen.record).closed_by
    if kind.name == "revert":
        return repair_gate(seen.environment, seen.record, repair).closed_by
    if kind.name == "migrate":
        return tuple(
            each
            for each in seen.gate.closed_by
            if enforced(each, seen.environment) and not excusable(each, seen.environment)
        )
    return ()


def asks_for_reason(kind: AnyKind, seen: View) -> Condition | None:
    """The failure in spite of which a person may start this kind, if a reason is given; None: there is none."""
    if kind.name != "migrate":
        return None
    return next((each for each in seen.gate.closed_by if excusable(each, seen.environment)), None)


async def start_job(
    store: AsyncEngine,
    configuration: Configuration,
    kinds: Kinds,
    environment: Environment,
    who: Principal,
    wish: Wish,
    *,
    key: bytes,
) -> int:
    """Start the job and return its id. `key` is the store's signing key.

    Raises:
        NotFound: this environment has no such operation, or there is not what the parameters name.
        NotSignedIn, OperationNotAllowed: the person may not, or a condition of the policy does not hold.
        Invalid: the parameters are not what the kind takes.
        ConfirmationMismatch, ConfirmationInvalid, ConfirmationExpired: the confirmation does not hold.
        TargetChanged: the database is not in the state that was confirmed.
        JobAlreadyRunning: another job changes this database.
    """
    kind = kind_for(kinds, environment, wish.kind)
    require(who, kind.permission, environment.project)
    try:
        return await _start(store, configuration, kind, environment, who, wish, key)
    except CleanStartError as refusal:
        if kind.mutating:
            async with store.begin() as connection:
                await audit.append(
                    connection,
                    actor=who.actor,
                    action=f"{kind.name} refused",
                    object=environment.label,
                    detail={"reason": str(refusal)},
                )
        raise


async def _start(
    store: AsyncEngine,
    configuration: Configuration,
    kind: AnyKind,
    environment: Environment,
    who: Principal,
    wish: Wish,
    key: bytes,
) -> int:
    _require_short(wish)
    parameters = _parameters(kind, wish.parameters)
    expected = name_to_type(kind, environment)
    if expected is not None and (wish.typed or "").strip() != expected:
        raise ConfirmationMismatch(
            f"“{wish.typed or ''}” is not “{expected}”. Nothing was started.",
            hint=f"Type {expected} to go on.",
        )
    async with store.begin() as connection:
        if kind.require_named is not None:
            await kind.require_named(
                connection, configuration.project(environment.project), environment, parameters
            )
        number, seen_fingerprint, seen_revisions = None, wish.seen_fingerprint, wish.seen_revisions
        if kind.mutating:
            now = await view(connection, configuration, environment.project, environment.name)
            if kind.destructive:
                number, seen_fingerprint, seen_revisions = _confirmed(kind, environment, who, wish, key, now)
            repair = await _repair(connection, kind, wish, now)
            _require_open(kind, now, repair)
            _require_reason(kind, now, wish, parameters)
        job_id = await start(
            connection,
            kind,
            environment=environment,
            parameters=parameters,
            requested_by=who.name,
            seen_fingerprint=seen_fingerprint,
            seen_revisions=seen_revisions,
            plan_hash=wish.plan_hash,
            confirmation=number,
        )
        if kind.name != "observe":
            await audit.append(
                connection,
                actor=who.actor,
                action=kind.name,
                object=environment.label,
                detail={
                    "job": job_id,
                    "parameters": parameters.model_dump(mode="json"),
                    "plan": wish.plan_hash,
                },
            )
    return job_id


def _require_short(wish: Wish) -> None:
    """Whatever of it a job's row or a refusal in the audit trail would keep. Raises Invalid."""
    kept = (wish.typed, wish.seen_fingerprint, wish.plan_hash, *(wish.seen_revisions or ()), *wish.parameters)
    if sum(len(each) for each in kept if each) > LONGEST:
        raise Invalid(f"More than {LONGEST:,} characters are more than any operation takes.")


async def _repair(connection: AsyncConnection, kind: AnyKind, wish: Wish, now: View) -> Repair | None:
    """The repair of a revert, which has to be the one that was seen. Raises TargetChanged."""
    if kind.name != "revert" or now.record is None:
        return None
    repair = await read_repair(connection, now.record.environment_id, now.observation)
    if repair is not None and wish.plan_hash != repair.hash:
        raise TargetChanged("What would run is not the repair that you saw.", hint="Read it again.")
    return repair


def _require_open(kind: AnyKind, now: View, repair: Repair | None) -> None:
    if held := held_back_by(kind, now, repair):
        # Where nobody could look, the rest is not known for that very reason; one reason is told once.
        told = [each.detail for each in held]
        said = (
            held[:1]
            if held[0].name == "looked at"
            else [held[told.index(each)] for each in dict.fromkeys(told)]
        )
        raise OperationNotAllowed(
            f"{kind.title} is not open on {now.environment.label}: "
            + "; ".join(f"{each.title} ({each.detail or each.state})" for each in said),
            hint=" ".join(dict.fromkeys(each.way for each in said if each.way)),
        )


def _require_reason(kind: AnyKind, now: View, wish: Wish, parameters: BaseModel) -> None:
    """A migrate whose rehearsal failed stops here, unless somebody answers for exactly that failure.

    Raises OperationNotAllowed, TargetChanged.
    """
    failed = asks_for_reason(kind, now)
    if failed is None:
        return
    if getattr(parameters, "despite_failed_rehearsal", None) is None:
        raise OperationNotAllowed(
            f"{kind.title} is not open on {now.environment.label}: {failed.title} ({failed.detail})",
            hint=failed.way,
        )
    if now.rehearsed is None or wish.plan_hash != now.rehearsed.plan_hash:
        raise TargetChanged(
            f"The reason is not for the failure that there is now: {failed.detail}",
            hint="Read it, then give the reason again.",
        )


def _parameters(kind: AnyKind, given: Mapping[str, Any]) -> BaseModel:
    try:
        parameters: BaseModel = kind.parameters.model_validate(dict(given))
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in each['loc']) or 'parameters'}: {_in_words(each)}"
            for each in error.errors(include_url=False, include_input=False)
        )
        raise Invalid(f"{kind.title} cannot be started like this: {problems}.") from error
    return parameters


def _in_words(problem: ErrorDetails) -> str:
    # An expression is for programs, and says nothing to who typed a name.
    pattern = problem["type"] == "string_pattern_mismatch"
    return "It holds what cannot stand there" if pattern else problem["msg"]


def _confirmed(
    kind: AnyKind, environment: Environment, who: Principal, wish: Wish, key: bytes, now: View
) -> tuple[str, str | None, tuple[str, ...] | None]:
    """The confirmation's number, and the fingerprint and revisions that the worker has to find again."""
    confirmation = confirmations.verify(
        key, wish.confirmation or "", actor=who.actor, environment=environment.label, kind=kind.name
    )
    seen = confirmation.seen
    observation = now.observation
    if now.record is None or now.record.identity != seen.identity:
        raise TargetChanged(f"{environment.label} is another database than the one that was confirmed.")
    if observation is not None and (
        observation.revisions != seen.revisions or observation.fingerprint != seen.fingerprint
    ):
        raise TargetChanged(f"The schema of {environment.label} has changed since the dialog was opened.")
    return confirmation.number, seen.fingerprint, seen.revisions
