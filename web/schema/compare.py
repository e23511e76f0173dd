"""Find every difference between objects, consequences of others included, for given renames."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from web.schema.describe import describe
from web.schema.finding import Change, Difference, Finding, Holder
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    DefaultPrivileges,
    Enum,
    Function,
    Grant,
    Index,
    MaterializedView,
    OtherObject,
    Schema,
    Severity,
    Statistics,
    Table,
    View,
    shape_of,
)
from web.schema.model import Sequence as SequenceObject
from web.schema.names import qualified, quote
from web.schema.renames import Renames, by_key, key_of

#: A view's columns follow from its definition; these do not.
VIEW_COLUMN_ATTRIBUTES = frozenset(
    {"default", "storage", "compression", "statistics_target", "options", "comment"}
)
_GENERATED_SUFFIX = {
    "primary key": "pkey",
    "unique": "key",
    "foreign key": "fkey",
    "check": "check",
    "exclude": "excl",
    "index": "idx",
    "sequence": "seq",
}
_ORDER = {kind: number for number, (_, kind) in enumerate(shape_of(Schema).children)}
_PART_ORDER = {kind: number for number, (_, kind) in enumerate(shape_of(Table).children, start=1)}


class Different(Exception):
    """The two objects of a trial differ in more than their names."""


class Comparison:
    """Collects findings while it walks two schemas side by side."""

    def __init__(self, renames: Renames, *, trial: bool = False) -> None:
        self.renames = renames
        #: Give up with Different at the first finding that is not about names or cosmetic.
        self.trial = trial
        self.findings: list[Finding] = []

    def compare_schemas(self, a: Schema, b: Schema, unknown: Collection[str]) -> None:
        """Compare all that neither side could not read."""
        for where, _ in shape_of(Schema).children:
            if where not in unknown:
                self._compare_all(where, getattr(a, where), getattr(b, where), Holder(), unknown)

    def compare(
        self, a: CatalogObject, b: CatalogObject, place: Holder, unknown: Collection[str] = ()
    ) -> None:
        """Compare two objects that stand for one another."""
        if a == b:
            return
        identity = identity_of(b, place)
        old = identity_of(a, place)
        if key_of(a) != key_of(b) and old != identity and not self._of_renamed_types(a, b):
            self._add("renamed", "name", a, b, place, old, identity, _rename_severity(a, b, place))
        in_view = isinstance(a, Column) and isinstance(place.b, View | MaterializedView)
        shape = shape_of(type(a))
        for attribute, severity in shape.attributes:
            if attribute in unknown or (in_view and attribute not in VIEW_COLUMN_ATTRIBUTES):
                continue
            old_value, new_value = getattr(a, attribute), getattr(b, attribute)
            if old_value != new_value and not self._same(a, attribute, old_value, new_value):
                self._add_changed(attribute, severity, a, b, place)
        inner = Holder(a, b, identity, place.group or identity, place)
        for where, _ in shape.children:
            if where not in unknown:
                self._compare_all(where, getattr(a, where), getattr(b, where), inner, unknown)
        if isinstance(a, Table | CompositeType) and isinstance(b, Table | CompositeType):
            self._compare_order(a, b, place)

    def _compare_all(
        self,
        where: str,
        a: Sequence[CatalogObject],
        b: Sequence[CatalogObject],
        place: Holder,
        unknown: Collection[str],
    ) -> None:
        if a == b:
            return
        old, new = by_key(a), by_key(b)
        pairs = self._renamed(where, old, new, place)
        gone = [item for key, item in old.items() if key not in new and key not in pairs]
        came = [item for key, item in new.items() if key not in old and key not in pairs.values()]
        for left, right in self._alike(gone, came, place):
            pairs[key_of(left)] = key_of(right)
        for key, item in old.items():
            if (other := new.get(pairs.get(key, key))) is not None:
                self.compare(item, other, place, unknown)
        if isinstance(place.b, View | MaterializedView) and where == "columns":
            return
        for item in gone:
            if key_of(item) not in pairs:
                self._add_whole("removed", item, place)
        arrived = set(pairs.values())
        for item in came:
            if key_of(item) not in arrived:
                self._add_whole("added", item, place)

    def _renamed(
        self,
        where: str,
        old: dict[tuple[str, ...], CatalogObject],
        new: dict[tuple[str, ...], CatalogObject],
        place: Holder,
    ) -> dict[tuple[str, ...], tuple[str, ...]]:
        """Give the pairs that were recognized beforehand."""
        if where == "columns":
            table = key_of(place.b) if place.b is not None else ()
            return {(a,): (b,) for a, b in self.renames.columns.get(table, {}).items()}
        if place.b is not None:
            return {}
        return dict(self.renames.objects.get(where, {}))

    def _alike(
        self, gone: Iterable[CatalogObject], came: Iterable[CatalogObject], place: Holder
    ) -> list[tuple[CatalogObject, CatalogObject]]:
        """Pair what belongs to one object and differs in nothing but its name."""
        left = [item for item in came if not isinstance(item, Column | Grant)]
        if place.b is None or not left:
            return []
        pairs = []
        for item in gone:
            for other in left:
                if type(item) is type(other) and alike(item, other, place, self.renames):
                    pairs.append((item, other))
                    left.remove(other)
                    break
        return pairs

    def _of_renamed_types(self, a: CatalogObject, b: CatalogObject) -> bool:
        """Tell whether a function is called otherwise only because a type of its arguments is."""
        if not isinstance(a, Function) or not isinstance(b, Function):
            return False
        return (a.schema, a.name) == (b.schema, b.name) and self.renames.same(a.arguments, b.arguments)

    def _same(self, owner: CatalogObject, attribute: str, a: object, b: object) -> bool:
        match a, b:
            case (str(), str()) if isinstance(owner, Function) and attribute == "definition":
                # A body that is a string is nobody's to rename in.
                header_a, _, body_a = a.partition("\nAS $")
                header_b, _, body_b = b.partition("\nAS $")
                return body_a == body_b and self.renames.same(header_a, header_b)
            case (str(), str()):
                return self.renames.same(a, b)
            case (tuple(), tuple()) if not isinstance(owner, Enum):
                return len(a) == len(b) and all(map(self.renames.same, a, b))
            case (None, _) | (_, None):
                # What owns a sequence owns it for its table's owner too.
                return isinstance(owner, SequenceObject) and attribute == "owner"
            case _:
                return False

    def _compare_order(self, a: Table | CompositeType, b: Table | CompositeType, place: Holder) -> None:
        names = self.renames.columns.get(key_of(b), {})
        common = {names.get(item.name, item.name) for item in a.columns} & {item.name for item in b.columns}
        old = [name for item in a.columns if (name := names.get(item.name, item.name)) in common]
        new = [item.name for item in b.columns if item.name in common]
        if old != new:
            severity: Severity = "cosmetic" if isinstance(a, Table) else "structure"
            texts = (", ".join(map(quote, old)), ", ".join(map(quote, new)))
            self._add("changed", "column order", a, b, place, *texts, severity)

    def _add_changed(
        self, attribute: str, severity: Severity, a: CatalogObject, b: CatalogObject, place: Holder
    ) -> None:
        old, new = getattr(a, attribute), getattr(b, attribute)
        if isinstance(a, Enum) and attribute == "labels" and len(old) == len(new):
            swapped = [(x, y) for x, y in zip(old, new, strict=True) if x != y]
            if len(swapped) == 1 and swapped[0][0] not in new and swapped[0][1] not in old:
                self._add("renamed", "label", a, b, place, *swapped[0], severity)
                return
        if isinstance(a, Grant):
            self._add("changed", f"to {a.grantee}", a, b, place, describe(a), describe(b), severity)
            return
        self._add("changed", attribute.replace("_", " "), a, b, place, text_of(old), text_of(new), severity)

    def _add_whole(self, change: Change, item: CatalogObject, place: Holder) -> None:
        if self.trial:
            raise Different
        a, b = (item, None) if change == "removed" else (None, item)
        attribute = None
        texts = (describe(item) if a else None, describe(item) if b else None)
        if isinstance(item, Grant):
            attribute = f"to {item.grantee}"
            if item.grantee == "OWNER" or not item.privileges:
                # The other side has what everybody gets by default.
                change = "changed"
                texts = (texts[0] or "default", texts[1] or "default")
        self._add(change, attribute, a, b, place, *texts, type(item).severity)

    def _add(
        self,
        change: Change,
        attribute: str | None,
        a: CatalogObject | None,
        b: CatalogObject | None,
        place: Holder,
        old: str | None,
        new: str | None,
        severity: Severity,
    ) -> None:
        if self.trial and change != "renamed" and severity != "cosmetic":
            raise Different
        item = b if b is not None else a
        assert item is not None
        identity = identity_of(item, place)
        group = place.group or identity
        found = Difference(_kind(a, b, place), identity, attribute, change, severity, old, new, group)
        top = place.b if place.b is not None else item
        order = (_ORDER.get(type(top), _ORDER[Table]), group, _PART_ORDER.get(type(item), 0))
        self.findings.append(Finding(found, a, b, place, order))


def alike(a: CatalogObject, b: CatalogObject, place: Holder, renames: Renames) -> bool:
    """Tell whether two objects differ in their names only (and in what is cosmetic)."""
    try:
        Comparison(renames, trial=True).compare(a, b, place)
    except Different:
        return False
    return True


def identity_of(item: CatalogObject, place: Holder) -> str:
    """Name an object in full."""
    if not place.identity or isinstance(item, Statistics):
        return item.identity
    if isinstance(item, Grant):
        return place.identity
    if type(item).named_in_schema and place.b is not None:
        return qualified(place.b.schema, item.name)  # type: ignore[attr-defined]
    return f"{place.identity}.{item.identity}"


def text_of(value: object) -> str | None:
    """Write an attribute's value."""
    if value is None or value == ():
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return str(value)


def _kind(a: CatalogObject | None, b: CatalogObject | None, place: Holder) -> str:
    item = b if b is not None else a
    if isinstance(item, Grant) and isinstance(place.b, DefaultPrivileges):
        return DefaultPrivileges.kind
    if isinstance(item, OtherObject):
        return item.form
    if isinstance(item, Function) and item.form in ("procedure", "aggregate"):
        return item.form if a is None or b is None or getattr(a, "form", None) == item.form else Function.kind
    return type(item).kind if item is not None else ""


def _rename_severity(a: CatalogObject, b: CatalogObject, place: Holder) -> Severity:
    """Rate a rename: nobody chose a name that the server generates."""
    if isinstance(a, Constraint | Index | SequenceObject):
        for side, table in ((a, place.a), (b, place.b)):
            name: str = side.name  # type: ignore[attr-defined]
            suffix = _GENERATED_SUFFIX.get(getattr(side, "form", side.kind), "")
            stem = name.rstrip("0123456789")
            table_name: str = getattr(table, "name", "")
            if stem.endswith(f"_{suffix}") and stem.startswith(table_name[:20]):
                return "cosmetic"
    return type(a).severity
