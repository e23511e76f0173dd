"""Starts a job for a person: the one road for pages, API and command line.

Permission, the environment's policy, the typed name and the confirmation are checked here; the audit entry
and the job are written in one transaction. The worker checks again what can change in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.access import audit, confirmations
from web.access.approvals import spend
from web.access.permissions import Principal, require
from web.answers.environment import View, view
from web.config import Configuration, Environment, Project
from web.errors import (
    CleanStartError,
    ConfirmationMismatch,
    Invalid,
    NotFound,
    OperationNotAllowed,
    TargetChanged,
)
from web.jobs.start import start
from web.starting.asking import require_approval
from web.starting.operation import AnyOperation, Before, Operations, Where, label_of, project_of

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
    shown_hash: str | None = None


class Within(Protocol):
    """What a job is started for: asked in the transaction of the start, and told of the job."""

    async def require(
        self, connection: AsyncConnection, kind: AnyOperation, where: Where, parameters: BaseModel
    ) -> None:
        """Raise where it does not want this job now."""

    async def started(self, connection: AsyncConnection, job_id: int) -> None:
        """Keep that it was started."""


def kind_for(kinds: Operations, where: Where, name: str) -> AnyOperation:
    """The kind of this name, if this environment or project has it: otherwise there is no such thing, whoever asks.

    Raises:
        NotFound: no such kind, or not here (a reset on production).
    """
    kind = kinds.by_name.get(name)
    if kind is None or not kind.belongs(where):
        raise NotFound(f"There is no operation “{name}”.")
    if not isinstance(where, Project) and (reason := kind.available(where)) is not None:
        raise NotFound(f"There is no {kind.name} on {where.label}: {reason}")
    return kind


async def start_job(
    store: AsyncEngine,
    configuration: Configuration,
    kinds: Operations,
    where: Where,
    who: Principal,
    wish: Wish,
    *,
    key: bytes,
    within: Within | None = None,
) -> int:
    """Start the job and return its id. `key` is the store's signing key; `within` is what it is started for.

    Raises:
        NotFound: there is no such operation here, or there is not what the parameters name.
        NotSignedIn, OperationNotAllowed: the person may not, or a condition of the policy does not hold.
        Invalid: the parameters are not what the kind takes.
        ConfirmationMismatch, ConfirmationInvalid, ConfirmationExpired: the confirmation does not hold.
        TargetChanged: the database is not in the state that was confirmed.
        JobAlreadyRunning: another job changes this database.
    """
    kind = kind_for(kinds, where, wish.kind)
    require(who, kind.permission, project_of(where))
    try:
        return await _start(store, configuration, kind, where, who, wish, key, within)
    except CleanStartError as refusal:
        if kind.mutating:
            async with store.begin() as connection:
                await audit.append(
                    connection,
                    actor=who.actor,
                    action=f"{kind.name} refused",
                    object=label_of(where),
                    detail={"reason": str(refusal)},
                )
        raise


async def _start(
    store: AsyncEngine,
    configuration: Configuration,
    kind: AnyOperation,
    where: Where,
    who: Principal,
    wish: Wish,
    key: bytes,
    within: Within | None,
) -> int:
    _require_short(wish)
    parameters = parameters_of(kind, wish.parameters)
    expected = kind.name_to_type(where)
    if expected is not None and (wish.typed or "").strip() != expected:
        raise ConfirmationMismatch(
            f"“{wish.typed or ''}” is not “{expected}”. Nothing was started.",
            hint=f"Type {expected} to go on.",
        )
    async with store.begin() as connection:
        environment = None if isinstance(where, Project) else where
        if within is not None:
            await within.require(connection, kind, where, parameters)
        if kind.require_named is not None:
            project = configuration.project(project_of(where))
            await kind.require_named(connection, project, environment, parameters)
        number, seen_fingerprint, seen_revisions = None, wish.seen_fingerprint, wish.seen_revisions
        shown_hash, request = wish.shown_hash, None
        if kind.mutating and environment is not None:
            now = await view(connection, configuration, environment.project, environment.name)
            if kind.destructive:
                number, seen_fingerprint, seen_revisions = _confirmed(kind, environment, who, wish, key, now)
            before = await kind.before(connection, now)
            _require_what_was_shown(kind, wish, before)
            _require_open(kind, environment, before)
            _require_reason(kind, environment, wish, parameters, before)
            request = await require_approval(connection, kind, environment, now, before, parameters)
            if request is not None:
                # What was approved is what runs: the worker compares all of it, whatever the client had seen.
                shown_hash = request.shown_hash
                if now.observation is not None:
                    seen_fingerprint, seen_revisions = now.observation.fingerprint, now.observation.revisions
        job_id = await start(
            connection,
            kind,
            environment=environment,
            project=project_of(where),
            parameters=parameters,
            requested_by=who.name,
            seen_fingerprint=seen_fingerprint,
            seen_revisions=seen_revisions,
            shown_hash=shown_hash,
            confirmation=number,
        )
        if within is not None:
            await within.started(connection, job_id)
        if request is not None:
            await spend(connection, request.id, job_id)
        if not kind.observes:
            await audit.append(
                connection,
                actor=who.actor,
                action=kind.name,
                object=label_of(where),
                detail={
                    "job": job_id,
                    "parameters": parameters.model_dump(mode="json"),
                    "plan": shown_hash,
                    **({"approval": request.id} if request is not None else {}),
                },
            )
    return job_id


def _require_short(wish: Wish) -> None:
    """Whatever of it a job's row or a refusal in the audit trail would keep. Raises Invalid."""
    kept = (
        wish.typed,
        wish.seen_fingerprint,
        wish.shown_hash,
        *(wish.seen_revisions or ()),
        *wish.parameters,
    )
    if sum(len(each) for each in kept if each) > LONGEST:
        raise Invalid(f"More than {LONGEST:,} characters are more than any operation takes.")


