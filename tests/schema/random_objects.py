"""What random schemas are made of: names that nobody should choose, types, and what is known of each object."""

from __future__ import annotations

from dataclasses import dataclass, field

from web.schema.names import qualified

#: Names by chance are one of these with a number that nothing else has, plain ones most often.
SHAPES = (
    "n{}",
    "t_{}",
    "Camel{}",
    "two words {}",
    'quo"te{}',
    "it's {}",
    "dot.ted{}",
    "ünïcödé{}表",
    "{}",
    "back\\slash{}",
    "per%sent{}",
    "$1 {}",
    "a)b({}",
    "a, b{}",
    "x::int{}",
    "line\nbreak{}",
    "semi;colon{}",
    "-- no {}",
    "/* {}",
    "$a${}",
    "n{}" + "x" * 60,
    "{}" + "é" * 30,
)
#: Words that have a meaning to the parser, or to who reads what it writes; each is used once at most.
WORDS = (
    *("select", "user", "table", "order", "all", "default", "check", "between", "values", "row", "as"),
    *("interval", "char", "left", "name", "public", "null", "true", "using", "where", "from", "now", "index"),
    *("with", "on", "not valid", "integer", "text", "pg_x", "no inherit", "old", "new", "nextval", "_", "is"),
)
#: Columns of several tables are called the same.
COLUMNS = (*("id", "a", "b", "Name", "order", "user", "x y", 'q"q', "é", "date", "value", "a.b"), "c" * 63)

#: Type, a default and whether it can be a key; `None` where it has none.
TYPES: tuple[tuple[str, str | None, bool], ...] = (
    ("integer", "7", True),
    ("bigint", "-1", True),
    ("smallint", "3", True),
    ("text", "'it''s'", True),
    ("character varying(20)", "'x'::character varying", True),
    ("character(3)", "'abc'", True),
    ("numeric(10,2)", "1.5", True),
    ("boolean", "false", True),
    ("date", "CURRENT_DATE", True),
    ("timestamp with time zone", "now()", True),
    ("timestamp(3) without time zone", "'2020-01-01 00:00:00'", True),
    ("time with time zone", None, True),
    ("interval day to second", "'1 day'", True),
    ("uuid", "gen_random_uuid()", True),
    ("jsonb", "'{}'", True),
    ("bytea", r"'\x00'", True),
    ("double precision", "'NaN'", True),
    ("integer[]", "'{}'", True),
    ("text[]", "ARRAY['a', 'b']", True),
    ("inet", None, True),
    ("bit(3)", "'101'", True),
    ("int4range", "'[1,2)'", True),
    ("json", "'{}'", False),
    ("xml", None, False),
    ("point", "'(1,2)'", False),
)
NUMBERS = ("integer", "bigint", "smallint")
TEXTS = ("text", "character varying(20)")


def quoted(name: str) -> str:
    """Quote a name, whether it needs it or not."""
    return '"' + name.replace('"', '""') + '"'


@dataclass(slots=True, eq=False)
class Named:
    """What has a schema and a name, and the number of things that stand on it."""

    schema: str
    name: str
    held: int = 0

    @property
    def sql(self) -> str:
        """As DDL names it."""
        return f"{quoted(self.schema)}.{quoted(self.name)}"

    @property
    def identity(self) -> str:
        """As differences name it."""
        return qualified(self.schema, self.name)


@dataclass(slots=True, eq=False)
class Col:
    name: str
    type: str
    #: `plain`, `identity`, `serial` or `generated`.
    form: str = "plain"
    default: str | None = None
    not_null: bool = False
    #: Keys, indexes, views and others that name it.
    held: int = 0
    key: bool = False
    custom: bool = False
    collated: bool = False


@dataclass(slots=True, eq=False)
class Part:
    """A constraint, index, trigger, policy or statistics object."""

    kind: str
    name: str
    columns: tuple[Col, ...] = ()
    held: int = 0


@dataclass(slots=True, eq=False)
class Tab(Named):
    #: `table`, `partitioned`, `partition` or `child`.
    form: str = "table"
    columns: list[Col] = field(default_factory=list)
    parts: list[Part] = field(default_factory=list)
    granted: set[str] = field(default_factory=set)

    def of(self, *kinds: str) -> list[Part]:
        """Give its parts of some kinds."""
        return [each for each in self.parts if each.kind in kinds]


@dataclass(slots=True, eq=False)
class Query(Named):
    """A view or materialized view."""

    materialized: bool = False
    query: str = ""
    columns: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Typ(Named):
    #: `enum`, `domain` or `composite type`.
    kind: str = "enum"
    labels: tuple[str, ...] = ()
    base: str = ""
    checks: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Func(Named):
    arguments: str = ""
    head: str = ""
    #: The arguments as differences write them, where that is not the same.
    shown: str | None = None
