"""What a job kind is to the engine: what it takes and touches, its steps, how it runs and how its end is told.

The engine knows no kind: `web.operations.KINDS` is handed to it. What people are told and asked is left to
`web.starting.operation`, which adds it to the value.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy.ext.asyncio import AsyncConnection

from web.config import Environment, Project
from web.jobs.job import Outcome, P, Reconciled, StepTitle
from web.jobs.work import Evidence, Work

K = TypeVar("K", bound="JobKind[Any]", covariant=True)


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
    observes: bool = False
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
