"""The way that replaces the history: a baseline, its proof, its rehearsal, and where it is applied."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping

from web import words
from web.answers.strategy import STRATEGIES, Strategy
from web.clean_start.applying import Applying
from web.clean_start.judge import Judged
from web.clean_start.runs import StepName
from web.clean_start.step import Act, Proof, running
from web.operations.backup import BACKUP
from web.operations.baseline import BASELINE
from web.operations.cut_over import CUT_OVER
from web.operations.observe import OBSERVE
from web.operations.prove_baseline import PROVE_BASELINE
from web.operations.rehearse_clean_start import REHEARSE_CLEAN_START
from web.operations.write_baseline import WRITE_BASELINE
from web.remedies.stored_proofs import Against

TITLES: Mapping[StepName, tuple[str, str]] = {
    "survey": ("Survey", "Everything is looked at and nothing is changed."),
    "back-up": (
        "Back up",
        "Every environment is backed up, and each backup restored once to see that it can be.",
    ),
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


class Replacing(Applying):
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
        }.get(
            against.sort,
            f"{project}/{against.name} is what its own migrations give"
            if against.lacks
            else f"{project}/{against.name} is the same",
        )
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
