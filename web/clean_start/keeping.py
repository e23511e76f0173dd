"""The way that keeps the history: what differs is repaired or adopted, then everything is proven to agree."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from web import words
from web.clean_start.judge import Judge, Judged
from web.clean_start.runs import StepName
from web.clean_start.step import Act, Proof, running
from web.comparison.ignore_rules import expression
from web.jobs.reading import JobRecord
from web.operations.adopt import ADOPT
from web.operations.observe import OBSERVE
from web.operations.plan_revert import PLAN_REVERT
from web.operations.stamp import STAMP
from web.operations.survey import SURVEY
from web.schema.difference import Difference

TITLES: Mapping[StepName, tuple[str, str]] = {
    "survey": ("Survey", "Everything is looked at and nothing is changed."),
    "back-up": (
        "Back up",
        "Every environment is backed up, and each backup restored once to see that it can be.",
    ),
    "apply": (
        "Repair",
        "What was changed by hand is taken back or becomes a migration, development first and production last.",
    ),
    "proof": (
        "Prove it",
        "At the end history, models and every live schema have to agree, or somebody answers for what differs.",
    ),
    "report": ("Report", "What was, and what is."),
}
#: Differences of an environment that are gone through one by one; its page of drift has all of them.
LISTED = 30
#: Characters of what both sides have.
SIDES = 200


class Keeping(Judge):
    """Judges a run that keeps the history."""

    @property
    def titles(self) -> Mapping[StepName, tuple[str, str]]:
        """Five of the eight."""
        return TITLES

    @property
    def judges(self) -> Mapping[StepName, Callable[[], Judged]]:
        """What judges each of them."""
        return {
            "survey": self._survey,
            "back-up": self._back_up,
            "apply": self._apply,
            "proof": self._proof,
            "report": self._report,
        }

    @property
    def _committed(self) -> bool:
        """Adopted migrations join the history while it is repaired."""
        return any(each.sort == "started" and each.step == "apply" for each in self._evidence.run.happenings)

    def _applied(self, name: str) -> str | None:
        view = self._evidence.views[name]
        observation, record = view.observation, view.record
        if observation is None or record is None or not observation.reachable or record.unseen is not None:
            return None
        if view.verdict.standing != "in sync" or observation.drift.state != "none":
            return None
        return f"At {', '.join(observation.revisions)}. {observation.drift.words}."

    def _apply(self) -> Judged:
        waiting = ""
        for name, strategy in self._kept.items():
            view = self._evidence.views[name]
            label, observation = view.environment.label, view.observation
            applied = self._applied(name)
            if applied is not None:
                at = observation.observed_at if observation is not None else None
                yield Proof(f"{label} is what its migrations give", "met", applied, name, at=at)
                continue
            if (job := self._busy(name)) is not None:
                yield running(f"{label}: job {job.id} runs", job, name)
                waiting = waiting or label
                continue
            drift = observation.drift.words if observation is not None else "Never checked"
            yield Proof(
                f"{label} is not what its migrations give",
                "not met",
                f"{view.verdict.sentence} {drift}.",
                name,
            )
            if waiting:
                yield Proof(f"{label} waits for {waiting}", "not met", "", name)
                continue
            waiting = label
            yield from self._failed_on(name)
            yield from self._way(name, strategy)

    def _way(self, name: str, strategy: str) -> Judged:
        """What differs comes before what is pending, which may stand on it; a new migration comes after that."""
        view = self._evidence.views[name]
        observation = view.observation
        if observation is None or view.record is None or view.record.unseen is not None:
            yield Act(OBSERVE.name, f"Check {name}", name)
        elif observation.drift.state == "drifted" and not (strategy == "adopt" and self._pending(name)):
            yield from self._repair(name, strategy)
        elif view.verdict.pending:
            yield from self._catch_up(name)
        else:
            yield Act(OBSERVE.name, f"Check {name}", name)

    def _repair(self, name: str, strategy: str) -> Judged:
        """All that differs at once as it was chosen, or one after the other in whatever order people want."""
        differences = self._evidence.differences.get(name, ())
        yield from self._written(name, differences)
        may_write = self._adopted(name) is None and not self._pending(name)
        yield from self._reverting(name, plan=strategy == "repair")
        if strategy == "adopt" and may_write:
            yield Act(ADOPT.name, f"Write a migration for {name}", name, asks=True)
        elif strategy == "adopt" and not self._in_source(name):
            # What differs may be another by now; it takes the place of the one that nobody has put there.
            yield Act(ADOPT.name, f"Write it anew for {name}", name, asks=True)
        if len(differences) > 1:
            ordered = sorted(differences, key=_missing_first)
            for each in ordered[:LISTED]:
                yield self._one(name, each, may_write=may_write)
            if (more := len(ordered) - LISTED) > 0:
                label = self._evidence.views[name].environment.label
                more_of = f"{words.plural(more, 'more difference')} of {label}"
                yield Proof(more_of, "not met", "They are on its page of drift.", name)

    def _one(self, name: str, each: Difference, *, may_write: bool) -> Proof:
        """One difference, with what can be done about it alone."""
        kinds = [(PLAN_REVERT.name, "Revert only this")]
        if may_write:
            kinds.append((ADOPT.name, "Write a migration for this"))
        have = [
            f"{where} {side}"
            for where, side in (("In the migrations:", each.a), ("In the database:", each.b))
            if side
        ]
        sides = " ".join(f"{said}." for said in have)
        return Proof(
            _difference_in_words(each),
            "not met",
            sides if len(sides) <= SIDES and "\n" not in sides else "",
            name,
            acts=tuple(Act(kind, said, name, {"only": each.object}, asks=True) for kind, said in kinds),
        )

    def _adopted(self, name: str) -> JobRecord | None:
        """The job that wrote a migration which the database is not recorded at yet; None: there is none."""
        made, source = self._evidence.last(ADOPT.name, name), self._evidence.source
        observation = self._evidence.views[name].observation
        revision = _revision(made)
        if revision is None or observation is None:
            return None
        history = source.history if source is not None else None
        return made if history is None or revision not in history.implied(observation.revisions) else None

    def _in_source(self, name: str) -> bool:
        """Whether the migration that was written for the database is in the source."""
        revision, source = _revision(self._adopted(name)), self._evidence.source
        return (
            revision is not None
            and source is not None
            and source.history is not None
            and revision in source.history
        )

    def _pending(self, name: str) -> bool:
        """Whether something has to be applied first: what was written for the database is there already."""
        revision = _revision(self._adopted(name))
        return any(step.revision != revision for step in self._evidence.views[name].verdict.pending)

    def _written(self, name: str, differences: Sequence[Difference]) -> Judged:
        """What comes next of a migration that was written for what is there."""
        made = self._adopted(name)
        label, revision = self._evidence.views[name].environment.label, _revision(made)
        if made is None or revision is None:
            return
        if not self._in_source(name):
            path = ((made.outcome or {}).get("data") or {}).get("path")
            title = f"The migration {revision} is not in the source yet"
            yield Proof(title, "not met", f"Put {path} there, then check {label}.", name, made.id)
            yield Act(OBSERVE.name, f"Check {name}", name)
            return
        chosen = expression(str(made.parameters.get("only") or "").strip() or "*")
        if rest := [each for each in differences if chosen.fullmatch(each.object) is None]:
            yield Proof(
                f"The migration {revision} is in the source, and {words.plural(len(rest), 'difference')} besides it",
                "not met",
                f"Revert the rest first: {label} is stamped once its schema is what the migration gives.",
                name,
                made.id,
            )
            return
        yield Act(STAMP.name, f"Stamp {name} at {revision}", name, {"revision": revision}, asks=True)

    def _proof(self) -> Judged:
        """A survey that came after everything else."""
        survey, since = self._evidence.survey, self._changed_last
        if (job := self._evidence.running(SURVEY.name)) is not None:
            yield running("Everything is looked at once more", job)
            return
        if survey is None or survey.surveyed_at is None or survey.surveyed_at < since:
            yield Proof("Nobody has looked at everything since it was repaired", "not met")
            yield from self._failed(SURVEY.name)
            yield Act(SURVEY.name, "Survey again")
            return
        at = survey.surveyed_at
        history = survey.history
        if history.refusal is not None:
            yield Proof(
                "The history does not run from nothing", "not met", history.refusal, job_id=survey.job_id
            )
            yield Act(SURVEY.name, "Survey again")
        else:
            took = words.duration(history.seconds or 0)
            yield Proof("The history runs from nothing", "met", took, job_id=survey.job_id, at=at)
        models = survey.models
        if models is not None:
            kinds = ", ".join(words.plural(count, kind) for kind, count in models.differences)
            about = hashlib.sha256(repr((models.differences, models.unmodelled)).encode()).hexdigest()[:10]
            if models.refusal is not None:
                blind = Proof(
                    "The models were not compared", "not known", models.refusal, job_id=survey.job_id
                )
                yield self._acceptable(blind, f"models:{about}")
            elif models.differences:
                differ = Proof(
                    "The models differ from the history", "not met", f"{kinds}.", job_id=survey.job_id
                )
                yield self._acceptable(differ, f"models:{about}")
            else:
                yield Proof("The models say what the history gives", "met", job_id=survey.job_id, at=at)
        for seen in survey.environments:
            if seen.environment not in self._kept:
                continue
            label = f"{survey.project}/{seen.environment}"
            if seen.drift == "none" and not seen.pending and not seen.unknown and seen.reachable:
                yield Proof(
                    f"{label} is what the history gives", "met", "", seen.environment, survey.job_id, at
                )
            else:
                yield Proof(
                    f"{label}: {seen.words}", "not met", seen.sentence, seen.environment, survey.job_id
                )

    @property
    def _changed_last(self) -> datetime:
        """When the last job ended of those that this run starts to change something; else when the run began."""
        started = {
            (each.detail.get("kind"), each.environment)
            for each in self._evidence.run.happenings
            if each.sort == "started" and each.step == "apply"
        }
        ends = [
            each.finished_at
            for each in self._evidence.jobs
            if (each.kind, each.environment) in started and each.finished_at
        ]
        return max(ends, default=self._evidence.run.begun_at)


def _revision(made: JobRecord | None) -> str | None:
    """The migration that an adoption wrote and proved."""
    if made is None or made.state != "succeeded":
        return None
    revision: str | None = ((made.outcome or {}).get("data") or {}).get("revision")
    return revision


def _missing_first(each: Difference) -> tuple[int, str, str]:
    """Where a difference comes among others: missing tables, missing columns, what else is missing, then the rest."""
    if each.change == "removed":
        rank = {"table": 0, "column": 1}.get(each.kind, 2)
    else:
        rank = 4 if each.change == "added" else 3
    return rank, each.object, each.attribute or ""


def _difference_in_words(each: Difference) -> str:
    name = f"{each.kind} {each.object}"
    match each.change:
        case "removed":
            return f"The {name} is missing"
        case "added":
            return f"The {name} is in none of the migrations"
        case "renamed":
            return f"The {name} has another name"
        case "changed":
            return (
                f"The {each.attribute} of the {name} is another"
                if each.attribute
                else f"The {name} is another"
            )
