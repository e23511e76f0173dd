"""Actions that put a new object in an old one's place where no ALTER leads from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from web.schema.ddl.actions import Action, Rank
from web.schema.ddl.constraints import key_beside, require_valid
from web.schema.ddl.create import create
from web.schema.ddl.dependents import Disturbance
from web.schema.ddl.drop import drop
from web.schema.ddl.making import complete, make, make_parts, names
from web.schema.ddl.pairs import Pairs
from web.schema.ddl.references import (
    columns_in,
    definition_of,
    held_names,
    key_columns,
    mentioned,
    name_of,
    needs_of,
)
from web.schema.ddl.retype import is_partitioned_by, retype, uses
from web.schema.ddl.statement import Ground, Statement, Unwritten
from web.schema.ddl.taking import gone_with, take
from web.schema.finding import Difference, Finding, Holder
from web.schema.model import CatalogObject, Constraint, Domain, Enum, Index, MaterializedView, Table
from web.schema.names import qualified, quote


def remake(found: Finding, ground: Ground, pairs: Pairs) -> Iterator[Action]:
    """Drop and make again; indexes and types in use are swapped."""
    a, b, owner = found.a, found.b, found.place.a
    assert a is not None
    assert b is not None
    if isinstance(a, Index) and isinstance(owner, Table | MaterializedView):
        yield from _swap_index(a, owner, found, ground, pairs)
        return
    if is_retyped(found, ground):
        yield from _swap_type(found, ground)
        return
    as_there = replace(b, **{key: getattr(a, key) for key in type(a).key})
    window = id(b)
    yield Action(
        Rank.DISMANTLE,
        tuple(drop(as_there, owner, ground, live=False)),
        found.difference,
        frees=pairs.names_after(mentioned(definition_of(b))) | key_columns(b, found.place.b),
        removes=names(name_of(a, owner)) | gone_with(b, found.place.b),
        window=window,
    )
    yield from make_in_window(a, replace(found.place, b=owner), ground, found.difference, window)


def make_in_window(
    a: CatalogObject, place: Holder, ground: Ground, difference: Difference | None, window: int
) -> Iterator[Action]:
    """Make what was taken away in the same window; a key's index is built before that opens."""
    made = list(make(a, place, ground, difference, live=True))
    key = key_beside(a, place.a, ground) if isinstance(a, Constraint) and isinstance(place.a, Table) else None
    if key is not None:
        # What can take long, or fail for what the rows hold, is done before the old key goes.
        yield Action(Rank.INDEX, (key.index,), difference, gives=names(key.name), needs=made[0].needs)
        made[0] = replace(made[0], statements=(key.using,), needs=made[0].needs | names(key.name))
    for each in made:
        yield replace(each, window=window)


def exchange_key(
    new: Finding, old: Finding, ground: Ground, pairs: Pairs, disturbance: Disturbance
) -> Iterator[Action]:
    """Put a primary key of another name and other columns in the place of one: a table has one at most."""
    assert new.a is not None
    window, name = id(new), names(f"{new.place.identity} primary key")
    for each in take(old, ground, pairs, disturbance):
        yield replace(each, rank=Rank.DISMANTLE, removes=each.removes | name, window=window)
    for each in make_in_window(new.a, new.place, ground, new.difference, window):
        yield replace(each, gives=each.gives | name) if each.window is not None else each


def is_retyped(found: Finding, ground: Ground) -> bool:
    """Tell whether columns have to be moved over to a type that is made again."""
    return isinstance(found.b, Enum | Domain) and found.a is not None and bool(uses(ground.actual, found.b))


def _swap_index(
    a: Index, owner: Table | MaterializedView, found: Finding, ground: Ground, pairs: Pairs
) -> Iterator[Action]:
    """Build the new index beside the old one, so that there is always one: they change names in one transaction."""
    new = replace(a, name=ground.unused(owner.schema, a.name, "_instead"))
    old = replace(a, name=ground.unused(owner.schema, a.name, "_before"))
    made, there = create(new, owner, ground, live=True)
    heads = [f"ALTER INDEX {qualified(owner.schema, each.name)} RENAME TO" for each in (a, new)]
    needs, name, beside = needs_of(a, owner), names(name_of(a, owner)), names(name_of(new, owner))
    frees = pairs.names_after(mentioned(definition_of(found.b))) if found.b is not None else frozenset()
    gone = gone_with(found.b, found.place.b) if found.b is not None else frozenset()
    yield Action(
        Rank.INDEX,
        tuple(made),
        found.difference,
        gives=beside,
        needs=needs | held_names(columns_in(a.definition, owner) if isinstance(owner, Table) else ()),
    )
    yield Action(
        Rank.INDEX,
        (
            require_valid(qualified(owner.schema, new.name)),
            Statement(f"{heads[0]} {quote(old.name)}"),
            Statement(f"{heads[1]} {quote(a.name)}"),
        ),
        found.difference,
        gives=name,
        needs=beside,
    )
    away = tuple(drop(old, owner, ground, live=True))
    yield Action(Rank.INDEX, away, found.difference, needs=name, frees=frees, removes=gone)
    assert isinstance(there, Index)
    yield from complete(a, replace(there, name=a.name), owner, ground, found.difference, needs | name)


def _swap_type(found: Finding, ground: Ground) -> Iterator[Action]:
    a, b = found.a, found.b
    assert isinstance(a, Enum | Domain)
    assert isinstance(b, Enum | Domain)
    if is_partitioned_by(ground.actual, b):
        raise Unwritten(
            "Rows are partitioned by a column of this type: they have to be moved to a new table."
        )
    made, there = create(a, None, ground, live=True)
    name = names(a.identity)
    # What stands on the old type goes before (it frees the name), what stands on the new one comes after.
    yield Action(
        Rank.ALTER,
        tuple(retype(a, b, made, ground)),
        found.difference,
        gives=name,
        needs=needs_of(a),
        removes=name,
    )
    yield from complete(a, there, None, ground, found.difference, name)
    yield from make_parts(a, there, found.place, ground, found.difference)
