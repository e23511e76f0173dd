"""Sources as people write them."""

from __future__ import annotations

import pytest

from web.comparison.sources import parse_source
from web.errors import Invalid


@pytest.mark.parametrize("text", ["clinic@head", "clinic@1c7f,f412", "clinic@" + "1" * 200])
def test_revisions_are_a_source(text: str) -> None:
    source = parse_source(text)
    assert (source.kind, source.name) == ("revision", text.removeprefix("clinic@"))


@pytest.mark.parametrize("text", ["clinic@", "clinic@,,,", "clinic@a,", "clinic@,a", "clinic@" + "1" * 201])
def test_a_list_with_nothing_in_it_is_no_source(text: str) -> None:
    with pytest.raises(Invalid, match="is no source of a schema"):
        parse_source(text)
