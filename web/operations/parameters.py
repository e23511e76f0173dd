"""What kinds' parameters have in common: frozen, nothing that is not known, and messages that stand in files."""

from __future__ import annotations

import re
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator
from pydantic_core import PydanticCustomError

#: Ends of lines, characters that do not show, and those that make the text around them read in another order.
_HIDDEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060\u2066-\u2069\ufeff\ufffe\uffff]"
)
#: What could end the file's docstring.
_QUOTES = re.compile(r"[\"'\\]")


#: Of a parameter that the page with the button gives: the dialog does not ask for it then.
GIVEN: Final[dict[str, JsonValue]] = {"given": True}


#: Bytes of a name; the server would cut a longer one without a word.
LONGEST_NAME: Final = 63


#: Which baseline a kind is about.
BaselineJob = Annotated[
    int | None,
    Field(
        ge=1,
        lt=2**63,
        title="Baseline",
        description="The job that made it; left empty, the project's newest.",
        json_schema_extra=GIVEN,
    ),
]


class Parameters(BaseModel):
    """Parameters of a kind; those of kinds that take none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class OfChangeSet(Parameters):
    """Of kinds that are about a change set in a project's source: which one."""

    baseline: BaselineJob = None
    merge: int | None = Field(
        default=None,
        ge=1,
        lt=2**63,
        title="Merge",
        description="The job that merged heads, where it is that one's change set.",
        json_schema_extra=GIVEN,
    )

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.baseline is not None and self.merge is not None:
            raise PydanticCustomError("change_set", "It is a baseline's change set or a merge's, not both")
        return self


def database_name(name: str) -> str:
    """Refuse what is no name of a database, or none that a person could put into a URL; empty stays empty."""
    if _HIDDEN.search(name):
        raise PydanticCustomError("database", "It should be one line of characters that show")
    try:
        length = len(name.encode())
    except UnicodeEncodeError:
        raise PydanticCustomError("database", "It should be UTF-8 text") from None
    if length > LONGEST_NAME:
        raise PydanticCustomError(
            "database",
            "It takes {length} bytes, and a name of PostgreSQL {longest} at most",
            {"length": length, "longest": LONGEST_NAME},
        )
    return name


def one_line(message: str) -> str:
    """Refuse what would not read in the file as it was written. It stands in its docstring and in its name."""
    if _QUOTES.search(message):
        raise PydanticCustomError("message", "Quotes and backslashes cannot stand in it")
    if not message.strip() or _HIDDEN.search(message):
        raise PydanticCustomError("message", "It should be one line of characters that show")
    return message
