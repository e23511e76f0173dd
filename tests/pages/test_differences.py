"""What a difference is called, and what of it is shown as SQL."""

from __future__ import annotations

import pytest

from web.pages.differences import BEFORE_AFTER, LISTED, Sides, groups, item, portion, title
from web.schema.finding import Change, Difference

HERE = Sides()


def different(
    kind: str,
    name: str,
    change: Change,
    attribute: str | None = None,
    a: str | None = None,
    b: str | None = None,
    group: str = "",
) -> Difference:
    return Difference(kind, name, attribute, change, "structure", a, b, group or name)


RENAMED = different("column", "public.t.new", "renamed", "name", "public.t.old", "public.t.new", "public.t")
NULLABLE = different("column", "public.t.c", "changed", "not null", "true", "false", "public.t")
COMMENT = different("table", "public.t", "changed", "comment", None, "ask before dropping this")
GRANT = different("grant", "public.t", "added", "to PUBLIC", None, "SELECT")


@pytest.mark.parametrize(
    ("found", "sides", "said"),
    [
        (RENAMED, HERE, "Column old is called new in the database"),
        (RENAMED, BEFORE_AFTER, "Column old was renamed to new"),
        (NULLABLE, HERE, "Column c: not null differs"),
        (NULLABLE, BEFORE_AFTER, "Column c: not null was changed"),
        (COMMENT, HERE, "Table public.t: comment is in the database, not in the migrations"),
        (GRANT, HERE, "Grant on public.t to PUBLIC is in the database, not in the migrations"),
        (GRANT, BEFORE_AFTER, "Grant on public.t to PUBLIC was added"),
        (
            different("table", "public.t", "removed", None, "table ()"),
            Sides("clinic/dev", "clinic/staging"),
            "Table public.t is in clinic/dev, not in clinic/staging",
        ),
        # A point in a name is no end of one.
        (
            different("column", 'public.t."a.b"', "added", None, None, "text", "public.t"),
            HERE,
            'Column "a.b" is in the database, not in the migrations',
        ),
    ],
)
def test_titles_say_what_differs(found: Difference, sides: Sides, said: str) -> None:
    assert title(found, sides) == said


def test_words_are_not_coloured_as_sql() -> None:
    assert not item(COMMENT).code
    assert not item(RENAMED).code
    assert item(different("view", "public.v", "changed", "definition", "SELECT 1", "SELECT 2")).code


@pytest.mark.parametrize(
    ("sizes", "pages"),
    [
        ([1] * LISTED, [100]),
        ([1] * (LISTED + 1), [100, 1]),
        ([3] * 100, [102, 102, 96]),
        ([950], [950]),
        ([99, 950, 1, 100], [1049, 101]),
    ],
)
def test_a_long_list_has_pages_that_keep_together_what_belongs_together(
    sizes: list[int], pages: list[int]
) -> None:
    # In the order of kinds: those of a table are not beside one another.
    found = [
        different("column", f"public.t{table}.c{number}", "added", group=f"public.t{table}")
        for number in range(max(sizes))
        for table, size in enumerate(sizes)
        if number < size
    ]
    path, seen, page = "/drift?a=1", [], 1
    while True:
        shown, ways = portion(found, page, path)
        seen.append([each.name for each in groups(shown)])
        assert len(shown) == pages[page - 1]
        if ways is None or ways.older is None:
            break
        assert ways.older == f"/drift?a=1&page={page + 1}"
        page += 1
    assert page == len(pages)
    names = [name for each in seen for name in each]
    assert sorted(names) == sorted(f"public.t{table}" for table in range(len(sizes)))
    assert portion(found, 999, path)[0] == shown, "beyond the last one is the last one"
    if page > 1:
        second = portion(found, 2, path)[1]
        assert second is not None
        assert second.newer == path
        assert second.words == f"{pages[0] + 1:,} to {pages[0] + pages[1]:,} of {len(found):,} differences"
