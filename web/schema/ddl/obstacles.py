"""What has to go before a change and come back after it, although nothing about it changes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from web.schema.ddl.actions import Action, Rank
from web.schema.ddl.dependents import Dependent, Disturbance, dependents_of, disturbed_by
from web.schema.ddl.drop import drop
from web.schema.ddl.making import make, names
from web.schema.ddl.pairs import Pairs
from web.schema.ddl.references import definition_of, held_names, mentioned, name_of, needs_of
from web.schema.ddl.remaking import is_retyped
from web.schema.ddl.retype import uses
from web.schema.ddl.statement import Ground, Statement
from web.schema.finding import Difference, Finding, Holder
from web.schema.model import Column, Constraint, Function, Table, View
from web.schema.names import quote


@dataclass(frozen=True, slots=True)
class Obstacles:
    """Objects that stand on what is disturbed, each of which is dismantled and made again."""

    found: tuple[Dependent, ...]
    disturbance: Disturbance


def obstacles_to(
    retyped_columns: Collection[Finding],
    again: Sequence[Finding],
    gone: Sequence[Finding],
    ground: Ground,
    pairs: Pairs,
) -> Obstacles:
    """Find what stands, directly or not, on columns that get another type, on what is made again, on what goes."""
    names, columns, keys = _disturbed(retyped_columns, again, gone, ground)
    dropped = {
        (each.place.b.identity, each.b.name)
        for each in (*again, *gone)
        if isinstance(each.b, Column) and each.place.b is not None
    }
    if not names and not columns and not keys:
        return Obstacles((), Disturbance())
    settled = {id(each.b) for each in gone} | {id(each.b) for each in again if is_retyped(each, ground)}
    everything = [each for each in dependents_of(ground.actual) if id(each.item) not in settled]
    found: dict[int, Dependent] = {}
    growing = True
    while growing:
        growing = False
        disturbance = Disturbance(frozenset(names), frozenset(columns), frozenset(dropped), frozenset(keys))
        for each in everything:
            if id(each.item) in found or id(each.owner) in settled or id(each.owner) in found:
                continue
            if not disturbance.stops(each) or _lets_go(each, disturbance, pairs):
                continue
            found[id(each.item)] = each
            more, more_keys = disturbed_by(each.item, each.owner)
            names |= more
            keys |= more_keys
            if isinstance(each.item, Column) and each.item.generated is not None and each.owner is not None:
                columns.add((each.owner.identity, each.item.name))
                dropped.add((each.owner.identity, each.item.name))
            growing = True
    return Obstacles(tuple(found.values()), disturbance)


def around(
    each: Dependent, obstacles: Obstacles, ground: Ground, pairs: Pairs, difference: Difference | None
) -> Iterator[Action]:
    """Dismantle an obstacle, and make it again as it shall be; raises Unwritten."""
    new = pairs.expected_of(each)
    if new is None:
        return
    owner = pairs.object_for(each.owner)
    held, window = held_names(obstacles.disturbance.reasons(each)), id(each.item)
    frees = pairs.names_after(mentioned(each.text)) | held
    if isinstance(new, Column) and isinstance(each.item, Column) and each.item.generated is None:
        assert owner is not None
        head = f"ALTER TABLE {owner.identity} ALTER COLUMN {quote(new.name)}"
        yield Action(
            Rank.DISMANTLE, (Statement(f"{head} DROP DEFAULT"),), difference, frees=frees, window=window
        )
        if new.default is not None:
            back = Statement(f"{head} SET DEFAULT {new.default}")
            yield Action(Rank.ALTER, (back,), difference, needs=needs_of(new, owner), window=window)
        return
    as_there = replace(each.item, **{key: getattr(new, key) for key in type(new).key})
    away = drop(as_there, owner, ground, live=False)
    place = Holder(owner, owner, owner.identity, owner.identity) if owner is not None else Holder()
    back_again = list(make(new, place, ground, difference, live=False))
    removes = names(name_of(new, owner))
    if isinstance(each.item, Column) and each.owner is not None:
        removes |= held_names({(each.owner.identity, each.item.name)})
    yield Action(Rank.DISMANTLE, tuple(away), difference, frees=frees, removes=removes, window=window)
    for action in back_again:
        yield replace(action, needs=action.needs | held, window=window)


def _disturbed(
    retyped_columns: Collection[Finding], again: Sequence[Finding], gone: Sequence[Finding], ground: Ground
) -> tuple[set[str], set[tuple[str, str]], set[tuple[str, str]]]:
    names: set[str] = set()
    columns: set[tuple[str, str]] = set()
    keys: set[tuple[str, str]] = set()
    for found in (*again, *gone):
        assert found.b is not None
        more, more_keys = disturbed_by(found.b, found.place.b)
        names |= more
        keys |= more_keys
        if is_retyped(found, ground):
            columns |= {(table.identity, column.name) for table, column in uses(ground.actual, found.b)}  # type: ignore[arg-type]
        if isinstance(found.b, Column) and found.place.b is not None:
            columns.add((found.place.b.identity, found.b.name))
    for found in retyped_columns:
        if isinstance(found.b, Column) and isinstance(found.place.b, Table):
            columns.add((found.place.b.identity, found.b.name))
    return names, columns, keys


def _lets_go(each: Dependent, disturbance: Disturbance, pairs: Pairs) -> bool:
    """Tell whether an object is altered so that it no longer stands on what goes."""
    new = pairs.expected_of(each)
    if new is None or new == each.item:
        return False
    if isinstance(each.item, Column) and isinstance(new, Column):
        text = new.generated or new.default or ""
        if text == (each.item.generated or each.item.default):
            return False
        return not disturbance.stops(Dependent(new, pairs.object_for(each.owner), text))
    if isinstance(each.item, View | Function):
        return not disturbance.stops(Dependent(new, None, definition_of(new)))
    if isinstance(each.item, Constraint) and isinstance(new, Constraint):
        # It is dropped and added in one statement.
        owner = pairs.object_for(each.owner)
        return new.definition != each.item.definition and not disturbance.stops(
            Dependent(new, owner, definition_of(new))
        )
    return False
