"""Actions that make an object with everything that belongs to it."""

from __future__ import annotations

from collections.abc import Iterator

from web.schema.ddl.access import grant
from web.schema.ddl.actions import Action, Rank
from web.schema.ddl.alter import alter
from web.schema.ddl.create import create
from web.schema.ddl.programs import switch
from web.schema.ddl.references import (
    REFERENCED,
    all_names_of,
    columns_beside,
    columns_in,
    held_names,
    keys_under,
    name_of,
    needs_of,
)
from web.schema.ddl.statement import Ground, Statement, Unwritten
from web.schema.finding import Difference, Holder
from web.schema.model import (
    CatalogObject,
    Column,
    Constraint,
    DefaultPrivileges,
    EventTrigger,
    Extension,
    Grant,
    Index,
    MaterializedView,
    Policy,
    Publication,
    Rule,
    Sequence,
    Setting,
    Statistics,
    Table,
    Trigger,
    View,
    shape_of,
)
from web.schema.renames import by_key, key_of


def rank_of(item: CatalogObject) -> Rank:
    """When an object of this kind is made."""
    match item:
        case Extension():
            return Rank.EXTENSION
        case Table() | Column():
            return Rank.TABLE
        case Constraint():
            return Rank.REFERENCE if item.form == "foreign key" else Rank.INDEX
        case Index():
            return Rank.INDEX
        case View() | MaterializedView() | Trigger() | Rule() | Policy() | Statistics() | Publication():
            return Rank.ON_TOP
        case Grant() | DefaultPrivileges() | Setting():
            return Rank.ACCESS
        case EventTrigger():
            return Rank.LAST
        case _:
            return Rank.TYPE


def rank_of_change(item: CatalogObject) -> Rank:
    """When an object of this kind is altered."""
    return Rank.ALTER if isinstance(item, Table | Column | Sequence) else rank_of(item)


def make(
    item: CatalogObject, place: Holder, ground: Ground, difference: Difference | None, *, live: bool
) -> Iterator[Action]:
    """Make an object and its parts; `place.a` is what it belongs to, `live` says that that was there before."""
    owner = place.a
    if isinstance(item, Trigger) and (state := state_of_copy(item, owner, ground)) is not None:
        yield Action(Rank.ON_TOP, (state,), difference, needs=needs_of(item, owner))
        return
    made, there = create(item, owner, ground, live=live)
    needs, name = (
        needs_of(item, owner) | keys_under(item, ground.expected_tables),
        names(name_of(item, owner)),
    )
    gives = all_names_of(item, owner)
    if isinstance(item, Column) and isinstance(owner, Table):
        gives |= held_names({(owner.identity, item.name)})
        # Of columns that may have to be added or altered first.
        needs |= held_names(columns_in(item.generated, owner))
    elif isinstance(item, View | MaterializedView):
        # What stands on a column comes after that has the type that it shall have.
        tables = [table for each in needs if (table := ground.expected_tables.get(each)) is not None]
        needs |= held_names(part for table in tables for part in columns_in(item.definition, table))
    elif isinstance(item, Table):
        gives |= columns_beside(item, ground.expected_tables, ground.actual_tables)
    elif isinstance(item, Index) and isinstance(owner, Table):
        needs |= held_names(columns_in(item.definition, owner))
    elif isinstance(item, Constraint) and (match := REFERENCED.search(item.definition)) is not None:
        # A key of these columns that goes would not, with this standing on it.
        gives |= held_names({(match[1], match[2])})
    if isinstance(item, Constraint) and isinstance(owner, Table):
        needs |= held_names(columns_in(item.definition, owner)) - gives
    if made:
        yield Action(rank_of(item), tuple(made), difference, gives=gives, needs=needs)
    yield from complete(item, there, owner, ground, difference, needs | name)
    yield from make_parts(item, there, place, ground, difference)


def make_parts(
    item: CatalogObject, there: CatalogObject, place: Holder, ground: Ground, difference: Difference | None
) -> Iterator[Action]:
    """Make what belongs to an object and is not `there` yet."""
    inner = Holder(item, item, item.identity, place.group or item.identity, place)
    for where, kind in shape_of(type(item)).children:
        known = by_key(getattr(there, where, ()))
        for part in getattr(item, where):
            if isinstance(part, Grant):
                table = place.a if isinstance(item, Column) else None
                given = grant(item, table, part.grantee, part.privileges, ground)
                needs = needs_of(item, table) | names(name_of(item, table))
                yield Action(Rank.ACCESS, tuple(given), difference, needs=needs)
            elif (other := known.get(key_of(part))) is not None:
                yield from complete(part, other, item, ground, difference, needs_of(part, item))
                yield from make_parts(part, other, inner, ground, difference)
            elif kind is not Column or not isinstance(item, View | MaterializedView):
                yield from make(part, inner, ground, difference, live=False)


def complete(
    item: CatalogObject,
    there: CatalogObject,
    owner: CatalogObject | None,
    ground: Ground,
    difference: Difference | None,
    needs: frozenset[str],
) -> Iterator[Action]:
    """Give an object the attributes that making it did not."""
    what = {
        name for name, _ in shape_of(type(item)).attributes if getattr(item, name) != getattr(there, name)
    }
    if getattr(item, "owner", None) is None:
        what.discard("owner")
    rank = rank_of_change(item)
    if isinstance(item, Sequence) or what & {"replica_identity", "clustered"}:
        # Needs the column, or the index.
        rank = Rank.REFERENCE
    for part, when in ((what - {"owner", "comment"}, rank), (what & {"owner", "comment"}, Rank.ACCESS)):
        if part:
            made = alter(item, there, part, owner, ground)
            if made is None:
                raise Unwritten(f"Clean Start cannot give {item.identity} its {', '.join(sorted(part))}.")
            yield Action(when, tuple(made), difference, needs=needs)


def state_of_copy(item: Trigger, owner: CatalogObject | None, ground: Ground) -> Statement | None:
    """A partition's copy of its table's trigger is there already; only whether it is on is its own."""
    if not isinstance(owner, Table):
        return None
    for name in owner.parents:
        parent = ground.expected_tables.get(name)
        if parent is not None and any(each.name == item.name for each in parent.triggers):
            return switch(item, owner)
    return None


def names(name: str) -> frozenset[str]:
    """A name as a set; the empty one is none."""
    return frozenset({name}) if name else frozenset()
