"""What a MetaData cannot say: differences that a comparison with models finds whatever the models are."""

from __future__ import annotations

from web.schema.difference import Difference

#: Kinds that SQLAlchemy's MetaData has; all others exist in migrations only.
_KINDS = frozenset({"schema", "table", "column", "constraint", "index", "sequence", "enum", "domain"})
_COMMENTED = frozenset({"table", "column", "constraint"})
#: Attributes of those kinds that it has no words for, as differences write them.
_ATTRIBUTES = frozenset(
    {
        "replica identity", "row security", "row security forced", "clustered", "partition bound", "statistics target",
        "storage", "compression", "not null name", "not null state", "validated", "enforced", "valid", "enabled",
        "foreign options", "server",
    }
)  # fmt: skip


def can_be_modelled(each: Difference) -> bool:
    """Whether models could have said what this difference is about."""
    if each.kind not in _KINDS or each.severity == "access" or each.attribute in _ATTRIBUTES:
        return False
    if each.attribute == "comment":
        return each.kind in _COMMENTED
    if each.kind == "column" and each.attribute == "options":
        return False
    if each.kind == "table" and each.attribute is None:
        described = each.a or each.b or ""
        return " PARTITION OF " not in described and not described.startswith("foreign table")
    return True
