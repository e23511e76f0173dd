"""Columns and constraints of tables as SQLAlchemy writes them, for what it gives exactly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from web.schema.ddl.statement import Statement
from web.tools.alembic_tool.quoting import ID, given, name, names, text
from web.tools.alembic_tool.serial import SERIAL, usual_sequence

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


#: What SQLAlchemy makes each word for a numbered column of, where the column is its table's key.
_NUMBERS: Final[Mapping[str, str]] = {
    serial: {"smallint": "sa.SmallInteger()", "integer": "sa.Integer()", "bigint": "sa.BigInteger()"}[kind]
    for kind, serial in SERIAL.items()
}
_ENUM = re.compile(rf"CREATE TYPE (?P<schema>{ID})\.(?P<name>{ID}) AS ENUM \((?P<labels>.*)\)", re.DOTALL)
_COLUMN = re.compile(
    rf"(?P<name>{ID}) (?P<type>.+?)"
    r"(?: GENERATED (?P<identity>ALWAYS|BY DEFAULT) AS IDENTITY \(SEQUENCE NAME (?P<sequence>[^ ()]+)\)"
    r"| GENERATED ALWAYS AS \((?P<computed>.+)\) STORED"
    r"| DEFAULT (?P<default>.+?))?"
    r"(?P<not_null> NOT NULL)?",
    re.DOTALL,
)
_KEY = re.compile(rf"CONSTRAINT (?P<name>{ID}) (?P<form>PRIMARY KEY|UNIQUE) \((?P<columns>{ID}(?:, {ID})*)\)")
_CHECK = re.compile(rf"CONSTRAINT (?P<name>{ID}) CHECK \((?P<condition>.*)\)", re.DOTALL)


@dataclass(slots=True)
class Writer:
    """Writes parts of tables, and remembers which modules they need."""

    #: Labels by type, as PostgreSQL writes its name: of the types that the same migration makes.
    enums: Mapping[str, str] = field(default_factory=dict)
    imports: set[str] = field(default_factory=set)

    def type(self, written: str) -> str | None:
        """SQLAlchemy's type for one of PostgreSQL's; None: there is none that is exactly it."""
        if written.endswith("[]"):
            element = self.type(written.removesuffix("[]"))
            if element is None:
                return None
            self.imports.add("postgresql")
            return f"postgresql.ARRAY({element})"
        if (labels := self.enums.get(written)) is not None:
            self.imports.add("postgresql")
            schema, _, own = written.rpartition(".")
            where = "" if name(schema) == "public" else f", schema={name(schema)!r}"
            # The type is made once, before the tables.
            return f"postgresql.ENUM({labels}, name={name(own)!r}{where}, create_type=False)"
        for pattern, made in _TYPES:
            if match := pattern.fullmatch(written):
                self.imports.add("postgresql" if made.startswith("postgresql.") else "sa")
                return made.format(*match.groups())
        return None

    def column(self, written: str, *, table: str = "", key: str = "") -> str | None:
        """`sa.Column(…)` of a column as CREATE TABLE and ADD COLUMN take it.

        `table` is the new table's name, `key` its primary key where that is one column.
        """
        if " COLLATE " in written or " CONSTRAINT " in written:
            return None
        match = _COLUMN.fullmatch(written)
        if match is not None and (number := _NUMBERS.get(match["type"])) is not None:
            if name(match["name"]) != key:
                return None
            self.imports.add("sa")
            return f"sa.Column({key!r}, {number}, autoincrement=True, nullable=False)"
        kind = self.type(match["type"]) if match is not None else None
        if match is None or kind is None:
            return None
        self.imports.add("sa")
        parts = [repr(name(match["name"])), kind]
        if match["identity"] is not None:
            if not table or match["sequence"] != usual_sequence(table, match["name"]):
                return None
            parts.append(f"sa.Identity(always={match['identity'] == 'ALWAYS'})")
        elif (computed := match["computed"]) is not None:
            if "%" in computed:
                return None
            parts.append(f"sa.Computed({text(computed)}, persisted=True)")
        elif (default := match["default"]) is not None:
            parts.append(f"server_default=sa.text({text(default)})")
        elif name(match["name"]) == key and kind.endswith("Integer()"):
            # Else it becomes serial.
            parts.append("autoincrement=False")
        parts.append(f"nullable={match['not_null'] is None}")
        return f"sa.Column({', '.join(parts)})"

    def constraint(self, written: str) -> str | None:
        """A key or a check as CREATE TABLE takes it."""
        if (key := _KEY.fullmatch(written)) is not None:
            form = "PrimaryKeyConstraint" if key["form"] == "PRIMARY KEY" else "UniqueConstraint"
            columns = ", ".join(repr(each) for each in names(key["columns"]))
            return f"sa.{form}({columns}, name={given(key['name'])})"
        if (check := _CHECK.fullmatch(written)) is not None and "%" not in check["condition"]:
            return f"sa.CheckConstraint({text(check['condition'])}, name={given(check['name'])})"
        return None


def key_of(lines: Iterable[str]) -> str:
    """The column that is a table's primary key; empty: there is none, or it has several."""
    keys = [match for each in lines if (match := _KEY.fullmatch(each)) and match["form"] == "PRIMARY KEY"]
    columns = names(keys[0]["columns"]) if keys else []
    return columns[0] if len(columns) == 1 else ""


def enums_of(statements: Iterable[Statement]) -> dict[str, str]:
    """The labels of each enum that these statements make, as Python writes them, by the type's name."""
    found = {}
    for each in statements:
        if (match := _ENUM.fullmatch(each.sql)) is not None:
            labels = [one.replace("''", "'") for one in re.findall(r"'((?:[^']|'')*)'", match["labels"])]
            found[f"{match['schema']}.{match['name']}"] = ", ".join(map(repr, labels))
    return found
