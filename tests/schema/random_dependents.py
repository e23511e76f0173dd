"""What stands on the objects of a random schema: children, rules, expressions that call functions, other queries."""

from __future__ import annotations

from collections.abc import Callable

from tests.schema.random_objects import COLUMNS, Col, Func, Part, Query, Tab, Typ, quoted
from tests.schema.random_schemas import World


def make_dependents(world: World) -> None:
    """Make some; each holds what it stands on, so that this is not taken away from under it."""
    for _ in world.often(4):
        world.pick(MAKERS)(world)


def plain_tables(world: World) -> list[Tab]:
    """Give the tables that are neither partitioned nor partitions."""
    return [each for each in world.tables if each.form == "table"]


def make_child(world: World) -> None:
    """Inherit from a table, with a column more."""
    parent = world.pick(plain_tables(world))
    if any(each.form == "identity" for each in parent.columns):
        return
    child = Tab(*world.place(), form="child")
    known = {each.name for each in parent.columns}
    own = [each for each in COLUMNS if each not in known][: world.pick((0, 1, 2))]
    parent.held += 1
    texts = ", ".join(f"{quoted(each)} text" for each in own)
    world.run(f"create table {child.sql} ({texts}) inherits ({parent.sql})")
    world.tables.append(child)


def make_function_of_type(world: World) -> None:
    """Take and give values of a type or rows of a table."""
    subjects: list[Typ | Tab] = [*world.types, *plain_tables(world)]
    subject = world.pick(subjects)
    subject.held += 1
    item = Func(*world.place())
    item.arguments = f"{subject.sql}, text[]"
    item.shown = f"{subject.identity}, text[]"
    item.head = f"create or replace function {item.sql}({item.arguments}) returns {subject.sql} language sql"
    world.run(f"{item.head} as $f$ select $1 $f$")
    world.functions.append(item)


def make_body(world: World) -> None:
    """Read a table in a function whose body the server knows."""
    if world.major < 14:
        return
    table = world.pick([each for each in world.tables if each.columns])
    column = world.pick(table.columns)
    column.held += 1
    table.held += 1
    name = ".".join(map(quoted, world.place()))
    world.run(
        f"create function {name}() returns bigint language sql "
        f"begin atomic select count({quoted(column.name)}) from {table.sql}; end"
    )


def make_rule(world: World) -> None:
    """Do something else instead of a delete."""
    table = world.pick(plain_tables(world))
    column = world.pick(table.columns)
    column.held += 1
    name = world.name()
    world.run(
        f"create rule {quoted(name)} as on delete to {table.sql} "
        f"where old.{quoted(column.name)} is null do instead nothing"
    )
    table.parts.append(Part("rule", name, (column,)))


def make_called(world: World) -> None:
    """Call a function of ours in a check, a default, an index, a policy and a view."""
    item = Func(*world.place(), held=1, arguments="integer")
    item.head = f"create or replace function {item.sql}(integer) returns integer language sql immutable"
    world.run(f"{item.head} as $f$ select 1 $f$")
    world.functions.append(item)
    table = Tab(*world.place())
    names = [world.pick(COLUMNS[:5]), world.pick(COLUMNS[5:])]
    table.columns = [Col(each, "integer", key=True, held=1) for each in names]
    first, second = map(quoted, names)
    world.run(f"create table {table.sql} ({first} integer default {item.sql}(3), {second} integer)")
    table.columns[0].default = "call"
    world.tables.append(table)
    name = world.name()
    texts: tuple[tuple[str, str], ...] = (
        (
            "constraint",
            f"alter table {table.sql} add constraint {quoted(name)} check ({item.sql}({second}) > 0)",
        ),
        ("index", f"create index {quoted(name)} on {table.sql} ({item.sql}({second}), {first})"),
        ("policy", f"create policy {quoted(name)} on {table.sql} using ({item.sql}({second}) = {first})"),
    )
    kind, text = world.pick(texts)
    world.run(text)
    table.parts.append(Part(kind, name, tuple(table.columns)))


