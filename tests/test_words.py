"""How times, sizes and counts are written."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.pages.samples import NOW
from web import words


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0, "just now"),
        (9.9, "just now"),
        (10, "10 s ago"),
        (119, "119 s ago"),
        (120, "2 min ago"),
        (7199, "119 min ago"),
        (7200, "2 h ago"),
        (47 * 3600, "47 h ago"),
        (49 * 3600, "2 d ago"),
        (13 * 86400, "13 d ago"),
        (14 * 86400, "7 Nov 2026"),
        (-5, "just now"),
        (-300, "in 5 min"),
    ],
)
def test_ago(seconds: float, said: str) -> None:
    assert words.ago(NOW - timedelta(seconds=seconds), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (0.0042, "4.2 ms"),
        (0.084, "84 ms"),
        (1.0, "1.0 s"),
        (59.94, "59.9 s"),
        (59.96, "1 min 00 s"),
        (125, "2 min 05 s"),
        (3600, "1 h 00 min"),
        (200_000, "2 d 7 h"),
    ],
)
def test_duration(seconds: float, said: str) -> None:
    assert words.duration(seconds) == said


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (None, "not known"),
        (0, "0 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 kB"),
        (163_840, "160 kB"),
        (1_023_999, "1.0 MB"),
        (41_446_711_234, "38.6 GB"),
        (5 * 1024**5, "5120 TB"),
    ],
)
def test_size(amount: int | None, said: str) -> None:
    assert words.size(amount) == said


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (-1, "not known"),
        (318, "318"),
        (9_999, "9,999"),
        (18_233, "18.2k"),
        (1_204_311, "1.2M"),
        (3e9, "3.0G"),
    ],
)
def test_estimate(number: float, said: str) -> None:
    assert words.estimate(number) == said


@pytest.mark.parametrize(
    ("done", "total", "said"), [(0, 0, 0), (999, 1000, 99), (1000, 1000, 100), (5, 4, 100)]
)
def test_percent_says_hundred_only_when_all_is_done(done: int, total: int, said: int) -> None:
    assert words.percent(done, total) == said


def test_short_cuts_hashes_and_keeps_names() -> None:
    assert words.short("1c7f5e8d2a46") == "1c7f5e8d2a46"
    assert words.short("0001_add_users") == "0001_add_users"
    assert words.short("f" * 40) == "ffffffffffff…"


def test_plural() -> None:
    assert words.plural(1, "table") == "1 table"
    assert words.plural(1204, "table") == "1,204 tables"
    for one, many in (
        ("policy", "policies"),
        ("key", "keys"),
        ("index", "indexes"),
        ("process", "processes"),
        ("branch", "branches"),
        ("table with row security", "tables with row security"),
    ):
        assert words.plural(2, one) == f"2 {many}"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-18 17:22:10.039275+00:00", "2026-11-18 17:22:10 UTC"),
        ("2026-11-18 17:22:10+02:00", "2026-11-18 15:22:10 UTC"),
        ("2025-05-06 10:11:12.654321", "2025-05-06 10:11:12, no zone given"),
        ("last spring", "last spring"),
    ],
)
def test_times_that_files_carry(text: str, shown: str) -> None:
    assert words.written(text) == shown
