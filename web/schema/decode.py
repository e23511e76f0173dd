"""Turn the rows of queries/*.sql into a Schema, without asking the server."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from operator import attrgetter
from typing import Any, TypeVar

from web.schema.canonical import canonical
from web.schema.collecting import collecting_later
from web.schema.grants import GrantReader
from web.schema.model import (
    CatalogObject,
    Column,
    CompositeType,
    Constraint,
    Database,
    DefaultPrivileges,
    Domain,
    Enum,
    EventTrigger,
    Extension,
    Function,
    Index,
    MaterializedView,
    Namespace,
    OtherObject,
    Policy,
    Publication,
    RangeType,
    Rule,
    Schema,
    Sequence,
    Setting,
    Statistics,
    Table,
    Trigger,
    View,
)
from web.schema.names import qualified
from web.schema.relations import shared_column

Row = tuple[Any, ...]
T = TypeVar("T", bound=CatalogObject)

TABLE_FORMS = {"r": "table", "p": "partitioned table", "f": "foreign table"}
PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
CONSTRAINT_FORMS = {"p": "primary key", "u": "unique", "c": "check", "f": "foreign key", "x": "exclude"}
#: Limits of a sequence by its type: what PostgreSQL takes where none is given, ascending and descending.
SEQUENCE_LIMITS = {"smallint": 2**15, "integer": 2**31, "bigint": 2**63}

#: Columns of the queries that hold deparsed expressions.
EXPRESSIONS: Mapping[str, tuple[int, ...]] = {
    "columns": (6, 8),
    "constraints": (5,),
    "indexes": (4,),
    "policies": (6, 7),
    "relations": (6, 8, 15),
    "rules": (3,),
    "statistics": (4,),
    "triggers": (3,),
    "types": (8,),
}


class Comments:
    """Comments by catalog, object and column."""

    def __init__(self, rows: list[Row]) -> None:
        self._texts: dict[tuple[str, int, int], str] = {(row[0], row[1], row[2]): row[3] for row in rows}

        #: Most objects have none, which is told sooner so.
        self._commented = {row[1] for row in rows}

    def of(self, catalog: str, oid: int, column: int = 0) -> str | None:
        if oid not in self._commented:
            return None
        return self._texts.get((catalog, oid, column))


def decode(
    rows: Mapping[str, list[Row]],
    server_major: int,
    unreadable: tuple[str, ...],
    exclude_tables: Collection[str],
) -> Schema:
    """Build the Schema; every collection comes out sorted by key, columns in their order."""
    with collecting_later():
        return _decode(rows, server_major, unreadable, exclude_tables)


def _decode(
    rows: Mapping[str, list[Row]],
    server_major: int,
    unreadable: tuple[str, ...],
    exclude_tables: Collection[str],
) -> Schema:
    rows = {name: _canonical(found, EXPRESSIONS.get(name, ())) for name, found in rows.items()}
    comments, grants = Comments(rows["comments"]), GrantReader()
    relations = without(rows["relations"], exclude_tables)
    excluded = {row[0] for row in rows["relations"]} - {row[0] for row in relations}
    not_null = _not_null_constraints(rows["constraints"])
    parts = _Parts(
        columns=_columns(rows["columns"], not_null, comments, grants),
        constraints=_grouped(rows["constraints"], _constraint_place, lambda row: _constraint(row, comments)),
        indexes=_grouped(rows["indexes"], 1, lambda row: Index(*(*row[2:], comments.of("pg_class", row[0])))),
        triggers=_grouped(
            rows["triggers"], 1, lambda row: Trigger(*(*row[2:], comments.of("pg_trigger", row[0])))
        ),
        rules=_grouped(rows["rules"], 1, lambda row: Rule(*(*row[2:], comments.of("pg_rewrite", row[0])))),
        policies=_grouped(rows["policies"], 1, lambda row: _policy(row, comments)),
        statistics=_grouped(
            rows["statistics"],
            1,
            lambda row: Statistics(*(*row[2:], comments.of("pg_statistic_ext", row[0]))),
        ),
    )
    types = _types(rows["types"], parts, comments, grants)
    return Schema(
        server_major=server_major,
        unreadable=unreadable,
        databases=tuple(Database(grants.read(row[1], row[2], row[0]), row[3]) for row in rows["database"]),
        settings=_sorted(Setting(*row) for row in rows["settings"]),
        schemas=_sorted(
            Namespace(name, owner, grants.read(acl, standard, owner), comments.of("pg_namespace", oid))
            for oid, name, owner, acl, standard in rows["schemas"]
        ),
        extensions=_sorted(
            Extension(*(*row[1:], comments.of("pg_extension", row[0]))) for row in rows["extensions"]
        ),
        enums=_of_kind(Enum, types),
        domains=_of_kind(Domain, types),
        composite_types=_of_kind(CompositeType, types),
        range_types=_of_kind(RangeType, types),
        sequences=_sorted(
            _sequence(row, comments, grants) for row in rows["sequences"] if row[11] not in excluded
        ),
        tables=_sorted(_table(row, parts, comments, grants) for row in relations if row[3] in TABLE_FORMS),
        views=_sorted(_view(row, parts, comments, grants) for row in relations if row[3] == "v"),
        materialized_views=_sorted(
            _materialized_view(row, parts, comments, grants) for row in relations if row[3] == "m"
        ),
        functions=_sorted(
            Function(*(*row[1:7], grants.read(row[7], row[8], row[6]), comments.of("pg_proc", row[0])))
            for row in rows["functions"]
        ),
        event_triggers=_sorted(
            EventTrigger(
                name, event, tuple(tags), function, enabled, owner, comments.of("pg_event_trigger", oid)
            )
            for oid, name, event, tags, function, enabled, owner in rows["event_triggers"]
        ),
        publications=_sorted(_publication(row, comments) for row in rows["publications"]),
        others=_sorted(
            OtherObject(kind, name, text, owner, grants.read(acl, standard, owner), comments.of(catalog, oid))
            for catalog, oid, kind, name, text, owner, acl, standard in rows["others"]
        ),
        default_privileges=_sorted(
            DefaultPrivileges(role, schema, objects, grants.read(acl, standard, role))
            for role, schema, objects, acl, standard in rows["default_privileges"]
        ),
    )


class _Parts:
    """What belongs to relations and types, by the oid of what it belongs to."""

    def __init__(
        self,
        *,
        columns: dict[int, tuple[Column, ...]],
        constraints: dict[int, tuple[Constraint, ...]],
        indexes: dict[int, tuple[Index, ...]],
        triggers: dict[int, tuple[Trigger, ...]],
        rules: dict[int, tuple[Rule, ...]],
        policies: dict[int, tuple[Policy, ...]],
        statistics: dict[int, tuple[Statistics, ...]],
    ) -> None:
        self.columns, self.constraints, self.indexes = columns, constraints, indexes
        self.triggers, self.rules, self.policies, self.statistics = triggers, rules, policies, statistics


def _canonical(rows: list[Row], columns: Collection[int]) -> list[Row]:
    """The rows with one text for what is deparsed in two ways; most are given back as they are."""
    for column in columns:
        for number in [number for number, row in enumerate(rows) if row[column] and "])::" in row[column]]:
            row = rows[number]
            rows[number] = (*row[:column], canonical(row[column]), *row[column + 1 :])
    return rows


def without(relations: list[Row], exclude: Collection[str]) -> list[Row]:
    if not exclude:
        return relations
    names = frozenset(exclude)
    return [
        row
        for row in relations
        if row[2] not in names
        and f"{row[1]}.{row[2]}" not in names
        and qualified(row[1], row[2]) not in names
    ]


def _grouped(
    rows: Iterable[Row], place: int | Callable[[Row], int], build: Callable[[Row], T | None]
) -> dict[int, tuple[T, ...]]:
    groups: defaultdict[int, list[T]] = defaultdict(list)
    for row in rows:
        made = build(row)
        if made is not None:
            groups[row[place] if isinstance(place, int) else place(row)].append(made)
    return {oid: _sorted(group) for oid, group in groups.items()}


def _sorted(objects: Iterable[T]) -> tuple[T, ...]:
    made = list(objects)
    if len(made) > 1:
        made.sort(key=attrgetter(*type(made[0]).key))
    return tuple(made)


def _of_kind(kind: type[T], objects: Iterable[CatalogObject]) -> tuple[T, ...]:
    return _sorted(item for item in objects if isinstance(item, kind))


def _columns(
    rows: list[Row],
    not_null: Mapping[tuple[int, int], tuple[str, str | None]],
    comments: Comments,
    grants: GrantReader,
) -> dict[int, tuple[Column, ...]]:
    groups: defaultdict[int, list[Column]] = defaultdict(list)
    for row in rows:
        oid, number, acl = row[0], row[1], row[2]
        name, state = not_null.get((oid, number), (None, None)) if not_null else (None, None)
        # The server's own names end so; what they begin with may be a name from before a rename.
        if name is not None and name.rstrip("0123456789").endswith("_not_null"):
            name = None
        groups[oid].append(
            shared_column(
                *row[3:13],
                tuple(row[13] or ()),
                tuple(sorted(row[14])) if row[14] else (),
                state,
                name,
                grants.read(acl, None, None) if acl else (),
                comments.of("pg_class", oid, number),
            )
        )
    return {oid: tuple(group) for oid, group in groups.items()}


def _not_null_constraints(rows: list[Row]) -> dict[tuple[int, int], tuple[str, str | None]]:
    """PostgreSQL 18 has a constraint for every NOT NULL; it is part of its column here."""
    found = {}
    for _, table, _, name, form, _, _, validated, _, no_inherit, *_, column in rows:
        if form == "n" and table:
            state = " ".join(["NOT VALID"] * (not validated) + ["NO INHERIT"] * no_inherit) or None
            found[table, column] = (name, state)
    return found


def _constraint_place(row: Row) -> int:
    place: int = row[1] or row[2]
    return place


def _constraint(row: Row, comments: Comments) -> Constraint | None:
    oid, _, _, name, form, definition, deferrable, validated, enforced, no_inherit = row[:10]
    options, tablespace, clustered, enabled, _ = row[10:]
    if form not in CONSTRAINT_FORMS:
        return None
    if not (validated and enforced) or deferrable is not None or no_inherit:
        # pg_get_constraintdef writes these at the end, in this order; each is an attribute of its own here.
        for suffix, there in (
            (" NOT VALID", not validated),
            (" NOT ENFORCED", not enforced),
            (" INITIALLY DEFERRED", deferrable == "DEFERRABLE INITIALLY DEFERRED"),
            (" DEFERRABLE", deferrable is not None),
            (" NO INHERIT", no_inherit),
        ):
            if there:
                definition = definition.removesuffix(suffix)
    return Constraint(
        name,
        CONSTRAINT_FORMS[form],
        definition,
        deferrable,
        # What is not enforced is never validated: one fact, not two.
        validated or not enforced,
        enforced,
        # Foreign keys, keys and exclusions are marked so by the server; only for a CHECK is it a choice.
        no_inherit and form == "c",
        tuple(options or ()),
        tablespace,
        clustered,
        enabled,
        comments.of("pg_constraint", oid),
    )


def _policy(row: Row, comments: Comments) -> Policy:
    oid, _, name, command, permissive, roles, using, check = row
    return Policy(name, command, permissive, tuple(roles), using, check, comments.of("pg_policy", oid))


def _table(row: Row, parts: _Parts, comments: Comments, grants: GrantReader) -> Table:
    oid, owner = row[0], row[18]
    return Table(
        schema=row[1],
        name=row[2],
        form=TABLE_FORMS[row[3]],
        persistence=PERSISTENCE[row[4]],
        access_method=row[5],
        partition_key=row[6],
        parents=tuple(row[7] or ()),
        partition_bound=row[8],
        of_type=row[9],
        options=tuple(sorted(row[10] or ())),
        row_security=row[11],
        row_security_forced=row[12],
        replica_identity=row[13] or "nothing",
        tablespace=row[14],
        server=row[16],
        foreign_options=tuple(sorted(row[17] or ())),
        columns=parts.columns.get(oid, ()),
        constraints=parts.constraints.get(oid, ()),
        indexes=parts.indexes.get(oid, ()),
        triggers=parts.triggers.get(oid, ()),
        rules=parts.rules.get(oid, ()),
        policies=parts.policies.get(oid, ()),
        statistics=parts.statistics.get(oid, ()),
        owner=owner,
        grants=grants.read(row[19], row[20], owner),
        comment=comments.of("pg_class", oid),
    )


def _view(row: Row, parts: _Parts, comments: Comments, grants: GrantReader) -> View:
    oid, owner = row[0], row[18]
    return View(
        schema=row[1],
        name=row[2],
        definition=row[15],
        options=tuple(sorted(row[10] or ())),
        columns=parts.columns.get(oid, ()),
        triggers=parts.triggers.get(oid, ()),
        rules=parts.rules.get(oid, ()),
        owner=owner,
        grants=grants.read(row[19], row[20], owner),
        comment=comments.of("pg_class", oid),
    )


def _materialized_view(row: Row, parts: _Parts, comments: Comments, grants: GrantReader) -> MaterializedView:
    oid, owner = row[0], row[18]
    return MaterializedView(
        schema=row[1],
        name=row[2],
        definition=row[15],
        access_method=row[5],
        options=tuple(sorted(row[10] or ())),
        tablespace=row[14],
        columns=parts.columns.get(oid, ()),
        indexes=parts.indexes.get(oid, ()),
        statistics=parts.statistics.get(oid, ()),
        owner=owner,
        grants=grants.read(row[19], row[20], owner),
        comment=comments.of("pg_class", oid),
    )


def _sequence(row: Row, comments: Comments, grants: GrantReader) -> Sequence:
    oid, schema, name, type_, start, increment, minimum, maximum, cache, cycle, persistence = row[:11]
    owned_by, identity, owner = row[12], row[13], row[14]
    limit = SEQUENCE_LIMITS[type_]
    lowest, highest = (1, limit - 1) if increment > 0 else (-limit, -1)
    return Sequence(
        schema,
        name,
        type_,
        start,
        increment,
        None if minimum == lowest else minimum,
        None if maximum == highest else maximum,
        cache,
        cycle,
        PERSISTENCE[persistence],
        owned_by,
        identity,
        None if owned_by else owner,
        grants.read(row[15], row[16], owner),
        comments.of("pg_class", oid),
    )


def _types(rows: list[Row], parts: _Parts, comments: Comments, grants: GrantReader) -> list[CatalogObject]:
    made: list[CatalogObject] = []
    for row in rows:
        (
            oid,
            schema,
            name,
            form,
            relation,
            labels,
            base,
            not_null,
            default,
            collation,
            range_,
            owner,
            acl,
            std,
        ) = row
        rest = (owner, grants.read(acl, std, owner), comments.of("pg_type", oid))
        if form == "e":
            made.append(Enum(schema, name, tuple(labels), *rest))
        elif form == "d":
            constraints = parts.constraints.get(oid, ())
            made.append(Domain(schema, name, base, not_null, default, collation, constraints, *rest))
        elif form == "c":
            made.append(CompositeType(schema, name, parts.columns.get(relation, ()), *rest))
        else:
            made.append(RangeType(schema, name, range_, *rest))
    return made


def _publication(row: Row, comments: Comments) -> Publication:
    oid, name, all_tables, operations, via_root, generated, tables, schemas, owner = row
    return Publication(
        name,
        all_tables,
        tuple(operations),
        via_root,
        generated,
        tuple(tables),
        tuple(schemas),
        owner,
        comments.of("pg_publication", oid),
    )