def _require_what_was_shown(kind: AnyOperation, wish: Wish, before: Before) -> None:
    """What would run has to be what the person read. Raises TargetChanged."""
    if kind.runs_what_was_shown and before.shown_hash is not None and wish.shown_hash != before.shown_hash:
        raise TargetChanged("What would run is not what you saw.", hint="Read it again.")


def _require_open(kind: AnyOperation, environment: Environment, before: Before) -> None:
    if held := before.held_by:
        # Where nobody could look, the rest is not known for that very reason; one reason is told once.
        told = [each.detail for each in held]
        said = (
            held[:1]
            if held[0].name == "checked"
            else [held[told.index(each)] for each in dict.fromkeys(told)]
        )
        raise OperationNotAllowed(
            f"{kind.title} is not open on {environment.label}: "
            + "; ".join(f"{each.title} ({each.detail or each.state})" for each in said),
            hint=" ".join(dict.fromkeys(each.way for each in said if each.way)),
        )


def _require_reason(
    kind: AnyOperation, environment: Environment, wish: Wish, parameters: BaseModel, before: Before
) -> None:
    """Where something failed that it leans on, somebody has to answer for exactly that failure.

    Raises OperationNotAllowed, TargetChanged.
    """
    failed = before.excuse
    if failed is None:
        return
    if getattr(parameters, kind.reason, None) is None:
        raise OperationNotAllowed(
            f"{kind.title} is not open on {environment.label}: {failed.title} ({failed.detail})",
            hint=failed.way,
        )
    if before.shown_hash is None or wish.shown_hash != before.shown_hash:
        raise TargetChanged(
            f"The reason is not for the failure that there is now: {failed.detail}",
            hint="Read it, then give the reason again.",
        )


def parameters_of(kind: AnyOperation, given: Mapping[str, Any]) -> BaseModel:
    """What a kind takes, as the form or the request brought it. Raises Invalid."""
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
    kind: AnyOperation, environment: Environment, who: Principal, wish: Wish, key: bytes, now: View
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
