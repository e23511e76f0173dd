"""The picture of a history: lanes, bends and runs."""

from __future__ import annotations

from itertools import pairwise

from web.pages.graph import Bend, Run, lay_out


def test_a_line_stays_in_one_lane() -> None:
    drawn = lay_out([("c", ["b"]), ("b", ["a"]), ("a", [])], {"c"})
    assert drawn.lanes == 1
    assert [row.lane for row in drawn.rows] == [0, 0, 0]
    assert drawn.rows[0].runs == (Run(0, 0, True),)
    assert drawn.rows[1].bends == (Bend(0, 0, True),)
    assert drawn.rows[2].runs == ()


def test_a_branch_and_its_merge_take_a_second_lane() -> None:
    drawn = lay_out([("merge", ["left", "right"]), ("right", ["base"]), ("left", ["base"]), ("base", [])])
    assert drawn.lanes == 2
    merge, right, left, base = drawn.rows
    assert (merge.lane, right.lane, left.lane, base.lane) == (0, 1, 0, 0)
    assert Run(0, 1, False) in merge.runs
    assert Bend(1, 0, False) in base.bends


def test_two_heads_stand_beside_each_other() -> None:
    drawn = lay_out([("x", ["base"]), ("y", ["base"]), ("base", [])])
    assert [row.lane for row in drawn.rows] == [0, 1, 0]


def test_a_parent_that_is_not_listed_ends_in_nothing() -> None:
    drawn = lay_out([("only", ["archived"])])
    assert drawn.rows[0].runs == ()


def test_a_freed_lane_is_used_again() -> None:
    history = [("m2", ["m1", "b2"]), ("b2", ["m1"]), ("m1", ["a", "b1"]), ("b1", ["a"]), ("a", [])]
    assert lay_out(history).lanes == 2


def test_every_run_is_met_by_a_bend_of_the_next_row() -> None:
    history = [(str(n), [str(n - step) for step in (1, 3) if n - step >= 0]) for n in range(60, -1, -1)]
    rows = lay_out(history).rows
    for above, below in pairwise(rows):
        assert {run.lane for run in above.runs} == {bend.start for bend in below.bends}
