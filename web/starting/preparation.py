"""What a person is shown before a job starts: target, what goes and stays, conditions, confirmation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from web.access import confirmations
from web.access.approval_requests import Request, living_request
from web.access.permissions import PHRASES, Principal, may
from web.answers.environment import View, view
from web.answers.rehearsed import Rehearsed
from web.config import Configuration, Environment, Project
from web.jobs.reading import live_workers
from web.observation.facts import Facts
from web.observation.history_cache import Histories
from web.observation.records import standing_json
from web.starting.operation import AnyOperation, Before
from web.tools.registry import tool_of


@dataclass(frozen=True, slots=True)
class Preparation:
    """Everything that a dialog, an API client or the command line needs to ask the question."""

    kind: AnyOperation
    #: Who is asked.
    who: Principal
    view: View
    facts: Facts | None
    #: What the kind shows, and what holds it back.
    before: Before
    #: Why it cannot be started now, in one sentence each; empty: it can.
    closed: tuple[str, ...]
    #: What has to be typed.
    expected: str | None
    #: The signed confirmation of a destructive job; None where there is nothing to confirm yet.
    confirmation: str | None
    live_workers: int
    #: The request by which others are asked to approve it, as long as it can be decided on or used.
    request: Request | None = None
    #: What a person should know of the project's code before it runs: a title and a sentence each.
    warnings: tuple[tuple[str, str], ...] = ()

    @property
    def environment(self) -> Environment:
        """Where the job would run."""
        return self.view.environment

    @property
    def plan(self) -> dict[str, Any]:
        """The rehearsed plan of what it applies, in the shape that `web.plans` owns; empty: there is none."""
        rehearsed = self.view.rehearsed
        return dict(rehearsed.content) if self.before.migrations and rehearsed is not None else {}

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        observation, before = self.view.observation, self.before
        fate = before.fate
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
            "shown_hash": before.shown_hash,
            "about": before.about,
            "pending": [step.revision for step in self.view.to_apply.pending],
            "goes": {
                "tables": [
                    {"name": f"{table.schema}.{table.name}", "rows": table.rows, "bytes": table.size}
                    for table in (self.facts.stored if self.facts and fate else ())
                ],
                "objects": dict(fate.goes) if fate else {},
                "schemas": list(fate.schemas) if fate else [],
            },
            "stays": [f"{words} ({meant})" if meant else words for words, meant in fate.stays]
            if fate
            else [],
            "repair": before.repair.to_json() if before.repair else None,
            "gate": before.gate.to_json() if before.gate else None,
            "closed": list(self.closed),
            "rehearsal": _rehearsal(self.view.rehearsed) if before.migrations else None,
            "approval": self.request.to_json() if self.request else None,
            "wants_reason": None if before.excuse is None else before.excuse.detail,
            **standing_json(self.view.record),
            "type_to_confirm": self.expected,
            "confirmation": self.confirmation,
            "warnings": [f"{title}. {sentence}" for title, sentence in self.warnings],
            "live_workers": self.live_workers,
        }


async def prepare(
    connection: AsyncConnection,
    configuration: Configuration,
    kind: AnyOperation,
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
    before = await kind.before(connection, seen)
    closed = [f"{each.title}: {each.detail or each.state}. {each.way}".strip() for each in before.held_by]
    if not may(who, kind.permission, environment.project):
        closed.insert(
            0, f"Your role on {environment.project} does not allow you to {PHRASES[kind.permission]}."
        )
    if kind.mutating and (record is None or not record.pinned):
        closed.append("This database was never checked, so it is not known which one it is. Check it first.")
    if kind.mutating and record is not None and record.job is not None and not record.job.observes:
        closed.append(f"Job {record.job.id} ({record.job.kind}) is running on this database.")
    request = None
    if before.approval is not None and before.shown_hash is not None and record is not None:
        request = await living_request(connection, record.environment_id, kind.name, before.shown_hash)
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
    return Preparation(
        kind=kind,
        who=who,
        view=seen,
        facts=facts,
        before=before,
        closed=tuple(closed),
        expected=kind.name_to_type(environment),
        confirmation=confirmation,
        live_workers=await live_workers(connection),
        request=request,
        warnings=tuple(
            _warnings(
                kind,
                seen.project,
                fresh=kind.destructive or kind.from_nothing or not (observation and observation.revisions),
            )
        ),
    )


def _warnings(kind: AnyOperation, project: Project, *, fresh: bool) -> Iterator[tuple[str, str]]:
    """What the wall around project code does not hold; `fresh`: the database is or becomes empty."""
    if kind.code == "nowhere":
        return
    if project.without_wall:
        yield (
            "Project code may run without a wall",
            f"With without_wall = true {project.name} also runs where nothing keeps it from the rest of the host.",
        )
    if kind.code == "on the target":
        for command in tool_of(project).unchecked(project, fresh=fresh):
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


@dataclass(frozen=True, slots=True)
class ProjectPreparation:
    """The same for a kind that belongs to a project: there is no database to be told of."""

    kind: AnyOperation
    project: Project
    closed: tuple[str, ...]
    live_workers: int
    warnings: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "kind": self.kind.name,
            "title": self.kind.title,
            "project": self.project.name,
            "closed": list(self.closed),
            "warnings": [f"{title}. {sentence}" for title, sentence in self.warnings],
            "live_workers": self.live_workers,
        }


async def prepare_for_project(
    connection: AsyncConnection,
    kind: AnyOperation,
    project: Project,
    who: Principal,
    chosen: Mapping[str, str],
) -> ProjectPreparation:
    """Read what a person is told before a job of the whole project starts, with these parameters chosen already."""
    return ProjectPreparation(
        kind,
        project,
        tuple(_not_allowed(kind, project.name, who)),
        await live_workers(connection),
        (*_warnings(kind, project, fresh=True), *await kind.warns(connection, project, chosen)),
    )


def _not_allowed(kind: AnyOperation, project: str, who: Principal) -> Iterator[str]:
    if not may(who, kind.permission, project):
        yield f"Your role on {project} does not allow you to {PHRASES[kind.permission]}."
