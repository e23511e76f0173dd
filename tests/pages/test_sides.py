"""Two texts side by side, short and very long."""

from __future__ import annotations

import pytest

from web.pages import sides
from web.pages.sides import Line, side_by_side


def test_sides_have_one_height() -> None:
    left, right = side_by_side("a\nb\nc", "a\nx\ny\nc")
    assert [line.kind for line in left] == ["same", "removed", "gap", "same"]
    assert [line.kind for line in right] == ["same", "added", "added", "same"]


def test_a_missing_side_is_all_gap() -> None:
    left, right = side_by_side(None, "CREATE INDEX\n  ON t")
    assert [line.kind for line in left] == ["gap", "gap"]
    assert [line.text for line in right] == ["CREATE INDEX", "  ON t"]


@pytest.mark.parametrize(
    ("common", "line"), [("word " * 1_000_000, "word "), ("SELECT 1;\n" * 500_000, "SELECT 1;\n")]
)
def test_of_long_texts_the_part_that_differs(common: str, line: str) -> None:
    left, right = side_by_side(f"{common}old{common}", f"{common}new{common}")
    for side, word in ((left, "old"), (right, "new")):
        assert side[0].kind == side[-1].kind == "cut"
        assert any(word in each.text for each in side)
        assert sum(len(each.text) for each in side) < sides.CHARACTERS + 200
        assert len(side) <= 2 * sides.LINES + 2
        # What is left out and what is shown is all of it.
        out = [int(each.text.split()[0].replace(",", "")) for each in side if each.kind == "cut"]
        shown = sum(len(each.text) + ("\n" in line) for each in side if each.kind not in ("cut", "gap"))
        assert abs(sum(out) + shown - len(common) * 2 - 3) <= 1


def test_a_long_text_of_short_lines_that_only_goes_on() -> None:
    common = "x\n" * 50_000
    left, right = side_by_side(common, f"{common}more")
    assert [each.text for each in right if each.kind == "added"] == ["more"]
    assert len(left) == len(right)


def test_a_long_text_that_is_on_one_side_only() -> None:
    left, right = side_by_side(None, "x" * 30_000)
    assert [each.kind for each in left] == ["gap", "gap"]
    assert right[-1] == Line("cut", "10,000 characters more, not shown")


def test_thousands_of_lines_that_have_nothing_in_common() -> None:
    left, right = side_by_side(
        "\n".join(map(str, range(100_000))), "\n".join(f"{n}!" for n in range(100_000))
    )
    assert len(left) == len(right) == sides.LINES + 1
