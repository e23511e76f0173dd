"""The words for kinds are those that the catalog's queries give."""

from __future__ import annotations

import re
from pathlib import Path

from web.schema import kinds


def test_every_form_that_the_query_gives_is_a_kind() -> None:
    query = (Path(kinds.__file__).parent / "queries" / "others.sql").read_text(encoding="utf-8")
    forms = re.findall(r"select 'pg_\w+'::regclass(?: as catalog)?, \w\.\w+, '([a-z ]+)'", query)
    assert len(forms) == query.count("::regclass")
    assert set(forms) <= kinds.KINDS
