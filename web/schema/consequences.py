"""Leave out differences that follow from another one: one cause, one difference."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property

from web.schema.finding import Difference, Finding
from web.schema.limits import limits_of
from web.schema.model import Column, Constraint, Index, Policy, Schema, Statistics, Table, Trigger
from web.schema.model import Sequence as SequenceObject
from web.schema.names import holder_of, quote

_CAST = re.compile(
    r'::(?:"(?:[^"]|"")*"|[\w.])+(?: (?:varying|precision))?(?:\(\d+(?:,\d+)?\))?'
    r"(?: (?:with|without) time zone)?(?:\[\])*"
)
_NAME = re.compile(r'"(?:[^"]|"")*"|\w+')


def without_consequences(findings: Sequence[Finding], a: Schema, b: Schema) -> list[Finding]:
    """Give the findings that have no other one as their cause."""
    facts = _Facts(findings, a, b)
    return [found for found in findings if not any(rule(found, facts) for rule in _RULES)]


class _Facts:
    """What the rules ask about."""

    def __init__(self, findings: Iterable[Finding], a: Schema, b: Schema) -> None:
        self._a, self._b = a, b
        #: Change and identity of what is there or not as a whole.
        self.whole: set[tuple[str, str]] = set()
        #: Identity and attribute of what changed.
        self.changed: set[tuple[str, str]] = set()
        #: What happened to parts of tables, by table: to find the same in a parent.
        self.parts: dict[str, set[tuple[object, ...]]] = {}
        for found in findings:
            item = found.difference
            if item.attribute is None:
                self.whole.add((item.change, item.object))
            else:
                self.changed.add((item.object, item.attribute))
            self.parts.setdefault(item.group, set()).add(_local(item))

    @cached_property
    def tables_a(self) -> dict[str, Table]:
        return {item.identity: item for item in self._a.tables}

    @cached_property
    def tables_b(self) -> dict[str, Table]:
        return {item.identity: item for item in self._b.tables}


def _local(item: Difference) -> tuple[object, ...]:
    """Describe a difference within its table."""
    part, old, new = item.object.removeprefix(item.group), item.a, item.b
    if item.change == "renamed" and old is not None and new is not None:
        # Names in full, of which only the last part is the object's own.
        old, new = old.removeprefix(holder_of(old)), new.removeprefix(holder_of(new))
    return (item.kind, part, item.attribute, item.change, old, new)


def _sequence_of_column(found: Finding, facts: _Facts) -> bool:
    """A serial or identity column brings its sequence, takes it away, decides its type and persistence."""
    item = found.b if found.b is not None else found.a
    if not isinstance(item, SequenceObject) or item.owned_by is None:
        return False
    column, change, attribute = item.owned_by, found.difference.change, found.difference.attribute
    table = holder_of(column)
    if attribute is None:
        return (
            (change, table) in facts.whole
            or (change, column) in facts.whole
            or (column, "default") in facts.changed
            or (column, "identity generation") in facts.changed
        )
    if attribute == "type":
        return item.identity_column and (column, "type") in facts.changed
    if attribute == "persistence":
        return (table, "persistence") in facts.changed
    return False


def _limit_of_direction(found: Finding, facts: _Facts) -> bool:
    """A sequence that turns round keeps its limits, which are the usual ones in one direction only."""
    a, b, attribute = found.a, found.b, found.difference.attribute
    if not isinstance(a, SequenceObject) or not isinstance(b, SequenceObject) or a.type != b.type:
        return False
    if (a.increment > 0) == (b.increment > 0) or attribute not in ("minimum", "maximum"):
        return False
    number = 0 if attribute == "minimum" else 1
    return limits_of(a)[number] == limits_of(b)[number]


def _partition_of_parent(found: Finding, facts: _Facts) -> bool:
    """A partitioned table comes and goes with its partitions."""
    item = found.b if found.b is not None else found.a
    if not isinstance(item, Table) or not item.partition_bound or found.difference.attribute is not None:
        return False
    return any((found.difference.change, parent) in facts.whole for parent in item.parents)


def _inherited(found: Finding, facts: _Facts) -> bool:
    """What happens to a parent's column or check happens to its children."""
    table_a, table_b = found.place.a, found.place.b
    if not isinstance(table_a, Table) and isinstance(found.a, Table):
        table_a, table_b = found.a, found.b
    if not isinstance(table_a, Table) or not isinstance(table_b, Table):
        return False
    part = isinstance(found.b if found.b is not None else found.a, Column | Constraint)
    if not part and found.difference.attribute != "column order":
        return False
    local = _local(found.difference)
    return any(local in facts.parts.get(parent, ()) for parent in (*table_b.parents, *table_a.parents))


