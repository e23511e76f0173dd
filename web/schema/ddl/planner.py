"""Decide for every finding what is done about it: altered, made, taken away, made again, or left to a person."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from web.schema.ddl.access import grant
from web.schema.ddl.actions import Action, Rank
from web.schema.ddl.alter import alter
from web.schema.ddl.columns import loses_values
from web.schema.ddl.drop import loses_data
from web.schema.ddl.freeing import free_names
from web.schema.ddl.making import make, names, rank_of_change
from web.schema.ddl.obstacles import Obstacles, around, obstacles_to
from web.schema.ddl.pairs import Pairs
from web.schema.ddl.references import (
    columns_in,
    definition_of,
    everything_of,
    held_names,
    identity_index,
    keys_under,
    mentioned,
    name_of,
    needs_of,
)
from web.schema.ddl.remaking import exchange_key, remake
from web.schema.ddl.rename import rename, rename_label, rename_schema
from web.schema.ddl.statement import Ground, Statement, Unwritten
from web.schema.ddl.tables import FIXED
from web.schema.ddl.taking import take
from web.schema.difference import Found, find
from web.schema.finding import Difference, Finding
from web.schema.model import (
    CatalogObject,
    Column,
    Constraint,
    Domain,
    Enum,
    Function,
    Grant,
    MaterializedView,
    Sequence,
    Table,
    View,
)
from web.schema.names import holder_of, quote


@dataclass(frozen=True, slots=True)
class Left:
    """A difference that the statements do not repair, and why."""

    difference: Difference
    reason: str


@dataclass(slots=True)
class Planner:
    """Collects actions, and what is left, for two schemas."""

    ground: Ground
    #: Schemas that are renamed: the new name by the one that is there.
    schemas: Mapping[str, str]
    destructive: bool
    actions: list[Action] = field(default_factory=list)
    left: list[Left] = field(default_factory=list)

    def plan(self) -> None:
        """Fill `actions`, in no particular order, and `left`."""
        found = find(self.ground.expected, self.ground.actual, self.schemas)
        pairs = Pairs(self.ground, found, self.schemas)
        for there, new in self.schemas.items():
            self.actions.append(Action(Rank.RENAME, (rename_schema(there, new),)))
        wholes: list[Finding] = []
        changes: dict[tuple[int, int], list[Finding]] = {}
        stuck = {
            each.difference.group: each
            for each in found.causes
            if isinstance(each.a, Table) and isinstance(each.b, Table) and each.a.form != each.b.form
        }
        for each in found.causes:
            if each.difference.group in stuck:
                self._leave(each, FIXED["form"])
            elif isinstance(each.a if each.a is not None else each.b, Grant):
                self._take(each, self._grants(each))
            elif each.difference.change == "renamed":
                self._take(each, self._renames(each))
            elif each.difference.change == "changed":
                changes.setdefault((id(each.a), id(each.b)), []).append(each)
            else:
                wholes.append(each)
        again = self._alter_all(changes, pairs)
        gone = [each for each in wholes if each.a is None and self._may_go(each)]
        # A column's own sequence and a table's partitions follow it in the report; here they are objects.
        self._keep(wholes, stuck.values(), gone, again)
        exchanged = _exchanged_keys(wholes, gone)
        for each in wholes:
            if each.a is not None and id(each) not in exchanged:
                self._take(each, make(each.a, each.place, self.ground, each.difference, live=True))
        made = tuple(free_names(self._holding(wholes, gone), self.ground))
        self.actions[:0] = [Action(Rank.RENAME, (each,)) for each in made]
        going = {id(each) for each in gone}
        kept = {each.b.identity for each in wholes if each.b is not None and id(each) not in going}
        for each in found.consequences:
            if each.difference.attribute is not None or not isinstance(each.a or each.b, Sequence | Table):
                continue
            if each.a is not None:
                self._take(each, make(each.a, each.place, self.ground, each.difference, live=True))
            elif isinstance(each.b, Sequence) and self._outlives_its_column(each.b, kept, pairs):
                gone.append(each)
        retyped = [each for group in changes.values() for each in group if self._is_retyped(each)]
        obstacles = obstacles_to(retyped, again, gone, self.ground, pairs)
        self._go_around(obstacles, changes, gone, again, exchanged, found, pairs)

    def _go_around(
        self,
        obstacles: Obstacles,
        changes: Mapping[tuple[int, int], list[Finding]],
        gone: Iterable[Finding],
        again: Iterable[Finding],
        exchanged: Mapping[int, Finding],
        found: Found,
        pairs: Pairs,
    ) -> None:
        """Take away what goes, and what is in the way and comes back."""
        stops = {id(each.item): each for each in obstacles.found}
        views = [*(each.item for each in obstacles.found), *(each.b for each in again)]
        # What goes and comes back does so with its parts, as they shall be.
        whole = {id(each) for each in views if isinstance(each, View | MaterializedView)}
        parts = {id(each) for each in found.causes if id(each.place.b) in whole}
        # Nothing is left to alter of it. Of a column only its default goes.
        settled = {each.difference.key for each in found.causes if id(each) in parts}
        settled |= {
            each.difference.key
            for (_, there), group in changes.items()
            for each in group
            if there in stops and not isinstance(each.b, Column)
        }
        self.actions = [
            each for each in self.actions if each.difference is None or each.difference.key not in settled
        ]
        for each in gone:
            if id(each) in parts:
                continue
            if (key := exchanged.get(id(each))) is None:
                self._take(each, take(each, self.ground, pairs, obstacles.disturbance))
            else:
                self._take(each, exchange_key(key, each, self.ground, pairs, obstacles.disturbance))
        for each in again:
            stop = stops.pop(id(each.b), None)
            if id(each) in parts:
                continue
            if stop is None:
                self._take(each, remake(each, self.ground, pairs))
            else:
                self._take(each, around(stop, obstacles, self.ground, pairs, each.difference))
        for stop in stops.values():
            if id(stop.owner) not in whole:
                self._take(None, around(stop, obstacles, self.ground, pairs, None))

    def _take(self, found: Finding | None, actions: Iterable[Action]) -> None:
        """Take the actions, or say why there are none; without a finding the server will say it."""
        try:
            self.actions += list(actions)
        except Unwritten as why:
            if found is not None:
                self._leave(found, str(why))

    def _leave(self, found: Finding, reason: str) -> None:
        self.left.append(Left(found.difference, reason))

    def _grants(self, found: Finding) -> Iterator[Action]:
        holder, item = found.place.a, found.a if found.a is not None else found.b
        assert holder is not None
        assert isinstance(item, Grant)
        table = found.place.outer.a if found.place.outer is not None else None
        privileges = found.a.privileges if isinstance(found.a, Grant) else None
        made = grant(holder, table, item.grantee, privileges, self.ground)
        yield Action(Rank.ACCESS, tuple(made), found.difference, needs=needs_of(holder, table))

    def _renames(self, found: Finding) -> Iterator[Action]:
        a, b, difference = found.a, found.b, found.difference
        assert a is not None
        assert b is not None
        if difference.attribute == "label":
            assert difference.a is not None
            assert difference.b is not None
            made = rename_label(a, difference.b, difference.a)
        else:
            made = rename(a, b, found.place.a, self.ground)
        # Into another schema, which may have to be made first.
        schema = getattr(a, "schema", None)
        needs = names(quote(schema)) if schema and schema != getattr(b, "schema", None) else frozenset()
        # The name may be that of something which has to go first.
        gives = names(name_of(a, found.place.a)) if difference.attribute == "name" else frozenset()
        yield Action(Rank.RENAME, (made,), difference, gives=gives, needs=needs)

    def _alter_all(self, changes: Mapping[tuple[int, int], list[Finding]], pairs: Pairs) -> list[Finding]:
        """Alter what can be altered; give what has to be made again."""
        again = []
        for group in changes.values():
            group[:] = [each for each in group if self._may_change(each)]
            if not group:
                continue
            try:
                made = self._altered(group)
            except Unwritten as why:
                # One of the attributes cannot be changed: the others may.
                self._alter_alone(group, str(why), pairs)
                continue
            if made is None:
                again.append(group[0])
            else:
                self.actions.append(self._altering(group[0], made, pairs))
        return again

    def _alter_alone(self, group: list[Finding], why: str, pairs: Pairs) -> None:
        for found in group:
            try:
                made = self._altered([found]) if len(group) > 1 else None
            except Unwritten as reason:
                why, made = str(reason), None
            if made is None:
                self._leave(found, why)
            else:
                self.actions.append(self._altering(found, made, pairs))

    def _altered(self, group: list[Finding]) -> list[Statement] | None:
        found = group[0]
        assert found.a is not None
        assert found.b is not None
        return alter(found.a, found.b, {_attribute(each) for each in group}, found.place.a, self.ground)

    def _altering(self, found: Finding, made: list[Statement], pairs: Pairs) -> Action:
        a, b, owner = found.a, found.b, found.place.a
        assert a is not None
        assert b is not None
        rank = rank_of_change(a)
        if isinstance(a, Table) and isinstance(b, Table) and (a.parents, a.of_type) != (b.parents, b.of_type):
            # A table joins when its columns are as they shall be, and leaves before they are.
            rank = Rank.LAST if a.of_type or set(a.parents) - set(b.parents) else Rank.DISMANTLE
        if all(" OWNER TO " in each.sql or each.sql.startswith("COMMENT ON") for each in made):
            rank = Rank.ACCESS
        gives = names(name_of(a, owner)) if isinstance(a, View | Function | Domain | Enum) else frozenset()
        removes: frozenset[str] = frozenset()
        if isinstance(b, Column) and found.place.b is not None:
            # What stands on the column goes before and comes back after.
            removes = held_names({(found.place.b.identity, b.name)})
            gives = removes | held_names(
                {(owner.identity, a.name)} if isinstance(owner, Table) and isinstance(a, Column) else ()
            )
            if isinstance(a, Column) and b.not_null and not a.not_null:
                removes |= {f"{name} in key" for name in removes}
        frees = pairs.names_after(mentioned(definition_of(b)))
        if isinstance(b, Column) and isinstance(found.place.b, Table):
            frees |= held_names(columns_in(b.generated, found.place.b)) - removes
        needs = needs_of(a, owner) | keys_under(a, self.ground.expected_tables)
        if isinstance(a, Table) and isinstance(b, Table) and a.replica_identity != b.replica_identity:
            needs |= names(identity_index(a))
        return Action(
            rank,
            tuple(made),
            found.difference,
            gives=gives,
            needs=needs - gives,
            frees=frees,
            removes=removes,
        )

    def _may_change(self, found: Finding) -> bool:
        a, b = found.a, found.b
        if self.destructive or not isinstance(found.place.a, Table):
            return True
        if (
            not isinstance(a, Column)
            or not isinstance(b, Column)
            or not loses_values(a, b, {_attribute(found)})
        ):
            return True
        self._leave(found, "It may lose or refuse values, and what loses data was not asked for.")
        return False

    def _may_go(self, found: Finding) -> bool:
        assert found.b is not None
        if self.destructive or not loses_data(found.b):
            return True
        self._leave(found, "It would lose what it holds, and what loses data was not asked for.")
        return False

    def _keep(
        self,
        wholes: Iterable[Finding],
        stuck: Iterable[Finding],
        gone: list[Finding],
        again: list[Finding],
    ) -> None:
        """Leave what something stands on that stays as it is, and so on."""
        stays: list[tuple[str, frozenset[str]]] = [
            (
                f"The {each.form} {each.name}, which Clean Start does not write,",
                mentioned(f"{each.name} {each.definition}"),
            )
            for each in self.ground.actual.others
        ]
        going = {id(each) for each in gone}
        kept = [each for each in (*wholes, *stuck) if each.b is not None and id(each) not in going]
        while kept or stays:
            for each in kept:
                item = f"{each.difference.kind} {each.difference.object}"
                stays.append((f"The {item}, which stays,", _stands_on(each)))
            kept = []
            for group in (gone, again):
                for found in tuple(group):
                    reason = next((who for who, names in stays if _name(found) in names), None)
                    if reason is not None:
                        group.remove(found)
                        self._leave(found, f"{reason} stands on it.")
                        kept.append(found)
            stays = []

    def _holding(self, wholes: Iterable[Finding], gone: list[Finding]) -> list[Table]:
        """The tables that stay, or go after what refers to them refers to another one."""
        referred = " ".join(
            each.definition
            for table in self.ground.actual.tables
            for each in table.constraints
            if each.form == "foreign key"
        )
        going = {id(each) for each in gone}
        return [
            each.b
            for each in wholes
            if isinstance(each.b, Table)
            and each.a is None
            and (id(each) not in going or f"REFERENCES {each.b.identity}(" in referred)
        ]

    def _is_retyped(self, found: Finding) -> bool:
        return isinstance(found.b, Column) and _attribute(found) in ("type", "collation")

    def _outlives_its_column(self, item: Sequence, kept: set[str], pairs: Pairs) -> bool:
        """Tell whether a column lets go of a sequence that would stay behind."""
        if item.identity_column or item.owned_by is None:
            return False
        table = self.ground.actual_tables.get(holder_of(item.owned_by))
        expected = pairs.object_for(table)
        if table is None or not isinstance(expected, Table) or item.owned_by in kept:
            return False
        columns = {f"{table.identity}.{quote(each.name)}" for each in expected.columns}
        return item.owned_by in columns


def _exchanged_keys(wholes: Iterable[Finding], gone: Iterable[Finding]) -> dict[int, Finding]:
    """Give primary keys that are put in another's place, by that one's finding and by their own."""
    new = {each.place.identity: each for each in wholes if _is_primary_key(each.a)}
    found: dict[int, Finding] = {}
    for each in gone:
        key = new.get(each.place.identity)
        if key is not None and _is_primary_key(each.b):
            found |= {id(each): key, id(key): key}
    return found


def _is_primary_key(item: CatalogObject | None) -> bool:
    return isinstance(item, Constraint) and item.form == "primary key"


def _attribute(found: Finding) -> str:
    return (found.difference.attribute or "").replace(" ", "_")


def _name(found: Finding) -> str:
    assert found.b is not None
    return name_of(found.b, found.place.b)


def _stands_on(found: Finding) -> frozenset[str]:
    assert found.b is not None
    return everything_of(found.b, found.place.b)
