"""A survey of a project before a clean start: its history, what the history gives, and every environment.

What is read is in `web.operations.survey`; here are the values, the recommendation, and the JSON that is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from web import words
from web.answers.strategy import Recommended, Surveyed, recommend
from web.cutover.findings import Scan

#: Of a history with so many migrations a fresh one is worth its while whatever else holds.
LONG = 50
#: Seconds from an empty database to the head that people notice, in every test run and preview.
SLOW = 30.0
#: Places that migrate at start-up which are named.
NAMED = 5


@dataclass(frozen=True, slots=True)
class SurveyedHistory:
    """What a project's migrations are, and what running them from nothing showed."""

    migrations: int
    heads: tuple[str, ...]
    branches: int
    #: Revision and creation date of the oldest, where its file says one.
    oldest: tuple[str, str | None] | None
    problems: tuple[str, ...] = ()
    #: Seconds from an empty database to the head; None: it could not be run.
    seconds: float | None = None
    refusal: str | None = None
    #: Tables that hold rows then: look-up tables are among them.
    inserted: tuple[tuple[str, int], ...] = ()
    #: Objects that autogenerate does not see, by kind.
    unseen: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True)
class SurveyedModels:
    """How the models stand to what the migrations give."""

    #: Why they were not compared; None: they were.
    refusal: str | None = None
    #: Differences that models could have said, by kind.
    differences: tuple[tuple[str, int], ...] = ()
    #: Tables of the migrations that no model knows.
    unmodelled: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SurveyedStart:
    """What may migrate when the application starts."""

    count: int
    #: The first few: `path:line` and what is called there.
    first: tuple[tuple[str, str], ...] = ()

    @staticmethod
    def of(scan: Scan) -> SurveyedStart:
        """What a source was found to do."""
        found = scan.of("start-up")
        return SurveyedStart(len(found), tuple((each.place, each.what) for each in found[:NAMED]))


@dataclass(frozen=True, slots=True)
class Survey:
    """Everything that a decision about a clean start stands on, as it was at one time."""

    project: str
    history: SurveyedHistory
    environments: tuple[Surveyed, ...]
    models: SurveyedModels | None
    #: What a reset leaves alone, in the team's words.
    keeps: tuple[str, ...] = ()
    #: The newest builds, and how many of the project's are registered: all were made from the old history.
    builds: tuple[int, ...] = ()
    #: Digest of the project's history as it was read (`observation.stored_history`).
    history_digest: str | None = None
    #: None: the source was not read for it, by an earlier version.
    start: SurveyedStart | None = None
    job_id: int | None = field(default=None, compare=False)
    surveyed_at: datetime | None = field(default=None, compare=False)

    @property
    def strategies(self) -> tuple[tuple[Surveyed, Recommended], ...]:
        """What is recommended for each environment."""
        return tuple((each, recommend(each)) for each in self.environments)

    @property
    def way(self) -> tuple[Literal["clean start", "keep the history"], tuple[str, ...]]:
        """Whether a clean start is worth its while, with the reasons."""
        reasons = tuple(self._signs())
        if reasons:
            return "clean start", reasons
        count = words.plural(self.history.migrations, "migration")
        return "keep the history", (
            f"Its {count} run from nothing to one head, and nobody has edited them: little would be won.",
        )

    def _signs(self) -> Iterator[str]:
        """What speaks for replacing the history, the gravest first."""
        history = self.history
        if history.refusal is not None:
            yield f"It cannot be run from an empty database any more: {history.refusal}"
        unknown = sorted({row for each in self.environments for row in each.unknown})
        if unknown:
            yield f"Databases are at revisions that no file has: {', '.join(unknown[:5])}."
        edited = sorted({row for each in self.environments for row in each.edited})
        if edited:
            count = words.plural(len(edited), "migration")
            yield f"{count} edited after being applied: {', '.join(edited[:5])}."
        if history.problems:
            yield f"{words.plural(len(history.problems), 'remark')} about its files: {history.problems[0]}"
        if len(history.heads) > 1:
            yield f"It ends in {len(history.heads)} heads."
        drifted = [each.environment for each in self.environments if each.drift == "drifted"]
        if drifted:
            yield f"Changes were made by hand: {', '.join(drifted)} differ{'s' if len(drifted) == 1 else ''} from it."
        if self.models is not None and self.models.unmodelled:
            listed = ", ".join(self.models.unmodelled[:5])
            yield f"{words.plural(len(self.models.unmodelled), 'table')} that no model knows: {listed}."
        if history.seconds is not None and history.seconds >= SLOW:
            yield f"From empty to head takes {words.duration(history.seconds)}."
        if history.migrations >= LONG:
            yield f"It has {history.migrations} migrations."

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        way, reasons = self.way
        return {
            **self.to_store(),
            "job": self.job_id,
            "surveyed_at": self.surveyed_at.isoformat() if self.surveyed_at else None,
            "recommended": {"way": way, "reasons": list(reasons)},
            "environments": [
                {**asdict(each), "strategy": chosen.strategy, "reasons": list(chosen.reasons)}
                for each, chosen in self.strategies
            ],
        }

    def to_store(self) -> dict[str, Any]:
        """What is kept of it."""
        return {
            "project": self.project,
            "history": {
                **asdict(self.history),
                "inserted": dict(self.history.inserted),
                "unseen": dict(self.history.unseen),
            },
            "environments": [asdict(each) for each in self.environments],
            "models": {**asdict(self.models), "differences": dict(self.models.differences)}
            if self.models
            else None,
            "keeps": list(self.keeps),
            "builds": list(self.builds),
            "history_digest": self.history_digest,
            "start": asdict(self.start) if self.start else None,
        }

    @staticmethod
    def from_store(content: Mapping[str, Any], job_id: int, surveyed_at: datetime) -> Survey:
        """Read it back."""
        history, models, start = content["history"], content["models"], content.get("start")
        return Survey(
            content["project"],
            SurveyedHistory(
                history["migrations"],
                tuple(history["heads"]),
                history["branches"],
                tuple(history["oldest"]) if history["oldest"] else None,
                tuple(history["problems"]),
                history["seconds"],
                history["refusal"],
                tuple(history["inserted"].items()),
                tuple(history["unseen"].items()),
            ),
            tuple(
                Surveyed(
                    **{
                        **each,
                        **{name: tuple(each[name]) for name in ("revisions", "unknown", "edited")},
                    }
                )
                for each in content["environments"]
            ),
            SurveyedModels(
                models["refusal"], tuple(models["differences"].items()), tuple(models["unmodelled"])
            )
            if models
            else None,
            tuple(content["keeps"]),
            tuple(content["builds"]),
            content.get("history_digest"),
            SurveyedStart(start["count"], tuple((place, what) for place, what in start["first"]))
            if start
            else None,
            job_id,
            surveyed_at,
        )
