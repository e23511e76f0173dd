"""What every kind of object has in common, and what all of them may hold: grants."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from web.schema.names import quote
from web.schema.severity import Severity


@dataclass(frozen=True, slots=True)
class CatalogObject:
    """Base of all kinds: what a kind is called, how it is identified and how much a change of it matters."""

    #: The word for this kind in a Difference.
    kind: ClassVar[str]
    severity: ClassVar[Severity] = "structure"
    #: Fields that identify it among its siblings.
    key: ClassVar[tuple[str, ...]] = ("schema", "name")
    #: Whether its name is unique in the schema of its table rather than in the table.
    named_in_schema: ClassVar[bool] = False

    @property
    def identity(self) -> str:
        """The name as PostgreSQL writes it; for what belongs to something, without that."""
        return ".".join(quote(getattr(self, field)) for field in self.key)


@dataclass(frozen=True, slots=True)
class Grant(CatalogObject):
    """The privileges of one grantee where they are not the default ones; `*` marks those it may grant on."""

    kind: ClassVar[str] = "grant"
    severity: ClassVar[Severity] = "access"
    key: ClassVar[tuple[str, ...]] = ("grantee",)

    #: A quoted role name, `PUBLIC`, or `OWNER` for whoever owns the object.
    grantee: str
    #: Empty where default privileges were revoked.
    privileges: tuple[str, ...]

    @property
    def identity(self) -> str:
        return self.grantee
