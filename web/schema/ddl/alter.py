"""ALTER: the statements that change attributes of an object in place; None where it has to be made again."""

from __future__ import annotations

from collections.abc import Collection

from web.schema.ddl.access import comment, own
from web.schema.ddl.columns import alter_attribute, alter_column, alter_view_column
from web.schema.ddl.constraints import alter_constraint, alter_index
from web.schema.ddl.parameters import set_parameter
from web.schema.ddl.programs import ENABLE, alter_function, alter_policy, switch
from web.schema.ddl.publications import alter_publication
from web.schema.ddl.sequences import alter_sequence
from web.schema.ddl.statement import Ground, Owner, Statement, Unwritten, literal, not_written
from web.schema.ddl.tables import alter_table
from web.schema.ddl.types import alter_domain, alter_enum
from web.schema.ddl.views import alter_materialized_view, alter_view
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    Database,
    Domain,
    Enum,
    EventTrigger,
    Extension,
    Function,
    Index,
    MaterializedView,
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
from web.schema.names import quote


def alter(
    a: CatalogObject, b: CatalogObject, what: Collection[str], owner: Owner, ground: Ground
) -> list[Statement] | None:
    """Lead the attributes in `what` from those of b to those of a, in the order in which they can be.

    Both have the name that they have in a, and so has `owner`, which they belong to. Raises Unwritten.
    """
    left = set(what)
    made: list[Statement] = []
    if "owner" in left and isinstance(new := getattr(a, "owner", None), str):
        made.append(own(a, new, ground))
    if "comment" in left and not isinstance(a, Extension):
        made.append(comment(a, owner, getattr(a, "comment", None), ground))
    left -= {"owner", "comment"}
    if not left:
        return made
    core = _alter(a, b, left, owner, ground)
    return None if core is None else [*core, *made]


def _alter(
    a: CatalogObject, b: CatalogObject, what: set[str], owner: Owner, ground: Ground
) -> list[Statement] | None:
    match a, b:
        case Table(), Table():
            return list(alter_table(a, b, what, ground))
        case Column(), Column():
            if isinstance(owner, CompositeType):
                return alter_attribute(a, owner)
            if isinstance(owner, Table):
                return alter_column(a, b, what, owner, ground)
            assert owner is not None
            return alter_view_column(a, owner)
        case Constraint(), Constraint():
            return alter_constraint(a, b, what, owner, ground)
        case Index(), Index():
            return alter_index(a, b, what, owner)
        case (Trigger(), Trigger()) | (Rule(), Rule()) if what == {"enabled"}:
            return [switch(a, owner)]
        case Policy(), Policy():
            return alter_policy(a, b, owner, what)
        case Statistics(), Statistics() if what == {"statistics_target"}:
            number = -1 if a.statistics_target is None else a.statistics_target
            return [Statement(f"ALTER STATISTICS {a.identity} SET STATISTICS {number}")]
        case View(), View():
            return alter_view(a, b, what)
        case MaterializedView(), MaterializedView():
            return alter_materialized_view(a, b, what)
        case Function(), Function():
            return alter_function(a, b)
        case Sequence(), Sequence():
            return list(alter_sequence(a, b, what, ground))
        case Enum(), Enum():
            return alter_enum(a, b)
        case Domain(), Domain():
            return alter_domain(a, what)
        case CompositeType(), CompositeType():
            raise Unwritten("PostgreSQL cannot move an attribute of a composite type.")
        case RangeType(), RangeType():
            return None
        case _:
            return _other(a, b, what, ground)


def _other(a: CatalogObject, b: CatalogObject, what: set[str], ground: Ground) -> list[Statement] | None:
    match a, b:
        case Extension(), Extension():
            made = []
            if "version" in what:
                made.append(Statement(f"ALTER EXTENSION {a.identity} UPDATE TO {literal(a.version)}"))
            if "schema" in what:
                made.append(Statement(f"ALTER EXTENSION {a.identity} SET SCHEMA {quote(a.schema)}"))
            return made
        case EventTrigger(), EventTrigger() if what == {"enabled"}:
            return [Statement(f"ALTER EVENT TRIGGER {a.identity} {ENABLE[a.enabled]}")]
        case Publication(), Publication():
            return alter_publication(a, b, what, ground)
        case Setting(), Setting():
            return [set_parameter(a, ground)]
        case Database(), Database():
            return []
        case (EventTrigger(), _) | (Trigger(), _) | (Rule(), _) | (Statistics(), _):
            return None
        case _:
            raise not_written(a)
