"""What kinds' parameters have in common: frozen, nothing that is not known, and messages that stand in files."""

from __future__ import annotations

import re
from typing import Final

from pydantic import BaseModel, ConfigDict, JsonValue
from pydantic_core import PydanticCustomError

#: Ends of lines, characters that do not show, and those that make the text around them read in another order.
_HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff]"
)
#: What could end the file's docstring.
_QUOTES = re.compile(r"[\"'\\]")


#: Of a parameter that the page with the button gives: the dialog does not ask for it then.
GIVEN: Final[dict[str, JsonValue]] = {"given": True}


class Parameters(BaseModel):
    """Parameters of a kind; those of kinds that take none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def one_line(message: str) -> str:
    """Refuse what would not read in the file as it was written. It stands in its docstring and in its name."""
    if _QUOTES.search(message):
        raise PydanticCustomError("message", "Quotes and backslashes cannot stand in it")
    if not message.strip() or _HIDDEN.search(message):
        raise PydanticCustomError("message", "It should be one line of characters that show")
    return message
