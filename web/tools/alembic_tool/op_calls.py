"""Statements as the lines of an Alembic migration: `op` calls where one gives exactly that, `op.execute` otherwise.

What a line gives is proven by running it; here it is only written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from web.schema.ddl.statement import Statement
from web.schema.statements import UNCHECKED, makes_function, with_bodies_checked
from web.tools.alembic_tool.plain_forms import plain
from web.tools.alembic_tool.quoting import ID, INSIDE, given, literal, name, names, text
from web.tools.alembic_tool.table_parts import Writer, enums_of, key_of

_TABLE = rf"(?P<schema>{ID})\.(?P<table>{ID})"
_ALTER = rf"ALTER TABLE {_TABLE}"
_COLUMNS = rf"\((?P<columns>{ID}(?:, {ID})*)\)"

#: To the end of the transaction: bodies may name what is made after them.
_SET_LOCAL = "SET LOCAL check_function_bodies = off"
_ACTION = "CASCADE|RESTRICT|SET NULL|SET DEFAULT"
_FOREIGN_KEY = (
    rf"{_ALTER} ADD CONSTRAINT (?P<name>{ID}) FOREIGN KEY {_COLUMNS} REFERENCES "
    rf"(?P<referred_schema>{ID})\.(?P<referred>{ID})\((?P<theirs>{ID}(?:, {ID})*)\)"
    rf"(?: ON UPDATE (?P<onupdate>{_ACTION}))?(?: ON DELETE (?P<ondelete>{_ACTION}))?"
)
_INDEX = (
    rf"CREATE (?P<unique>UNIQUE )?INDEX (?P<name>{ID}) ON {_TABLE} USING (?P<method>{ID}) {_COLUMNS}"
    r"(?: WHERE (?P<condition>\(.*\)))?"
)


@dataclass(frozen=True, slots=True)
class Lines:
    """The body of a migration's function."""

    lines: tuple[str, ...]
    #: Modules that the lines need beyond `alembic.op`.
    imports: frozenset[str] = frozenset()

    @property
    def text(self) -> str:
        """As a template takes it: the first line bare, the others indented, but for those inside of strings."""
        return "\n".join(self.lines).replace("\n", "\n    ").replace(INSIDE, "\n")


def lines(statements: Iterable[Statement], *, calls: bool = True) -> Lines:
    """Write the statements of a repair, in their order; without `calls` as they are. Nothing to do is `pass`.

    Where they say that bodies are not checked, each transaction says so before its first function.
    """
    asked = list(statements)
    writer = Writer(enums_of(asked))
    made: list[str] = []
    unchecked, said = UNCHECKED in asked, False
    for each in plain(with_bodies_checked(asked)):
        if unchecked and not said and makes_function(each):
            made.append(f"op.execute({_SET_LOCAL!r})")
            said = True
        if each.destructive:
            made.append("# Loses rows or values.")
        if each.note:
            # It may name what people have named, over several lines too.
            made.append(f"# {' '.join(each.note.split())}")
        call = _call(writer, each.sql) if calls else None
        if call is None:
            call = f"op.execute({text(each.sql)})"
        if each.alone:
            inner = call.replace("\n", "\n    ")
            made += ["with op.get_context().autocommit_block():", f"    {inner}"]
            said = False  # what follows is another transaction
        else:
            made.append(call)
    return Lines(tuple(made) or ("pass",), frozenset(writer.imports))


def _call(writer: Writer, sql: str) -> str | None:
    for pattern, write in _FORMS:
        if (match := pattern.fullmatch(sql)) is not None:
            call = write(writer, match)
            if call is not None:
                return call
    return None


def _add_column(writer: Writer, match: re.Match[str]) -> str | None:
    column = writer.column(match["column"])
    return None if column is None else f"op.add_column({_on(match)}, {column}{_schema(match)})"


def _drop_column(_: Writer, match: re.Match[str]) -> str:
    return f"op.drop_column({_on(match)}, {name(match['column'])!r}{_schema(match)})"


def _nullable(_: Writer, match: re.Match[str]) -> str:
    nullable = match["word"] == "DROP"
    return f"op.alter_column({_on(match)}, {name(match['column'])!r}, nullable={nullable}{_schema(match)})"


def _default(writer: Writer, match: re.Match[str]) -> str:
    writer.imports.add("sa")
    default = match["default"]
    given = "None" if default is None else f"sa.text({text(default)})"
    return f"op.alter_column({_on(match)}, {name(match['column'])!r}, server_default={given}{_schema(match)})"


def _retype(writer: Writer, match: re.Match[str]) -> str | None:
    kind, using = writer.type(match["type"]), match["using"]
    if kind is None or "%" in (using or ""):  # as in an index's condition
        return None
    cast = "" if using is None else f", postgresql_using={literal(using)}"
    return f"op.alter_column({_on(match)}, {name(match['column'])!r}, type_={kind}{cast}{_schema(match)})"


def _rename_column(_: Writer, match: re.Match[str]) -> str:
    names = f"{name(match['column'])!r}, new_column_name={name(match['new'])!r}"
    return f"op.alter_column({_on(match)}, {names}{_schema(match)})"


def _rename_table(_: Writer, match: re.Match[str]) -> str:
    return f"op.rename_table({_on(match)}, {name(match['new'])!r}{_schema(match)})"


def _drop_table(_: Writer, match: re.Match[str]) -> str:
    return f"op.drop_table({_on(match)}{_schema(match)})"


