"""Changes of a random table, its columns, and what belongs to it."""

from __future__ import annotations

from collections.abc import Iterator

from tests.schema.random_change import Change, change, renamed
from tests.schema.random_objects import COLUMNS, NUMBERS, TEXTS, Tab, quoted
from tests.schema.random_schemas import World
from web.schema.names import qualified, quote


def change_table(table: Tab, new: str, world: World) -> Iterator[Change]:
    name, identity = table.sql, table.identity
    yield from renamed("table", table.schema, table.name, new)
    for schema in world.schemas:
        if schema != table.schema:
            yield change(
                "table moved",
                f"alter table {name} set schema {quoted(schema)}",
                f"structure table {qualified(schema, table.name)}: renamed from {identity}",
            )
    yield change(
        "table comment", f"comment on table {name} is 'new'", f"cosmetic table {identity}: comment changed"
    )
    yield change(
        "table owner", f"alter table {name} owner to schema_alice", f"access table {identity}: owner changed"
    )
    verb = "changed" if "schema_bob" in table.granted else "added"
    yield change(
        "table grant",
        f"grant delete on {name} to schema_bob",
        f"access grant {identity}: to schema_bob {verb}",
    )
    if table.form not in ("partition", "child"):
        yield change(
            "row security",
            f"alter table {name} enable row level security",
            f"behaviour table {identity}: row security changed",
        )
    yield change(
        "replica identity",
        f"alter table {name} replica identity full",
        f"structure table {identity}: replica identity changed",
    )
    if table.form != "partitioned":
        yield change(
            "table option",
            f"alter table {name} set (fillfactor = 42)",
            f"structure table {identity}: options changed",
        )
    if not table.held and table.form not in ("partition", "child"):
        yield change("table removed", f"drop table {name}", f"structure table {identity}: removed")
    if table.form == "partition":
        yield change(
            "partition removed", f"drop table {name} cascade", f"structure table {identity}: removed"
        )


def change_columns(table: Tab, new: str) -> Iterator[Change]:
    name, identity = table.sql, table.identity
    for text in ("text", "serial", "int generated always as identity", "date not null default now()"):
        if table.form == "table":
            yield change(
                "column added",
                f"alter table {name} add {quoted(new)} {text}",
                f"structure column {identity}.{quote(new)}: added",
            )
    yield change(
        "column added below",
        f"alter table {name} add {quoted(new)} text default 'x'",
        f"structure column {identity}.{quote(new)}: added",
    )
    known = {each.name for each in table.columns}
    for column in table.columns:
        text, part = quoted(column.name), f"{identity}.{quote(column.name)}"
        alter = f"alter table {name} alter {text}"
        for other in (new, next(each for each in COLUMNS if each not in known)):
            yield change(
                "column renamed",
                f"alter table {name} rename {text} to {quoted(other)}",
                f"structure column {identity}.{quote(other)}: renamed from {part}",
            )
        yield change(
            "column comment",
            f"comment on column {name}.{text} is 'new'",
            f"cosmetic column {part}: comment changed",
        )
        yield change(
            "column grant",
            f"grant insert ({text}) on {name} to schema_bob",
            f"access grant {part}: to schema_bob added",
        )
        yield change(
            "column target",
            f"{alter} set statistics 77",
            f"cosmetic column {part}: statistics target changed",
        )
        if not column.held:
            yield change(
                "column removed", f"alter table {name} drop {text}", f"structure column {part}: removed"
            )
        if column.form == "plain" and not column.custom:
            if column.default is not None:
                yield change(
                    "default gone", f"{alter} drop default", f"structure column {part}: default changed"
                )
            else:
                yield change(
                    "default set",
                    f"{alter} set default null::int::text::{column.type}",
                    f"structure column {part}: default changed",
                )
        if column.form in ("plain", "serial") and not any(
            column in each.columns for each in table.of("primary key")
        ):
            verb = "drop" if column.not_null else "set"
            yield change("not null", f"{alter} {verb} not null", f"structure column {part}: not null changed")
        if column.form == "identity":
            yield change(
                "identity gone",
                f"{alter} drop identity",
                f"structure column {part}: identity generation changed",
            )
        if column.form == "generated":
            yield change(
                "generated gone", f"{alter} drop expression", f"structure column {part}: generated changed"
            )
        if not column.held and column.form == "plain":
            if column.type in TEXTS and not column.collated:
                yield change("type", f"{alter} type varchar(99)", f"structure column {part}: type changed")
            elif column.type in NUMBERS and column.default is None:
                yield change(
                    "type",
                    f"{alter} type numeric(7, 3)",
                    f"structure column {part}: type changed",
                )
        if column.type in TEXTS:
            yield change(
                "storage", f"{alter} set storage external", f"structure column {part}: storage changed"
            )


