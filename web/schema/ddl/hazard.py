"""What a statement does to tables that were there before it, as it was seen or is known."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

HazardKind = Literal["lock", "rewrite", "drops table", "drops column"]
#: The kinds that lose rows or values.
LOSES: frozenset[HazardKind] = frozenset({"drops table", "drops column"})


@dataclass(frozen=True, slots=True)
class Hazard:
    """One thing that a statement does to a table that is there already."""

    kind: HazardKind
    #: `schema.table`, quoted as PostgreSQL quotes.
    table: str
    #: The lock's name, or the dropped column's.
    detail: str = ""

    @property
    def words(self) -> str:
        """For pages: "ACCESS EXCLUSIVE on public.users"."""
        match self.kind:
            case "lock":
                return f"{self.detail} on {self.table}"
            case "rewrite":
                return f"Rewrites {self.table}"
            case "drops table":
                return f"Deletes {self.table}"
            case "drops column":
                return f"Deletes {self.table}.{self.detail}"

    def to_json(self) -> dict[str, str]:
        return {"kind": self.kind, "table": self.table, "detail": self.detail}


def hazards_from_json(rows: Iterable[Mapping[str, Any]]) -> tuple[Hazard, ...]:
    """Stored hazards as values."""
    return tuple(Hazard(row["kind"], row["table"], row["detail"]) for row in rows)
