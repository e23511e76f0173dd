"""Actions that take an object away, and the names of what is gone with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from web.schema.ddl.access import grant
from web.schema.ddl.actions import Action, Rank
from web.schema.ddl.dependents import Dependent, Disturbance, key_of_columns
from web.schema.ddl.drop import drop
from web.schema.ddl.making import state_of_copy
from web.schema.ddl.pairs import Pairs
from web.schema.ddl.references import (
    all_names_of,
    columns_beside,
    definition_of,
    everything_of,
    held_names,
    key_columns,
    mentioned,
)
from web.schema.ddl.statement import Ground
from web.schema.finding import Finding
from web.schema.model import CatalogObject, Column, DefaultPrivileges, Extension, Table, Trigger


def take(found: Finding, ground: Ground, pairs: Pairs, disturbance: Disturbance) -> Iterator[Action]:
    """Take away what is there and shall not be; before what is disturbed, where it stands on that."""
    item, owner = found.b, found.place.a
    assert item is not None
    if isinstance(item, DefaultPrivileges):
        for each in item.grants:
            made = grant(item, None, each.grantee, None, ground)
            yield Action(Rank.ACCESS, tuple(made), found.difference)
        return
    if isinstance(item, Trigger):
        state = state_of_copy(replace(item, enabled="origin"), owner, ground)
        if state is not None:
            yield Action(Rank.ON_TOP, (state,), found.difference)
            return
    dropped = drop(item, owner, ground, live=True)
    if not dropped:
        return
    rank = Rank.LOSE if any(each.destructive for each in dropped) else Rank.DROP
    gone = item
    if isinstance(item, Extension):
        rank = Rank.LAST
    elif isinstance(item, Table):
        # Its foreign keys go first, so that tables may refer to one another.
        yield from _take_references(item, found, ground, pairs, disturbance)
        kept = tuple(each for each in item.constraints if each.form != "foreign key")
        gone = replace(item, constraints=kept)
    own = gone_with(item, found.place.b)
    if isinstance(item, Table):
        own |= columns_beside(item, ground.actual_tables, ground.expected_tables)
    below = tuple(_partitions(item, ground, pairs))
    dependent = Dependent(item, found.place.b, definition_of(item))
    # An index that goes is not built anew for a column that is altered first.
    held = {*disturbance.reasons(dependent), *disturbance.touched(dependent, disturbance.columns)}
    yield Action(
        rank,
        tuple(dropped),
        found.difference,
        frees=pairs.names_after(everything_of(gone, owner).union(*map(everything_of, below)))
        | (held_names(held) - own)
        | key_columns(item, found.place.b),
        removes=pairs.names_after(all_names_of(item, owner).union(*map(all_names_of, below))) | own,
    )


def _partitions(table: CatalogObject, ground: Ground, pairs: Pairs) -> Iterator[Table]:
    """Give the partitions that are gone with their table, and theirs."""
    if not isinstance(table, Table) or table.form != "partitioned table":
        return
    for each in ground.actual.tables:
        below = each.partition_bound is not None and table.identity in each.parents
        if below and pairs.object_for(each) is None:
            yield each
            yield from _partitions(each, ground, pairs)


def gone_with(item: CatalogObject, owner: CatalogObject | None) -> frozenset[str]:
    """Name the key or column that is gone with an object."""
    held = held_names(key_of_columns(item, owner))
    if isinstance(item, Column) and owner is not None:
        held |= held_names({(owner.identity, item.name)})
    return held


def _take_references(
    table: Table, found: Finding, ground: Ground, pairs: Pairs, disturbance: Disturbance
) -> Iterator[Action]:
    for each in table.constraints:
        if each.form == "foreign key" and f"REFERENCES {table.identity}(" not in each.definition:
            frees = pairs.names_after(mentioned(each.definition)) | {table.identity}
            frees |= held_names(disturbance.reasons(Dependent(each, table, each.definition)))
            made = drop(each, table, ground, live=False)
            yield Action(Rank.LOSE, tuple(made), found.difference, frees=frees)
