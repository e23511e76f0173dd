"""What requests carry: nothing that is not known, and no text that the store cannot hold."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

UNSTORABLE = re.compile("[\\x00\\ud800-\\udfff]")

#: What a person calls something. What else it has to be, what is named says itself.
GivenName = Annotated[str, StringConstraints(max_length=100)]
#: The name of a project or `*`; the configuration takes no longer one.
ProjectName = Annotated[str, StringConstraints(max_length=63)]


class Body(BaseModel):
    """The body of a request."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        """PostgreSQL has neither NUL nor lone surrogates in its texts; JSON has both."""
        if not _is_storable(value):
            raise ValueError("a text holds a character that cannot be stored")
        return value


def _is_storable(value: object) -> bool:
    match value:
        case str():
            return UNSTORABLE.search(value) is None
        case dict():
            return all(_is_storable(key) and _is_storable(item) for key, item in value.items())
        case list():
            return all(map(_is_storable, value))
    return True
