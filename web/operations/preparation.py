"""What a person is shown before a job starts: target, what goes and stays, conditions, confirmation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import confirmations
from web.access.permissions import PHRASES, Principal, may
from web.config import Configuration, Environment, Project
from web.inspection.drift import load_schema
from web.inspection.environment import View, view
from web.inspection.gate import Condition, Gate, repair_gate, reset_gate
from web.inspection.histories import Histories
from web.inspection.observation import standing_json
from web.inspection.rehearsed import Rehearsed
from web.inspection.repair import Repair, read_repair
from web.inspection.state import Facts
from web.jobs.kind import AnyKind
from web.jobs.reading import live_workers
from web.operations.fate import Fate, fate_of
from web.operations.starting import asks_for_reason, held_back_by, name_to_type
from web.tools.confinement import unseen


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that a dialog, an API client or the command line needs to ask the question."""

    kind: AnyKind
    #: Who is asked.
    who: Principal
    view: View
    facts: Facts | None
    #: Conditions of a reset or a migrate; None: the kind has none.
    gate: Gate | None
    #: Why it cannot be started now, in one sentence each; empty: it can.
    closed: tuple[str, ...]
    #: What has to be typed.
    expected: str | None
    #: The signed confirmation of a destructive job; None where there is nothing to confirm yet.
    confirmation: str | None
    #: What a destructive job removes and leaves; None for others.
    fate: Fate | None
    #: The rehearsed plan of a migrate, in the shape that `web.plans` owns.
    plan: dict[str, Any] | None
    #: What a revert would run; None for others, and where nothing was planned for what is there.
    repair: Repair | None
    live_workers: int
    #: What a person should know of the project's code before it runs: a title and a sentence each.
    warnings: tuple[tuple[str, str], ...] = ()
    #: The failed rehearsal in spite of which it may be started with a reason; None: there is none.
    wants_reason: Condition | None = None

    @property
    def environment(self) -> Environment:
        """Where the job would run."""
        return self.view.environment

    @property
    def plan_hash(self) -> str | None:
        """What binds what is shown to what runs."""
        if self.kind.name == "revert":
            return self.repair.hash if self.repair else None
        return self.view.rehearsed.plan_hash if self.view.rehearsed else None

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        observation = self.view.observation
        return {
            "kind": self.kind.name,
            "title": self.kind.title,
            "environment": self.environment.label,
            "tier": self.environment.tier,
            "identity": self.view.record.identity if self.view.record else None,
            "database": observation.database if observation else None,
            "host": observation.host if observation else None,
            "observed_at": observation.observed_at.isoformat() if observation else None,
            "seen_revisions": list(observation.revisions) if observation else None,
            "seen_fingerprint": observation.fingerprint if observation else None,
            "plan_hash": self.plan_hash,
            "pending": [step.revision for step in self.view.verdict.pending],
            "goes": {
                "tables": [
                    {"name": f"{table.schema}.{table.name}", "rows": table.rows, "bytes": table.size}
                    for table in (self.facts.stored if self.facts and self.kind.destructive else ())
                ],
                "objects": dict(self.fate.goes) if self.fate else {},
                "schemas": list(self.fate.schemas) if self.fate else [],
            },
            "stays": [f"{words} ({meant})" if meant else words for words, meant in self.fate.stays]
            if self.fate
            else [],
            "repair": self.repair.to_json() if self.repair else None,
            "gate": self.gate.to_json() if self.gate else None,
            "closed": list(self.closed),
            "rehearsal": _rehearsal(self.view.rehearsed) if self.kind.name == "migrate" else None,
            "wants_reason": None if self.wants_reason is None else self.wants_reason.detail,
            **standing_json(self.view.record),
            "type_to_confirm": self.expected,
            "confirmation": self.confirmation,
            "warnings": [f"{title}. {sentence}" for title, sentence in self.warnings],
            "live_workers": self.live_workers,
        }


