"""The graph logic, compared with Alembic's own on histories of every shape."""

from __future__ import annotations

import json
import time
import warnings

import pytest
from alembic.script.revision import MultipleHeads, RangeNotAncestorError, Revision, RevisionMap
from hypothesis import given
from hypothesis import strategies as st

from web.tools.history import History, Migration, make_history


def line(length: int) -> History:
    return make_history(
        Migration(f"r{number}", (f"r{number - 1}",) if number else ()) for number in range(length)
    )


@st.composite
def histories(draw: st.DrawFn) -> list[Migration]:
    """Graphs with branches, merges, several bases and dependencies, without circles."""
    size = draw(st.integers(1, 14))
    migrations: list[Migration] = []
    for number in range(size):
        earlier = [migration.revision for migration in migrations]
        down = draw(st.lists(st.sampled_from(earlier), max_size=2, unique=True)) if earlier else []
        others = [revision for revision in earlier if revision not in down]
        depends_on = draw(st.lists(st.sampled_from(others), max_size=2, unique=True)) if others else []
        migrations.append(Migration(f"rev{number}", tuple(down), tuple(depends_on)))
    return draw(st.permutations(migrations))


def alembic_map(migrations: list[Migration]) -> RevisionMap:
    return RevisionMap(
        lambda: (
            Revision(migration.revision, migration.down or None, migration.depends_on or None)
            for migration in migrations
        )
    )


@given(histories(), st.data())
def test_heads_and_pending_are_what_alembic_says(migrations: list[Migration], data: st.DataObject) -> None:
    ours, theirs = make_history(migrations), alembic_map(migrations)
    assert set(ours.heads) == set(theirs._real_heads)
    assert set(ours.branch_heads) == set(theirs.heads)
    assert set(ours.bases) == set(theirs.bases)
    some = data.draw(st.lists(st.sampled_from([migration.revision for migration in migrations]), unique=True))
    applied = ours.effective(some)
    wanted = theirs.iterate_revisions("heads", applied or "base", implicit_base=True)
    assert {migration.revision for migration in ours.pending(applied)} == {rev.revision for rev in wanted}


@given(histories(), st.data())
def test_a_followed_branch_is_what_alembic_takes_it_for(
    migrations: list[Migration], data: st.DataObject
) -> None:
    theirs = alembic_map(migrations)
    branch = data.draw(st.sampled_from([migration.revision for migration in migrations]))
    history = make_history(migrations).followed([f"{branch}@head"])
    some = data.draw(st.lists(st.sampled_from([migration.revision for migration in migrations]), unique=True))
    applied = history.effective(some)
    try:
        (target,) = theirs.get_revisions(f"{branch}@head")
    except MultipleHeads:
        assert any(
            "has 2 heads" in each or "has 3 heads" in each or "heads:" in each for each in history.problems
        )
        return
    assert isinstance(target, Revision)
    assert history.branch_heads == (target.revision,)
    wanted = theirs.iterate_revisions(target.revision, applied or "base", implicit_base=True)
    try:
        expected = {each.revision for each in wanted}
    except RangeNotAncestorError:
        # Alembic does not go there from rows that are beyond it; there is nothing to go to.
        expected = set()
    assert {migration.revision for migration in history.pending(applied)} == expected
    assert history.is_at_head(applied) == (not expected)


TWO = make_history(
    [
        Migration("m1", labels=("main",)),
        Migration("m2", ("m1",)),
        Migration("p1", labels=("plugin",)),
        Migration("p2", ("p1",), depends_on=("m1",)),
    ]
)


def test_what_is_followed() -> None:
    assert TWO.is_ambiguous
    assert not TWO.share_a_base
    assert TWO.targets is None
    every = TWO.followed(["heads"])
    assert (every.is_ambiguous, every.targets, every.goal) == (False, None, ("m2", "p2"))
    main = TWO.followed(["main@head"])
    assert (main.is_ambiguous, main.targets, main.goal, main.branch_heads) == (
        False,
        ("m2",),
        ("m2",),
        ("m2",),
    )
    assert [each.revision for each in main.pending([])] == ["m1", "m2"]
    assert main.is_at_head(["m2"])
    # What another branch has is there as well, and is not counted.
    assert main.is_at_head(["m2", "p2"])
    assert main.reaching(main.goal, ["m1", "p2"]) == ("m2", "p2")
    plugin = TWO.followed(["plugin@head"])
    # It depends on a part of the other branch.
    assert [each.revision for each in plugin.pending([])] == ["m1", "p1", "p2"]
    both = TWO.followed(["main@head", "plugin@head"])
    assert (both.targets, both.goal) == (("m2", "p2"), ("m2", "p2"))
    assert make_history([Migration("a"), Migration("b", ("a",)), Migration("c", ("a",))]).share_a_base


def test_what_is_followed_and_not_there() -> None:
    lost = TWO.followed(["mian@head"])
    assert lost.problems == ("`follow` names mian@head, and no branch or revision is called that.",)
    forked = make_history([Migration("a"), Migration("b", ("a",)), Migration("c", ("a",))]).followed(
        ["a@head"]
    )
    assert forked.problems == ("`follow` names a@head, which has 2 heads: b, c.",)


