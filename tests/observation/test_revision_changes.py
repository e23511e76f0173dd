"""By whom version rows were changed: an unbroken chain of jobs, or somebody else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from web.jobs.witness import SchemaSeen
from web.observation.revision_changes import Cause, told
from web.observation.timeline import Ran

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def job(
    number: int,
    before: str | None,
    after: str | None,
    *,
    began: float = 2,
    ended: float = 3,
) -> Ran:
    """A job that saw these version rows before and after; None: it could not see them."""

    def seen(rows: str | None) -> SchemaSeen:
        return SchemaSeen(NOON, "t", "f", tuple(rows.split()) if rows is not None else None)

    return Ran(
        number,
        "migrate",
        "succeeded",
        "ada",
        "clinic/dev",
        minute(began),
        minute(ended),
        seen(before),
        seen(after),
    )


@pytest.mark.parametrize(
    ("before", "after", "jobs", "cause", "by"),
    [
        pytest.param("a", "b", [], "nobody", [], id="no job ran"),
        pytest.param("a", "b", [job(1, "a", "b")], "job", [1], id="one job"),
        pytest.param("a", "c", [job(1, "a", "b"), job(2, "b", "c")], "job", [1, 2], id="two jobs"),
        pytest.param(
            "a", "c", [job(1, "a", "a"), job(2, "a", "c")], "job", [2], id="one did nothing to them"
        ),
        pytest.param("x y", "c", [job(1, "y x", "c")], "job", [1], id="several heads in any order"),
        pytest.param("a", "c", [job(1, "a", "b")], "nobody", [], id="somebody after the job"),
        pytest.param("a", "c", [job(1, "b", "c")], "nobody", [], id="somebody before the job"),
        pytest.param("a", "b", [job(1, "b", "b")], "nobody", [], id="somebody before a job that did nothing"),
        pytest.param("a", "d", [job(1, "a", "b"), job(2, "c", "d")], "nobody", [], id="somebody between two"),
        pytest.param("a", "b", [job(1, "a", None)], "not known", [1], id="its end was not seen"),
        pytest.param("a", "b", [job(1, None, "b")], "not known", [1], id="its beginning was not seen"),
        pytest.param("a", "b", [job(1, "a", "b"), job(2, "b", None)], "job", [1], id="the chain is whole"),
        pytest.param("", "b", [job(1, "", "b")], "job", [1], id="from nothing"),
        pytest.param(
            "a", "b", [job(1, "z", "a", ended=1), job(2, "a", "b")], "job", [2], id="one was over before"
        ),
        pytest.param(
            "a", "b", [job(1, "a", "b", ended=0.95)], "job", [1], id="the look before was slower than it"
        ),
        pytest.param(
            "a", "b", [job(1, "a", "b"), job(2, "b", "c", began=5.1)], "job", [1], id="one has begun after"
        ),
        pytest.param(
            "a", "c", [job(1, "a", "c", began=4.9)], "job", [1], id="the look saw what it had just done"
        ),
        pytest.param(
            "a", "b", [job(1, "a", "b"), job(2, "b", "c")], "nobody", [], id="led back from the last one"
        ),
        # A look that was taken in the middle of a reset, or between two migrations.
        pytest.param(
            "", "a", [job(1, "a", "a", began=0.5, ended=3)], "job", [1], id="the look before saw its middle"
        ),
        pytest.param("a", "", [job(1, "a", "a", began=4, ended=6)], "job", [1], id="the look saw its middle"),
        pytest.param(
            "b",
            "c",
            [job(1, "a", "c", began=0.5, ended=3)],
            "job",
            [1],
            id="the look before saw a part of it",
        ),
        pytest.param(
            "b",
            "d",
            [job(1, "a", "c", began=0.5, ended=3)],
            "nobody",
            [],
            id="somebody after the one whose middle was seen",
        ),
    ],
)
def test_who(before: str, after: str, jobs: list[Ran], cause: Cause, by: list[int]) -> None:
    # Between the looks of the first minute and the fifth.
    found, who = told(before.split(), after.split(), jobs, minute(1), minute(5))
    assert (found, [each.id for each in who]) == (cause, by)