def _drop_constraint(_: Writer, match: re.Match[str]) -> str:
    return f"op.drop_constraint({given(match['name'])}, {_on(match)}{_schema(match)})"


def _unique(_: Writer, match: re.Match[str]) -> str:
    return (
        f"op.create_unique_constraint({given(match['name'])}, {_on(match)}, {_list(match)}{_schema(match)})"
    )


def _primary_key(_: Writer, match: re.Match[str]) -> str:
    return f"op.create_primary_key({given(match['name'])}, {_on(match)}, {_list(match)}{_schema(match)})"


def _check(writer: Writer, match: re.Match[str]) -> str:
    writer.imports.add("sa")
    condition = f"sa.text({text(match['condition'])})"
    return f"op.create_check_constraint({given(match['name'])}, {_on(match)}, {condition}{_schema(match)})"


def _foreign_key(_: Writer, match: re.Match[str]) -> str:
    referred, schema = name(match["referred"]), name(match["referred_schema"])
    parts = [given(match["name"]), _on(match), repr(referred), _list(match), _list(match, "theirs")]
    if name(match["schema"]) != "public":
        parts.append(f"source_schema={name(match['schema'])!r}")
    if schema != "public":
        parts.append(f"referent_schema={schema!r}")
    parts += [f"{name}={match[name]!r}" for name in ("onupdate", "ondelete") if match[name]]
    return f"op.create_foreign_key({', '.join(parts)})"


def _create_index(writer: Writer, match: re.Match[str]) -> str | None:
    parts = [given(match["name"]), _on(match), _list(match), f"unique={match['unique'] is not None}"]
    if match["method"] != "btree":
        parts.append(f"postgresql_using={name(match['method'])!r}")
    if (condition := match["condition"]) is not None:
        if "%" in condition:  # Drivers and versions of SQLAlchemy differ in what they make of it.
            return None
        writer.imports.add("sa")
        parts.append(f"postgresql_where=sa.text({text(condition)})")
    return f"op.create_index({', '.join(parts)}{_schema(match)})"


def _drop_index(_: Writer, match: re.Match[str]) -> str:
    return f"op.drop_index({given(match['table'])}{_schema(match)})"


def _create_table(writer: Writer, match: re.Match[str]) -> str | None:
    parts = [repr(name(match["table"]))]
    table = f"{match['schema']}.{match['table']}"
    body = match["body"].strip().split(",\n    ")
    key = key_of(body)
    for line in body:
        part = (
            writer.constraint(line)
            if line.startswith("CONSTRAINT ")
            else writer.column(line, table=table, key=key)
        )
        if part is None:
            return None
        parts.append(part)
    writer.imports.add("sa")
    schema = _schema(match).removeprefix(", ")
    inside = "".join(f"    {part},\n" for part in (*parts, *([schema] if schema else ())))
    return f"op.create_table(\n{inside})"


_FORMS: Final[Sequence[tuple[re.Pattern[str], Callable[[Writer, re.Match[str]], str | None]]]] = tuple(
    (re.compile(pattern, re.DOTALL), write)
    for pattern, write in (
        (rf"CREATE TABLE {_TABLE} \(\n    (?P<body>.*)\n\)", _create_table),
        (rf"DROP TABLE {_TABLE}", _drop_table),
        (rf"{_ALTER} ADD COLUMN (?P<column>.*)", _add_column),
        (rf"{_ALTER} DROP COLUMN (?P<column>{ID})", _drop_column),
        (rf"{_ALTER} ALTER COLUMN (?P<column>{ID}) (?P<word>SET|DROP) NOT NULL", _nullable),
        (
            rf"{_ALTER} ALTER COLUMN (?P<column>{ID}) (?:SET DEFAULT (?P<default>.*)|DROP DEFAULT)",
            _default,
        ),
        (
            rf"{_ALTER} ALTER COLUMN (?P<column>{ID}) TYPE (?P<type>.+?)(?: USING (?P<using>.+))?",
            _retype,
        ),
        (rf"{_ALTER} RENAME COLUMN (?P<column>{ID}) TO (?P<new>{ID})", _rename_column),
        (rf"{_ALTER} RENAME TO (?P<new>{ID})", _rename_table),
        (rf"{_ALTER} DROP CONSTRAINT (?P<name>{ID})", _drop_constraint),
        (rf"{_ALTER} ADD CONSTRAINT (?P<name>{ID}) UNIQUE {_COLUMNS}", _unique),
        (rf"{_ALTER} ADD CONSTRAINT (?P<name>{ID}) PRIMARY KEY {_COLUMNS}", _primary_key),
        (rf"{_ALTER} ADD CONSTRAINT (?P<name>{ID}) CHECK \((?P<condition>.*)\)", _check),
        (
            _FOREIGN_KEY,
            _foreign_key,
        ),
        (
            _INDEX,
            _create_index,
        ),
        (rf"DROP INDEX {_TABLE}", _drop_index),
    )
)


def _on(match: re.Match[str]) -> str:
    return repr(name(match["table"]))


def _schema(match: re.Match[str]) -> str:
    """The argument for a schema that is not the usual one."""
    schema = name(match["schema"])
    return "" if schema == "public" else f", schema={schema!r}"


def _list(match: re.Match[str], group: str = "columns") -> str:
    return f"[{', '.join(repr(name) for name in names(match[group]))}]"
