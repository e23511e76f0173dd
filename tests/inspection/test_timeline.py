"""Who changed the schema when: told from looks and from what jobs saw, and nothing made up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from web.inspection.timeline import Cause, Entry, Ran, tell
from web.jobs.witness import Sighting

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)


def minute(number: float) -> datetime:
    return NOON + timedelta(minutes=number)


def seen(first: float, last: float, fingerprint: str, *revisions: str):  # type: ignore[no-untyped-def]
    return minute(first), minute(last), fingerprint, revisions


def ran(number: int, began: float, ended: float | None, before: str | None, after: str | None) -> Ran:
    """A job that saw these right after it began and right before it ended."""
    return Ran(
        number,
        "migrate",
        "succeeded",
        "ada",
        "clinic/dev",
        minute(began),
        None if ended is None else minute(ended),
        Sighting(minute(began), "t", before, ()) if before else Sighting(minute(began), reason="away"),
        None
        if ended is None
        else Sighting(minute(ended), "t", after, ())
        if after
        else Sighting(minute(ended), reason="away"),
    )


def pin(number: int, began: float, ended: float) -> Ran:
    return Ran(
        number, "pin", "succeeded", "ada", "clinic/dev", minute(began), minute(ended), None, None, True
    )


def short(entries: list[Entry]) -> list[tuple[Cause, str, tuple[int, ...]]]:
    return [
        (
            each.cause,
            (each.before.fingerprint if each.before else "") + each.after.fingerprint,
            tuple(job.id for job in each.jobs),
        )
        for each in entries
    ]


FIRST: tuple[Cause, str, tuple[int, ...]] = ("first seen", "A", ())


@pytest.mark.parametrize(
    ("looks", "jobs", "told"),
    [
        pytest.param([], [], [], id="never looked at"),
        pytest.param([seen(0, 9, "A")], [], [FIRST], id="nothing changed"),
        pytest.param([seen(0, 1, "A"), seen(2, 9, "B")], [], [FIRST, ("nobody", "AB", ())], id="by hand"),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,))],
            id="a job between two looks",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "C")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,)), ("nobody", "BC", ())],
            id="a job, and somebody after it",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "C")],
            [ran(1, 2, 3, "B", "C")],
            [FIRST, ("nobody", "AB", ()), ("job", "BC", (1,))],
            id="somebody, and a job after that",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, "A", "A")],
            [FIRST, ("nobody", "AB", ())],
            id="a job that changed nothing does not answer for it",
        ),
        pytest.param(
            [seen(0, 9, "A")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,)), ("nobody", "BA", ())],
            id="taken back by hand before the next look",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(2.5, 2.5, "half"), seen(3.5, 9, "B")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,))],
            id="a look in the middle of a job",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(1.95, 1.95, "B"), seen(4, 9, "B")],
            [ran(1, 2, 3, "A", "B")],
            [FIRST, ("job", "AB", (1,))],
            id="a look that began right before a job and read after it",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, "A", None)],
            [FIRST, ("not known", "AB", (1,))],
            id="what the job left could not be seen",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, 3, None, "B")],
            [FIRST, ("not known", "AB", (1,))],
            id="what was before the job could not be seen",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 6, "A"), seen(8, 9, "B")],
            [ran(1, 2, 3, "A", None)],
            [FIRST, ("nobody", "AB", ())],
            id="a look has seen it unchanged after such a job",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(5, 9, "B")],
            [ran(1, 2, None, "A", None)],
            [FIRST, ("not known", "AB", (1,))],
            id="the job still runs",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(4, 9, "B")],
            [pin(1, 3, 5)],
            [FIRST, ("pinned", "AB", (1,))],
            id="another database was pinned",
        ),
        pytest.param(
            [seen(0, 1, "A"), seen(4, 9, "A")],
            [pin(1, 3, 5)],
            [FIRST, ("pinned", "AA", (1,))],
            id="another database with the same schema",
        ),
        pytest.param(
            [seen(0, 1, "A", "r1"), seen(4, 9, "A", "r2")],
            [],
            [("first seen", "A", ()), ("nobody", "AA", ())],
            id="stamped by hand",
        ),
        pytest.param(
            [],
            [ran(1, 2, 3, "A", "B"), ran(2, 4, 5, "B", "C")],
            [FIRST, ("job", "AB", (1,)), ("job", "BC", (2,))],
            id="no look at all",
        ),
    ],
)
def test_it_tells_who(looks, jobs: list[Ran], told: list[tuple[Cause, str, tuple[int, ...]]]) -> None:  # type: ignore[no-untyped-def]
    assert short(tell(looks, jobs, minute(60))) == told


def test_unknown_revisions_are_no_change() -> None:
    first, last, fingerprint, _ = seen(4, 9, "A")
    assert short(tell([seen(0, 1, "A", "r1"), (first, last, fingerprint, None)], [], minute(60))) == [FIRST]


def test_a_change_by_nobody_lies_between_two_looks() -> None:
    _, entry = tell([seen(0, 1, "A"), seen(2, 9, "B")], [], minute(60))
    assert (entry.since, entry.at) == (minute(1), minute(2))
