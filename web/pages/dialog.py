"""The dialog before a job: what it will do, to what, and what the person has to know, choose and confirm."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.access.permissions import may
from web.answers.environment import read_backups
from web.observation.records import Record
from web.pages.environment.drift import shown_repair
from web.pages.environment.head import doubt_notes
from web.pages.planned import hazards_of, planned_of, statements_of
from web.pages.presenting import check, ref
from web.pages.views.dialogs import (
    Confirmation,
    Dialog,
    FateLine,
    Field,
    PendingMigration,
    ShownFate,
    TableFate,
    Target,
)
from web.pages.views.marks import Check, Fact, Link, Mark, Option, ProjectRef
from web.starting.fate import Fate
from web.starting.operation import AnyOperation, Operations, choice_of, is_given
from web.starting.preparation import Preparation, ProjectPreparation

#: Tables that a dialog names; the others are counted.
TABLES = 200
#: For a parameter that may be left to the environment's policy.
THREE_ANSWERS = (("", "As the environment's policy says"), ("true", "Yes"), ("false", "No"))


async def read_dialog(
    store: AsyncConnection,
    kinds: Operations,
    prepared: Preparation,
    chosen: Mapping[str, str],
    moment: datetime,
) -> Dialog:
    """The dialog for what was prepared; `chosen` are the values that its fields begin with."""
    kind, environment, seen, before = prepared.kind, prepared.environment, prepared.view, prepared.before
    hidden = [("signed", prepared.confirmation or "")] if kind.destructive else []
    if seen.observation is not None and not kind.destructive and kind.mutating:
        hidden += [
            ("seen_fingerprint", seen.observation.fingerprint or ""),
            ("seen_revisions", " ".join(seen.observation.revisions)),
            ("shown_hash", before.shown_hash or ""),
        ]
    return Dialog(
        where=ref(environment),
        path=addresses.start_job(environment.project, environment.name, kind.name),
        heading=kind.heading_words(seen),
        lead=f"{before.about} {kind.lead.replace('{environment}', environment.label)}".strip(),
        submit=kind.submit_words(seen),
        keep=kind.keep,
        icon=kind.icon,
        danger=kind.destructive or (before.repair is not None and before.repair.loses),
        target=_target(prepared) if kind.connects else None,
        pending=_pending(prepared) if before.migrations else None,
        pending_account=_plan_account(prepared, moment) if before.migrations else "",
        fate=_fate(prepared, before.fate) if before.fate is not None else None,
        repair=shown_repair(before.repair) if before.repair is not None else None,
        checks=_checks(kinds, prepared, moment),
        fields=await _fields(store, kind, seen.record, chosen, excuse=before.excuse is not None),
        confirmation=Confirmation(prepared.expected, "Type") if prepared.expected else None,
        hidden=tuple(hidden),
        doubts=doubt_notes(seen.record, prepared.who),
        closed=" ".join(prepared.closed) or before.pointless or None,
    )


async def read_project_dialog(
    store: AsyncConnection, prepared: ProjectPreparation, chosen: Mapping[str, str]
) -> Dialog:
    """The dialog of a kind that belongs to a project."""
    kind, project = prepared.kind, prepared.project
    return Dialog(
        where=ProjectRef(project.name),
        path=addresses.start_project_job(project.name, kind.name),
        heading=f"{kind.verb} {project.title}?",
        lead=kind.lead.replace("{project}", project.title),
        submit=f"{kind.verb} {project.title}",
        keep=kind.keep,
        icon=kind.icon,
        checks=tuple(_warnings(prepared)),
        fields=await _fields(store, kind, None, chosen),
        closed=" ".join(prepared.closed) or None,
    )


def _target(prepared: Preparation) -> Target | None:
    observation, record, facts = prepared.view.observation, prepared.view.record, prepared.facts
    if observation is None:
        return None
    found = [
        Fact("Database", observation.database or "not known", mono=True),
        Fact("Server", observation.host or "not known", mono=True),
    ]
    if record and record.identity:
        found.append(Fact("Identity", record.identity, mono=True))
    if facts:
        found += [
            Fact("Size", words.size(facts.size)),
            Fact("Rows", f"about {words.estimate(facts.rows)} in {words.plural(len(facts.stored), 'table')}"),
            Fact("Sessions", str(facts.sessions.total)),
        ]
    found.append(Fact("Last checked", moment=observation.observed_at))
    mark = (
        Mark("ok", "Pinned identity, checked again by the job")
        if record and record.pinned and observation.reachable
        else Mark("unknown", "Not reached at the last check")
    )
    return Target(tuple(found), mark)


def _fate(prepared: Preparation, fate: Fate) -> ShownFate:
    facts = prepared.facts
    tables = facts.stored if facts else ()
    rows = f"about {words.estimate(facts.rows if facts else None)} rows"
    lines = [
        FateLine(
            words.plural(number, kind),
            rows if kind == "table" else ", ".join(fate.schemas[:5]) if kind == "schema" else "",
        )
        for kind, number in fate.goes
    ]
    stays = [FateLine(*each) for each in fate.stays]
    return ShownFate(
        goes=tuple(lines),
        stays=tuple(stays),
        tables=tuple(
            TableFate(f"{each.schema}.{each.name}", each.rows, each.size or 0) for each in tables[:TABLES]
        ),
        more_tables=max(0, len(tables) - TABLES),
        last_write=facts.last_write if facts else None,
    )


def _pending(prepared: Preparation) -> tuple[PendingMigration, ...]:
    planned = planned_of(prepared.plan, prepared.view.to_apply.pending)
    return tuple(
        PendingMigration(
            revision=step.revision,
            message=step.message or step.revision,
            file=step.path,
            hazards=hazards_of(planned.get(step.revision)),
            statements=statements_of(planned.get(step.revision)),
        )
        for step in prepared.view.to_apply.pending
    )


def _plan_account(prepared: Preparation, moment: datetime) -> str:
    rehearsed = prepared.view.rehearsed
    if rehearsed is None:
        return "Not rehearsed: the SQL is not known yet"
    if not rehearsed.succeeded:
        return f"{rehearsed.words}: {rehearsed.message}"
    return f"As rehearsed {words.ago(rehearsed.made_at, moment)}"


def _checks(kinds: Operations, prepared: Preparation, moment: datetime) -> tuple[Check, ...]:
    found = []
    gate, before = prepared.before.gate, prepared.before
    if gate is not None:
        found = [
            check(
                each,
                # What is not met and does not hold it back.
                warning=each in gate.closed_by and each not in before.held_by and each != before.excuse,
                now=moment,
                link=_way(kinds, prepared, each.name) if each.state != "met" else None,
            )
            for each in gate.conditions
        ]
    return (*found, *_warnings(prepared))


def _warnings(prepared: Preparation | ProjectPreparation) -> Iterator[Check]:
    for title, account in prepared.warnings:
        yield Check(Mark("warn", title), account=account)
    if not prepared.live_workers:
        yield Check(Mark("warn", "No worker is alive"), account="The job waits until one is.")


def _way(kinds: Operations, prepared: Preparation, condition: str) -> Link | None:
    """Where a person goes to have a condition met."""
    environment = prepared.environment
    if condition == "approval" and prepared.request is not None:
        return Link(f"See request {prepared.request.id}", addresses.approval(prepared.request.id))
    if condition == "approval":
        if prepared.before.shown_hash is None or not may(
            prepared.who, prepared.kind.permission, environment.project
        ):
            return None
        path = addresses.new_approval(environment.project, environment.name, prepared.kind.name)
        return Link("Ask for approval", path)
    for kind in kinds.that_meet(condition):
        if (said := kind.meets[condition](prepared.view)) is not None:
            return Link(said, addresses.new_job(environment.project, environment.name, kind.name))
    if condition == "verified backup":
        return Link("See backups", addresses.environment(environment.project, environment.name, "backups"))
    return None


async def _fields(
    store: AsyncConnection,
    kind: AnyOperation,
    record: Record | None,
    chosen: Mapping[str, str],
    *,
    excuse: bool = False,
) -> tuple[Field, ...]:
    """A field for each parameter that a person may choose, from the kind's own description of it."""
    found = []
    for name, field in kind.parameters.model_fields.items():
        if name == kind.reason and not excuse:
            continue
        title = field.title or name.replace("_", " ").capitalize()
        hint = field.description or ""
        if is_given(field) and name in chosen:
            found.append(Field(name, title, "hidden", value=chosen[name]))
        elif choice_of(field) == "backups":
            found.append(
                Field(name, title, "select", options=await _backups(store, record, chosen, name), hint=hint)
            )
        elif field.annotation is bool:
            ticked = chosen.get(name, str(field.default).lower()) == "true"
            found.append(Field(name, title, "check", value="true", checked=ticked, hint=hint))
        elif field.annotation == bool | None:
            options = tuple(Option(*each, each[0] == chosen.get(name, "")) for each in THREE_ANSWERS)
            found.append(Field(name, title, "select", options=options, hint=hint))
        else:
            value = chosen.get(name, "" if field.default in (None, ()) else str(field.default))
            number = field.annotation is int
            found.append(Field(name, title, "number" if number else "text", value=value, hint=hint))
    return tuple(found)


async def _backups(
    store: AsyncConnection, record: Record | None, chosen: Mapping[str, str], name: str
) -> tuple[Option, ...]:
    stored = await read_backups(store, record.environment_id) if record else ()
    return tuple(
        Option(
            each.id,
            f"{words.exact(each.created_at)}, {words.size(each.size)}, {each.state}",
            each.id == chosen.get(name),
        )
        for each in stored
    )
