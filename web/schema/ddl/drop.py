"""DROP: the statement that takes an object away, and whether rows or values go with it."""

from __future__ import annotations

from web.schema.ddl.parameters import setting_head
from web.schema.ddl.statement import Ground, Statement, keyword, not_written, target
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    DefaultPrivileges,
    Domain,
    Extension,
    Index,
    MaterializedView,
    OtherObject,
    Sequence,
    Setting,
    Table,
    View,
)
from web.schema.names import quote


def loses_data(item: CatalogObject) -> bool:
    """Tell whether dropping this loses what the schema cannot bring back."""
    match item:
        case Table():
            return item.form != "foreign table"
        case Column():
            return item.generated is None
        case Extension():
            return True
        case Sequence():
            return item.owned_by is None
        case _:
            return False


def drop(item: CatalogObject, owner: CatalogObject | None, ground: Ground, *, live: bool) -> list[Statement]:
    """Drop an object; `live` takes the form that does not block readers. Raises Unwritten."""
    destructive = loses_data(item)
    match item:
        case Column() if isinstance(owner, View | MaterializedView):
            return []
        case Column():
            assert owner is not None
            word = "ATTRIBUTE" if isinstance(owner, CompositeType) else "COLUMN"
            sql = f"ALTER {keyword(owner)} {owner.identity} DROP {word} {quote(item.name)}"
        case Constraint():
            assert owner is not None
            word = "DOMAIN" if isinstance(owner, Domain) else keyword(owner)
            sql = f"ALTER {word} {owner.identity} DROP CONSTRAINT {quote(item.name)}"
        case Index():
            alone = live and not (isinstance(owner, Table) and owner.form != "table")
            word = "INDEX CONCURRENTLY" if alone else "INDEX"
            return [Statement(f"DROP {word} {target(item, owner, ground)}", alone=alone)]
        case Setting():
            sql = f"{setting_head(item, ground)} RESET {quote(item.name)}"
        case Sequence() if item.identity_column:
            return []
        case OtherObject() | DefaultPrivileges():
            raise not_written(item)
        case _:
            sql = f"DROP {keyword(item)} {target(item, owner, ground)}"
    return [Statement(sql, destructive=destructive)]
