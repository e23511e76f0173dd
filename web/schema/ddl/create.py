"""CREATE: the statements that make an object, and what is there after them (the rest is altered, see alter.py)."""

from __future__ import annotations

from dataclasses import replace

from web.schema.ddl.columns import create_column
from web.schema.ddl.constraints import create_constraint, create_index
from web.schema.ddl.parameters import set_parameter
from web.schema.ddl.programs import create_on_table
from web.schema.ddl.publications import publication_options, publication_tables
from web.schema.ddl.sequences import create_sequence
from web.schema.ddl.statement import Ground, Made, Statement, literal, not_written
from web.schema.ddl.tables import create_table
from web.schema.ddl.types import create_type
from web.schema.ddl.views import create_view
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    DefaultPrivileges,
    Domain,
    Enum,
    EventTrigger,
    Extension,
    Function,
    Index,
    MaterializedView,
    Namespace,
    Policy,
    Publication,
    RangeType,
    Rule,
    Sequence,
    Setting,
    Statistics,
    Table,
    Trigger,
    View,
)
from web.schema.names import qualified, quote


def create(item: CatalogObject, owner: CatalogObject | None, ground: Ground, *, live: bool) -> Made:
    """Give the statements, and the object as it is after them.

    `owner` is what the object belongs to, `live` says that this was there before, with rows and readers: then
    forms are taken that do not block them. Raises Unwritten for kinds and forms that are left to a person.
    """
    match item:
        case Table():
            return create_table(item, ground)
        case Column():
            assert owner is not None
            return create_column(item, owner, ground)
        case Constraint():
            assert owner is not None
            return create_constraint(item, owner, ground, live=live)
        case Index():
            assert owner is not None
            return create_index(item, owner, live=live)
        case Trigger() | Rule() | Policy() | Statistics():
            return create_on_table(item, owner, ground)
        case View() | MaterializedView():
            return create_view(item, ground)
        case Enum() | Domain() | CompositeType() | RangeType():
            return create_type(item, ground)
        case Sequence():
            return create_sequence(item, ground)
        case _:
            return _other(item, ground)


def _other(item: CatalogObject, ground: Ground) -> Made:
    match item:
        case Namespace():
            return [Statement(f"CREATE SCHEMA {item.identity}")], Namespace(item.name, ground.role)
        case Extension():
            sql = f"CREATE EXTENSION {item.identity} SCHEMA {quote(item.schema)} VERSION {literal(item.version)}"
            return [Statement(sql)], item
        case Function():
            word = {"procedure": "PROCEDURE", "aggregate": "AGGREGATE"}.get(item.form, "FUNCTION")
            sql = f"CREATE {word} {qualified(item.schema, item.name)}{item.definition.rstrip()}"
            return [Statement(sql)], replace(item, owner=ground.role, grants=(), comment=None)
        case EventTrigger():
            tags = f" WHEN TAG IN ({', '.join(map(literal, item.tags))})" if item.tags else ""
            sql = f"CREATE EVENT TRIGGER {item.identity} ON {item.event}{tags} EXECUTE FUNCTION {item.function}()"
            return [Statement(sql)], replace(item, enabled="origin", owner=ground.role, comment=None)
        case Publication():
            what = "ALL TABLES" if item.all_tables else publication_tables(item)
            options = publication_options(item, ground)
            sql = f"CREATE PUBLICATION {item.identity}{f' FOR {what}' if what else ''} WITH ({options})"
            return [Statement(sql)], replace(item, owner=ground.role, comment=None)
        case Setting():
            return [set_parameter(item, ground)], item
        case DefaultPrivileges():
            return [], replace(item, grants=())
        case _:
            raise not_written(item)
