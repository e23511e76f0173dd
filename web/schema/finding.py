"""One difference between two schemas, and, while they are compared, what it was found on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from web.schema.model import CatalogObject
from web.schema.severity import Severity

Change = Literal["added", "removed", "changed", "renamed"]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where b (what is there) is not as a (what is expected)."""

    #: `table`, `column`, `index` … as in model.py.
    kind: str
    #: Quoted like PostgreSQL quotes; of a renamed object its name in b.
    object: str
    #: None where the object as a whole is there or not.
    attribute: str | None
    change: Change
    severity: Severity
    a: str | None
    b: str | None
    #: The table, view or other object it is shown under.
    group: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """Identify it among the differences of one comparison: what ignore rules and links go by."""
        return (self.kind, self.object, self.attribute or "", self.change)

    def to_json(self) -> dict[str, str | None]:
        """As API and command line give it."""
        return {
            "kind": self.kind,
            "object": self.object,
            "attribute": self.attribute,
            "change": self.change,
            "severity": self.severity,
            "a": self.a,
            "b": self.b,
        }


@dataclass(frozen=True, slots=True)
class Holder:
    """What an object belongs to: a table, a column, or nothing."""

    a: CatalogObject | None = None
    b: CatalogObject | None = None
    identity: str = ""
    group: str = ""
    #: What that belongs to itself: a column's table.
    outer: Holder | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference with the objects it stands on; `order` sorts it among its group's."""

    difference: Difference
    a: CatalogObject | None
    b: CatalogObject | None
    place: Holder
    order: tuple[int, str, int]
