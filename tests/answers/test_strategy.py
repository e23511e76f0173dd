"""What is recommended for an environment, and for a project: a table, and every reason in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from web.answers.strategy import Surveyed, recommend
from web.answers.survey import Survey, SurveyedHistory, SurveyedModels

DEV = Surveyed(
    environment="dev",
    tier="development",
    may_reset=True,
    reachable=True,
    words="In sync",
    sentence="Nothing is pending.",
    revisions=("z",),
    drift="none",
    differences=0,
    size=10_000,
    rows=500,
    own_rows=400,
)
PRODUCTION = replace(DEV, environment="production", tier="production", may_reset=False)


@pytest.mark.parametrize(
    ("seen", "strategy", "reason"),
    [
        (DEV, "reset", "About 400 rows of its own go; a verified backup comes first."),
        (replace(DEV, drift="drifted", differences=3, pending=2), "reset", "policy allows a reset"),
        (replace(DEV, may_reset=False), "stamp", "Its policy allows no reset: data are kept."),
        (replace(DEV, tier="staging"), "stamp", "Its schema is exactly what its migrations give."),
        (PRODUCTION, "stamp", "It is production: data are kept."),
        (replace(PRODUCTION, drift="drifted", differences=3), "repair", "3 differences"),
        (replace(PRODUCTION, pending=1), "stamp", "1 migration is pending"),
        (replace(PRODUCTION, own_rows=0), "beside", "no rows but those that migrations insert"),
        (replace(PRODUCTION, own_rows=None), "stamp", "It is production: data are kept."),
        (replace(PRODUCTION, drift="unknown"), "leave-out", "is not known"),
        (replace(PRODUCTION, drift="not compared"), "leave-out", "is not known"),
        (replace(DEV, drift="unknown"), "reset", "policy allows a reset"),
        (replace(DEV, unknown=("x",)), "reset", "It is at x, which no migration has"),
        (replace(DEV, unknown=("x",), may_reset=False), "leave-out", "It is at x, which no migration has"),
        (replace(DEV, reachable=False, sentence="It is away."), "leave-out", "it is away."),
    ],
)
def test_an_environment(seen: Surveyed, strategy: str, reason: str) -> None:
    found = recommend(seen)
    assert found.strategy == strategy
    assert reason in " ".join(found.reasons)


HISTORY = SurveyedHistory(3, ("z",), 0, ("a", None), seconds=1.5)
#: What speaks for a clean start, one at a time.
SIGNS: list[tuple[dict[str, Any], str]] = [
    (
        {"history": replace(HISTORY, refusal="it breaks", seconds=None)},
        "cannot be run from an empty database",
    ),
    ({"history": replace(HISTORY, heads=("y", "z"))}, "ends in 2 heads"),
    ({"history": replace(HISTORY, problems=("odd.",))}, "1 remark about its files: odd."),
    ({"history": replace(HISTORY, seconds=45.0)}, "From empty to head takes 45.0 s"),
    ({"history": replace(HISTORY, migrations=80)}, "It has 80 migrations."),
    ({"environments": (replace(DEV, unknown=("x",)),)}, "revisions that no file has: x."),
    ({"environments": (replace(DEV, edited=("a", "b")),)}, "2 migrations edited after being applied: a, b."),
    ({"environments": (replace(DEV, drift="drifted"),)}, "made by hand: dev differs from it."),
    (
        {"models": SurveyedModels(None, (("table", 1),), ("public.lost",))},
        "1 table that no model knows: public.lost.",
    ),
]


@pytest.mark.parametrize(("changed", "reason"), SIGNS)
def test_what_speaks_for_a_clean_start(changed: dict[str, Any], reason: str) -> None:
    survey = replace(Survey("clinic", HISTORY, (DEV, PRODUCTION), None), **changed)
    way, reasons = survey.way
    assert way == "clean start"
    assert any(reason in each for each in reasons), reasons


def test_a_history_that_is_as_it_should_be_is_kept() -> None:
    survey = Survey("clinic", HISTORY, (DEV, PRODUCTION), SurveyedModels())
    assert survey.way[0] == "keep the history"
    now = datetime.now(UTC)
    assert Survey.from_store(survey.to_store(), 7, now) == survey
    told = survey.to_json()
    environments = told["environments"]
    assert isinstance(environments, list)
    assert [(each["environment"], each["strategy"]) for each in environments] == [
        ("dev", "reset"),
        ("production", "stamp"),
    ]
