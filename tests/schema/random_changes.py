"""Changes of a random schema: one cause each, with the difference that it makes and no other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from tests.schema.random_change import Change, change, renamed
from tests.schema.random_objects import Query, Typ, quoted
from tests.schema.random_schemas import World
from tests.schema.random_table_changes import change_columns, change_parts, change_table
from web.schema.names import qualified, quote


def changes(world: World) -> dict[str, list[Change]]:
    """Give every change that the schema takes, by its name."""
    found: defaultdict[str, list[Change]] = defaultdict(list)
    new = world.name()
    for each in _all(world, new):
        found[each.name].append(each)
    return dict(found)


def _all(world: World, new: str) -> Iterator[Change]:
    yield change("schema added", f"create schema {quoted(new)}", f"structure schema {quote(new)}: added")
    for schema in world.schemas[1:]:
        name = quoted(schema)
        if any(
            each.schema == schema for each in (*world.tables, *world.views, *world.types, *world.sequences)
        ):
            yield change(
                "schema renamed",
                f"alter schema {name} rename to {quoted(new)}",
                f"structure schema {quote(new)}: renamed from {quote(schema)}",
            )
        yield change(
            "schema owner",
            f"alter schema {name} owner to schema_alice",
            f"access schema {quote(schema)}: owner changed",
        )
    for schema in world.schemas:
        yield from _new(schema, new, world)
    for table in world.tables:
        yield from change_table(table, new, world)
        if table.form not in ("partition", "child"):
            yield from change_columns(table, new)
            yield from change_parts(table, new, world)
    for view in world.views:
        yield from _view(view, new, world)
    for type_ in world.types:
        yield from _type(type_, new)
    for item in world.sequences:
        yield from renamed("sequence", item.schema, item.name, new)
        yield change(
            "sequence increment",
            f"alter sequence {item.sql} increment 9",
            f"structure sequence {item.identity}: increment changed",
        )
        if item.held:
            continue
        yield change(
            "sequence removed", f"drop sequence {item.sql}", f"structure sequence {item.identity}: removed"
        )
    for function in (*world.functions, *world.trigger_functions):
        word = "procedure" if " procedure " in function.head else "function"
        arguments = function.shown or function.arguments
        name = f"{function.identity}({arguments})"
        text = f"{function.sql}({function.arguments})"
        yield change(
            "function renamed",
            f"alter {word} {text} rename to {quoted(new)}",
            f"behaviour {word} {qualified(function.schema, new)}({arguments}): renamed from {name}",
        )
        body = "select 2" if function.shown is None else "select $1 limit 1"
        if "returns trigger" in function.head:
            body = "begin return old; end"
        yield change(
            "function body",
            f"{function.head} as $f$ {body} $f$",
            f"behaviour {word} {name}: definition changed",
        )
        yield change(
            "function comment",
            f"comment on {word} {text} is 'new'",
            f"cosmetic {word} {name}: comment changed",
        )
        yield change(
            "function grant",
            f"revoke all on {word} {text} from public",
            f"access grant {name}: to PUBLIC changed",
        )
        if not function.held:
            yield change("function removed", f"drop {word} {text}", f"behaviour {word} {name}: removed")


def _new(schema: str, new: str, world: World) -> Iterator[Change]:
    name, identity = f"{quoted(schema)}.{quoted(new)}", qualified(schema, new)
    for kind, severity, sql, shown in (
        (
            "table",
            "structure",
            f"create table {name} (id serial primary key, a text unique, b int references {name})",
            identity,
        ),
        ("enum", "structure", f"create type {name} as enum ('a', 'b')", identity),
        ("domain", "structure", f"create domain {name} as text not null check (value <> '')", identity),
        ("composite type", "structure", f"create type {name} as (a int)", identity),
        ("range type", "structure", f"create type {name} as range (subtype = numeric)", identity),
        ("sequence", "structure", f"create sequence {name}", identity),
        ("view", "behaviour", f"create view {name} as select 1 as a", identity),
        ("materialized view", "behaviour", f"create materialized view {name} as select 1 as a", identity),
        (
            "function",
            "behaviour",
            f"create function {name}(int, text) returns int language sql as 'select 1'",
            f"{identity}(integer,text)",
        ),
    ):
        if kind == "function":
            shown = f"{identity}(integer, text)"
        yield change(f"{kind} added", sql, f"{severity} {kind} {shown}: added")
    for table in world.tables:
        if table.form == "partitioned":
            yield change(
                "partition added",
                f"create table {name} partition of {table.sql} for values from (1000) to (2000)",
                f"structure table {identity}: added",
            )


def _view(view: Query, new: str, world: World) -> Iterator[Change]:
    kind = "materialized view" if view.materialized else "view"
    name, shown = view.sql, f"{kind} {view.identity}"
    yield from renamed(kind, view.schema, view.name, new, "behaviour")
    for schema in world.schemas:
        if schema != view.schema:
            yield change(
                "view moved",
                f"alter {kind} {name} set schema {quoted(schema)}",
                f"behaviour {kind} {qualified(schema, view.name)}: renamed from {view.identity}",
            )
    yield change("view comment", f"comment on {kind} {name} is 'new'", f"cosmetic {shown}: comment changed")
    yield change(
        "view grant",
        f"grant select on {name} to schema_bob",
        f"access grant {view.identity}: to schema_bob added",
    )
    if not view.held:
        yield change("view removed", f"drop {kind} {name}", f"behaviour {shown}: removed")
    if view.materialized:
        yield change(
            "index added",
            f"create index {quoted(new)} on {name} (({quoted(view.columns[0])} is null))",
            f"structure index {qualified(view.schema, new)}: added",
        )
        return
    yield change(
        "view option",
        f"alter view {name} set (security_barrier = true)",
        f"behaviour {shown}: options changed",
    )
    yield change(
        "view query",
        f"create or replace view {name} as {view.query} limit 3",
        f"behaviour {shown}: definition changed",
    )
    more = f"select v.*, 1 as {quoted(new)} from ({view.query}) v"
    yield change(
        "view column", f"create or replace view {name} as {more}", f"behaviour {shown}: definition changed"
    )


def _type(item: Typ, new: str) -> Iterator[Change]:
    name, shown = item.sql, f"{item.kind} {item.identity}"
    word = "domain" if item.kind == "domain" else "type"
    yield from renamed(item.kind, item.schema, item.name, new, word=word)
    yield change("type comment", f"comment on {word} {name} is 'new'", f"cosmetic {shown}: comment changed")
    yield change("type owner", f"alter {word} {name} owner to schema_alice", f"access {shown}: owner changed")
    if not item.held:
        yield change("type removed", f"drop {word} {name}", f"structure {shown}: removed")
    if item.kind == "enum":
        first = "'" + item.labels[0].replace("'", "''") + "'"
        yield change(
            "label added",
            f"alter type {name} add value 'new' before {first}",
            f"structure {shown}: labels changed",
        )
        yield change(
            "label renamed",
            f"alter type {name} rename value {first} to 'new'",
            f"structure {shown}: label renamed",
        )
    elif item.kind == "domain":
        yield change(
            "domain default", f"alter domain {name} set default 1", f"structure {shown}: default changed"
        )
        yield change(
            "domain check",
            f"alter domain {name} add constraint {quoted(new)} check (value is not null or true)",
            f"structure constraint {item.identity}.{quote(new)}: added",
        )
        for check in item.checks:
            part = f"{item.identity}.{quote(check)}"
            yield change(
                "domain check renamed",
                f"alter domain {name} rename constraint {quoted(check)} to {quoted(new)}",
                f"structure constraint {item.identity}.{quote(new)}: renamed from {part}",
            )
            yield change(
                "domain check removed",
                f"alter domain {name} drop constraint {quoted(check)}",
                f"structure constraint {part}: removed",
            )
    else:
        yield change(
            "attribute added",
            f"alter type {name} add attribute {quoted(new)} int",
            f"structure column {item.identity}.{quote(new)}: added",
        )
        part = f"{item.identity}.{quote(item.labels[0])}"
        yield change(
            "attribute renamed",
            f"alter type {name} rename attribute {quoted(item.labels[0])} to {quoted(new)}",
            f"structure column {item.identity}.{quote(new)}: renamed from {part}",
        )
        if not item.held and len(item.labels) > 1:
            yield change(
                "attribute removed",
                f"alter type {name} drop attribute {quoted(item.labels[0])}",
                f"structure column {part}: removed",
            )
