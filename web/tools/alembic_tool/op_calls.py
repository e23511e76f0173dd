"""Statements as the lines of an Alembic migration: `op` calls where one gives exactly that, `op.execute` otherwise.

What a line gives is proven by running it; here it is only written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from web.schema.ddl.statement import Statement
from web.schema.statements import UNCHECKED, makes_function, with_bodies_checked
from web.tools.alembic_tool.plain_forms import plain

_ID = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_TABLE = rf"(?P<schema>{_ID})\.(?P<table>{_ID})"
_ALTER = rf"ALTER TABLE {_TABLE}"
_COLUMNS = rf"\((?P<columns>{_ID}(?:, {_ID})*)\)"

#: The end of a line inside of a string; no statement has this character.
_INSIDE = "\0"

#: To the end of the transaction: bodies may name what is made after them.
_SET_LOCAL = "SET LOCAL check_function_bodies = off"
_ACTION = "CASCADE|RESTRICT|SET NULL|SET DEFAULT"
_FOREIGN_KEY = (
    rf"{_ALTER} ADD CONSTRAINT (?P<name>{_ID}) FOREIGN KEY {_COLUMNS} REFERENCES "
    rf"(?P<referred_schema>{_ID})\.(?P<referred>{_ID})\((?P<theirs>{_ID}(?:, {_ID})*)\)"
    rf"(?: ON UPDATE (?P<onupdate>{_ACTION}))?(?: ON DELETE (?P<ondelete>{_ACTION}))?"
)
_INDEX = (
    rf"CREATE (?P<unique>UNIQUE )?INDEX (?P<name>{_ID}) ON {_TABLE} USING (?P<method>{_ID}) {_COLUMNS}"
    r"(?: WHERE (?P<condition>\(.*\)))?"
)

#: PostgreSQL's types as it writes them, with those of SQLAlchemy 1.4 and later that give exactly them.
_TYPES: Final[Sequence[tuple[re.Pattern[str], str]]] = tuple(
    (re.compile(pattern), made)
    for pattern, made in (
        (r"integer", "sa.Integer()"),
        (r"bigint", "sa.BigInteger()"),
        (r"smallint", "sa.SmallInteger()"),
        (r"text", "sa.Text()"),
        (r"boolean", "sa.Boolean()"),
        (r"date", "sa.Date()"),
        (r"bytea", "sa.LargeBinary()"),
        (r"real", "sa.REAL()"),
        (r"double precision", "postgresql.DOUBLE_PRECISION()"),
        (r"numeric\((\d+),(\d+)\)", "sa.Numeric({0}, {1})"),
        (r"numeric", "sa.Numeric()"),
        (r"character varying\((\d+)\)", "sa.String(length={0})"),
        (r"character varying", "sa.String()"),
        (r"character\((\d+)\)", "sa.CHAR(length={0})"),
        (r"timestamp with time zone", "sa.DateTime(timezone=True)"),
        (r"timestamp without time zone", "sa.DateTime()"),
        (r"time without time zone", "sa.Time()"),
        (r"interval", "postgresql.INTERVAL()"),
        (r"uuid", "postgresql.UUID()"),
        (r"json", "postgresql.JSON()"),
        (r"jsonb", "postgresql.JSONB()"),
        (r"inet", "postgresql.INET()"),
        (r"cidr", "postgresql.CIDR()"),
        (r"tsvector", "postgresql.TSVECTOR()"),
    )
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
        return "\n".join(self.lines).replace("\n", "\n    ").replace(_INSIDE, "\n")


@dataclass(slots=True)
class _Writer:
    imports: set[str] = field(default_factory=set)

    def type(self, text: str) -> str | None:
        """SQLAlchemy's type for one of PostgreSQL's; None: there is none that is exactly it."""
        if text.endswith("[]"):
            element = self.type(text.removesuffix("[]"))
            if element is None:
                return None
            self.imports.add("postgresql")
            return f"postgresql.ARRAY({element})"
        for pattern, made in _TYPES:
            if match := pattern.fullmatch(text):
                self.imports.add("postgresql" if made.startswith("postgresql.") else "sa")
                return made.format(*match.groups())
        return None

    def column(self, text: str, *, in_new_table: bool = False) -> str | None:
        """`sa.Column(…)` of a column as CREATE TABLE and ADD COLUMN take it."""
        match = re.fullmatch(
            rf"(?P<name>{_ID}) (?P<type>.+?)(?: DEFAULT (?P<default>.+?))?(?P<not_null> NOT NULL)?",
            text,
            re.DOTALL,
        )
        if match is None or " COLLATE " in text or " GENERATED " in text or " CONSTRAINT " in text:
            return None
        kind = self.type(match["type"])
        if kind is None:
            return None
        self.imports.add("sa")
        default = match["default"]
        parts = [repr(_name(match["name"])), kind]
        if default is not None:
            parts.append(f"server_default=sa.text({_text(default)})")
        elif in_new_table and kind.endswith("Integer()"):
            # Else it becomes serial where it is the key.
            parts.append("autoincrement=False")
        parts.append(f"nullable={match['not_null'] is None}")
        return f"sa.Column({', '.join(parts)})"


def lines(statements: Iterable[Statement], *, calls: bool = True) -> Lines:
    """Write the statements of a repair, in their order; without `calls` as they are. Nothing to do is `pass`.

    Where they say that bodies are not checked, each transaction says so before its first function.
    """
    writer = _Writer()
    made: list[str] = []
    given = list(statements)
    unchecked, said = UNCHECKED in given, False
    for each in plain(with_bodies_checked(given)):
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
            call = f"op.execute({_text(each.sql)})"
        if each.alone:
            inner = call.replace("\n", "\n    ")
            made += ["with op.get_context().autocommit_block():", f"    {inner}"]
            said = False  # what follows is another transaction
        else:
            made.append(call)
    return Lines(tuple(made) or ("pass",), frozenset(writer.imports))


def _call(writer: _Writer, sql: str) -> str | None:
    for pattern, write in _FORMS:
        if (match := pattern.fullmatch(sql)) is not None:
            call = write(writer, match)
            if call is not None:
                return call
    return None


def _add_column(writer: _Writer, match: re.Match[str]) -> str | None:
    column = writer.column(match["column"])
    return None if column is None else f"op.add_column({_on(match)}, {column}{_schema(match)})"


def _drop_column(_: _Writer, match: re.Match[str]) -> str:
    return f"op.drop_column({_on(match)}, {_name(match['column'])!r}{_schema(match)})"


def _nullable(_: _Writer, match: re.Match[str]) -> str:
    nullable = match["word"] == "DROP"
    return f"op.alter_column({_on(match)}, {_name(match['column'])!r}, nullable={nullable}{_schema(match)})"


def _default(writer: _Writer, match: re.Match[str]) -> str:
    writer.imports.add("sa")
    default = match["default"]
    given = "None" if default is None else f"sa.text({_text(default)})"
    return (
        f"op.alter_column({_on(match)}, {_name(match['column'])!r}, server_default={given}{_schema(match)})"
    )


def _rename_column(_: _Writer, match: re.Match[str]) -> str:
    names = f"{_name(match['column'])!r}, new_column_name={_name(match['new'])!r}"
    return f"op.alter_column({_on(match)}, {names}{_schema(match)})"


def _rename_table(_: _Writer, match: re.Match[str]) -> str:
    return f"op.rename_table({_on(match)}, {_name(match['new'])!r}{_schema(match)})"


def _drop_table(_: _Writer, match: re.Match[str]) -> str:
    return f"op.drop_table({_on(match)}{_schema(match)})"


def _drop_constraint(_: _Writer, match: re.Match[str]) -> str:
    return f"op.drop_constraint({_given(match['name'])}, {_on(match)}{_schema(match)})"


def _unique(_: _Writer, match: re.Match[str]) -> str:
    return (
        f"op.create_unique_constraint({_given(match['name'])}, {_on(match)}, {_list(match)}{_schema(match)})"
    )


def _primary_key(_: _Writer, match: re.Match[str]) -> str:
    return f"op.create_primary_key({_given(match['name'])}, {_on(match)}, {_list(match)}{_schema(match)})"


def _check(writer: _Writer, match: re.Match[str]) -> str:
    writer.imports.add("sa")
    condition = f"sa.text({_text(match['condition'])})"
    return f"op.create_check_constraint({_given(match['name'])}, {_on(match)}, {condition}{_schema(match)})"


def _foreign_key(_: _Writer, match: re.Match[str]) -> str:
    referred, schema = _name(match["referred"]), _name(match["referred_schema"])
    parts = [_given(match["name"]), _on(match), repr(referred), _list(match), _list(match, "theirs")]
    if _name(match["schema"]) != "public":
        parts.append(f"source_schema={_name(match['schema'])!r}")
    if schema != "public":
        parts.append(f"referent_schema={schema!r}")
    parts += [f"{name}={match[name]!r}" for name in ("onupdate", "ondelete") if match[name]]
    return f"op.create_foreign_key({', '.join(parts)})"


def _create_index(writer: _Writer, match: re.Match[str]) -> str | None:
    parts = [_given(match["name"]), _on(match), _list(match), f"unique={match['unique'] is not None}"]
    if match["method"] != "btree":
        parts.append(f"postgresql_using={_name(match['method'])!r}")
    if (condition := match["condition"]) is not None:
        if "%" in condition:  # Drivers and versions of SQLAlchemy differ in what they make of it.
            return None
        writer.imports.add("sa")
        parts.append(f"postgresql_where=sa.text({_text(condition)})")
    return f"op.create_index({', '.join(parts)}{_schema(match)})"


def _drop_index(_: _Writer, match: re.Match[str]) -> str:
    return f"op.drop_index({_given(match['table'])}{_schema(match)})"


def _create_table(writer: _Writer, match: re.Match[str]) -> str | None:
    parts = [repr(_name(match["table"]))]
    for line in match["body"].strip().split(",\n    "):
        constraint = re.fullmatch(
            rf"CONSTRAINT (?P<name>{_ID}) (?P<form>PRIMARY KEY|UNIQUE) {_COLUMNS}", line
        )
        if constraint is not None:
            form = "PrimaryKeyConstraint" if constraint["form"] == "PRIMARY KEY" else "UniqueConstraint"
            names = ", ".join(repr(name) for name in _names(constraint["columns"]))
            parts.append(f"sa.{form}({names}, name={_given(constraint['name'])})")
            continue
        column = None if line.startswith("CONSTRAINT ") else writer.column(line, in_new_table=True)
        if column is None:
            return None
        parts.append(column)
    writer.imports.add("sa")
    schema = _schema(match).removeprefix(", ")
    inside = "".join(f"    {part},\n" for part in (*parts, *([schema] if schema else ())))
    return f"op.create_table(\n{inside})"


_FORMS: Final[Sequence[tuple[re.Pattern[str], Callable[[_Writer, re.Match[str]], str | None]]]] = tuple(
    (re.compile(pattern, re.DOTALL), write)
    for pattern, write in (
        (rf"CREATE TABLE {_TABLE} \(\n    (?P<body>.*)\n\)", _create_table),
        (rf"DROP TABLE {_TABLE}", _drop_table),
        (rf"{_ALTER} ADD COLUMN (?P<column>.*)", _add_column),
        (rf"{_ALTER} DROP COLUMN (?P<column>{_ID})", _drop_column),
        (rf"{_ALTER} ALTER COLUMN (?P<column>{_ID}) (?P<word>SET|DROP) NOT NULL", _nullable),
        (
            rf"{_ALTER} ALTER COLUMN (?P<column>{_ID}) (?:SET DEFAULT (?P<default>.*)|DROP DEFAULT)",
            _default,
        ),
        (rf"{_ALTER} RENAME COLUMN (?P<column>{_ID}) TO (?P<new>{_ID})", _rename_column),
        (rf"{_ALTER} RENAME TO (?P<new>{_ID})", _rename_table),
        (rf"{_ALTER} DROP CONSTRAINT (?P<name>{_ID})", _drop_constraint),
        (rf"{_ALTER} ADD CONSTRAINT (?P<name>{_ID}) UNIQUE {_COLUMNS}", _unique),
        (rf"{_ALTER} ADD CONSTRAINT (?P<name>{_ID}) PRIMARY KEY {_COLUMNS}", _primary_key),
        (rf"{_ALTER} ADD CONSTRAINT (?P<name>{_ID}) CHECK \((?P<condition>.*)\)", _check),
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
    return repr(_name(match["table"]))


def _schema(match: re.Match[str]) -> str:
    """The argument for a schema that is not the usual one."""
    schema = _name(match["schema"])
    return "" if schema == "public" else f", schema={schema!r}"


def _list(match: re.Match[str], group: str = "columns") -> str:
    return f"[{', '.join(repr(name) for name in _names(match[group]))}]"


def _names(text: str) -> list[str]:
    return [_name(each) for each in re.findall(_ID, text)]


def _given(quoted: str) -> str:
    """A name that the project's naming convention leaves alone."""
    return f"op.f({_name(quoted)!r})"