def _cast_of_type(found: Finding, facts: _Facts) -> bool:
    """A changed column type rewrites the casts in defaults, checks, indexes and policies of its table."""
    old, new = found.difference.a, found.difference.b
    if (
        old is None
        or new is None
        or found.difference.attribute not in ("default", "definition", "using", "check", "generated")
    ):
        return False
    if not isinstance(found.a, Column | Constraint | Index | Policy | Statistics | Trigger):
        return False
    columns: tuple[Column, ...] = getattr(found.place.b, "columns", ())
    place = found.place.identity
    if not any((f"{place}.{column.identity}", "type") in facts.changed for column in columns):
        return False
    return _without_casts(old) == _without_casts(new)


def _without_casts(text: str) -> str:
    return re.sub(r"[()\s]", "", _CAST.sub("", text))


def _not_null_of_key(found: Finding, facts: _Facts) -> bool:
    """A primary key makes its columns NOT NULL."""
    if (
        found.difference.attribute != "not null"
        or not isinstance(found.a, Column)
        or not isinstance(found.b, Column)
    ):
        return False
    with_, without = (found.place.b, found.place.a) if found.b.not_null else (found.place.a, found.place.b)
    if not isinstance(with_, Table) or not isinstance(without, Table) or _primary_key(without) is not None:
        return False
    key = _primary_key(with_)
    name = found.b.name if found.b.not_null else found.a.name
    return key is not None and quote(name) in _NAME.findall(key.definition)


def _primary_key(table: Table) -> Constraint | None:
    return next((item for item in table.constraints if item.form == "primary key"), None)


def _bound_of_parent(found: Finding, facts: _Facts) -> bool:
    """A partition that is attached or detached: its bound, and what it shows or hides of its parent's."""
    if isinstance(found.a, Table) and isinstance(found.b, Table):
        both = found.difference.attribute == "partition bound"
        return both and (found.difference.object, "parents") in facts.changed
    before, after = found.place.a, found.place.b
    if (
        not isinstance(before, Table)
        or not isinstance(after, Table)
        or found.difference.attribute is not None
    ):
        return False
    if (before.partition_bound is None) == (after.partition_bound is None):
        return False
    attached = before if before.partition_bound else after
    tables = facts.tables_a if before.partition_bound else facts.tables_b
    item = found.b if found.b is not None else found.a
    given = [part for name in attached.parents if (parent := tables.get(name)) for part in _parts(parent)]
    match item:
        case Constraint():
            return any(isinstance(part, Constraint) and part.definition == item.definition for part in given)
        case Index():
            return any(isinstance(part, Index) and part.definition == item.definition for part in given)
        case Trigger():
            return any(isinstance(part, Trigger) and part.name == item.name for part in given)
        case _:
            return False


def _parts(table: Table) -> Iterable[Constraint | Index | Trigger]:
    yield from table.constraints
    yield from table.indexes
    yield from table.triggers


_RULES = (
    _sequence_of_column,
    _limit_of_direction,
    _partition_of_parent,
    _inherited,
    _cast_of_type,
    _not_null_of_key,
    _bound_of_parent,
)
