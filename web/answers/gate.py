"""The gate: the verdict and the policy's conditions, open or closed, with a reason for each.

Pure. Page, API, CLI and the jobs that act all ask here.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from web import words
from web.answers.rehearsed import Rehearsed
from web.answers.verdict import Verdict
from web.config import Environment
from web.observation.records import Doubt, Record, outdated_by
from web.remedies.counting import not_counted, refused
from web.remedies.repair import Repair

ConditionState = Literal["met", "not met", "not known"]


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that has to hold, whether it does, and what would make it so."""

    name: str
    #: How it stands, as a statement that is true: another one where the condition is met than where it is not.
    title: str
    state: ConditionState
    detail: str = ""
    #: What opens it, in one sentence.
    way: str = ""
    #: Whether a person may go on in spite of it, with a reason.
    excusable: bool = False

    @property
    def status(self) -> str:
        """The status key of the pages."""
        return {"met": "ok", "not met": "blocked", "not known": "unknown"}[self.state]


@dataclass(frozen=True, slots=True)
class Gate:
    """Open only if every condition is met: what could not be told never counts as ready."""

    conditions: tuple[Condition, ...]

    @property
    def open(self) -> bool:
        return all(condition.state == "met" for condition in self.conditions)

    @property
    def closed_by(self) -> tuple[Condition, ...]:
        return tuple(condition for condition in self.conditions if condition.state != "met")

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "open": self.open,
            "conditions": [
                {
                    "name": each.name,
                    "title": each.title,
                    "state": each.state,
                    "detail": each.detail,
                    "way": each.way,
                }
                for each in self.conditions
            ],
        }


def deployment_gate(
    verdict: Verdict,
    environment: Environment,
    record: Record | None,
    rehearsed: Rehearsed | None,
    *,
    now: datetime | None = None,
) -> Gate:
    """May this build be deployed: nothing pending, and everything that a migrate would need as well."""
    conditions = [*_migration_conditions(verdict, environment, record, rehearsed, now or datetime.now(UTC))]
    count = len(verdict.pending)
    told = verdict.standing not in ("unreachable", "not known", "unknown revision", "before the clean start")
    nothing = Condition(
        "nothing pending",
        "Not known what is pending" if not told else "Migrations are pending" if count else "Nothing pending",
        "not known" if not told else "not met" if count else "met",
        f"{count} pending" if told and count else "",
        f"Apply {'it' if count == 1 else f'the {count} migrations'} first." if count else "",
    )
    return Gate((*conditions, nothing))


def migration_gate(
    verdict: Verdict,
    environment: Environment,
    record: Record | None,
    rehearsed: Rehearsed | None,
    *,
    now: datetime | None = None,
) -> Gate:
    """May the pending migrations be applied."""
    return Gate(
        tuple(_migration_conditions(verdict, environment, record, rehearsed, now or datetime.now(UTC)))
    )


#: Conditions without which nothing is applied to production; elsewhere they are warnings.
_ENFORCED_ON_PRODUCTION = frozenset({"rehearsal", "nothing in doubt"})
#: Conditions without which nothing is applied anywhere.
_ENFORCED = frozenset({"checked", "one head", "revision known", "unchanged", "verified backup", "approval"})


def enforced(condition: Condition, environment: Environment) -> bool:
    """Whether a migrate waits for this condition; what is not enforced is shown as a warning.

    Drift is not: whoever has it must be able to migrate out of it. That there is a rehearsal is on production only,
    because development and staging are where one finds out; one that failed is everywhere, unless excused. What is
    in doubt is on production only, too, because to migrate on is one way out.
    """
    on_production = environment.tier == "production" and condition.name in _ENFORCED_ON_PRODUCTION
    failed = condition.name == "rehearsal" and condition.state == "not met"
    return condition.name in _ENFORCED or on_production or failed