@given(histories())
def test_every_migration_comes_after_what_it_needs(migrations: list[Migration]) -> None:
    history = make_history(migrations)
    assert len(history) == len(migrations)
    seen: set[str] = set()
    for migration in history.migrations:
        assert seen.issuperset(migration.parents)
        seen.add(migration.revision)


@given(histories())
def test_the_manifest_comes_back_as_it_was(migrations: list[Migration]) -> None:
    history = make_history(migrations, problems=["one"], complete=False)
    assert History.from_json(json.loads(json.dumps(history.to_json()))) == history


def test_one_row_can_stand_for_two_heads() -> None:
    history = make_history([Migration("a"), Migration("b"), Migration("c", ("a",), ("b",))])
    assert (history.heads, set(history.branch_heads)) == (("c",), {"b", "c"})
    assert history.pending(["c"]) == ()
    assert history.is_at_head(["c"])
    assert history.is_at_head(["b", "c"]), "rows are compared by what they imply, not as sets"
    assert history.effective(["b", "c"]) == ("c",)


def test_dependencies_may_name_branch_labels() -> None:
    history = make_history([Migration("a", labels=("accounts",)), Migration("b", depends_on=("accounts",))])
    assert history.heads == ("b",)
    assert history.get("b") == Migration("b", depends_on=("a",))


def test_unknown_rows_are_told_and_imply_nothing() -> None:
    history = line(3)
    assert history.unknown(["r1", "gone"]) == ("gone",)
    assert [migration.revision for migration in history.pending(["gone"])] == ["r0", "r1", "r2"]
    assert not history.is_at_head(["r2", "gone"])


@pytest.mark.parametrize(
    "migrations, problem",
    [
        ([Migration("a", ("gone",))], "Revision a follows gone, which no file has."),
        ([Migration("a", depends_on=("gone",))], "Revision a depends on gone, which no file has."),
        (
            [Migration("a", path="x.py"), Migration("a", path="y.py")],
            "Revision a is in two files: x.py and y.py.",
        ),
        ([Migration("a", ("b",)), Migration("b", ("a",))], "Revisions go round in a circle: a, b."),
        ([Migration("a", ("a",))], "Revisions go round in a circle: a."),
        ([Migration("a\x00", path="a.py")], "a.py names a revision with characters that no database keeps."),
        (
            [Migration("a", depends_on=("\ud800",), path="a.py"), Migration("\N{REPLACEMENT CHARACTER}")],
            "a.py names a revision with characters that no database keeps.",
        ),
    ],
)
def test_what_does_not_fit_together_is_a_problem(migrations: list[Migration], problem: str) -> None:
    history = make_history(migrations)
    assert history.problems == (problem,)
    assert len(history.migrations) == len({m.revision for m in migrations})


@pytest.mark.parametrize(
    "manifest", [{}, {"manifest": 99}, {"manifest": 1}, {"manifest": 1, "migrations": [3]}]
)
def test_what_is_no_manifest_is_refused(manifest: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        History.from_json(manifest)


def test_work_grows_with_the_history_not_with_its_square() -> None:
    def seconds(length: int) -> float:
        best = float("inf")
        for _ in range(5):
            started = time.perf_counter()
            history = line(length)
            history.pending([f"r{length // 2}"])
            history.effective([f"r{number}" for number in range(length)])
            best = min(best, time.perf_counter() - started)
        return best

    # Ten times the migrations: ten times the work, a hundred times if it were quadratic.
    assert seconds(8000) < 40 * seconds(800)


def test_alembic_itself_warns_of_what_we_tell() -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        RevisionMap(lambda: (Revision("a", None), Revision("a", None))).heads  # noqa: B018
    assert "present more than once" in str(caught[0].message)


def test_a_manifest_of_heads_is_what_it_was_before_there_were_others() -> None:
    """Its digest tells whether a build is registered already: a new key would make every earlier one another build."""
    line = [Migration("a"), Migration("b", ("a",))]
    assert set(make_history(line).to_json()) == {"manifest", "complete", "problems", "heads", "migrations"}
    every = make_history(line, listing="every")
    assert every.to_json()["listing"] == "every"
    assert History.from_json(every.to_json()) == every
    with pytest.raises(ValueError, match="listing"):
        History.from_json({**every.to_json(), "listing": "some"})


def test_where_every_migration_is_listed() -> None:
    every = make_history([Migration("a"), Migration("b", ("a",)), Migration("c", ("b",))], listing="every")
    assert every.goal == every.rows_at("c") == ("a", "b", "c")
    assert [each.revision for each in every.pending(["c", "a"])] == ["b"]
    assert [each.revision for each in every.gaps(["c", "a"])] == ["b"]
    assert every.gaps(["a"]) == ()
    assert every.place(["a", "c"]) == "c without b"
    assert (every.place([]), every.place(["a", "b"])) == ("no revision", "b")
    assert every.tops(["a", "c", "zzz"]) == ("c", "zzz")
    assert not every.is_at_head(["c"])
    assert every.is_at_head(["a", "b", "c"])
