"""What a job kind says to people: dialog, buttons, command and job page derive from this one value.

The engine's part of it is `web.jobs.kind.JobKind`. No kind is named here or below; they are in `web.operations`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal

from pydantic.fields import FieldInfo
from sqlalchemy.ext.asyncio import AsyncConnection

from web.answers.environment import View
from web.answers.gate import Condition, Gate
from web.config import Environment, Project
from web.jobs.job import P
from web.jobs.kind import JobKind, Kinds
from web.jobs.reading import JobRecord
from web.remedies.repair import Repair
from web.starting.fate import Fate

#: What a job belongs to.
Where = Environment | Project
#: A text, or what makes one of what is known about the environment.
Words = str | Callable[[View], str]
#: Where a button may stand. What is beside a thing fills in the parameter that names it.
ButtonPlace = Literal[
    #: The head of a project's page, for the kinds that belong to one, and of its survey.
    "project",
    "surveyed project",
    #: The refusal of a project's history with several heads, where these share a base.
    "several heads",
    #: The page of a project's clean start, where none is open.
    "clean start",
    #: What a cut-over of a project found.
    "cut over",
    #: The head of an environment's pages.
    "environment",
    #: The tabs, and in them one migration history, one backup (`backup`), one difference (`only`), one proven repair.
    "migrations",
    "backups",
    "one backup",
    "drift",
    "difference",
    "repair",
    #: Another database answered than the pinned one (`identity`).
    "another database",
    #: A migration that was written for what a database has (`revision`).
    "written migration",
    #: A project's baseline (`baseline`): that may be written into the source, that is in it.
    "proven baseline",
    "written baseline",
    #: A merge of its heads (`merge`), likewise.
    "proven merge",
    "written merge",
    #: A database whose version rows are of an archived history.
    "archived history",
    #: The same, of which migrations are left to be applied.
    "archived part",
    #: A database that is at the baseline of an archive, with nothing applied after it.
    "at a baseline",
    #: The answer of a build that is not applied yet.
    "answer",
    #: The form that compares two sources.
    "comparison",
]


@dataclass(frozen=True, slots=True)
class Offer:
    """A button of a kind."""

    place: ButtonPlace
    #: What it says; empty: what the kind's buttons say.
    words: str = ""
    #: What it says where there is already what the kind makes.
    again: str = ""
    #: Who may not press it does not see it there, and where there is none nothing is said of it; elsewhere it is
    #: closed, with the reason.
    hidden: bool = False


@dataclass(frozen=True, slots=True)
class Before:
    """What a person is shown before a job starts, and what keeps it from starting now."""

    #: The conditions; None: the kind has none.
    gate: Gate | None = None
    #: Those of them that hold it back.
    held_by: tuple[Condition, ...] = ()
    #: The failure in spite of which it may be started, where a reason is given.
    excuse: Condition | None = None
    #: What goes and what stays.
    fate: Fate | None = None
    #: Whether it applies the pending migrations, which are shown with the SQL of their rehearsal.
    migrations: bool = False
    #: Proven statements that it runs.
    repair: Repair | None = None
    #: Binds what is shown to what runs.
    shown_hash: str | None = None
    #: Why there is no use in starting it.
    pointless: str = ""
    #: What is not the usual thing about it here: a sentence with which the dialog begins.
    about: str = ""

    @property
    def approval(self) -> Condition | None:
        """The condition that others consent, where there is one."""
        conditions = self.gate.conditions if self.gate is not None else ()
        return next((each for each in conditions if each.name == "approval"), None)


@dataclass(frozen=True, slots=True)
class Onward:
    """Where what a job made is looked at, or what is to be done with it next."""

    words: str
    #: Of `web.addresses`.
    path: str
    icon: str
    #: It opens a dialog.
    asks: bool = False
    primary: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What a job page says of an end besides what the outcome itself holds."""

    #: A status of the marks with its words, where success or failure do not say it.
    mark: tuple[str, str] | None = None
    onward: tuple[Onward, ...] = ()


async def nothing_before(store: AsyncConnection, seen: View) -> Before:
    """Of a kind without conditions."""
    return Before()