async def prepare(
    connection: AsyncConnection,
    configuration: Configuration,
    kind: AnyKind,
    environment: Environment,
    who: Principal,
    *,
    key: bytes,
    histories: Histories | None = None,
) -> Preparation:
    """Read what the store knows; no target is asked. `key` is the store's signing key."""
    names = environment.project, environment.name
    seen = await view(connection, configuration, *names, histories=histories, tables=True)
    record, observation, facts = seen.record, seen.observation, seen.facts
    repair = (
        await read_repair(connection, record.environment_id, observation)
        if kind.name == "revert" and record is not None
        else None
    )
    closed = [
        f"{each.title}: {each.detail or each.state}. {each.way}".strip()
        for each in held_back_by(kind, seen, repair)
    ]
    if not may(who, kind.permission, environment.project):
        closed.insert(
            0, f"Your role on {environment.project} does not allow you to {PHRASES[kind.permission]}."
        )
    if kind.mutating and (record is None or not record.pinned):
        closed.append(
            "This database was never looked at, so it is not known which one it is. Check it first."
        )
    if kind.mutating and record is not None and record.job is not None and record.job.kind != "observe":
        closed.append(f"Job {record.job.id} ({record.job.kind}) is running on this database.")
    confirmation = None
    if kind.destructive and not closed and record is not None and record.identity is not None:
        confirmation = confirmations.sign(
            key,
            confirmations.Seen(
                actor=who.actor,
                environment=environment.label,
                kind=kind.name,
                identity=record.identity,
                fingerprint=observation.fingerprint if observation else None,
                revisions=observation.revisions if observation else (),
            ),
        )
    plan = dict(seen.rehearsed.content) if kind.name == "migrate" and seen.rehearsed is not None else None
    return Preparation(
        kind=kind,
        who=who,
        view=seen,
        facts=facts,
        gate=_gate(kind, seen, repair),
        closed=tuple(closed),
        expected=name_to_type(kind, environment),
        confirmation=confirmation,
        fate=await _fate(connection, seen) if kind.destructive else None,
        plan=plan,
        repair=repair,
        live_workers=await live_workers(connection),
        warnings=tuple(
            _warnings(
                kind, seen.project, fresh=kind.destructive or not (observation and observation.revisions)
            )
        ),
        wants_reason=asks_for_reason(kind, seen),
    )


def _warnings(kind: AnyKind, project: Project, *, fresh: bool) -> Iterator[tuple[str, str]]:
    """What the wall around project code does not hold; `fresh`: the database is or becomes empty."""
    if kind.code == "nowhere":
        return
    if project.without_wall:
        yield (
            "Project code may run without a wall",
            f"With without_wall = true {project.name} also runs where nothing keeps it from the rest of the host.",
        )
    if kind.code == "on the target":
        for command in unseen(project, fresh=fresh):
            yield (
                "A command of the project's own runs",
                f"“{command}” may start other programs, and what those connect to on the network is not checked.",
            )


def _rehearsal(rehearsed: Rehearsed | None) -> dict[str, object] | None:
    if rehearsed is None:
        return None
    return {
        "outcome": rehearsed.outcome,
        "message": rehearsed.message,
        "at": rehearsed.made_at.isoformat(),
        "plan_hash": rehearsed.plan_hash,
    }


def _gate(kind: AnyKind, seen: View, repair: Repair | None) -> Gate | None:
    if kind.destructive:
        return reset_gate(seen.environment, seen.record)
    if kind.name == "revert":
        return repair_gate(seen.environment, seen.record, repair)
    return seen.gate if kind.name == "migrate" else None


async def _fate(connection: AsyncConnection, seen: View) -> Fate:
    fingerprint = seen.observation.fingerprint if seen.observation else None
    schema = await load_schema(connection, fingerprint) if fingerprint is not None else None
    fate = fate_of(schema, seen.project, seen.environment)
    if seen.facts is None:
        return fate
    # A snapshot leaves the version table out; it goes all the same.
    goes = tuple((kind, len(seen.facts.stored) if kind == "table" else number) for kind, number in fate.goes)
    return replace(fate, goes=goes)
