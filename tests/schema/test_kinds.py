"""The words for kinds are those that the catalog's queries give."""

from __future__ import annotations

import re
from pathlib import Path

from tests.schema.cases import CASES
from web.schema import kinds


def test_every_form_that_the_query_gives_is_a_kind() -> None:
    query = (Path(kinds.__file__).parent / "queries" / "others.sql").read_text(encoding="utf-8")
    forms = re.findall(r"select 'pg_\w+'::regclass(?: as catalog)?, \w\.\w+, '([a-z ]+)'", query)
    assert len(forms) == query.count("::regclass")
    assert set(forms) <= kinds.KINDS


def test_whatever_differs_is_of_a_kind() -> None:
    assert len(CASES) > 250
    words = tuple(f"{kind} " for kind in kinds.KINDS)
    told = {difference.partition(" ")[2] for each in CASES for difference in each.expected}
    assert [each for each in told if not each.startswith(words)] == []
