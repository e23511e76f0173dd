"""What a job kind is to the engine: what it takes and touches, its steps, how it runs and how its end is told.

The engine knows no kind: `web.operations.KINDS` is handed to it. `Work` and `Evidence`, which a kind's functions get,
live in `web.jobs.work`. What people are told and asked is left to `web.starting.operation`, which adds it to the value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncConnection

from web.config import Environment, Project

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncConnection

    from web.jobs.work import Evidence, Work

P = TypeVar("P", bound=BaseModel)
K = TypeVar("K", bound="JobKind[Any]", covariant=True)

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
    by_look: bool = False


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
    plan_hash: str | None = None

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


def everywhere(environment: Environment) -> str | None:
    """Of a kind that every environment has."""
    return None


@dataclass(frozen=True, slots=True)
class JobKind(Generic[P]):
    """One kind of job.

    `run(work)` does it and returns an `Outcome`, or raises. It writes `await work.intend(step, what)` before
    every act that changes something and `await work.receive(intent, proof)` after it. Being cancelled, it
    lets `asyncio.CancelledError` through after ending what it started.

    `reconcile(evidence)` is asked whenever a run that had written an intent did not come to its end: its worker
    died, it was cancelled, or it failed. Nothing of the run is alive any more at that time (process groups and
    backends were seen gone). It looks, and says done, not done or unknown; it never runs anything again.
    Without any intent it is only asked after a worker's death.
    """

    name: str
    title: str
    #: What the button says: "Back up".
    verb: str
    parameters: type[P]
    #: "observe" | "backup" | "migrate" | "reset" …: `web.access` owns the list.
    permission: str
    #: Takes the gate of every target it touches: one mutating job at a time per target identity.
    mutating: bool
    #: Wants the typed name and, by policy, a verified backup.
    destructive: bool
    steps: tuple[StepTitle, ...]
    run: Callable[[Work[P]], Awaitable[Outcome]]
    reconcile: Callable[[Evidence[P]], Awaitable[Reconciled]]
    #: Why this environment has no such operation (then there is no route and no button); None: it may exist.
    available: Callable[[Environment], str | None] = everywhere
    #: A job of a project has no environment: it neither touches a database nor closes a gate.
    belongs_to: Literal["environment", "project"] = "environment"
    #: What one run is called in a sentence: "a migration has failed". Empty: the kind's name.
    noun: str = ""
    #: It only looks: it keeps nothing from starting, nobody is told that it runs, and the audit trail leaves it out.
    looks: bool = False
    #: A start while the same kind is still queued on the environment joins that job (observe).
    joins: bool = False
    #: Where the project's own code runs in it: people are told what the wall around that does not hold.
    code: Literal["nowhere", "in scratch", "on the target"] = "nowhere"
    #: It joins a job that runs already, too: what that one finds is what this one would (verify).
    joins_running: bool = False
    #: Only a job with equal values of these parameters is joined (the backup that is verified).
    one_for: tuple[str, ...] = ()
    #: Decides in the transaction of the start, with the environment's key, what the parameters leave open.
    settle: Callable[[AsyncConnection, int, P], Awaitable[P]] | None = None
    #: Takes the gate so that one runs at a time, and leaves the target as it is: its end puts nothing in doubt.
    harmless: bool = False
    #: Makes the whole target anew: its success settles what earlier jobs left in doubt there.
    renews: bool = False
    #: Raises `NotFound` where what the parameters name is not there; None: they name nothing that has to be. It gets
    #: the environment after the project, None for a kind of a project.
    require_named: Callable[[AsyncConnection, Project, Any, P], Awaitable[None]] | None = None

    def __post_init__(self) -> None:
        if self.belongs_to == "project" and (self.mutating or self.destructive):
            raise ValueError(
                f"{self.name} belongs to a project, so there is no database that it could change."
            )


#: Kinds with different parameters in one tuple.
AnyKind = JobKind[Any]


@dataclass(frozen=True, slots=True)
class Kinds(Generic[K]):
    """The kinds a process knows, by name. Raises ValueError where two have one name."""

    all: tuple[K, ...]
    by_name: Mapping[str, K] = field(init=False)

    def __post_init__(self) -> None:
        names = {kind.name: kind for kind in self.all}
        if len(names) != len(self.all):
            twice = sorted(name for name in names if [kind.name for kind in self.all].count(name) > 1)
            raise ValueError(f"Two job kinds have one name: {', '.join(twice)}.")
        object.__setattr__(self, "by_name", MappingProxyType(names))

    def title(self, name: str) -> str:
        """The title of a kind; of one that is not known any more, its name."""
        kind = self.by_name.get(name)
        return kind.title if kind is not None else name

    def noun(self, name: str) -> str:
        """What one run of a kind is called in a sentence."""
        kind = self.by_name.get(name)
        return (kind.noun if kind is not None else "") or name
