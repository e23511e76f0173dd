"""What was found in a source that migrates a database: where, when it runs, and what to do instead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from web.tools.history import storable

#: When a place runs: with the application, with a deployment or in CI, or because somebody calls it.
When = Literal["start-up", "deployment", "by hand"]
#: The order in which people read them.
WHENS: tuple[When, ...] = ("start-up", "deployment", "by hand")

#: Characters of a line that are kept.
SHOWN = 160

_AT_START = (
    "Take it out: the application starts without migrating. One task for each deployment does it before."
)
_IN_DEPLOYMENT = (
    "Ask the dashboard here instead: `cleanstart migrate PROJECT/ENVIRONMENT --build N --wait`, which holds the "
    "roll-out back where it fails."
)
_BY_HAND = "Keep it for databases of your own; for the ones that are watched, press Migrate."
_MADE_FROM_MODELS = (
    "Take it out: tables come from migrations alone, those of a new database too. In tests it may stay."
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One place that changes a database's schema."""

    #: From the source's folder, with slashes.
    path: str
    line: int
    #: The line, cut.
    text: str
    #: What is called: “alembic upgrade”.
    what: str
    when: When
    #: What runs it: “the image's CMD”.
    by: str
    #: Whether it was seen to run then; else it is in code of which that is likely.
    certain: bool

    @property
    def instead(self) -> str:
        """What to do about it."""
        if self.when == "by hand":
            return _BY_HAND
        if self.what in ("create_all", "EnsureCreated"):
            return _MADE_FROM_MODELS
        return _AT_START if self.when == "start-up" else _IN_DEPLOYMENT

    @property
    def place(self) -> str:
        """`path:line`, as editors take it."""
        return f"{self.path}:{self.line}"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or folder that was not read, and why."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What a source was found to do, and how much of it was read."""

    findings: tuple[Finding, ...]
    #: How many files were read.
    files: int
    skipped: tuple[Skipped, ...] = ()
    #: What was found or skipped beyond those that are kept.
    further: int = 0

    def of(self, when: When) -> tuple[Finding, ...]:
        """Those that run then, the certain ones first."""
        return tuple(each for each in self.findings if each.when == when)

    def to_json(self) -> dict[str, Any]:
        """JSON of API, CLI and store."""
        return {
            "findings": [{**asdict(each), "instead": each.instead} for each in self.findings],
            "files": self.files,
            "skipped": [asdict(each) for each in self.skipped],
            "further": self.further,
        }

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Scan:
        """Read `to_json` back."""
        return Scan(
            tuple(
                Finding(**{name: value for name, value in each.items() if name != "instead"})
                for each in content["findings"]
            ),
            content["files"],
            tuple(Skipped(**each) for each in content["skipped"]),
            content["further"],
        )


def cut(line: str) -> str:
    """A line as it is shown and kept: without what the store refuses, and not too long."""
    text = " ".join(storable(line).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"
