"""Turn the rows of queries/*.sql into a Schema, without asking the server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from operator import itemgetter
from typing import TypeVar

from web.schema.canonical import canonical
from web.schema.collecting import collecting_later
from web.schema.grants import GrantReader
from web.schema.model import (
    CatalogObject,
    CompositeType,
    Database,
    DefaultPrivileges,
    Domain,
    Enum,
    EventTrigger,
    Extension,
    Function,
    MaterializedView,
    Namespace,
    OtherObject,
    Publication,
    RangeType,
    Schema,
    Sequence,
    Setting,
    Table,
    View,
)
from web.schema.names import qualified
from web.schema.parts import Comments, Parts, Row, in_order, read_parts

T = TypeVar("T", bound=CatalogObject)

TABLE_FORMS = {"r": "table", "p": "partitioned table", "f": "foreign table"}
PERSISTENCE = {"p": "permanent", "u": "unlogged", "t": "temporary"}
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
    parts = read_parts(rows, comments, grants)
    types = _types(rows["types"], parts, comments, grants)
    return Schema(
        server_major=server_major,
        unreadable=unreadable,
        databases=tuple(Database(grants.read(row[1], row[2], row[0]), row[3]) for row in rows["database"]),
        settings=in_order(Setting(*row) for row in rows["settings"]),
        schemas=in_order(
            Namespace(name, owner, grants.read(acl, standard, owner), comments.of("pg_namespace", oid))
            for oid, name, owner, acl, standard in rows["schemas"]
        ),
        extensions=in_order(
            Extension(*(*row[1:], comments.of("pg_extension", row[0]))) for row in rows["extensions"]
        ),
        enums=_of_kind(Enum, types),
        domains=_of_kind(Domain, types),
        composite_types=_of_kind(CompositeType, types),
        range_types=_of_kind(RangeType, types),
        sequences=in_order(
            _sequence(row, comments, grants) for row in rows["sequences"] if row[11] not in excluded
        ),
        tables=in_order(_table(row, parts, comments, grants) for row in relations if row[3] in TABLE_FORMS),
        views=in_order(_view(row, parts, comments, grants) for row in relations if row[3] == "v"),
        materialized_views=in_order(
            _materialized_view(row, parts, comments, grants) for row in relations if row[3] == "m"
        ),
        functions=in_order(
            Function(*(*row[1:7], grants.read(row[7], row[8], row[6]), comments.of("pg_proc", row[0])))
            for row in rows["functions"]
        ),
        event_triggers=in_order(
            EventTrigger(
                name, event, tuple(tags), function, enabled, owner, comments.of("pg_event_trigger", oid)
            )
            for oid, name, event, tags, function, enabled, owner in rows["event_triggers"]
        ),
        publications=in_order(_publication(row, comments) for row in rows["publications"]),
        others=in_order(
            OtherObject(kind, name, text, owner, grants.read(acl, standard, owner), comments.of(catalog, oid))
            for catalog, oid, kind, name, text, owner, acl, standard in rows["others"]
        ),
        default_privileges=in_order(
            DefaultPrivileges(role, schema, objects, grants.read(acl, standard, role))
            for role, schema, objects, acl, standard in rows["default_privileges"]
        ),
    )


def _canonical(rows: list[Row], columns: Collection[int]) -> list[Row]:
    """The rows with one text for what is deparsed in two ways; most are given back as they are."""
    for column in columns:
        # Mostly there is none at all, which one look at all texts together tells soonest.
        if "])::" not in "\n".join(filter(None, map(itemgetter(column), rows))):
            continue
        for number, row in enumerate(rows):
            text = row[column]
            if text is not None and "])::" in text:
                rows[number] = (*row[:column], canonical(text), *row[column + 1 :])
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


def _of_kind(kind: type[T], objects: Iterable[CatalogObject]) -> tuple[T, ...]:
    return in_order(item for item in objects if isinstance(item, kind))


def _table(row: Row, parts: Parts, comments: Comments, grants: GrantReader) -> Table:
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


def _view(row: Row, parts: Parts, comments: Comments, grants: GrantReader) -> View:
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


def _materialized_view(row: Row, parts: Parts, comments: Comments, grants: GrantReader) -> MaterializedView:
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


def _types(rows: list[Row], parts: Parts, comments: Comments, grants: GrantReader) -> list[CatalogObject]:
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