async def nothing_to_warn_of(
    store: AsyncConnection, project: Project, chosen: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    """Of a kind that has nothing to add."""
    return ()


def nothing_more(job: JobRecord) -> Told:
    """Of a kind whose outcome says everything."""
    return Told()


def unasked(environment: Environment) -> bool:
    """Of a kind that wants no name typed."""
    return False


def asked(environment: Environment) -> bool:
    """Of a kind that wants the name typed everywhere."""
    return True


def asked_on_production(environment: Environment) -> bool:
    """Of a kind that wants the name typed on production."""
    return environment.tier == "production"


def never(seen: View) -> bool:
    """Of a kind that is nowhere the next thing to do."""
    return False


def open_here(seen: View) -> str | None:
    """Of a kind whose button is not closed by what all pages know."""
    return None


@dataclass(frozen=True, slots=True)
class Operation(JobKind[P]):
    """A job kind with everything that people are told and asked."""

    #: What the dialog begins with; `{environment}` stands for the environment's name.
    lead: str = "It runs as a background job; this page may be left."
    #: What its buttons say; empty: the verb.
    button: Words = ""
    #: What the dialog's own button says, and with a question mark its heading; empty: the verb and the environment.
    submit: Words = ""
    heading: Words = ""
    #: What leaves the dialog says: what is kept.
    keep: str = "Not now"
    icon: str = "list-checks"
    #: The command's help: what it does, in a sentence.
    help: str = ""
    offers: tuple[Offer, ...] = ()
    #: Its button starts it without a dialog.
    at_once: bool = False
    #: Whether it is the next thing to do.
    primary: Callable[[View], bool] = never
    #: Why its button is closed, as far as all pages know; a destructive one opens, because its dialog tells more.
    closed: Callable[[View], str | None] = open_here
    #: Whether the environment's name has to be typed; a destructive kind wants it everywhere.
    wants_name: Callable[[Environment], bool] = unasked
    #: Reads what is shown before it starts, and what holds it back.
    before: Callable[[AsyncConnection, View], Awaitable[Before]] = nothing_before
    #: It runs what was shown and nothing else: `shown_hash` has to be the one that was seen.
    runs_what_was_shown: bool = False
    #: The parameter in which a person answers for going on in spite of `Before.excuse`.
    reason: str = ""
    #: By the name of a condition of a gate: what the link to its dialog says that has it met; None: not by this now.
    meets: Mapping[str, Callable[[View], str | None]] = field(default_factory=lambda: MappingProxyType({}))
    #: Of a kind of a project: what else a person has to know before it starts, each with a title and a sentence; what
    #: the page with the button gave is among the parameters that are chosen already.
    warns: Callable[[AsyncConnection, Project, Mapping[str, str]], Awaitable[tuple[tuple[str, str], ...]]] = (
        nothing_to_warn_of
    )
    #: Its dialog shows the environment's database: it is connected to.
    connects: bool = True
    #: The project's code runs in an empty database, prelude and all, whatever the environment's holds.
    from_nothing: bool = False
    #: The parameters that an approval holds for; None: this kind needs none, whatever the policy says.
    approved_for: tuple[str, ...] | None = None
    #: What a job page says of its end.
    tells: Callable[[JobRecord], Told] = nothing_more
    #: Status and words for what its evidence holds, by name, in this order; others are told by their names.
    evidence: Mapping[str, tuple[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    def belongs(self, where: Where) -> bool:
        """Whether it is a kind of such a place: an environment's, or a project's."""
        return (self.belongs_to == "project") == isinstance(where, Project)

    def name_to_type(self, where: Where) -> str | None:
        """What has to be typed before it may start: the environment's name, wherever data are at risk."""
        if isinstance(where, Project):
            return None
        return where.label if self.destructive or self.wants_name(where) else None

    def button_words(self, seen: View) -> str:
        """What its buttons say here."""
        return _said(self.button, seen) or self.verb

    def submit_words(self, seen: View) -> str:
        """What the dialog's own button says."""
        return _said(self.submit, seen) or f"{self.verb} {seen.environment.label}"

    def heading_words(self, seen: View) -> str:
        """The dialog's question."""
        return _said(self.heading, seen) or f"{self.verb} {seen.environment.label}?"

    def offered(self, place: ButtonPlace) -> Offer | None:
        """Its button in a place."""
        return next((offer for offer in self.offers if offer.place == place), None)


def project_of(where: Where) -> str:
    """The name of the project that it is, or is one of."""
    return where.name if isinstance(where, Project) else where.project


def label_of(where: Where) -> str:
    """`project/environment`, or the project."""
    return where.name if isinstance(where, Project) else where.label


def choice_of(parameter: FieldInfo) -> str:
    """What a parameter is chosen from in the dialog ("backups"); empty: it is typed or ticked."""
    extra = parameter.json_schema_extra
    return str(extra.get("choice", "")) if isinstance(extra, dict) else ""


def is_given(parameter: FieldInfo) -> bool:
    """Whether the page with the button gives it, so that the dialog does not ask."""
    extra = parameter.json_schema_extra
    return isinstance(extra, dict) and extra.get("given") is True


#: Operations with different parameters in one tuple.
AnyOperation = Operation[Any]


class Operations(Kinds[AnyOperation]):
    """The operations of a process: by name, and by where they are offered."""

    __slots__ = ()

    @property
    def check(self) -> AnyOperation:
        """The kind that looks at an environment."""
        return next(kind for kind in self.all if kind.observes)

    def at(self, place: ButtonPlace) -> Iterator[tuple[AnyOperation, Offer]]:
        """What is offered in a place, in the order of the kinds."""
        for kind in self.all:
            if (offer := kind.offered(place)) is not None:
                yield kind, offer

    def that_meet(self, condition: str) -> tuple[AnyOperation, ...]:
        """What has a condition met."""
        return tuple(kind for kind in self.all if condition in kind.meets)


def _said(words: Words, seen: View) -> str:
    return words if isinstance(words, str) else words(seen)
