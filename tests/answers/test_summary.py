"""One word for an environment: what is green, what is not, and what `check` exits with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.answers.test_gate import NOW, PRODUCTION, RECORD, SEEN
from tests.answers.test_verdict import LINE, UNCHANGED, at
from web.answers.gate import deployment_gate, enforced
from web.answers.summary import summarize, worst
from web.answers.verdict import verdict
from web.observation.records import Doubt, Drift, JobGlance, Record

DOUBT = Doubt(12, "migrate", "half done", "Half of it is there.", NOW, by_check=True)
LOST = replace(DOUBT, job_id=13, sort="outcome not known", by_check=False)
ENDED = JobGlance(14, "migrate", "cancelled", finished_at=NOW)


def record(
    drift: Drift | None = None, doubts: tuple[Doubt, ...] = (), unseen: JobGlance | None = None
) -> Record:
    seen = replace(SEEN, revisions=("c",), drift=drift or Drift("none", count=0))
    return replace(RECORD, observation=seen, doubts=doubts, unseen=unseen)


CASES = [
    (record(), "c", "In sync", "ok", 0),
    (record(Drift("none", count=0, ignored=2)), "c", "In sync", "ok", 0),
    (record(Drift("drifted", count=1)), "c", "In sync, 1 difference", "drift", 0),
    (record(Drift("drifted", count=3)), "c", "In sync, 3 differences", "drift", 0),
    (record(Drift("unknown", "why")), "c", "In sync, drift not known", "unknown", 0),
    (record(Drift("not compared", "why")), "c", "In sync, not compared", "unknown", 0),
    (record(), "b", "1 pending", "pending", 1),
    (record(Drift("drifted", count=2)), "b", "1 pending, 2 differences", "pending", 1),
    (record(Drift("not compared")), "b", "1 pending", "pending", 1),
    (record(doubts=(DOUBT,)), "c", "In sync, in doubt", "warn", 3),
    (record(Drift("drifted", count=2), (DOUBT, LOST)), "b", "1 pending, 2 differences, in doubt", "warn", 1),
    (record(unseen=ENDED), "c", "Being checked", "unknown", 3),
    (record(doubts=(DOUBT,), unseen=ENDED), "c", "Being checked", "unknown", 3),
]


@pytest.mark.parametrize(("known", "revision", "words", "status", "code"), CASES)
def test_the_one_word(known: Record, revision: str, words: str, status: str, code: int) -> None:
    observed = known.observed if known.unseen else at(revision)
    found = summarize(verdict(LINE, observed, evidence=UNCHANGED), known)
    assert (found.words, found.status, found.exit_code) == (words, status, code)


def test_never_looked_at() -> None:
    found = summarize(verdict(LINE, None), None)
    assert (found.words, found.status, found.exit_code) == ("Not known", "unknown", 3)


def test_what_is_green_is_never_the_worst() -> None:
    green, drifted = record(), record(Drift("drifted", count=1))
    in_sync = verdict(LINE, at("c"), evidence=UNCHANGED)
    pairs = [(in_sync, summarize(in_sync, each)) for each in (green, drifted, green)]
    found = worst(pairs)
    assert found is not None
    assert found.words == "In sync, 1 difference"
    assert worst([]) is None


def test_a_doubt_keeps_the_gate_closed_and_production_from_migrating() -> None:
    found = verdict(LINE, at("b"), evidence=UNCHANGED)
    for doubts, state in (((DOUBT,), "not met"), ((LOST,), "not known"), ((DOUBT, LOST), "not known")):
        gate = deployment_gate(found, PRODUCTION, record(doubts=doubts), None, now=NOW)
        (condition,) = [each for each in gate.conditions if each.name == "nothing in doubt"]
        assert condition.state == state
        assert "job 1" in condition.detail
        assert "cleanstart settle" in condition.way
        assert enforced(condition, PRODUCTION)
        assert not enforced(condition, replace(PRODUCTION, tier="staging"))
    gate = deployment_gate(found, PRODUCTION, record(unseen=ENDED), None, now=NOW)
    assert {each.name: each.state for each in gate.conditions}["checked"] == "not known"
