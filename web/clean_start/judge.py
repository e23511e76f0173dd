"""What the steps of every run are judged by, whichever way it goes: survey, backups, jobs, acceptances."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType

from web import words
from web.clean_start.evidence import Evidence
from web.clean_start.runs import StepName
from web.clean_start.step import Act, Proof, running
from web.jobs.reading import JobRecord
from web.operations.backup import BACKUP
from web.operations.migrate import MIGRATE
from web.operations.pin import PIN
from web.operations.plan_revert import PLAN_REVERT
from web.operations.rehearse import REHEARSE
from web.operations.reset import RESET
from web.operations.restamp import RESTAMP
from web.operations.revert import REVERT
from web.operations.smoke_check import SMOKE_CHECK
from web.operations.survey import SURVEY
from web.operations.verify import VERIFY
from web.operations.write_baseline import WRITE_BASELINE

#: What has to be so, and what can be started for it, in the order in which people read it.
Judged = Iterator[Proof | Act]


class Judge(ABC):
    """Judges a run by what is stored. Nothing is remembered as passed: what a proof stood on is compared with now."""

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._accepted = evidence.run.acceptances
        self._kept = {
            name: strategy
            for name, strategy in evidence.run.strategies.items()
            if strategy != "leave-out" and name in evidence.views
        }

    @property
    @abstractmethod
    def titles(self) -> Mapping[StepName, tuple[str, str]]:
        """The steps of this way in their order, with what each is called and what it is for."""

    @property
    @abstractmethod
    def judges(self) -> Mapping[StepName, Callable[[], Judged]]:
        """What judges each of them."""

    @property
    @abstractmethod
    def _committed(self) -> bool:
        """Whether the source is another one by this run's own doing."""

    @abstractmethod
    def _applied(self, name: str) -> str | None:
        """Where an environment is, once nothing has to be done with it any more; None: something has."""

    def step(self, name: StepName) -> tuple[Sequence[Proof], Sequence[Act]]:
        """The proofs of a step, and what can be started for those that are missing."""
        proofs: list[Proof] = []
        acts: list[Act] = []
        for each in self.judges[name]():
            if isinstance(each, Proof):
                proofs.append(each)
            else:
                acts.append(each)
        return proofs, acts

    def _failed(self, kind: str, environment: str | None = None) -> Iterator[Proof]:
        """That the last try failed, where it did: why stands with the job."""
        job = self._evidence.last(kind, environment)
        if job is not None and job.state != "succeeded":
            outcome = job.outcome or {}
            said = f"{outcome.get('account') or ''} {outcome.get('next_step') or ''}".strip()
            title = f"The last try did not succeed: {outcome.get('title') or job.state}"
            yield Proof(title, "not met", said, environment, job.id, job.finished_at)

    def _survey(self) -> Iterator[Proof | Act]:
        survey, job = self._evidence.survey, self._evidence.running(SURVEY.name)
        title = "Surveyed, and nothing has changed since"
        if job is not None:
            yield running("The project is being surveyed", job)
            return
        if survey is None:
            yield Proof("The project was never surveyed", "not met")
            yield from self._failed(SURVEY.name)
            yield Act(SURVEY.name, "Survey")
            return
        changed = list(self._changed_since_survey())
        if not changed:
            yield Proof(title, "met", job_id=survey.job_id, at=survey.surveyed_at)
            return
        for each in changed:
            yield Proof(
                each, "not met", "Survey again: what was recommended stood on it.", job_id=survey.job_id
            )
        yield Act(SURVEY.name, "Survey again")

    def _changed_since_survey(self) -> Iterator[str]:
        evidence, survey = self._evidence, self._evidence.survey
        assert survey is not None
        source = evidence.source
        if not self._committed and source is not None and survey.history_digest not in (None, source.digest):
            yield "The migrations are others than the survey saw"
        seen = {each.environment: each for each in survey.environments}
        for name, strategy in self._kept.items():
            view, then = evidence.views[name], seen.get(name)
            if then is None:
                yield f"{view.environment.label} is not in the survey"
                continue
            if self._applied(name) is not None:
                continue
            observation, record = view.observation, view.record
            if record is not None and record.identity != then.identity:
                yield f"{view.environment.label} is another database than the survey saw"
            elif strategy in ("stamp", "repair") and observation is not None:
                if not self._touched(name) and sorted(observation.revisions) != sorted(then.revisions):
                    yield f"{view.environment.label} is at another revision than the survey saw"
                elif not self._touched(name) and observation.fingerprint != then.fingerprint:
                    yield f"The schema of {view.environment.label} is another than the survey saw"

    def _touched(self, name: str) -> bool:
        """Whether Apply has begun on an environment, by the run or beside it: what differs is its own doing."""
        begun = {RESET.name, MIGRATE.name, REVERT.name, RESTAMP.name, PIN.name}
        by_the_run = any(
            each.sort == "started"
            and each.step == "apply"
            and each.environment == name
            and each.detail.get("kind") in begun
            for each in self._evidence.run.happenings
        )
        written = self._evidence.last(WRITE_BASELINE.name)
        since = written.finished_at if written is not None else None
        beside_it = any(
            each.kind in begun
            and each.environment == name
            and each.requested_at >= (since or self._evidence.run.begun_at)
            for each in self._evidence.jobs
        )
        return by_the_run or (self._committed and beside_it)

    def _back_up(self) -> Iterator[Proof | Act]:
        for name in self._kept:
            view = self._evidence.views[name]
            label = view.environment.label
            if view.environment.clean_start.without_backup:
                yield Proof(
                    f"{label} is gone through without a backup",
                    "accepted",
                    "Its configuration says so: clean_start.without_backup = true.",
                    name,
                    risky=True,
                )
                continue
            job = self._evidence.running(BACKUP.name, name) or self._evidence.running(VERIFY.name, name)
            found = self._evidence.backups.get(name)
            identity = view.record.identity if view.record else None
            same = found is not None and (found.identity == identity or self._applied(name) is not None)
            # Another one that runs, such as the schedule's, takes nothing from a backup that is proven.
            if job is not None and not (same and found is not None and found.state == "verified"):
                yield running(f"{label} is being backed up", job, name)
            elif found is None:
                yield Proof(f"{label} has no backup since this clean start began", "not met", "", name)
                yield from self._failed(BACKUP.name, name)
                yield Act(BACKUP.name, f"Back up {name}", name, {"verify": "true"})
            elif found.state != "verified":
                failed = found.state == "failed verification"
                title = f"The backup of {label} {'is not sound' if failed else 'was never restored'}"
                yield Proof(title, "not met", "", name, found.job_id, found.created_at)
                yield (
                    Act(BACKUP.name, f"Back up {name} again", name, {"verify": "true"})
                    if failed
                    else Act(VERIFY.name, f"Verify the backup of {name}", name, {"backup": found.id})
                )
            elif not same:
                title = f"The backup of {label} is of another database"
                yield Proof(title, "not met", f"It is of {found.identity}.", name, found.job_id)
                yield Act(BACKUP.name, f"Back up {name}", name, {"verify": "true"})
            else:
                yield Proof(
                    f"{label} is backed up, and the backup was restored once",
                    "met",
                    words.size(found.size),
                    name,
                    found.job_id,
                    found.created_at,
                )

    def _acceptable(self, proof: Proof, about: str) -> Proof:
        """The same, as somebody may answer for it, or does."""
        accepted = self._accepted.get(about)
        if accepted is None:
            return replace(proof, about=about)
        return replace(proof, about=about, state="accepted", acceptance=accepted)

    def _failed_on(self, name: str) -> Iterator[Proof]:
        """That the newest job on an environment did not succeed."""
        newest = next((each for each in self._evidence.jobs if each.environment == name), None)
        if newest is not None:
            yield from self._failed(newest.kind, name)

    def _reverting(
        self, name: str, parameters: Mapping[str, str | int] = MappingProxyType({}), *, plan: bool = True
    ) -> Iterator[Act]:
        """Undo what differs: what is planned already first, then another plan with these parameters."""
        planned, reverted = (self._evidence.last(kind, name) for kind in (PLAN_REVERT.name, REVERT.name))
        if (
            planned is not None
            and planned.state == "succeeded"
            and (reverted is None or reverted.id < planned.id)
        ):
            yield Act(REVERT.name, f"Revert the drift of {name}", name, asks=True)
        if plan:
            yield Act(PLAN_REVERT.name, f"Plan a revert of {name}", name, parameters, asks=True)

    def _busy(self, name: str) -> JobRecord | None:
        record = self._evidence.views[name].record
        if record is None or record.job is None or record.job.observes:
            return None
        return next((each for each in self._evidence.jobs if each.id == record.job.id), None)

    def _smoke(self, name: str, since: datetime) -> Proof:
        """Whether the application has answered as configured since then."""
        label = self._evidence.views[name].environment.label
        if (job := self._evidence.running(SMOKE_CHECK.name, name)) is not None:
            return running(f"The application of {label} is being asked", job, name)
        job = self._evidence.last(SMOKE_CHECK.name, name)
        if job is None or job.requested_at < since:
            return Proof(
                f"The application of {label} was not asked whether it answers", "not known", "", name
            )
        outcome = job.outcome or {}
        said = outcome.get("account") or ""
        if job.state != "succeeded":
            return Proof(
                f"The application of {label} did not answer as it should", "not met", said, name, job.id
            )
        return Proof(f"The application of {label} answers", "met", said, name, job.id, job.finished_at)

    def _catch_up(self, name: str) -> Iterator[Proof | Act]:
        """What it lacks of the old migrations comes first, rehearsed from where they are now like any others."""
        rehearsed = self._evidence.views[name].rehearsed
        tried = [
            job.finished_at
            for job in (self._evidence.last(WRITE_BASELINE.name), self._evidence.last(MIGRATE.name, name))
            if job is not None and job.finished_at is not None
        ]
        if (
            rehearsed is None
            or not rehearsed.succeeded
            or rehearsed.made_at < max(tried, default=rehearsed.made_at)
        ):
            yield Act(REHEARSE.name, f"Rehearse what {name} lacks", name)
            return
        yield Act(MIGRATE.name, f"Apply what {name} lacks", name, asks=True)

    def _report(self) -> Iterator[Proof | Act]:
        run = self._evidence.run
        title = "The clean start has ended" if not run.is_open else "The report is there to be read"
        yield Proof(title, "met" if not run.is_open else "not known", at=run.ended_at)
