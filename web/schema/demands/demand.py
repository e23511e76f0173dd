"""One demand on rows."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Demand:
    """What a statement stands or falls with."""

    #: What demands it, as differences name it.
    object: str
    #: What the query finds: `null in public.t.n`.
    words: str
    #: Gives what refuses it, on the database as it is before the first statement; None: it is not known how to ask.
    query: str | None
