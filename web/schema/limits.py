"""The limits of a sequence: those that were given, or what its type has for its direction."""

from __future__ import annotations

from web.schema.decode import SEQUENCE_LIMITS
from web.schema.model import Sequence


def limits_of(item: Sequence) -> tuple[int, int]:
    """Give the lowest and the highest value."""
    limit = SEQUENCE_LIMITS[item.type]
    lowest, highest = (1, limit - 1) if item.increment > 0 else (-limit, -1)
    return (
        lowest if item.minimum is None else item.minimum,
        highest if item.maximum is None else item.maximum,
    )