def approvals_needed(environment: Environment, *, failed: bool = False) -> int:
    """How many others have to consent; to pass over a rehearsal that failed for production one at least."""
    return max(environment.approvals, 1 if failed and environment.tier == "production" else 0)


def approved(needed: int, given: int, what: str) -> Condition:
    """Whether enough others consent to exactly this: a plan, a repair, a reset."""
    met = given >= needed
    title = "pproved" if needed == 1 else f"pproved by {needed} people"
    return Condition(
        "approval",
        f"A{title}" if met else f"Not a{title}",
        "met" if met else "not met",
        f"{given} of {needed}",
        "" if met else f"Ask somebody else to approve {what}.",
    )


def stamp_gate(environment: Environment, given: int) -> Gate:
    """May a revision be recorded without being run, as far as people decide; the job compares the schema."""
    needed = approvals_needed(environment)
    return Gate((approved(needed, given, "the stamp"),) if needed else ())


def reset_gate(
    environment: Environment, record: Record | None, *, given: int = 0, now: datetime | None = None
) -> Gate:
    """May this environment be reset; asked by the dialog, at the start and right before the first drop.

    `given` is how many others consent to it.
    """
    now = now or datetime.now(UTC)
    allowed = environment.reset is not None and environment.tier != "production"
    policy = Condition(
        "policy",
        "The environment may be reset" if allowed else "The environment may not be reset",
        "met" if allowed else "not met",
        f"{environment.label} is a {environment.tier} database",
        "" if allowed else "Reset exists only where it is configured, never on production.",
    )
    pinned = record is not None and record.pinned
    identity = Condition(
        "identity",
        "The database is the one that was pinned" if pinned else "Not known which database this is",
        "met" if pinned else "not known",
        (record.identity or "") if record else "",
        "" if pinned else "Check the environment once: that pins its identity.",
    )
    found = [policy, _looked_at(record), identity, _verified_backup(environment, record, now)]
    if needed := approvals_needed(environment):
        found.append(approved(needed, given, "the reset"))
    return Gate(tuple(found))


def repair_gate(
    environment: Environment, record: Record | None, repair: Repair | None, *, now: datetime | None = None
) -> Gate:
    """May the environment's drift be reverted; asked by the dialog, at the start and before the first statement."""
    now = now or datetime.now(UTC)
    found = [_looked_at(record), _proven(repair), *_rows_allow_it(repair)]
    if backup_needed(environment) or (repair is not None and repair.loses):
        found.append(_verified_backup(environment, record, now))
    if needed := approvals_needed(environment):
        found.append(approved(needed, repair.approvals if repair else 0, "the repair"))
    return Gate(tuple(found))


def _proven(repair: Repair | None) -> Condition:
    way = "Plan the revert: that writes the statements and runs them on a scratch copy."
    if repair is None:
        title = "No repair was proven for the schema as it was last seen"
        return Condition("proven repair", title, "not known", "not planned yet", way)
    if repair.refusal is not None:
        title = "The repair was not proven"
        return Condition("proven repair", title, "not met", repair.refusal, "Repair this by hand.")
    if not repair.statements:
        detail = repair.left[0].reason if repair.left else "there is nothing that it would do"
        way = "Plan it again, or repair by hand."
        return Condition("proven repair", "There is nothing to run", "not met", detail, way)
    at = repair.made_at.isoformat(timespec="seconds")
    return Condition("proven repair", "Proven on a scratch copy", "met", at)


def _rows_allow_it(repair: Repair | None) -> Iterable[Condition]:
    """As they were counted with the plan; the job counts again. What is not known is asked about there."""
    if repair is None or not repair.counted:
        return
    name, at = "rows", repair.made_at.isoformat(timespec="seconds")
    if (said := refused(repair.counted)) is not None:
        way = "Put these rows right, then plan the revert again: it counts anew."
        yield Condition(name, "Rows refuse it", "not met", said, way)
    elif not_counted(repair.counted) is None:
        yield Condition(name, "No row refuses it", "met", at)