def make_trigger_of_columns(world: World) -> None:
    """Fire when a column is set, and only for some rows."""
    if not world.trigger_functions:
        return
    table, function = world.pick(plain_tables(world)), world.pick(world.trigger_functions)
    columns = [each for each in table.columns if each.form != "generated"]
    if not columns:
        return
    column, name = world.pick(columns), world.name()
    column.held += 1
    function.held += 1
    text = quoted(column.name)
    when, word = world.pick((("before", "trigger"), ("after", "trigger"), ("after", "constraint trigger")))
    late = " deferrable initially deferred" if word != "trigger" else ""
    world.run(
        f"create {word} {quoted(name)} {when} update of {text} on {table.sql}{late} for each row "
        f"when (new.{text} is null) execute function {function.sql}('a''b')"
    )
    table.parts.append(Part("trigger", name, (column,)))


def make_join(world: World) -> None:
    """Read two tables in one query, whose columns may be called the same."""
    tables = [each for each in world.tables if each.columns]
    one, two = world.pick(tables), world.pick(tables)
    item = Query(*world.place())
    left, right = world.pick(one.columns), world.pick(two.columns)
    for each in (one, two, left, right):
        each.held += 1
    names = (left.name, "2" + right.name[:60])
    item.columns = names
    columns = f"x.{quoted(left.name)}, y.{quoted(right.name)} as {quoted(names[1])}"
    sources = (
        f"{one.sql} x left join {two.sql} y on x.{quoted(left.name)} is null",
        f"{one.sql} x, lateral (select * from {two.sql}) y",
        f"{one.sql} x, {two.sql} y where exists (select from {one.sql} where {quoted(left.name)} is null)",
    )
    item.query = f"select {columns} from {world.pick(sources)}"
    if "*" in item.query:
        for column in two.columns:
            column.held += 1
    world.run(f"create view {item.sql} as {item.query}")
    world.views.append(item)


def make_typed_default(world: World) -> None:
    """Use an enum and a sequence of ours in defaults, an array, an index and a domain over a domain."""
    enums = [each for each in world.types if each.kind == "enum"]
    if not enums:
        return
    enum = world.pick(enums)
    enum.held += 1
    table = Tab(*world.place())
    names = ("a", "select", "c c")
    table.columns = [Col(each, "enum", custom=True, held=1) for each in names]
    label = "'" + enum.labels[-1].replace("'", "''") + "'"
    world.run(f'create table {table.sql} (a {enum.sql} default {label}, "select" {enum.sql}[], "c c" text)')
    world.tables.append(table)
    name = world.name()
    world.run(f"create index {quoted(name)} on {table.sql} (a) where a <> {label}")
    table.parts.append(Part("index", name, tuple(table.columns)))
    if world.sequences:
        sequence = world.pick(world.sequences)
        sequence.held += 1
        place = "'" + sequence.sql.replace("'", "''") + "'"
        world.run(f"alter table {table.sql} add d bigint default nextval({place})")


def make_exclusion(world: World) -> None:
    """Exclude equal values."""
    table = world.pick(plain_tables(world))
    keys = [each for each in table.columns if each.key and each.form == "plain"]
    if not keys:
        return
    column, name = world.pick(keys), world.name()
    column.held += 1
    where = world.pick(("", f" where ({quoted(column.name)} is not null)"))
    world.run(
        f"alter table {table.sql} add constraint {quoted(name)} "
        f"exclude using btree ({quoted(column.name)} with =){where}"
    )
    table.parts.append(Part("constraint", name, (column,)))


def make_below(world: World) -> None:
    """Give a partition an index, a default, a check, or partitions of its own kind."""
    partitions = [each for each in world.tables if each.form == "partition"]
    parents = [each for each in world.tables if each.form == "partitioned"]
    if not partitions:
        return
    table = world.pick(partitions)
    column = quoted(parents[0].columns[0].name)
    name = quoted(world.name())
    world.run(
        world.pick(
            (
                f"create index {name} on {table.sql} (({column} + 1))",
                f"alter table {table.sql} add constraint {name} check ({column} > -1)",
                f"alter table {table.sql} alter {column} set default 5",
                f"comment on column {table.sql}.{column} is 'below'",
            )
        )
    )


MAKERS: tuple[Callable[[World], None], ...] = (
    make_child,
    make_function_of_type,
    make_body,
    make_rule,
    make_called,
    make_trigger_of_columns,
    make_join,
    make_typed_default,
    make_exclusion,
    make_below,
)
