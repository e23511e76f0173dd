"""A condition's title is true as it stands: met, not met and not known have a sentence each."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.answers.test_verdict import FORK, LINE, UNCHANGED, at
from web.answers.gate import Gate, deployment_gate
from web.answers.rehearsed import Rehearsed
from web.answers.verdict import verdict
from web.config import BackupPolicy, Environment, Secret
from web.observation.records import Drift, LastBackup, Observation, Observed, Record
from web.tools.history import History

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
PRODUCTION = Environment(
    project="clinic",
    name="production",
    tier="production",
    approvals=1,
    backup=BackupPolicy(),
    url=Secret("env:URL"),
)
SEEN = Observation(
    1, NOW, NOW, True, None, 170000, "clinic", "host", True, ("b",), "f", Drift("none"), source_digest=None
)
RECORD = Record(
    1, "clinic", "production", SEEN, True, "1/2", None, LastBackup(NOW, "verified", NOW), None, None
)


def gate(
    record: Record = RECORD,
    observed: Observed | None = None,
    history: History = LINE,
    rehearsed: Rehearsed | None = None,
    edited: bool = False,
) -> Gate:
    evidence = {"a": "another"} if edited else UNCHANGED
    found = verdict(history, observed or at("b"), evidence=evidence)
    return deployment_gate(found, PRODUCTION, record, rehearsed, now=NOW)


REHEARSED = Rehearsed(
    "p", "failed", NOW, {step.revision: step.digest for step in LINE.pending(["b"])}, "division by zero", 0
)

CASES = [
    (gate(), "approval", "Not approved"),
    (gate(), "rehearsal", "Not rehearsed in a scratch database"),
    (gate(), "nothing pending", "Migrations are pending"),
    (gate(rehearsed=REHEARSED), "rehearsal", "The rehearsal failed"),
    (
        gate(rehearsed=replace(REHEARSED, outcome="succeeded", files={})),
        "rehearsal",
        "Not rehearsed as the migrations are now",
    ),
    (gate(rehearsed=replace(REHEARSED, files={})), "rehearsal", "Not rehearsed as the migrations are now"),
    (
        gate(rehearsed=replace(REHEARSED, outcome="not held")),
        "rehearsal",
        "Could not rehearse in a scratch database",
    ),
    (
        gate(rehearsed=replace(REHEARSED, outcome="succeeded", stale=True)),
        "rehearsal",
        "Not rehearsed with the project's code as it is now",
    ),
    (gate(history=FORK), "one head", "Several heads"),
    (gate(observed=at("lost")), "revision known", "The database has revisions that are not in this history"),
    (gate(edited=True), "unchanged", "Migrations were edited after they were applied"),
    (
        gate(replace(RECORD, observation=replace(SEEN, drift=Drift("drifted", count=2)))),
        "no drift",
        "The schema differs from the applied migrations",
    ),
    (
        gate(replace(RECORD, observation=replace(SEEN, drift=Drift("unknown")))),
        "no drift",
        "Not known whether the schema differs from the applied migrations",
    ),
    (gate(replace(RECORD, backup=None)), "verified backup", "No verified backup within 24 h"),
    (
        gate(replace(RECORD, backup=LastBackup(NOW, "verified", NOW - timedelta(days=3)))),
        "verified backup",
        "No verified backup within 24 h",
    ),
    (gate(replace(RECORD, observation=None)), "checked", "The database has not been checked"),
]


@pytest.mark.parametrize(("found", "name", "title"), CASES)
def test_what_keeps_the_gate_closed_is_said_as_it_is(found: Gate, name: str, title: str) -> None:
    assert {each.name: each.title for each in found.closed_by}[name] == title


def test_no_sentence_is_said_of_both() -> None:
    every = [each for found, *_ in CASES for each in found.conditions]
    met = {each.title for each in every if each.state == "met"}
    assert not met & {each.title for each in every if each.state != "met"}
