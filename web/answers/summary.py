"""An environment in one word: the verdict, the differences of its schema, and what is in doubt, put together.

Pure, and the one place where it is decided what is green: page, API, command line and badge all ask here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from web import words
from web.answers.verdict import PRECEDENCE, Verdict
from web.observation.records import Observation, Record


@dataclass(frozen=True, slots=True)
class Summary:
    """How an environment stands to a history, with everything that keeps it from being simply so."""

    #: "In sync", "In sync, 3 differences", "3 pending, in doubt", "Being checked".
    words: str
    #: The verdict and the drift as sentences; what is in doubt has a sentence of its own in every place.
    sentence: str
    #: The status key of the pages. Only what is in sync, was compared and is in no doubt is "ok".
    status: str
    #: What `cleanstart check` exits with.
    exit_code: int

    def to_json(self) -> dict[str, object]:
        """Takes the place of the verdict's own words in the JSON of API and CLI."""
        return {
            "words": self.words,
            "sentence": self.sentence,
            "status": self.status,
            "exit_code": self.exit_code,
        }


def summarize(verdict: Verdict, record: Record | None) -> Summary:
    """Put together what is known of an environment. Its drift does not change the exit code: see `--gate`."""
    observation = record.observation if record else None
    if verdict.standing == "unreachable" or observation is None or record is None:
        return Summary(verdict.words, verdict.sentence, verdict.status, verdict.exit_code)
    if record.unseen is not None:
        return Summary("Being checked", verdict.sentence, "unknown", verdict.exit_code)
    words, sentences, status = [verdict.words], [verdict.sentence], verdict.status
    drifted = observation.drift.state == "drifted"
    # Where the revisions say that something is to be done, what was not compared changes nothing about that.
    if (drift := _of_drift(observation)) is not None and (drifted or status == "ok"):
        said, told = drift
        words.append(said)
        sentences.append(told)
        if status == "ok":
            status = "drift" if drifted else "unknown"
    exit_code = verdict.exit_code
    if record.doubts:
        words.append("in doubt")
        if status in ("ok", "drift", "pending", "queued", "ahead"):
            status = "warn"
        # Nothing that could not be told counts as ready.
        exit_code = exit_code or 3
    return Summary(", ".join(words), " ".join(sentences), status, exit_code)


def worst(found: Iterable[tuple[Verdict, Summary]]) -> Summary | None:
    """The one that a person has to look at first: whatever is green comes last."""

    def rank(each: tuple[Verdict, Summary]) -> tuple[bool, int]:
        verdict, summary = each
        return summary.status == "ok", PRECEDENCE.index(verdict.standing)

    chosen = min(found, key=rank, default=None)
    return chosen[1] if chosen else None


def _of_drift(observation: Observation) -> tuple[str, str] | None:
    drift = observation.drift
    match drift.state:
        case "none":
            return None
        case "drifted":
            number = words.plural(drift.count or 0, "difference")
            return (
                number,
                f"The schema differs from what they give in {words.plural(drift.count or 0, 'place')}.",
            )
        case "unknown":
            return "drift not known", "Whether the schema is what they give is not known."
        case "not compared":
            return "not compared", "The schema was not compared with what they give."
