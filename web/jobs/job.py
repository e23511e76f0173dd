"""A job as a value: its state, what it takes, what it was about to do, how it ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import BaseModel

from web.config import Environment, Project

P = TypeVar("P", bound=BaseModel)

JobState = Literal[
    "queued",
    "running",
    "cancelling",
    "interrupted",
    "succeeded",
    "failed",
    "cancelled",
    "not done",
    "unknown",
]
#: Who asks for what the schedule starts.
BY_SCHEDULE = "schedule"
FINISHED: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "not done", "unknown"})

#: JSON objects as the store keeps them.
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepTitle:
    """A named part of a job as it is announced before it runs."""

    name: str
    title: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended well. Raising is how it ends badly: the error's title, message and hint are shown.

    `data` is the kind's own (a backup's id, the revisions reached); it must be JSON.
    """

    title: str
    account: str = ""
    next_step: str = ""
    data: Json = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unproven:
    """What a job has left that nobody can vouch for: the target is in doubt until it is settled."""

    #: In words, as a whole sentence.
    what: str
    #: Whether a look settles it that finds the schema of the recorded revisions, or the one of before the job.
    #: Rows it does not see: where those may have changed, only a job that makes them anew settles it, or a person.
    by_check: bool = False


@dataclass(frozen=True, slots=True)
class Reconciled:
    """The truth about a job whose run did not come to its end.

    `state`: "done" only with proof that commits with the act; "not done" only with proof that nothing
    of it is there; "unknown" otherwise. `account` is for people; `evidence` holds what it stands on.
    `leaves` is what is half done whatever the state; an unknown outcome is in doubt without it, too.
    """

    state: Literal["done", "not done", "unknown"]
    account: str
    evidence: Json = field(default_factory=dict)
    next_step: str = ""
    leaves: Unproven | None = None


@dataclass(frozen=True, slots=True)
class Intent:
    """What a step was about to do, and the proof that it did (None: no receipt was written)."""

    id: int
    step: str
    what: Json
    written_at: datetime
    proof: Json | None = None
    received_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Job(Generic[P]):
    """A job as a kind sees it; it does not change while the job runs."""

    id: int
    kind: str
    project: Project
    #: Where it runs, with its key in the store; None: it belongs to the project as a whole.
    place: tuple[Environment, int] | None
    parameters: P
    requested_by: str
    requested_at: datetime
    #: What the person saw when they pressed the button; None where the form carried none.
    seen_fingerprint: str | None = None
    seen_revisions: tuple[str, ...] | None = None
    shown_hash: str | None = None

    @property
    def environment(self) -> Environment:
        """Where it runs; a kind of a project must not ask."""
        assert self.place is not None, f"{self.kind} belongs to a project"
        return self.place[0]

    @property
    def environment_id(self) -> int:
        """The environment's key in the store; a kind of a project must not ask."""
        assert self.place is not None, f"{self.kind} belongs to a project"
        return self.place[1]
