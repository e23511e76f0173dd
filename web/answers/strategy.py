"""What a clean start does with each environment, recommended with its reasons; people may choose otherwise.

Pure: what was surveyed goes in, a strategy comes out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from web import words
from web.config import Tier
from web.observation.records import DriftState

Strategy = Literal["reset", "beside", "stamp", "repair", "adopt", "leave-out"]
#: In words, for a list.
STRATEGIES: Final[dict[Strategy, str]] = {
    "reset": "Reset: everything is dropped and made anew by the baseline",
    "beside": "Fresh database beside: the baseline makes a new one, and the secret is changed to it",
    "stamp": "Stamp: data stay, the version row is exchanged",
    "repair": "Repair, then stamp: data stay, the schema is brought to the baseline first",
    "leave-out": "Leave out",
}
#: The same where the history is kept.
KEEPING: Final[dict[Strategy, str]] = {
    "repair": "Repair: what was changed by hand is taken back, and nothing is dropped unless somebody asks for it",
    "adopt": "Adopt: what was changed by hand becomes a migration",
    "leave-out": "Leave out",
}
#: What is done with a project's history.
Way = Literal["clean start", "keep"]


def strategies_of(way: Way) -> dict[Strategy, str]:
    """What can be done with an environment on this way, in words."""
    return KEEPING if way == "keep" else STRATEGIES


@dataclass(frozen=True, slots=True)
class Surveyed:
    """One environment, as a survey saw it."""

    environment: str
    tier: Tier
    #: Whether the environment's policy lets it be reset.
    may_reset: bool
    reachable: bool
    #: The verdict in words and as a sentence.
    words: str
    sentence: str
    revisions: tuple[str, ...] = ()
    #: Migrations that it lacks, and version rows that no migration has.
    pending: int = 0
    unknown: tuple[str, ...] = ()
    #: Migrations that were edited after they were applied here.
    edited: tuple[str, ...] = ()
    drift: DriftState | None = None
    differences: int | None = None
    #: Bytes; rows are the server's estimate.
    size: int | None = None
    rows: int | None = None
    #: Estimated rows outside of the tables that migrations fill.
    own_rows: int | None = None
    #: ISO 8601; None: the server keeps no commit times.
    last_write: str | None = None
    #: The build that CI recorded as running.
    build: int | None = None
    #: `system identifier/oid` of the database, and the fingerprint of its schema.
    identity: str | None = None
    fingerprint: str | None = None


@dataclass(frozen=True, slots=True)
class Recommended:
    """A strategy, and why."""

    strategy: Strategy
    reasons: tuple[str, ...]


def recommend(seen: Surveyed) -> Recommended:
    """The strategy for an environment: data are kept unless policy and tier say that they can be made again."""
    if not seen.reachable:
        return Recommended("leave-out", (f"Nothing is known about it: {_lowered(seen.sentence)}",))
    if seen.tier == "development" and seen.may_reset:
        return Recommended(
            "reset",
            ("It is a development database, and its policy allows a reset.", *_lost(seen), *_costs(seen)),
        )
    if seen.unknown:
        return Recommended(
            "leave-out",
            (
                f"It is at {', '.join(seen.unknown)}, which no migration has: what it should look like is not known.",
                "Stamp it at a known revision first, or bring the file back.",
            ),
        )
    if seen.tier == "production" and seen.own_rows == 0:
        return Recommended(
            "beside",
            (
                "It holds no rows but those that migrations insert.",
                "A fresh database beside it is proven before anybody uses it, and nothing is dropped.",
            ),
        )
    return Recommended(*_keeping(seen))


def _keeping(seen: Surveyed) -> tuple[Strategy, tuple[str, ...]]:
    kept = tuple(_worth(seen))
    if seen.drift == "none":
        same = "Its schema is exactly what its migrations give."
        return "stamp", (*kept, same, *_behind(seen))
    if seen.drift == "drifted":
        count = words.plural(seen.differences or 0, "difference")
        drifted = f"Its schema has {count} from what its migrations give: they are repaired or adopted first."
        return "repair", (*kept, drifted, *_behind(seen))
    return "leave-out", (
        "Whether its schema is what its migrations give is not known.",
        "See why it was not compared, then survey again.",
    )


def _worth(seen: Surveyed) -> Iterator[str]:
    if seen.tier == "production":
        yield "It is production: data are kept."
    elif not seen.may_reset:
        yield "Its policy allows no reset: data are kept."
    if seen.own_rows:
        yield f"About {words.estimate(seen.own_rows)} rows are its own."


def _behind(seen: Surveyed) -> Iterator[str]:
    if seen.pending:
        verb = "is" if seen.pending == 1 else "are"
        count = words.plural(seen.pending, "migration")
        yield f"{count} {verb} pending: it is brought to the old head first."


def _lost(seen: Surveyed) -> Iterator[str]:
    if seen.unknown:
        yield f"It is at {', '.join(seen.unknown)}, which no migration has."


def _costs(seen: Surveyed) -> Iterator[str]:
    if seen.own_rows:
        yield f"About {words.estimate(seen.own_rows)} rows of its own go; a verified backup comes first."


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
