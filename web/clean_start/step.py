"""What a step of a run is: what has to be so in it, and what can be started. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from web.clean_start.runs import Acceptance, StepName
from web.jobs.reading import JobRecord

ProofState = Literal["met", "accepted", "running", "not met", "not known"]
StepState = Literal["proven", "running", "current", "waiting"]


@dataclass(frozen=True, slots=True)
class Act:
    """A job that can be started now."""

    kind: str
    words: str
    environment: str | None = None
    parameters: Mapping[str, str | int] = field(default_factory=dict)
    #: It is asked about first: it changes something, or there is something to choose.
    asks: bool = False

    def to_json(self) -> dict[str, object]:
        """JSON of the API."""
        return {
            "kind": self.kind,
            "environment": self.environment,
            "parameters": dict(self.parameters),
            "asks": self.asks,
        }


@dataclass(frozen=True, slots=True)
class Proof:
    """One thing that has to be so."""

    title: str
    state: ProofState
    detail: str = ""
    environment: str | None = None
    #: The job that showed it.
    job_id: int | None = None
    at: datetime | None = None
    #: Names it where a person may answer for it; empty: nobody can.
    about: str = ""
    acceptance: Acceptance | None = None
    #: What the form says with which somebody answers for it.
    asks: str = "Accept it with a reason…"
    #: Said in red wherever it is told: nothing stands behind it.
    risky: bool = False
    #: What can be started for this alone, beside what the step offers for all of it.
    acts: tuple[Act, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether the step may be passed by it."""
        return self.state in ("met", "accepted")

    def to_json(self) -> dict[str, object]:
        """JSON of API, CLI and report."""
        return {
            "title": self.title,
            "state": self.state,
            "detail": self.detail,
            "environment": self.environment,
            "job": self.job_id,
            "at": self.at.isoformat() if self.at else None,
            "accept": self.about if self.about and self.acceptance is None else None,
            "accepted_by": self.acceptance.by if self.acceptance else None,
            "reason": self.acceptance.reason if self.acceptance else None,
            "risky": self.risky,
            "acts": [each.to_json() for each in self.acts],
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a run."""

    name: StepName
    #: From 1.
    number: int
    title: str
    #: What it is for.
    lead: str
    state: StepState
    proofs: tuple[Proof, ...]
    #: What leads on; nothing while it waits.
    acts: tuple[Act, ...] = ()
    #: What it waits for.
    closed: str = ""

    def wants(self, kind: str, environment: str | None, parameters: BaseModel) -> bool:
        """Whether such a job can be started for it, or for one of its proofs alone; nothing while it waits.

        How is for people to choose; what it is about (the number of a job, such as a baseline's) is not.
        """
        acts = (*self.acts, *(act for each in self.proofs for act in each.acts))
        return any(
            each.kind == kind
            and each.environment == environment
            and all(
                getattr(parameters, name, value) == value
                for name, value in each.parameters.items()
                if isinstance(value, int)
            )
            for each in acts
        )

    @property
    def held(self) -> int:
        """How many of its proofs hold."""
        return sum(each.holds for each in self.proofs)

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "step": self.name,
            "number": self.number,
            "title": self.title,
            "state": self.state,
            "closed": self.closed or None,
            "proofs": [each.to_json() for each in self.proofs],
            "acts": [each.to_json() for each in self.acts],
        }


def running(title: str, job: JobRecord, environment: str | None = None) -> Proof:
    """That a job is at it."""
    return Proof(title, "running", "", environment, job.id, job.started_at or job.requested_at)