def _name(quoted: str) -> str:
    return quoted[1:-1].replace('""', '"') if quoted.startswith('"') else quoted


def _text(expression: str) -> str:
    """A literal for `sa.text` and `op.execute`, in which `:name` is a parameter and `\\:` is a colon.

    Only where SQLAlchemy sees one or the other (BIND_PARAMS and BIND_PARAMS_ESC of its compiler): what is escaped
    elsewhere keeps its backslash.
    """
    kept = re.sub(r"\\(?=:\w*(?![:\w]))", r"\\\\", expression)
    return _literal(re.sub(r"(?<![:\w\\]):(?=\w+(?![:\w]))", r"\\:", kept))


def _literal(text: str) -> str:
    """A string in Python: in triple quotes where that is plain to read and nobody's editor changes it."""
    if "\n" not in text:
        return repr(text)
    *begun, last = text.split("\n")
    plain_lines = all(
        line.rstrip() == line and line.replace("\t", "").isprintable() for line in (*begun, last)
    )
    if plain_lines and '"""' not in text and not text.startswith('"') and not text.endswith('"'):
        escaped = text.replace("\\", "\\\\").replace("\n", _INSIDE)
        return f'"""{escaped}"""'
    parts = [*(repr(f"{each}\n") for each in begun), *([repr(last)] if last else [])]
    return "(\n" + "".join(f"    {part}\n" for part in parts) + ")"
