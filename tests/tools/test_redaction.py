from __future__ import annotations

import pytest

from web.tools.redaction import redaction


@pytest.mark.parametrize(
    "secrets, text, shown",
    [
        ([], "nothing to hide", "nothing to hide"),
        ([""], "nothing to hide", "nothing to hide"),
        (["correct horse"], "it is correct horse battery", "it is ••• battery"),
        (["p@ss/wörd!"], "postgresql://u:p%40ss%2Fw%C3%B6rd%21@h/d", "postgresql://u:•••@h/d"),
        (["two words"], "a=two+words&b=two%20words", "a=•••&b=•••"),
        (["longsecret", "longsecret2"], "longsecret2 longsecret", "••• •••"),
        (["a"], "a banana: postgresql://u:a@h", "••• banana: postgresql://u:•••@h"),
        (["a.b*c(d)"], "a.b*c(d) axbbc(d)", "••• axbbc(d)"),
    ],
)
def test_secrets_are_taken_out(secrets: list[str], text: str, shown: str) -> None:
    assert redaction(secrets)(text) == shown
