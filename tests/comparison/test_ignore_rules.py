"""Patterns of ignore rules and of plans: what they cover, and that no pattern keeps a process busy."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.comparison.ignore_rules import expression

#: `*` and `?` and nothing else are special.
WILD = {"*": ".*", "?": "."}


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("public.users", "public.users", True),
        ("public.users", "public.users2", False),
        ("public.*", "public.users", True),
        ("public.*", "public.", True),
        ("*users", "public.users.users", True),
        ("*.u?ers*id", "public.users.old_id", True),
        ("*ab*ab", "cabd", False),
        ("a*a", "a", False),
        ("[a-z]*", "[a-z]b", True),
        ("[a-z]*", "bb", False),
        ("*", 'public."two\nlines"', True),
        ("", "", True),
        ("", "a", False),
    ],
)
def test_a_pattern_covers_whole_names(pattern: str, name: str, covered: bool) -> None:
    assert (expression(pattern).fullmatch(name) is not None) is covered


@given(st.text("ab.*?\n", max_size=8), st.text("ab.\n", max_size=10))
def test_a_pattern_covers_what_its_wildcards_stand_for(pattern: str, name: str) -> None:
    plainly = re.compile("".join(WILD.get(each) or re.escape(each) for each in pattern), re.DOTALL)
    assert bool(expression(pattern).fullmatch(name)) is bool(plainly.fullmatch(name))


@pytest.mark.parametrize("part", ["*a", "*?", "*a?", "**a"])
def test_a_pattern_of_many_stars_is_answered(part: str) -> None:
    # Tried in every way that the stars can be stretched, this would not end.
    assert expression(part * 120 + "*b").fullmatch("public." + "a" * 2_000) is None
    assert expression(part * 120 + "*").fullmatch("public." + "a" * 2_000) is not None
