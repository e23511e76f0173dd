"""Schemas by chance: DDL with hostile names, and what it made, so that a change can be chosen that fits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from hypothesis import strategies as st

from tests.schema.random_objects import (
    COLUMNS,
    NUMBERS,
    SHAPES,
    TEXTS,
    TYPES,
    WORDS,
    Col,
    Func,
    Named,
    Part,
    Query,
    Tab,
    Typ,
    quoted,
)

T = TypeVar("T")


@dataclass
class World:
    """A schema in the making."""

    draw: Callable[[st.SearchStrategy[Any]], Any]
    major: int
    statements: list[str] = field(default_factory=list)
    schemas: list[str] = field(default_factory=lambda: ["public"])
    types: list[Typ] = field(default_factory=list)
    sequences: list[Named] = field(default_factory=list)
    functions: list[Func] = field(default_factory=list)
    trigger_functions: list[Func] = field(default_factory=list)
    tables: list[Tab] = field(default_factory=list)
    views: list[Query] = field(default_factory=list)
    _number: int = 0
    _words: set[str] = field(default_factory=set)

    @property
    def ddl(self) -> str:
        """All that makes it."""
        return ";\n".join(self.statements)

    def pick(self, items: Sequence[T]) -> T:
        """Choose one."""
        made: T = self.draw(st.sampled_from(items))
        return made

    def maybe(self) -> bool:
        """Choose yes or no."""
        made: bool = self.draw(st.booleans())
        return made

    def often(self, most: int, least: int = 0) -> range:
        """Choose how often."""
        return range(self.draw(st.integers(least, most)))

    def name(self) -> str:
        """Make a name that nothing else has."""
        shape = self.draw(st.integers(0, len(SHAPES) + 4))
        if shape >= len(SHAPES):
            word = self.pick(WORDS)
            if word not in self._words:
                self._words.add(word)
                return word
            shape = 0
        self._number += 1
        text = SHAPES[shape].format(self._number)
        while len(text.encode()) > 63:
            text = text[:-1]
        return text

    def place(self) -> tuple[str, str]:
        """Choose schema and name of something new."""
        return self.pick(self.schemas), self.name()

    def run(self, text: str) -> None:
        """Add a statement."""
        self.statements.append(text)

    def make(self) -> None:
        """Make something of everything."""
        for _ in self.often(2):
            name = "s " + self.name()[:20]
            self.schemas.append(name)
            self.run(f"create schema {quoted(name)}")
        for _ in self.often(3):
            self.make_type()
        for _ in self.often(1):
            self.make_sequence()
        for _ in self.often(2):
            self.make_function()
        for _ in self.often(4, 1):
            self.make_table()
        for _ in self.often(1):
            self.make_partitioned()
        for _ in self.often(3):
            self.make_view()

    def make_type(self) -> None:
        item = Typ(*self.place(), kind=self.pick(("enum", "domain", "composite type")))
        self.types.append(item)
        if item.kind == "enum":
            item.labels = tuple(self.pick(("a", "b'", "C d", "é", "null")) + str(n) for n in self.often(4, 1))
            labels = ", ".join("'" + each.replace("'", "''") + "'" for each in item.labels)
            self.run(f"create type {item.sql} as enum ({labels})")
        elif item.kind == "domain":
            item.base = self.pick(("integer", "text", "numeric(10,2)"))
            extra = self.pick(("", " not null"))
            if self.maybe():
                item.checks = (self.name(),)
                extra += f" constraint {quoted(item.checks[0])} check (value <> {self.value(item.base)})"
            self.run(f"create domain {item.sql} as {item.base}{extra}")
        else:
            item.labels = tuple(dict.fromkeys(self.pick(COLUMNS) for _ in self.often(3, 1)))
            texts = ", ".join(f"{quoted(each)} {self.pick(('integer', 'text'))}" for each in item.labels)
            self.run(f"create type {item.sql} as ({texts})")

    def value(self, type_: str) -> str:
        return "'x'" if type_ == "text" else "1"

    def make_sequence(self) -> None:
        item = Named(*self.place())
        self.sequences.append(item)
        self.run(
            f"create sequence {item.sql}{self.pick(('', ' as integer', ' increment -2', ' cycle cache 5'))}"
        )

    def make_function(self) -> None:
        item = Func(*self.place())
        if self.maybe():
            item.head = f"create or replace function {item.sql}() returns trigger language plpgsql"
            self.run(f"{item.head} as $f$ begin return new; end $f$")
            self.trigger_functions.append(item)
            return
        arguments = [self.pick(("integer", "text", "numeric[]", "date")) for _ in self.often(3)]
        named = ", ".join(
            f"{quoted(self.pick(COLUMNS) + str(number)) + ' ' if self.maybe() else ''}{each}"
            for number, each in enumerate(arguments)
        )
        item.arguments = ", ".join(arguments)
        word, result = self.pick((("function", " returns integer"), ("procedure", "")))
        item.head = f"create or replace {word} {item.sql}({named}){result} language sql"
        self.run(f"{item.head} as $f$ select 1 $f$")
        self.functions.append(item)

    def make_table(self) -> None:
        item = Tab(*self.place())
        names = list(dict.fromkeys(self.pick(COLUMNS) for _ in self.often(6, 1)))
        texts = [self._column(item, name) for name in names]
        words = self.pick(("table", "table", "table", "unlogged table"))
        self.run(f"create {words} {item.sql} ({', '.join(texts)})")
        self.tables.append(item)
        self._parts(item)

    def _column(self, table: Tab, name: str) -> str:
        customs = [each for each in self.types if each.schema in self.schemas]
        if customs and self.draw(st.integers(0, 5)) == 5:
            type_ = self.pick(customs)
            type_.held += 1
            table.columns.append(Col(name, type_.sql, custom=True))
            return f"{quoted(name)} {type_.sql}"
        type_name, default, key = self.pick(TYPES)
        column = Col(name, type_name, key=key)
        table.columns.append(column)
        text = f"{quoted(name)} {type_name}"
        form = self.pick(("plain", "plain", "plain", "identity", "serial", "generated"))
        numbers = [each for each in table.columns[:-1] if each.type in NUMBERS and each.form != "generated"]
        if form == "identity" and type_name in NUMBERS:
            column.form, column.not_null = form, True
            options = self.pick(("", " (start 5)", " (increment 3 cache 2)"))
            return f"{text} generated {self.pick(('always', 'by default'))} as identity{options}"
        if form == "serial" and type_name in NUMBERS:
            column.form, column.not_null = form, True
            return f"{quoted(name)} {type_name.replace('integer', 'int').replace('int', 'serial')}"
        if form == "generated" and type_name == "bigint" and numbers:
            source = self.pick(numbers)
            source.held += 1
            column.form = form
            kinds = ("stored", "virtual") if self.major >= 18 else ("stored",)
            kind = self.pick(kinds)
            column.key = kind == "stored"
            return f"{text} generated always as (({quoted(source.name)} + 1)::bigint) {kind}"
        if type_name in TEXTS and self.maybe():
            column.collated = True
            text += ' collate "C"'
        if default is not None and self.maybe():
            column.default = default
            text += f" default {default}"
        if self.maybe():
            column.not_null = True
            text += " not null"
        return text

    def _parts(self, table: Tab) -> None:
        keys = [each for each in table.columns if each.key and each.form != "generated"]
        if keys and self.maybe():
            self.add_key(table, "primary key", (self.pick(keys),))
        for _ in self.often(4):
            getattr(self, "add_" + self.pick(("unique", "check", "foreign_key", "index", "index", "others")))(
                table
            )

    def add_key(self, table: Tab, word: str, columns: tuple[Col, ...]) -> None:
        part = Part("constraint", self.name(), columns)
        for each in columns:
            each.held += 1
            each.not_null |= word == "primary key"
        names = ", ".join(quoted(each.name) for each in columns)
        extra = self.pick(("", "", " deferrable", " deferrable initially deferred"))
        if word == "primary key":
            part.kind = "primary key"
        self.run(f"alter table {table.sql} add constraint {quoted(part.name)} {word} ({names}){extra}")
        table.parts.append(part)

    def add_unique(self, table: Tab) -> None:
        keys = [each for each in table.columns if each.key]
        if keys:
            words = ("unique", "unique nulls not distinct") if self.major >= 15 else ("unique",)
            self.add_key(table, self.pick(words), tuple(dict.fromkeys((self.pick(keys), self.pick(keys)))))

    def add_check(self, table: Tab) -> None:
        column = self.pick(table.columns)
        column.held += 1
        part = Part("constraint", self.name(), (column,))
        extra = self.pick(("", "", " no inherit", " not valid")) if table.form == "table" else ""
        self.run(
            f"alter table {table.sql} add constraint {quoted(part.name)} "
            f"check ({quoted(column.name)} is not null or 1 in (1, 2)){extra}"
        )
        table.parts.append(part)

    def add_foreign_key(self, table: Tab) -> None:
        found = [
            (column, other, part)
            for other in self.tables
            for part in other.of("primary key")
            if other.form == "table"
            for column in table.columns
            if column.type == part.columns[0].type and column.form != "generated"
        ]
        if not found:
            return
        column, other, part = self.pick(found)
        if self._deferrable(part):
            return
        persistent = "unlogged table"
        if any(s.startswith(f"create {persistent} {other.sql} ") for s in self.statements):
            return
        column.held += 1
        part.held += 1
        other.held += 1
        made = Part("constraint", self.name(), (column,))
        extra = self.pick(("", " on delete cascade", " on update set null", " deferrable", " not valid"))
        if table.form != "table":
            extra = extra.replace(" not valid", "")
        self.run(
            f"alter table {table.sql} add constraint {quoted(made.name)} foreign key ({quoted(column.name)}) "
            f"references {other.sql} ({quoted(part.columns[0].name)}){extra}"
        )
        table.parts.append(made)

    def _deferrable(self, part: Part) -> bool:
        head = f" add constraint {quoted(part.name)} "
        return any(head in each and "deferrable" in each for each in self.statements)

    def add_index(self, table: Tab) -> None:
        keys = [each for each in table.columns if each.key]
        if not keys:
            return
        part = Part("index", self.name(), (self.pick(keys), self.pick(keys)))
        first, second = (quoted(each.name) for each in part.columns)
        for each in part.columns:
            each.held += 1
        forms = [
            f"({first})",
            f"using btree ({first} desc nulls last)",
            f"({first}) where {second} is not null",
            f"({first}) include ({second})",
            f"(({first} is null), {second})",
            f"(coalesce({first}, {first}))",
        ]
        if part.columns[0].type in TEXTS:
            forms += [
                f"(lower({first}))",
                f"({first} text_pattern_ops)",
                f'({first} collate "POSIX")',
            ]
        if part.columns[0].type == "jsonb":
            forms.append(f"using gin ({first} jsonb_path_ops)")
        if self.major < 18 or "virtual" not in self.ddl:
            forms += [f"({first}) with (fillfactor = 70)"]
        self.run(f"create index {quoted(part.name)} on {table.sql} {self.pick(forms)}")
        table.parts.append(part)

    def add_others(self, table: Tab) -> None:
        """Add a trigger, a policy, extended statistics, a grant or a comment."""
        what = self.pick(("trigger", "policy", "statistics", "grant", "comment", "column grant"))
        name = self.name()
        column = self.pick(table.columns)
        if what == "trigger" and self.trigger_functions:
            function = self.pick(self.trigger_functions)
            function.held += 1
            when = self.pick(("before insert", "after update", "after insert or delete"))
            each = self.pick(("row", "row", "statement")) if "after" in when else "row"
            self.run(
                f"create trigger {quoted(name)} {when} on {table.sql} for each {each} "
                f"execute function {function.sql}()"
            )
            table.parts.append(Part("trigger", name))
        elif what == "policy":
            column.held += 1
            command = self.pick(("all", "select", "update", "delete"))
            to = self.pick(("public", "schema_alice", '"schema ""Carol"""'))
            self.run(
                f"create policy {quoted(name)} on {table.sql} for {command} to {to} "
                f"using ({quoted(column.name)} is not null)"
            )
            table.parts.append(Part("policy", name, (column,)))
        elif what == "statistics" and column.key and column.form == "plain":
            column.held += 1
            self.run(
                f"create statistics {quoted(table.schema)}.{quoted(name)} "
                f"on ({quoted(column.name)} is null), {quoted(column.name)} from {table.sql}"
            )
            table.parts.append(Part("statistics", name, (column,)))
        elif what == "grant":
            table.granted.add("schema_bob")
            self.run(f"grant select, insert on {table.sql} to schema_bob")
        elif what == "column grant":
            self.run(f"grant update ({quoted(column.name)}) on {table.sql} to schema_alice")
        else:
            self.run(f"comment on column {table.sql}.{quoted(column.name)} is 'it''s'")

    def make_partitioned(self) -> None:
        item = Tab(*self.place(), form="partitioned")
        name = self.pick(COLUMNS)
        key = Col(name, "integer", held=1, key=True)
        item.columns.append(key)
        others = [each for each in dict.fromkeys(self.pick(COLUMNS) for _ in self.often(3)) if each != name]
        texts = [f"{quoted(name)} integer"]
        for other in others:
            type_, default, is_key = self.pick(TYPES[:7])
            item.columns.append(Col(other, type_, key=is_key, default=default))
            texts.append(f"{quoted(other)} {type_} default {default}")
        self.run(f"create table {item.sql} ({', '.join(texts)}) partition by range ({quoted(name)})")
        self.tables.append(item)
        early = self.maybe()
        if early:
            self._partitions(item)
        if self.maybe():
            self.add_key(item, self.pick(("primary key", "unique")), (key,))
        for _ in self.often(3):
            getattr(self, "add_" + self.pick(("check", "index", "foreign_key", "others")))(item)
        if not early:
            self._partitions(item)

    def _partitions(self, table: Tab) -> None:
        for number in self.often(2):
            part = Tab(*self.place(), form="partition")
            self.run(
                f"create table {part.sql} partition of {table.sql} "
                f"for values from ({number * 10}) to ({number * 10 + 10})"
            )
            self.tables.append(part)

    def make_view(self) -> None:
        sources: list[Tab | Query] = [*self.tables, *self.views]
        source = self.pick(sources)
        if not source.columns:
            return
        item = Query(*self.place(), materialized=self.draw(st.integers(0, 3)) == 3)
        source.held += 1
        names = [each if isinstance(each, str) else each.name for each in source.columns]
        chosen = list(dict.fromkeys(self.pick(names) for _ in self.often(3, 1)))
        if isinstance(source, Tab):
            for column in source.columns:
                column.held += column.name in chosen
        # The number first: the longest names are cut at their end.
        alias = {each: self.pick((each, f"{number}{each}"[:63])) for number, each in enumerate(chosen)}
        item.columns = tuple(alias.values())
        columns = ", ".join(f"v.{quoted(each)} as {quoted(alias[each])}" for each in chosen)
        bare = ", ".join(f"{quoted(each)} as {quoted(alias[each])}" for each in chosen)
        item.query = self.pick(
            (
                f"select {columns} from {source.sql} v",
                f"select {bare} from {source.sql}",
                f"select {bare} from {source.sql} where {quoted(chosen[0])} is not null",
                f"with w as (select * from {source.sql}) select {columns} from w v",
            )
        )
        if isinstance(source, Tab) and " * " in item.query:
            for column in source.columns:
                column.held += 1
        word = "materialized view" if item.materialized else "view"
        self.run(f"create {word} {item.sql} as {item.query}")
        self.views.append(item)
