"""Owners, grants and comments."""

from __future__ import annotations

from collections.abc import Iterable

from web.schema.ddl.statement import Ground, Statement, keyword, literal, not_written, target
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Database,
    DefaultPrivileges,
    Domain,
    Enum,
    Function,
    MaterializedView,
    Namespace,
    OtherObject,
    RangeType,
    Sequence,
    Table,
    View,
)
from web.schema.names import quote

#: What everybody may do with a new object, by its kind.
_PUBLIC: dict[type[CatalogObject], str] = {
    Function: "EXECUTE",
    Enum: "USAGE",
    Domain: "USAGE",
    CompositeType: "USAGE",
    RangeType: "USAGE",
    Database: "CONNECT, TEMPORARY",
}
_DEFAULT_PUBLIC = {"functions": "EXECUTE", "types": "USAGE"}


def own(item: CatalogObject, owner: str, ground: Ground) -> Statement:
    """Give an object to a role."""
    return Statement(f"ALTER {keyword(item)} {target(item, None, ground)} OWNER TO {quote(owner)}")


def comment(item: CatalogObject, owner: CatalogObject | None, text: str | None, ground: Ground) -> Statement:
    """Set or take away a comment."""
    value = literal(text) if text is not None else "NULL"
    if isinstance(item, Column):
        assert owner is not None
        return Statement(f"COMMENT ON COLUMN {owner.identity}.{quote(item.name)} IS {value}")
    if isinstance(item, OtherObject):
        raise not_written(item)
    return Statement(f"COMMENT ON {keyword(item)} {target(item, owner, ground)} IS {value}")


def grant(
    item: CatalogObject,
    table: CatalogObject | None,
    grantee: str,
    privileges: tuple[str, ...] | None,
    ground: Ground,
) -> list[Statement]:
    """Leave a grantee with exactly these privileges; None: with what everybody has by default.

    `table` holds the column, where the object is one.
    """
    role = grantee
    if grantee == "OWNER":
        holder = getattr(item, "role", None) or getattr(item, "owner", None) or ground.role
        role = quote(holder) if holder else "CURRENT_USER"
    if isinstance(item, DefaultPrivileges):
        return _default_privileges(item, grantee, role, privileges)
    columns, on = "", _granted_on(item, table, ground)
    if isinstance(item, Column):
        columns = f" ({quote(item.name)})"
    if privileges is None:
        usual = "ALL" if grantee == "OWNER" else _PUBLIC.get(type(item)) if grantee == "PUBLIC" else None
        privileges = (usual,) if usual and not columns else ()
    made = [Statement(f"REVOKE ALL{columns} ON {on} FROM {role}")]
    for names, option in _by_option(privileges):
        words = ", ".join(f"{name}{columns}" for name in names)
        made.append(Statement(f"GRANT {words} ON {on} TO {role}{option}"))
    return made


def _by_option(privileges: Iterable[str]) -> Iterable[tuple[list[str], str]]:
    plain = [each for each in privileges if not each.endswith("*")]
    passed = [each.removesuffix("*") for each in privileges if each.endswith("*")]
    if plain:
        yield plain, ""
    if passed:
        yield passed, " WITH GRANT OPTION"


def _granted_on(item: CatalogObject, table: CatalogObject | None, ground: Ground) -> str:
    match item:
        case Column():
            assert table is not None
            return f"TABLE {table.identity}"
        case Table() | View() | MaterializedView():
            return f"TABLE {item.identity}"
        case Sequence():
            return f"SEQUENCE {item.identity}"
        case Function():
            return f"{'PROCEDURE' if item.form == 'procedure' else 'FUNCTION'} {item.identity}"
        case Enum() | Domain() | CompositeType() | RangeType():
            return f"TYPE {item.identity}"
        case Namespace() | Database():
            return f"{keyword(item)} {target(item, None, ground)}"
        case _:
            raise not_written(item)


def _default_privileges(
    item: DefaultPrivileges, grantee: str, role: str, privileges: tuple[str, ...] | None
) -> list[Statement]:
    head = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote(item.role)}"
    if item.schema:
        head += f" IN SCHEMA {quote(item.schema)}"
    if privileges is None:
        usual = None
        if not item.schema:
            usual = "ALL" if grantee == "OWNER" else None
            if grantee == "PUBLIC":
                usual = _DEFAULT_PUBLIC.get(item.objects)
        privileges = (usual,) if usual else ()
    objects = item.objects.upper()
    made = [Statement(f"{head} REVOKE ALL ON {objects} FROM {role}")]
    for names, option in _by_option(privileges):
        made.append(Statement(f"{head} GRANT {', '.join(names)} ON {objects} TO {role}{option}"))
    return made