def backup_needed(environment: Environment) -> bool:
    """Whether changing it needs a verified backup: production, and wherever backups are scheduled."""
    return environment.tier == "production" or environment.backup.schedule is not None


#: Out of an archived history, by whether the database has all of it.
_ONWARD = {
    True: "`cleanstart restamp` exchanges it where the schema is the baseline's.",
    False: "`cleanstart migrate` applies the rest.",
}


def _migration_conditions(
    verdict: Verdict,
    environment: Environment,
    record: Record | None,
    rehearsed: Rehearsed | None,
    now: datetime,
) -> Iterable[Condition]:
    told = verdict.standing not in ("unreachable", "not known")
    holds = {verdict.standing, *verdict.also}

    def judge(name: str, titles: tuple[str, str, str], bad: bool, detail: str, way: str) -> Condition:
        met, not_met, not_known = titles
        if not told:
            way = "Put that right, then check again."
            return Condition(name, not_known, "not known", verdict.sentence, way)
        return Condition(
            name, not_met if bad else met, "not met" if bad else "met", detail, way if bad else ""
        )

    yield _looked_at(record)
    yield _nothing_in_doubt(record)
    yield judge(
        "one head",
        (
            "The heads are as configured" if len(verdict.heads) > 1 else "One head",
            "Several heads",
            "Not known how many heads there are",
        ),
        "several heads" in holds,
        ", ".join(verdict.heads),
        "Say with `follow` which heads are meant."
        if verdict.separate
        else "Merge the heads, with `cleanstart merge-heads` or by hand, and register the new build.",
    )
    yield judge(
        "revision known",
        (
            "The database's revision is in this history",
            "The database has revisions that are not in this history",
            "Not known at which revision the database is",
        ),
        bool(verdict.unknown or verdict.beyond),
        ", ".join(verdict.unknown or verdict.beyond or verdict.revisions),
        f"{verdict.sentence} {_ONWARD[verdict.is_at_the_old_head]}"
        if verdict.standing == "before the clean start"
        else "Take a build that has this revision, or stamp the database at one that is known, with "
        "`cleanstart stamp`.",
    )
    yield judge(
        "unchanged",
        (
            "Migrations unchanged since applied",
            "Migrations were edited after they were applied",
            "Not known whether applied migrations were edited",
        ),
        bool(verdict.edited),
        ", ".join(verdict.edited) or ("" if verdict.edits_known else "for some there is no evidence yet"),
        "Restore the files as they were applied; put the change into a new migration.",
    )
    no_drift = _no_drift(record)
    # Of a part of an archived history a check could not say more.
    yield no_drift if verdict.archive is None else replace(no_drift, way="")
    if backup_needed(environment):
        yield _verified_backup(environment, record, now)
    if verdict.pending and told:
        yield _rehearsal(verdict, rehearsed, environment)
        failed = rehearsed is not None and rehearsed.outcome == "failed"
        if needed := approvals_needed(environment, failed=failed):
            what = "going on in spite of this failure" if failed else "the rehearsed plan"
            yield approved(needed, rehearsed.approvals if rehearsed else 0, what)


def _looked_at(record: Record | None) -> Condition:
    observation = record.observation if record else None
    if observation is None:
        title = "The database has not been checked"
        return Condition("checked", title, "not known", "never", "Check the environment.")
    if not observation.reachable:
        title, reason = (
            "The database cannot be reached",
            observation.error["message"] if observation.error else "",
        )
        return Condition("checked", title, "not known", reason, "Check again once it can be reached.")
    if record is not None and record.unseen is not None:
        title = "The database has not been checked since a job ended"
        return Condition("checked", title, "not known", outdated_by(record.unseen), "Check the environment.")
    title = "The database has been checked"
    return Condition("checked", title, "met", observation.observed_at.isoformat(timespec="seconds"))


