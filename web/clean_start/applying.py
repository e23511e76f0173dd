"""Where a baseline is applied: environment by environment, development first, by the strategy of each."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from web import words
from web.answers.environment import View
from web.answers.strategy import STRATEGIES, Strategy
from web.clean_start.judge import Judge
from web.clean_start.step import Act, Proof, running
from web.operations.beside import BESIDE
from web.operations.observe import OBSERVE
from web.operations.pin import PIN
from web.operations.reset import RESET
from web.operations.restamp import RESTAMP
from web.operations.restamp_back import RESTAMP_BACK
from web.operations.smoke_check import SMOKE_CHECK


class Applying(Judge):
    """Judges the step that applies it."""

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
                    f"{view.observation.drift.words}. Revert it here, or ignore it on its page of drift and check it.",
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
            asked = [each for each in opens if isinstance(each, Proof)]
            if all(each.holds for each in asked if each.about or each.state == "running"):
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
            verb = "migrates" if start.count == 1 else "migrate"
            why.append(f"{words.plural(start.count, 'place')} {verb} when it starts: {first}.")
        if not why:
            assert build is not None
            detail = f"As it was surveyed; the image of build #{build.number}, which runs there, was not looked into."
            yield Proof(
                f"Nothing in the source migrates when the application of {label} starts", "met", detail, name
            )
            return
        found = Proof(
            f"The application of {label} may fail at its next restart",
            "not met",
            f"{' '.join(why)} Old code that migrates when it starts would not find its revision. "
            "Put that right, or accept it with a reason to go on.",
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
            rehearsed = self._evidence.rehearsal.of(name) if self._evidence.rehearsal is not None else None
            # What was rehearsed is what is planned.
            loses = {"with_loss": "true"} if rehearsed is not None and rehearsed.loses else {}
            yield from self._reverting(name, loses)
        elif self._differs(name):
            yield from self._reverting(name)
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
            yield Act(PIN.name, f"Pin {data['name']}", name, {"identity": answered}, asks=True)
            return
        yield Proof(
            f"When it was last checked, the secret of {label} led to {data['beside']}",
            "not met",
            f"Change {view.environment.url} to {data['name']}, then check {label}.",
            name,
        )
        yield Act(OBSERVE.name, f"Check {name}", name)


def _seen_at(view: View) -> datetime | None:
    return view.observation.observed_at if view.observation is not None else None


def _still(view: View, strategy: Strategy) -> str:
    """What is to be done with an environment, and where it is now, where that decides what comes first."""
    if strategy in ("reset", "beside"):
        return f"{STRATEGIES[strategy]}."
    return f"{STRATEGIES[strategy]}. {view.verdict.sentence}"
