"""Actions that put a new object in an old one's place where no ALTER leads from one to the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from web.schema.ddl.actions import Action, Rank
from web.schema.ddl.create import create
from web.schema.ddl.drop import drop
from web.schema.ddl.making import complete, make, make_parts, names
from web.schema.ddl.pairs import Pairs
from web.schema.ddl.references import definition_of, mentioned, name_of, needs_of
from web.schema.ddl.retype import is_partitioned_by, retype, uses
from web.schema.ddl.statement import Ground, Statement, Unwritten
from web.schema.ddl.taking import gone_with
from web.schema.finding import Finding
from web.schema.model import Domain, Enum, Index, MaterializedView, Table
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
    yield Action(
        Rank.DISMANTLE,
        tuple(drop(as_there, owner, ground, live=True)),
        found.difference,
        frees=pairs.names_after(mentioned(definition_of(b))),
        removes=names(name_of(a, owner)) | gone_with(b, found.place.b),
    )
    yield from make(a, replace(found.place, b=owner), ground, found.difference, live=True)


def is_retyped(found: Finding, ground: Ground) -> bool:
    """Tell whether columns have to be moved over to a type that is made again."""
    return isinstance(found.b, Enum | Domain) and found.a is not None and bool(uses(ground.actual, found.b))


def _swap_index(
    a: Index, owner: Table | MaterializedView, found: Finding, ground: Ground, pairs: Pairs
) -> Iterator[Action]:
    """Build the new index beside the old one, so that there is always one."""
    new = replace(a, name=f"{a.name[:50]}_instead")
    made, there = create(new, owner, ground, live=True)
    made += drop(a, owner, ground, live=True)
    made.append(Statement(f"ALTER INDEX {qualified(owner.schema, new.name)} RENAME TO {quote(a.name)}"))
    needs, name = needs_of(a, owner), names(name_of(a, owner))
    frees = pairs.names_after(mentioned(definition_of(found.b))) if found.b is not None else frozenset()
    yield Action(Rank.INDEX, tuple(made), found.difference, gives=name, needs=needs, frees=frees)
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
