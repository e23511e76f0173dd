"""The dialog before a job: what it will do, to what, and what the person has to know, choose and confirm."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from web import addresses, words
from web.inspection.environment import read_backups
from web.inspection.gate import enforced
from web.operations.fate import Fate as PreparedFate
from web.operations.preparation import Preparation
from web.pages.drift import shown_repair
from web.pages.environment_head import ICONS, doubt_notes
from web.pages.planned import hazards_of, planned_of, statements_of
from web.pages.presenting import check, ref
from web.pages.views.dialogs import (
    Confirmation,
    Dialog,
    Fate,
    FateLine,
    Field,
    PendingMigration,
    TableFate,
    Target,
)
from web.pages.views.marks import Check, Fact, Link, Mark, Option

#: Tables that a dialog names; the others are counted.
TABLES = 200
#: What a dialog begins with, for the kinds of which nothing more is to be said.
LEADS = {
    "migrate": "The job streams every statement; it can be cancelled, and it ends in its true state.",
    "revert": (
        "The statements below run on the database itself, in the transactions in which they were proven, "
        "and only if its schema is still the one that they were made for."
    ),
    "adopt": (
        "A migration is written in the project's own style that gives what this database has, and run in scratch "
        "after the old head. The database is only read, and nothing is written into the source."
    ),
    "stamp": (
        "The revision is recorded as applied, and nothing is run. It is refused where the schema is not what the "
        "migrations up to it give."
    ),
    "plan-revert": (
        "The database is compared with its migrations, and what leads it back is run on a scratch copy. "
        "The database itself is only read."
    ),
}
#: What the button says where the verb and the environment would not.
SUBMITS = {"adopt": "Write the migration", "plan-revert": "Plan the revert"}
#: What leaves the dialog says: what is kept.
KEEP = {
    "reset": "Keep the data",
    "migrate": "Leave it as it is",
    "revert": "Leave it as it is",
    "stamp": "Leave it as it is",
}
#: For a parameter that may be left to the environment's policy.
THREE_ANSWERS = (("", "As the environment's policy says"), ("true", "Yes"), ("false", "No"))


async def read_dialog(
    store: AsyncConnection, prepared: Preparation, chosen: Mapping[str, str], moment: datetime
) -> Dialog:
    """The dialog for what was prepared; `chosen` are the values that its fields begin with."""
    kind, environment, seen = prepared.kind, prepared.environment, prepared.view
    count = len(seen.verdict.pending)
    heading, submit = f"{kind.verb} {environment.label}?", f"{kind.verb} {environment.label}"
    if kind.name == "migrate":
        submit = f"Apply {words.plural(count, 'migration')}"
        heading = f"{submit} to {environment.label}?"
    submit = SUBMITS.get(kind.name, submit)
    hidden = [("signed", prepared.confirmation or "")] if kind.destructive else []
    if seen.observation is not None and not kind.destructive and kind.mutating:
        hidden += [
            ("seen_fingerprint", seen.observation.fingerprint or ""),
            ("seen_revisions", " ".join(seen.observation.revisions)),
            ("plan_hash", prepared.plan_hash or ""),
        ]
    return Dialog(
        environment=ref(environment),
        kind=kind.name,
        heading=heading,
        lead=_lead(prepared),
        submit=submit,
        keep=KEEP.get(kind.name, "Not now"),
        icon=ICONS.get(kind.name, "list-checks"),
        danger=kind.destructive or (prepared.repair is not None and prepared.repair.loses),
        # A verification does not touch the environment's database.
        target=None if kind.name == "verify" else _target(prepared),
        pending=_pending(prepared) if kind.name == "migrate" else None,
        pending_account=_plan_account(prepared, moment) if kind.name == "migrate" else "",
        fate=_fate(prepared, prepared.fate) if prepared.fate is not None else None,
        repair=shown_repair(prepared.repair) if prepared.repair is not None else None,
        checks=_checks(prepared, moment),
        fields=await _fields(store, prepared, chosen),
        confirmation=Confirmation(prepared.expected, "Type") if prepared.expected else None,
        hidden=tuple(hidden),
        doubts=doubt_notes(seen.record, prepared.who),
        closed=" ".join(prepared.closed)
        or (None if kind.name != "migrate" or count else "Nothing is pending."),
    )


def _lead(prepared: Preparation) -> str:
    if prepared.kind.destructive:
        return "Everything in this database goes and cannot be brought back except from a backup."
    if prepared.kind.name == "verify":
        return (
            "The backup is restored into a scratch database, and there every row is counted and compared. "
            f"The database of {prepared.environment.label} is not touched."
        )
    return LEADS.get(prepared.kind.name, "It runs as a background job; this page may be left.")


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
    found.append(Fact("Last looked at", moment=observation.observed_at))
    mark = (
        Mark("ok", "Pinned identity, checked again by the job")
        if record and record.pinned and observation.reachable
        else Mark("unknown", "Not reached at the last look")
    )
    return Target(tuple(found), mark)


def _fate(prepared: Preparation, fate: PreparedFate) -> Fate:
    facts = prepared.facts
    tables = facts.stored if facts else ()
    rows = f"about {words.estimate(facts.rows if facts else None)} rows"
    lines = [
        FateLine(
            words.plural(number, kind, kind.removesuffix("y") + "ies" if kind.endswith("y") else None),
            rows if kind == "table" else ", ".join(fate.schemas[:5]) if kind == "schema" else "",
        )
        for kind, number in fate.goes
    ]
    stays = [FateLine(*each) for each in fate.stays]
    return Fate(
        goes=tuple(lines),
        stays=tuple(stays),
        tables=tuple(
            TableFate(f"{each.schema}.{each.name}", each.rows, each.size or 0) for each in tables[:TABLES]
        ),
        more_tables=max(0, len(tables) - TABLES),
        last_write=facts.last_write if facts else None,
    )


def _pending(prepared: Preparation) -> tuple[PendingMigration, ...]:
    planned = planned_of(prepared.plan or {}, prepared.view.verdict.pending)
    return tuple(
        PendingMigration(
            revision=step.revision,
            message=step.message or step.revision,
            file=step.path,
            hazards=hazards_of(planned.get(step.revision)),
            statements=statements_of(planned.get(step.revision)),
        )
        for step in prepared.view.verdict.pending
    )


def _plan_account(prepared: Preparation, moment: datetime) -> str:
    rehearsed = prepared.view.rehearsed
    if rehearsed is None:
        return "Not rehearsed: the SQL is not known yet"
    if not rehearsed.succeeded:
        return f"{rehearsed.words}: {rehearsed.message}"
    return f"As rehearsed {words.ago(rehearsed.made_at, moment)}"


def _checks(prepared: Preparation, moment: datetime) -> tuple[Check, ...]:
    found = []
    if prepared.gate is not None:
        found = [
            check(
                each,
                warning=prepared.kind.name == "migrate" and not enforced(each, prepared.environment),
                now=moment,
                link=_way(prepared, each.name) if each.state != "met" else None,
            )
            for each in prepared.gate.conditions
        ]
    found += [Check(Mark("warn", title), account=account) for title, account in prepared.warnings]
    if not prepared.live_workers:
        found.append(Check(Mark("warn", "No worker is alive"), account="The job waits until one is."))
    return tuple(found)


def _way(prepared: Preparation, condition: str) -> Link | None:
    """Where a person goes to have a condition met."""
    if condition == "verified backup":
        return _proof(prepared)
    if condition == "rehearsal":
        environment = prepared.environment
        words = "Rehearse again" if prepared.view.rehearsed else "Rehearse"
        return Link(words, addresses.new_job(environment.project, environment.name, "rehearse"))
    return None


def _proof(prepared: Preparation) -> Link:
    """The way to a verified backup: verify the one that is there, or take one."""
    environment, record = prepared.environment, prepared.view.record
    if record and record.backup and record.backup.state == "unverified":
        return Link(
            "Verify the newest backup", addresses.new_job(environment.project, environment.name, "verify")
        )
    return Link("See backups", addresses.environment(environment.project, environment.name, "backups"))


async def _fields(
    store: AsyncConnection, prepared: Preparation, chosen: Mapping[str, str]
) -> tuple[Field, ...]:
    """A field for each parameter that a person may choose, from the kind's own description of it."""
    found = []
    for name, field in prepared.kind.parameters.model_fields.items():
        if name == "despite_failed_rehearsal" and prepared.wants_reason is None:
            continue
        title = field.title or name.replace("_", " ").capitalize()
        hint = field.description or ""
        if name == "backup":
            found.append(
                Field(name, title, "select", options=await _backups(store, prepared, chosen), hint=hint)
            )
        elif field.annotation is bool:
            ticked = chosen.get(name, str(field.default).lower()) == "true"
            found.append(Field(name, title, "check", value="true", checked=ticked, hint=hint))
        elif field.annotation == bool | None:
            options = tuple(Option(*each, each[0] == chosen.get(name, "")) for each in THREE_ANSWERS)
            found.append(Field(name, title, "select", options=options, hint=hint))
        else:
            value = chosen.get(name, "" if field.default is None else str(field.default))
            number = field.annotation is int
            found.append(Field(name, title, "number" if number else "text", value=value, hint=hint))
    return tuple(found)


async def _backups(
    store: AsyncConnection, prepared: Preparation, chosen: Mapping[str, str]
) -> tuple[Option, ...]:
    record = prepared.view.record
    stored = await read_backups(store, record.environment_id) if record else ()
    return tuple(
        Option(
            each.id,
            f"{words.exact(each.created_at)}, {words.size(each.size)}, {each.state}",
            each.id == chosen.get("backup"),
        )
        for each in stored
    )
