"""The way that replaces the history: a baseline, its proof, its rehearsal, and where it is applied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from web import words
from web.answers.environment import View
from web.answers.strategy import STRATEGIES, Strategy
from web.clean_start.judge import Judge, Judged
from web.clean_start.runs import StepName
from web.clean_start.step import Act, Proof, running
from web.operations.backup import BACKUP
from web.operations.baseline import BASELINE
from web.operations.beside import BESIDE
from web.operations.cut_over import CUT_OVER
from web.operations.observe import OBSERVE
from web.operations.pin import PIN
from web.operations.plan_revert import PLAN_REVERT
from web.operations.prove_baseline import PROVE_BASELINE
from web.operations.rehearse_clean_start import REHEARSE_CLEAN_START
from web.operations.reset import RESET
from web.operations.restamp import RESTAMP
from web.operations.restamp_back import RESTAMP_BACK
from web.operations.revert import REVERT
from web.operations.smoke_check import SMOKE_CHECK
from web.operations.write_baseline import WRITE_BASELINE
from web.remedies.stored_proofs import Against

TITLES: Mapping[StepName, tuple[str, str]] = {
    "survey": ("Survey", "Everything is looked at and nothing is changed."),
    "back-up": ("Back up", "Every environment is saved, and each backup has been restored once."),
    "baseline": ("Make the baseline", "One migration that gives the whole schema from nothing."),
    "proof": (
        "Prove it",
        "It is compared with the old migrations, the models and every live schema. Somebody answers for what differs.",
    ),
    "rehearsal": (
        "Rehearse and commit",
        "What Apply will do is done to copies of the backups first. Then the change set goes into the source.",
    ),
    "apply": (
        "Apply it",
        "Development first, production last. Nothing of the baseline is run over existing tables.",
    ),
    "cut-over": (
        "Cut over",
        "The application stops migrating when it starts. A task of its own does it, once, before each deployment.",
    ),
    "report": ("Report", "What was, what is, and what everybody else has to do."),
}


def set_id(against: Against) -> str:
    """Names all differences of one comparison at once: other ones give another name."""
    ids = sorted(against.id_of(each) for each in against.differences)
    return f"{against.key}:{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:10]}"


class Replacing(Judge):
    """Judges a clean start."""

    @property
    def titles(self) -> Mapping[StepName, tuple[str, str]]:
        """All eight."""
        return TITLES

    @property
    def judges(self) -> Mapping[StepName, Callable[[], Judged]]:
        """What judges each of them."""
        return {
            "survey": self._survey,
            "back-up": self._back_up,
            "baseline": self._baseline,
            "proof": self._proof,
            "rehearsal": self._rehearsal,
            "apply": self._apply,
            "cut-over": self._cut_over,
            "report": self._report,
        }

    def _baseline(self) -> Iterator[Proof | Act]:
        evidence = self._evidence
        made, job = evidence.baseline, evidence.running(BASELINE.name)
        if job is not None:
            yield running("The baseline is being made", job)
            return
        if made is None or not made.baseline.proven:
            said = made.baseline.refusal if made is not None else None
            title = (
                "The baseline does not give the schema" if made is not None else "There is no baseline yet"
            )
            yield Proof(title, "not met", said or "", job_id=made.job_id if made else None)
            if made is None:
                yield from self._failed(BASELINE.name)
            yield Act(BASELINE.name, "Make the baseline" if made is None else "Make it again", asks=True)
            return
        if not self._committed and (changed := self._changed_since_baseline()):
            yield Proof(
                "The migrations are not those that the baseline replaces",
                "not met",
                f"Other by now: {', '.join(changed[:3])}{f' and {len(changed) - 3} more' if len(changed) > 3 else ''}.",
                job_id=made.job_id,
            )
            yield Act(BASELINE.name, "Make it again", asks=True)
            return
        count = words.plural(len(made.manifest["migrations"]), "migration")
        yield Proof(
            f"{made.baseline.revision} stands for {count}",
            "met",
            f"It gives {made.source} from nothing.",
            job_id=made.job_id,
            at=made.made_at,
        )
        if left := self._left_rows():
            tables = ", ".join(left)
            found = self._acceptable(
                Proof(
                    f"Rows that the old migrations insert are not in it: {words.plural(len(left), 'table')}",
                    "not met",
                    f"A database that it makes has none of {tables}, unless something else fills them.",
                    job_id=made.job_id,
                ),
                f"rows-left:{hashlib.sha256(f'{made.job_id} {tables}'.encode()).hexdigest()[:10]}",
            )
            yield found
            if not found.holds:
                rows = ", ".join([*dict(made.baseline.rows), *left])
                yield Act(
                    BASELINE.name, "Make it again with these rows", parameters={"rows": rows}, asks=True
                )

    def _left_rows(self) -> list[str]:
        """Tables that hold rows after the old migrations, as the survey saw it, and none after the baseline."""
        made, survey = self._evidence.baseline, self._evidence.survey
        assert made is not None
        taken = dict(made.baseline.rows)
        return (
            [name for name, _ in survey.history.inserted if name not in taken] if survey is not None else []
        )

    def _changed_since_baseline(self) -> list[str]:
        made, source = self._evidence.baseline, self._evidence.source
        assert made is not None
        history = source.history if source is not None else None
        if history is None:
            return ["the source cannot be read"]
        was = {each["revision"]: each["digest"] for each in made.manifest["migrations"]}
        now = {each.revision: each.digest for each in history.migrations}
        return sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name))

    @property
    def _committed(self) -> bool:
        """Whether the source, as it was last read, has the baseline in place of what it replaces."""
        made, source = self._evidence.baseline, self._evidence.source
        if made is None or source is None or source.history is None:
            return False
        old = {each["revision"] for each in made.manifest["migrations"]}
        history = source.history
        return made.baseline.revision in history and not any(
            each.revision in old for each in history.migrations
        )

    @property
    def _digest(self) -> str | None:
        """SHA-256 of the baseline's file: the source's, once it is there."""
        made, source = self._evidence.baseline, self._evidence.source
        if made is None:
            return None
        if self._committed and source is not None and source.history is not None:
            found = source.history.get(made.baseline.revision)
            return found.digest if found is not None else None
        return hashlib.sha256(made.baseline.text.encode()).hexdigest()

    def _proof(self) -> Iterator[Proof | Act]:
        evidence = self._evidence
        made, proof, job = evidence.baseline, evidence.proof, evidence.running(PROVE_BASELINE.name)
        if job is not None:
            yield running("The baseline is being compared with everything", job)
            return
        act = Act(
            PROVE_BASELINE.name,
            "Compare with everything" if proof is None else "Compare again",
            parameters={"baseline": made.job_id} if made is not None else {},
        )
        if proof is None or made is None or proof.baseline != made.job_id:
            yield Proof("The baseline was not compared with anything yet", "not met")
            yield from self._failed(PROVE_BASELINE.name)
            yield act
            return
        if proof.digest != self._digest:
            yield Proof(
                "The baseline’s file has been edited since it was proven", "not met", job_id=proof.job_id
            )
            yield act
            return
        if proof.refusal is not None:
            yield Proof("The baseline cannot be run", "not met", proof.refusal, job_id=proof.job_id)
            yield act
            return
        again = False
        faster = f", before {words.duration(proof.old_seconds)}" if proof.old_seconds is not None else ""
        yield Proof(
            "It runs from nothing",
            "met",
            f"{words.duration(proof.seconds or 0)}{faster}",
            job_id=proof.job_id,
            at=proof.made_at,
        )
        if proof.no_downgrade is None:
            yield Proof("Down to empty, and up again", "met", job_id=proof.job_id)
        else:
            yield self._acceptable(
                Proof(
                    "There is no way down",
                    "not met",
                    f"{proof.no_downgrade[:1].upper()}{proof.no_downgrade[1:]}.",
                ),
                f"no-downgrade:{proof.digest[:10]}",
            )
        if proof.tables:
            title = f"The rows of {words.plural(len(proof.tables), 'look-up table')} are the same"
            if proof.rows_differ is None:
                yield Proof(title, "met", job_id=proof.job_id)
            else:
                yield self._acceptable(
                    Proof(
                        "Look-up tables hold other rows",
                        "not met",
                        f"{proof.rows_differ}.",
                        job_id=proof.job_id,
                    ),
                    f"rows:{proof.digest[:10]}",
                )
        for against in proof.against:
            if against.sort == "environment" and against.name not in self._kept:
                continue
            found = self._compared(against, proof.job_id)
            again = again or (found.state == "not known") or bool(self._stale(against))
            yield found
        for name, strategy in self._kept.items():
            if proof.of(name) is None and strategy in ("stamp", "repair"):
                again = True
                yield Proof(f"{evidence.project.name}/{name} was not compared", "not met", "", name)
        if again:
            yield act

    def _stale(self, against: Against) -> str:
        """What of an environment is not as it was compared."""
        strategy = self._kept.get(against.name)
        if against.sort != "environment" or strategy not in ("stamp", "repair"):
            return ""
        if self._applied(against.name) is not None or self._touched(against.name):
            return ""
        observation = self._evidence.views[against.name].observation
        if observation is None or against.refusal is not None:
            return ""
        if sorted(observation.revisions) != sorted(against.revisions):
            return "It is at another revision since."
        return "Its schema has changed since." if observation.fingerprint != against.fingerprint else ""

    def _compared(self, against: Against, job: int | None) -> Proof:
        project = self._evidence.project.name
        name = against.name or None
        what = {
            "old migrations": "The old migrations give the same",
            "models": "The models say the same",
        }.get(against.sort, f"{project}/{against.name} is the same")
        strategy = self._kept.get(against.name)
        if against.refusal is not None:
            title = f"Not compared: {name or against.sort}"
            blind = Proof(title, "not known", against.refusal, name, job)
            # A live database that keeps its data has to be compared.
            if strategy in ("stamp", "repair"):
                return blind
            return self._acceptable(blind, f"{against.key}:not-compared")
        if stale := self._stale(against):
            return Proof(
                f"{project}/{against.name} was compared as it was before", "not met", stale, name, job
            )
        lacks = (
            f"It lacks {words.plural(against.lacks, 'old migration')}, which come first."
            if against.lacks
            else ""
        )
        if not against.differences:
            ignored = (
                f"{words.plural(against.ignored, 'difference')} ignored by rule." if against.ignored else ""
            )
            return Proof(what, "met", f"{lacks} {ignored}".strip(), name, job)
        count = words.plural(len(against.differences), "difference")
        if strategy in ("reset", "beside"):
            return Proof(
                f"{project}/{against.name}: {count}, which go", "met", STRATEGIES[strategy] + ".", name, job
            )
        if strategy == "repair":
            return Proof(f"{project}/{against.name}: {count}, which are repaired", "met", lacks, name, job)
        noun = {"old migrations": "The old migrations", "models": "The models"}.get(
            against.sort, f"{project}/{against.name}"
        )
        missing = [each for each in against.differences if against.id_of(each) not in self._accepted]
        title = f"{noun}: {count}"
        if not missing:
            by = ", ".join(sorted({self._accepted[against.id_of(each)].by for each in against.differences}))
            return Proof(title, "accepted", f"Each was accepted by {by}.", name, job)
        about = set_id(against)
        left = (
            f"{len(missing)} of them not accepted"
            if len(missing) < len(against.differences) and about not in self._accepted
            else ""
        )
        return self._acceptable(Proof(title, "not met", left, name, job), about)

    def _rehearsal(self) -> Iterator[Proof | Act]:
        evidence = self._evidence
        made, held = evidence.baseline, evidence.rehearsal
        if (job := evidence.running(REHEARSE_CLEAN_START.name)) is not None:
            yield running("What Apply will do is being rehearsed", job)
        else:
            missing = False
            for name, strategy in self._kept.items():
                found = self._rehearsed(name, strategy)
                missing = missing or not found.holds
                yield found
            if missing and made is not None:
                if held is None:
                    yield from self._failed(REHEARSE_CLEAN_START.name)
                chosen = ", ".join(f"{name}={strategy}" for name, strategy in evidence.run.strategies.items())
                yield Act(
                    REHEARSE_CLEAN_START.name,
                    "Rehearse" if held is None else "Rehearse again",
                    parameters={"baseline": made.job_id, "strategies": chosen},
                )
                for name in self._kept:
                    copy = held.of(name) if held is not None else None
                    # The backup itself may be what it failed on.
                    if copy is not None and copy.refusal is not None and copy.backup is not None:
                        yield Act(BACKUP.name, f"Back up {name} again", name, {"verify": "true"})
        if (job := evidence.running(WRITE_BASELINE.name)) is not None:
            yield running("The change set is being written into the source", job)
        elif self._committed:
            assert made is not None
            where = made.written.commit.branch if made.written and made.written.commit else ""
            yield Proof(
                "The source holds the baseline",
                "met",
                f"On the branch {where}." if where else "As it was last read.",
                job_id=made.written.job_id if made.written else None,
            )
        else:
            yield Proof(
                "The source does not hold the baseline yet",
                "not met",
                "Once it does, check any environment: that reads the source.",
            )
            yield from self._failed(WRITE_BASELINE.name)
            if made is not None and evidence.project.clean_start.write and self._all_rehearsed:
                yield Act(
                    WRITE_BASELINE.name,
                    "Write it into the source",
                    parameters={"baseline": made.job_id},
                    asks=True,
                )
            elif made is not None and not evidence.project.clean_start.write:
                for name in list(self._kept)[:1]:
                    yield Act(OBSERVE.name, "Read the source again", name)

    @property
    def _all_rehearsed(self) -> bool:
        return all(self._rehearsed(name, strategy).holds for name, strategy in self._kept.items())

    def _rehearsed(self, name: str, strategy: Strategy) -> Proof:
        evidence = self._evidence
        label = evidence.views[name].environment.label
        held, made = evidence.rehearsal, evidence.baseline
        found = held.of(name) if held is not None else None
        if self._applied(name) is not None and found is not None and found.refusal is None:
            return Proof(f"{label} was rehearsed", "met", "", name, held.job_id if held else None)
        if held is None or found is None or made is None or held.baseline != made.job_id:
            return Proof(f"{label} was not rehearsed", "not met", "", name)
        if held.digest != self._digest:
            return Proof(f"{label} was rehearsed with another file", "not met", "", name, held.job_id)
        if found.strategy != strategy:
            return Proof(f"{label} was rehearsed with another strategy", "not met", "", name, held.job_id)
        if found.refusal is not None:
            return Proof(f"The rehearsal for {label} failed", "not met", found.refusal, name, held.job_id)
        backup = evidence.backups.get(name)
        if found.backup is not None and (backup is None or backup.id != found.backup):
            return Proof(f"{label} was rehearsed on another backup", "not met", "", name, held.job_id)
        loses = f" {words.plural(len(found.loses), 'statement')} may lose data." if found.loses else ""
        took = f"{words.plural(len(found.acts), 'act')} in {words.duration(found.seconds)}.{loses}"
        return Proof(f"{label} was rehearsed on a copy", "met", took, name, held.job_id, held.made_at)

    def _apply(self) -> Iterator[Proof | Act]:
        waiting = ""
        for name, strategy in self._kept.items():
            view = self._evidence.views[name]
            label = view.environment.label
            applied = self._applied(name)
            if applied is not None:
                yield Proof(
                    f"{label} is at the baseline, and its schema is that",
                    "met",
                    applied,
                    name,
                    at=_seen_at(view),
                )
                if view.environment.smoke is not None:
                    answered = self._smoke(name, since=self._applied_since(name))
                    yield answered
                    if answered.state in ("not met", "not known"):
                        yield Act(SMOKE_CHECK.name, f"Smoke-check {name}", name)
                        waiting = waiting or label
                if strategy in ("stamp", "repair"):
                    yield Act(RESTAMP_BACK.name, f"Restamp {name} back", name, asks=True)
                continue
            job = self._busy(name)
            if job is not None:
                yield running(f"{label}: job {job.id} runs", job, name)
                waiting = waiting or label
                continue
            if self._differs(name):
                assert view.observation is not None
                yield Proof(
                    f"{label} is at the baseline, and its schema differs from it",
                    "not met",
                    f"{view.observation.drift.words}. Revert or ignore it on its page of drift, then check it.",
                    name,
                )
            else:
                title = f"{label} waits for {waiting}" if waiting else f"{label} is not at the baseline yet"
                yield Proof(title, "not met", _still(view, strategy), name)
            if waiting:
                continue
            waiting = label
            yield from self._failed_on(name)
            opens = list(self._restart(name))
            yield from opens
            if all(each.holds for each in opens if isinstance(each, Proof) and each.about):
                yield from self._way(name, strategy)

    def _applied_since(self, name: str) -> datetime:
        """When the job ended that brought an environment to the baseline; what was asked before says nothing of it."""
        ends = [
            job.finished_at
            for kind in (RESET.name, RESTAMP.name, PIN.name)
            if (job := self._evidence.last(kind, name)) is not None and job.finished_at is not None
        ]
        return max(ends, default=self._evidence.run.begun_at)

    def _applied(self, name: str) -> str | None:
        """Where an environment is, once it has the baseline and nothing of its schema differs; None: not yet."""
        observation = self._evidence.views[name].observation
        if observation is None or not self._has_baseline(name) or observation.drift.state != "none":
            return None
        return f"At {', '.join(observation.revisions)}. {observation.drift.words}."

    def _differs(self, name: str) -> bool:
        """Whether an environment has the baseline, and its schema is another all the same."""
        observation = self._evidence.views[name].observation
        return observation is not None and self._has_baseline(name) and observation.drift.state == "drifted"

    def _has_baseline(self, name: str) -> bool:
        """Whether an environment was last seen with the baseline, or something after it."""
        made, source, view = self._evidence.baseline, self._evidence.source, self._evidence.views[name]
        observation, record = view.observation, view.record
        if made is None or source is None or source.history is None or observation is None or record is None:
            return False
        if not observation.reachable or record.unseen is not None:
            return False
        return made.baseline.revision in source.history.implied(observation.revisions)

    def _restart(self, name: str) -> Iterator[Proof | Act]:
        """Whether the application that runs there survives its next restart."""
        view = self._evidence.views[name]
        label, build = view.environment.label, view.record.build if view.record else None
        why = [] if build is not None else ["Which build runs there is not recorded."]
        if view.environment.smoke is not None:
            answered = self._smoke(name, since=self._evidence.run.begun_at)
            yield answered
            if answered.state in ("not met", "not known"):
                why.append("It did not answer.")
                yield Act(SMOKE_CHECK.name, f"Smoke-check {name}", name)
        start = self._evidence.survey.start if self._evidence.survey is not None else None
        if start is None:
            why.append("Whether it migrates when it starts is not known.")
        elif start.count:
            first = ", ".join(place for place, _ in start.first[:2])
            why.append(f"{words.plural(start.count, 'place')} migrate when it starts: {first}.")
        if not why:
            detail = "Its build is recorded, and nothing in the source migrates when it starts."
            yield Proof(f"The application of {label} survives a restart", "met", detail, name)
            return
        found = Proof(
            f"The application of {label} may fail at its next restart",
            "not met",
            f"{' '.join(why)} Old code that migrates when it starts would not find its revision.",
            name,
            risky=True,
        )
        yield self._acceptable(found, f"restart:{name}")

    def _way(self, name: str, strategy: Strategy) -> Iterator[Proof | Act]:
        """The next job that leads an environment to the baseline."""
        view = self._evidence.views[name]
        observation = view.observation
        if strategy == "beside" and not self._differs(name):
            yield from self._beside(name)
        elif view.record is None or view.record.unseen is not None or observation is None:
            yield Act(OBSERVE.name, f"Check {name}", name)
        elif strategy == "reset":
            yield Act(RESET.name, f"Reset {name}", name, asks=True)
        elif view.verdict.archive is not None and not view.verdict.is_at_the_old_head:
            yield from self._catch_up(name)
        elif strategy == "repair" and observation.drift.state == "drifted":
            planned = self._evidence.last(PLAN_REVERT.name, name)
            reverted = self._evidence.last(REVERT.name, name)
            if (
                planned is not None
                and planned.state == "succeeded"
                and (reverted is None or reverted.id < planned.id)
            ):
                yield Act(REVERT.name, f"Repair {name}", name, asks=True)
            rehearsed = self._evidence.rehearsal.of(name) if self._evidence.rehearsal is not None else None
            # What was rehearsed is what is planned.
            loses = {"with_loss": "true"} if rehearsed is not None and rehearsed.loses else {}
            yield Act(PLAN_REVERT.name, f"Plan the repair of {name}", name, loses, asks=True)
        elif view.verdict.is_at_the_old_head:
            yield Act(RESTAMP.name, f"Restamp {name}", name, asks=True)
        else:
            yield Act(OBSERVE.name, f"Check {name}", name)

    def _beside(self, name: str) -> Iterator[Proof | Act]:
        """A fresh database, then the secret, then the pin."""
        view = self._evidence.views[name]
        label, observation = view.environment.label, view.observation
        made = self._evidence.last(BESIDE.name, name)
        data = (
            (made.outcome or {}).get("data") or {} if made is not None and made.state == "succeeded" else {}
        )
        if not data:
            yield Act(BESIDE.name, f"Make a fresh database beside {name}", name, asks=True)
            return
        assert made is not None
        yield Proof(
            f"{data['name']} is made and proven",
            "met",
            f"It is beside {data['beside']}, which stays as it is.",
            name,
            made.id,
            made.finished_at,
        )
        answered = (observation.error or {}).get("found") if observation is not None else None
        if answered is not None and answered == data["identity"]:
            yield Act(PIN.name, f"Take {data['name']}", name, {"identity": answered}, asks=True)
            return
        yield Proof(
            f"The secret of {label} still leads to {data['beside']}",
            "not met",
            f"Change {view.environment.url} to {data['name']}, then check {label}.",
            name,
        )
        yield Act(OBSERVE.name, f"Check {name}", name)

    def _cut_over(self) -> Judged:
        """Nothing migrates besides the dashboard, and it is said what applies migrations from now on."""
        found = self._evidence.cut_over
        if (job := self._evidence.running(CUT_OVER.name)) is not None:
            yield running("The source is being searched for what migrates", job)
            return
        if found is None:
            yield Proof(
                "The source was not searched for what migrates when the application starts", "not known"
            )
            yield from self._failed(CUT_OVER.name)
            yield Act(CUT_OVER.name, "Search the source")
            return
        for when, words_ in (("start-up", "when the application starts"), ("deployment", "in a deployment")):
            places = [each.place for each in found.scan.findings if each.when == when]
            if not places:
                yield Proof(
                    f"Nothing in the source migrates {words_}", "met", "", None, found.job_id, found.made_at
                )
                continue
            about = hashlib.sha256(" ".join(places).encode()).hexdigest()[:10]
            more = f" and {len(places) - 3} more" if len(places) > 3 else ""
            verb = "migrates" if len(places) == 1 else "migrate"
            yield self._acceptable(
                Proof(
                    f"{words.plural(len(places), 'place')} {verb} {words_}",
                    "not met",
                    f"{', '.join(places[:3])}{more}. Change them, then search again.",
                    job_id=found.job_id,
                ),
                f"{when}:{about}",
            )
        for role in found.roles:
            if role.environment in self._kept:
                title = f"{role.role} can change no schema of {found.project}/{role.environment}"
                proof = Proof(title, role.state, " ".join(role.account), role.environment, found.job_id)
                yield (
                    proof if proof.holds else self._acceptable(proof, f"role:{role.environment}:{role.state}")
                )
        yield self._acceptable(
            Proof(
                "What applies migrations from now on",
                "not known",
                "A task of its own, before each deployment: its files are on the cut-over's page. Or somebody presses "
                "Migrate, by the checklist there.",
                asks="Say what does…",
            ),
            "cut-over",
        )
        yield Act(CUT_OVER.name, "Search again")


def _seen_at(view: View) -> datetime | None:
    return view.observation.observed_at if view.observation is not None else None


def _still(view: View, strategy: Strategy) -> str:
    """What is to be done with an environment, and where it is now, where that decides what comes first."""
    if strategy in ("reset", "beside"):
        return f"{STRATEGIES[strategy]}."
    return f"{STRATEGIES[strategy]}. {view.verdict.sentence}"