def change_parts(table: Tab, new: str, world: World) -> Iterator[Change]:
    name, identity, schema = table.sql, table.identity, table.schema
    column = table.columns[-1]
    text = quoted(column.name)
    yield change(
        "check added",
        f"alter table {name} add constraint {quoted(new)} check ({text} is null or true)",
        f"structure constraint {identity}.{quote(new)}: added",
    )
    if column.key:
        yield (
            change(
                "unique added",
                f"alter table {name} add constraint {quoted(new)} unique ({text})",
                f"structure constraint {identity}.{quote(new)}: added",
            )
            if table.form == "table"
            else change(
                "schema comment",
                f"comment on schema {quoted(schema)} is 'new'",
                f"cosmetic schema {quote(schema)}: comment changed",
            )
        )
        for on in (f"({text})", f"(({text} is null)) where {text} is not null"):
            yield change(
                "index added",
                f"create index {quoted(new)} on {name} {on}",
                f"structure index {qualified(schema, new)}: added",
            )
    yield change(
        "policy added",
        f"create policy {quoted(new)} on {name} with check ({text} is null)",
        f"behaviour policy {identity}.{quote(new)}: added",
    )
    for function in world.trigger_functions:
        yield change(
            "trigger added",
            f"create trigger {quoted(new)} after insert on {name} for each row execute function {function.sql}()",
            f"behaviour trigger {identity}.{quote(new)}: added",
        )
    for part in table.parts:
        old = quoted(part.name)
        if part.kind in ("constraint", "primary key"):
            shown, moved = f"{identity}.{quote(part.name)}", f"{identity}.{quote(new)}"
            yield change(
                "constraint renamed",
                f"alter table {name} rename constraint {old} to {quoted(new)}",
                f"structure constraint {moved}: renamed from {shown}",
            )
            yield change(
                "constraint comment",
                f"comment on constraint {old} on {name} is 'new'",
                f"cosmetic constraint {shown}: comment changed",
            )
            if not part.held and part.kind == "constraint":
                yield change(
                    "constraint removed",
                    f"alter table {name} drop constraint {old}",
                    f"structure constraint {shown}: removed",
                )
        elif part.kind == "index":
            shown, moved = qualified(schema, part.name), qualified(schema, new)
            yield change(
                "index renamed",
                f"alter index {quoted(schema)}.{old} rename to {quoted(new)}",
                f"structure index {moved}: renamed from {shown}",
            )
            yield change(
                "index removed", f"drop index {quoted(schema)}.{old}", f"structure index {shown}: removed"
            )
            yield change(
                "index comment",
                f"comment on index {quoted(schema)}.{old} is 'new'",
                f"cosmetic index {shown}: comment changed",
            )
        elif part.kind == "statistics":
            shown, moved = qualified(schema, part.name), qualified(schema, new)
            yield change(
                "statistics renamed",
                f"alter statistics {quoted(schema)}.{old} rename to {quoted(new)}",
                f"structure statistics {moved}: renamed from {shown}",
            )
            yield change(
                "statistics removed",
                f"drop statistics {quoted(schema)}.{old}",
                f"structure statistics {shown}: removed",
            )
        else:
            shown, moved = f"{identity}.{quote(part.name)}", f"{identity}.{quote(new)}"
            yield change(
                f"{part.kind} renamed",
                f"alter {part.kind} {old} on {name} rename to {quoted(new)}",
                f"behaviour {part.kind} {moved}: renamed from {shown}",
            )
            yield change(
                f"{part.kind} removed",
                f"drop {part.kind} {old} on {name}",
                f"behaviour {part.kind} {shown}: removed",
            )
            if part.kind == "trigger" and table.form == "table":
                yield change(
                    "trigger off",
                    f"alter table {name} disable trigger {old}",
                    f"behaviour trigger {shown}: enabled changed",
                )
            if part.kind == "policy":
                yield change(
                    "policy using",
                    f"alter policy {old} on {name} using (false)",
                    f"behaviour policy {shown}: using changed",
                )
