"""The verdict is a table: history, observed revisions and evidence on the left, the answer on the right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from web.answers.verdict import PRECEDENCE, Standing, Verdict, verdict
from web.observation.records import Observed
from web.tools.history import Archive, History, Lineage, Migration, make_history


def steps(*lines: str, digest: str = "d") -> History:
    """A history from lines such as `c: a b + d` (revision: down + depends_on)."""
    migrations = []
    for line in lines:
        revision, _, rest = line.partition(":")
        down, _, depends_on = rest.partition("+")
        migrations.append(
            Migration(
                revision.strip(),
                tuple(down.split()),
                tuple(depends_on.split()),
                message=f"step {revision}",
                path=f"versions/{revision}.py",
                digest=f"{digest}-{revision}",
            )
        )
    return make_history(migrations)


def at(*revisions: str) -> Observed:
    return Observed(reachable=True, version_table=True, revisions=revisions)


LINE = steps("a:", "b: a", "c: b")
FORK = steps("a:", "b: a", "x: a")
MERGED = steps("a:", "b: a", "x: a", "m: b x")
#: Two branches; contract depends on expand, so that one version row implies both.
DEPENDENT = steps("e1:", "e2: e1", "c1: + e1", "c2: c1 + e2")
TWO_BASES = steps("a:", "b: a", "q:", "r: q")
LONGER = steps("a:", "b: a", "c: b", "d: c", "e: d")
OTHER_BRANCH = steps("a:", "b: a", "y: b")
UNCHANGED = {"a": "d-a", "b": "d-b", "c": "d-c"}


@dataclass(frozen=True)
class Case:
    name: str
    history: History | None
    observed: Observed | None
    standing: Standing
    also: tuple[Standing, ...] = ()
    known: tuple[History, ...] = ()
    evidence: Mapping[str, str | None] = field(default_factory=lambda: dict(UNCHANGED))
    pending: tuple[str, ...] = ()
    beyond: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    edited: tuple[str, ...] = ()
    exit_code: int = 0
    words: str = ""


CASES = [
    Case("at head", LINE, at("c"), "in sync", words="In sync"),
    Case("one behind", LINE, at("b"), "pending", pending=("c",), exit_code=1, words="1 pending"),
    Case(
        "no version table", LINE, Observed(True, False), "pending", ("never migrated",),
        pending=("a", "b", "c"), exit_code=1, words="3 pending",
    ),
    Case(
        "empty version table", LINE, at(), "pending", ("never migrated",),
        pending=("a", "b", "c"), exit_code=1, words="3 pending",
    ),
    Case("empty history and database", steps(), Observed(True, False), "never migrated", exit_code=1,
         words="Never migrated"),
    Case("empty history, a revision there", steps(), at("b"), "unknown revision", unknown=("b",), exit_code=2,
         words="Unknown revision"),
    Case("unreachable", LINE, Observed(False, None, reason="connection refused"), "unreachable", exit_code=3,
         words="Unreachable"),
    Case("never looked at", LINE, None, "not known", exit_code=3, words="Not known"),
    Case("version table not readable", LINE, Observed(True, None, reason="permission denied"), "not known",
         exit_code=3, words="Not known"),
    Case("source not readable", None, at("c"), "not known", exit_code=3, words="Not known"),
    Case("history not complete", replace(LINE, complete=False), at("c"), "not known", exit_code=3,
         words="Not known"),
    Case(
        "unknown revision", LINE, at("zz"), "unknown revision", unknown=("zz",), exit_code=2,
        words="Unknown revision",
    ),
    Case("head and an unknown row", LINE, at("c", "zz"), "unknown revision", unknown=("zz",), exit_code=2,
         words="Unknown revision"),
    Case(
        "build older than the environment", LINE, at("e"), "ahead", known=(LONGER,), beyond=("d", "e"),
        exit_code=2, words="2 ahead",
    ),
    Case(
        "the same without the newer build", LINE, at("e"), "unknown revision", unknown=("e",), exit_code=2,
        words="Unknown revision",
    ),
    Case(
        "on another branch", LINE, at("y"), "diverged", ("pending",), known=(OTHER_BRANCH,), beyond=("y",),
        pending=("c",), exit_code=2, words="Diverged",
    ),
    Case(
        "on another branch, beside several heads", FORK, at("y"), "several heads", ("diverged", "pending"),
        known=(OTHER_BRANCH,), beyond=("y",), pending=("x",), exit_code=2, words="Several heads",
    ),
    Case("ahead on another branch", LINE, at("c", "y"), "ahead", known=(OTHER_BRANCH,), beyond=("y",),
         exit_code=2, words="1 ahead"),
    Case("several heads, one applied", FORK, at("b"), "several heads", ("pending",), pending=("x",),
         exit_code=2, words="Several heads"),
    Case("several heads, all applied", FORK, at("b", "x"), "several heads", ("in sync",), exit_code=2,
         words="Several heads"),
    Case("several heads, nothing applied", FORK, at(), "several heads", ("pending", "never migrated"),
         pending=("a", "b", "x"), exit_code=2, words="Several heads"),
    Case("two histories in one folder", TWO_BASES, at("b", "r"), "several heads", ("in sync",), exit_code=2,
         words="Several heads"),
    Case("merge is pending", MERGED, at("b", "x"), "pending", pending=("m",), exit_code=1, words="1 pending"),
    Case("one leg of the merge is missing", MERGED, at("b"), "pending", pending=("x", "m"), exit_code=1,
         words="2 pending"),
    Case("merged", MERGED, at("m"), "in sync", words="In sync"),
    Case("one row stands for two branches", DEPENDENT, at("c2"), "in sync", words="In sync"),
    Case("a dependency is pending", DEPENDENT, at("c1"), "pending", pending=("e2", "c2"), exit_code=1,
         words="2 pending"),
    Case("rows of both branches", DEPENDENT, at("e2", "c1"), "pending", pending=("c2",), exit_code=1,
         words="1 pending"),
    Case(
        "edited after apply", LINE, at("c"), "edited after apply", evidence=UNCHANGED | {"b": "earlier"},
        edited=("b",), exit_code=2, words="Edited after apply",
    ),
    Case(
        "edited and pending", LINE, at("b"), "edited after apply", ("pending",),
        evidence={"a": "earlier", "b": "d-b"}, edited=("a",), pending=("c",), exit_code=2,
        words="Edited after apply",
    ),
    Case("a pending file may change", LINE, at("a"), "pending", evidence={"a": "d-a", "b": "earlier"},
         pending=("b", "c"), exit_code=1, words="2 pending"),
    Case(
        "edited and ahead", LINE, at("e"), "edited after apply", ("ahead",), known=(LONGER,),
        evidence=UNCHANGED | {"a": "earlier"}, edited=("a",), beyond=("d", "e"), exit_code=2,
        words="Edited after apply",
    ),
    Case("no evidence is no accusation", LINE, at("c"), "in sync", evidence={}, words="In sync"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_verdict(case: Case) -> None:
    answer = verdict(
        case.history,
        case.observed,
        lineage=Lineage(case.known) if case.known else None,
        evidence=case.evidence,
    )
    assert (answer.standing, answer.also) == (case.standing, case.also)
    assert sorted(step.revision for step in answer.pending) == sorted(case.pending)
    assert (answer.beyond, answer.unknown, answer.edited) == (case.beyond, case.unknown, case.edited)
    assert answer.exit_code == case.exit_code
    assert answer.words == case.words
    assert answer.sentence.endswith(".") or answer.exit_code == 3


def test_pending_comes_in_the_order_in_which_it_runs() -> None:
    answer = verdict(MERGED, at())
    order = [step.revision for step in answer.pending]
    assert order.index("a") == 0
    assert order.index("m") == 3


def test_without_evidence_an_edit_is_not_known() -> None:
    assert verdict(LINE, at("c"), evidence=UNCHANGED).edits_known
    assert not verdict(LINE, at("c"), evidence={"a": "d-a", "b": None, "c": "d-c"}).edits_known
    assert not verdict(LINE, at("c")).edits_known


def test_what_holds_is_listed_in_order_of_precedence() -> None:
    answer = verdict(FORK, at("b", "zz"), evidence={"a": "earlier", "b": "d-b"})
    assert (answer.standing, *answer.also) == (
        "unknown revision",
        "several heads",
        "edited after apply",
    )
    assert [PRECEDENCE.index(each) for each in (answer.standing, *answer.also)] == sorted(
        PRECEDENCE.index(each) for each in (answer.standing, *answer.also)
    )


def test_every_standing_has_words_status_and_exit_code() -> None:
    for standing in PRECEDENCE:
        archive = Archive("archive/2026", "2026-11-30T12:00:00+00:00", "z", steps("a:"))
        answer = Verdict(standing, unknown=("a",), edited=("a",), heads=("a", "b"), archive=archive)
        assert answer.words
        assert answer.status
        assert answer.exit_code in {0, 1, 2, 3}
        assert answer.sentence
        assert answer.to_json()["verdict"] == standing


@pytest.mark.parametrize("row", ["a", "b", "elsewhere"])
def test_nothing_can_be_told_of_a_history_with_problems(row: str) -> None:
    unreadable = make_history(steps("a:", "b: a").migrations, problems=["versions/c.py is not valid Python."])
    answer = verdict(unreadable, at(row))
    assert (answer.standing, answer.exit_code) == ("not known", 3)
    assert "in sync" not in answer.also
    assert "versions/c.py" in answer.sentence


def test_problems_of_the_history_are_told() -> None:
    answer = verdict(steps("b: gone"), at("b"))
    assert answer.reason is not None
    assert "gone" in answer.reason


@pytest.mark.parametrize(
    ("follow", "rows", "standing", "pending"),
    [
        ((), ("b", "r"), "several heads", ()),
        (("heads",), ("b", "r"), "in sync", ()),
        (("heads",), ("b",), "pending", ("q", "r")),
        (("b@head",), ("b",), "in sync", ()),
        (("b@head",), ("a",), "pending", ("b",)),
        # What is not followed may be there.
        (("b@head",), ("b", "q"), "in sync", ()),
        (("b@head",), ("q",), "pending", ("a", "b")),
        (("b@head", "r@head"), ("b",), "pending", ("q", "r")),
        (("nobody@head",), ("b",), "not known", ()),
    ],
)
def test_of_several_heads_those_that_are_followed_count(
    follow: tuple[str, ...], rows: tuple[str, ...], standing: str, pending: tuple[str, ...]
) -> None:
    found = verdict(TWO_BASES, at(*rows), evidence={}, follow=follow)
    assert found.standing == standing
    assert tuple(each.revision for each in found.pending) == pending


def test_heads_without_a_base_in_common_need_no_merge() -> None:
    assert "They need a merge" in verdict(FORK, at("b")).sentence
    separate = verdict(TWO_BASES, at("b"))
    assert "They share no base: `follow` has to say which are meant." in separate.sentence