def _nothing_in_doubt(record: Record | None) -> Condition:
    doubts = record.doubts if record else ()
    if not doubts:
        return Condition("nothing in doubt", "No job has left anything in doubt", "met")
    unknown = [each for each in doubts if each.sort == "outcome not known"]
    return Condition(
        "nothing in doubt",
        "How a job ended is not known" if unknown else "A job has left something half done",
        "not known" if unknown else "not met",
        "; ".join(each.words for each in doubts),
        way_out(doubts),
    )


def way_out(doubts: Sequence[Doubt]) -> str:
    """What settles these doubts."""
    person = "an administrator with a reason (`cleanstart settle`)"
    if all(each.by_check for each in doubts):
        return (
            "It is settled by a check that finds exactly the schema of the recorded migrations, or the one of before "
            f"the job, by a reset that succeeds, or by {person}."
        )
    return f"No check can settle it, because rows may have changed: a reset that succeeds does, or {person}."


def _no_drift(record: Record | None) -> Condition:
    not_known = "Not known whether the schema differs from the applied migrations"
    observation = record.observation if record else None
    if observation is None:
        return Condition("no drift", not_known, "not known", "never compared", "Check the environment.")
    drift = observation.drift
    if drift.state == "none":
        return Condition("no drift", "No difference to the applied migrations", "met")
    if drift.state == "drifted":
        return Condition(
            "no drift",
            "The schema differs from the applied migrations",
            "not met",
            drift.words,
            "Write the differences into a migration, or undo them by hand.",
        )
    return Condition(
        "no drift", not_known, "not known", drift.reason or drift.words, "Check the environment."
    )


def _verified_backup(environment: Environment, record: Record | None, now: datetime) -> Condition:
    limit = environment.backup.max_age
    met, not_met = (
        f"Verified backup within {words.span(limit)}",
        f"No verified backup within {words.span(limit)}",
    )
    newest = record.backup.verified_created_at if record and record.backup else None
    way = "Back up, then verify the backup."
    if newest is None:
        return Condition("verified backup", not_met, "not met", "there is none", way)
    age = now - newest
    if age > limit:
        return Condition(
            "verified backup", not_met, "not met", f"the newest was taken {words.span(age)} ago", way
        )
    return Condition("verified backup", met, "met", f"taken {words.span(age)} ago")


def _rehearsal(verdict: Verdict, rehearsed: Rehearsed | None, environment: Environment) -> Condition:
    way = "Rehearse the migrations."
    if rehearsed is None:
        return Condition("rehearsal", "Not rehearsed in a scratch database", "not known", "not yet", way)
    if {step.revision: step.digest for step in verdict.pending} != rehearsed.files:
        title = "Not rehearsed as the migrations are now"
        return Condition("rehearsal", title, "not known", "the files have changed since", way)
    if rehearsed.stale:
        title = "Not rehearsed with the project's code as it is now"
        changed = "env.py, what it imports, packages or settings have changed since"
        return Condition("rehearsal", title, "not known", changed, way)
    if rehearsed.outcome == "not held":
        way = f"{rehearsed.hint or 'Put that right.'} Then rehearse again."
        reason = rehearsed.message or "no reason is known"
        return Condition("rehearsal", "Could not rehearse in a scratch database", "not known", reason, way)
    if rehearsed.outcome == "failed":
        way = "Correct the migration, or rehearse again where something else was at fault."
        excusable = rehearsed.approvals >= approvals_needed(environment, failed=True)
        if environment.tier == "production" and not excusable:
            way += " To go on in spite of it takes the approval of exactly this failure, and a reason."
        else:
            way += " To go on in spite of it takes a reason."
        return Condition(
            "rehearsal",
            "The rehearsal failed",
            "not met",
            rehearsed.message or "no message",
            way,
            excusable=excusable or environment.tier != "production",
        )
    title = "Rehearsed in a scratch database"
    return Condition("rehearsal", title, "met", rehearsed.made_at.isoformat(timespec="seconds"))
