"""Read keys, checks, references and bounds out of definitions that the server deparsed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from web.schema.ddl.references import NAME_CHAIN

_COLLATE = re.compile(rf" COLLATE {NAME_CHAIN}| COLLATE \"(?:[^\"]|\"\")*\"")
_NAME = re.compile(rf'(?:{NAME_CHAIN})|"(?:[^"]|"")*"|[^\s(,]+')
_WITH = re.compile(r" WITH (\S+|OPERATOR\(.*?\))\Z")
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|.""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Key:
    """The expressions of a key or index, and for which rows it holds."""

    expressions: tuple[str, ...]
    #: Of an exclusion, by expression.
    operators: tuple[str, ...] = ()
    where: str | None = None
    nulls_distinct: bool = True


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key."""

    columns: tuple[str, ...]
    table: str
    referred: tuple[str, ...]
    full: bool


def read_key(definition: str) -> Key | None:
    """Read a key, an exclusion or an index: what is in the first brackets, and what follows them."""
    start = definition.find("(")
    end = _closing(definition, start)
    if start < 0 or end is None:
        return None
    expressions, operators = [], []
    for item in split(definition[start + 1 : end]):
        match = _WITH.search(item)
        operators.append(match[1] if match is not None else "")
        expressions.append(_expression(item))
    head, rest = definition[:start], definition[end + 1 :]
    where = rest.partition(" WHERE ")[2] or None
    distinct = "NULLS NOT DISTINCT" not in head + rest.partition(" WHERE ")[0]
    return Key(tuple(expressions), tuple(filter(None, operators)), where, distinct)


def read_check(definition: str) -> str | None:
    """Give the expression of a check."""
    return definition.removeprefix("CHECK ") if definition.startswith("CHECK (") else None


def read_reference(definition: str) -> Reference | None:
    """Read a foreign key; None where it is for periods."""
    match = re.match(rf"FOREIGN KEY (\(.*?\)) REFERENCES ({NAME_CHAIN})(\(.*?\))", definition)
    if match is None or "PERIOD" in match[1]:
        return None
    columns, referred = (tuple(split(each[1:-1])) for each in (match[1], match[3]))
    return Reference(columns, match[2], referred, " MATCH FULL" in definition[match.end() :])


def bound_condition(key: str, bound: str, parent: str) -> str | None:
    """Write which rows a partition takes, by its table's key; None where that is not written here."""
    form = key.partition(" ")[0]
    read = read_key(key)
    if read is None:
        return None
    columns, text = read.expressions, bound.removeprefix("FOR VALUES ")
    if form == "LIST" and text.startswith("IN ("):
        values = split(text[len("IN (") : -1])
        given = [each for each in values if each != "NULL"]
        parts = [f"{columns[0]} IN ({', '.join(given)})"] if given else []
        parts += [f"{columns[0]} IS NULL"] if "NULL" in values else []
        return f"({' OR '.join(parts)})"
    if form == "RANGE" and text.startswith("FROM ("):
        low, _, high = text.removeprefix("FROM (").removesuffix(")").partition(") TO (")
        return _range(columns, split(low), split(high))
    if form == "HASH" and (match := re.match(r"WITH \(modulus (\d+), remainder (\d+)\)", text)) is not None:
        name = parent.replace("'", "''")
        return (
            f"pg_catalog.satisfies_hash_partition('{name}'::pg_catalog.regclass, {match[1]}, {match[2]}, "
            f"{', '.join(columns)})"
        )
    return None


def _range(columns: tuple[str, ...], low: list[str], high: list[str]) -> str | None:
    ends = ("MINVALUE", "MAXVALUE")
    if len(columns) > 1 and any(each in ends for each in (*low, *high)):
        return None
    row = f"({', '.join(columns)})"
    parts = [f"{each} IS NOT NULL" for each in columns]
    if low[0] not in ends:
        parts.append(f"{row} >= ({', '.join(low)})")
    if high[0] not in ends:
        parts.append(f"{row} < ({', '.join(high)})")
    return f"({' AND '.join(parts)})"


def split(text: str) -> list[str]:
    """Split at the commas that are in no brackets and no quotes."""
    found, depth, piece = [], 0, ""
    for each in _TOKEN.findall(text):
        depth += (each == "(") - (each == ")")
        if each == "," and not depth:
            found.append(piece.strip())
            piece = ""
        else:
            piece += each
    return [*found, piece.strip()] if piece.strip() else found


def _closing(text: str, start: int) -> int | None:
    depth = 0
    for place, each in _tokens(text, start):
        depth += (each == "(") - (each == ")")
        if not depth:
            return place
    return None


def _tokens(text: str, start: int) -> Iterator[tuple[int, str]]:
    for match in _TOKEN.finditer(text, start):
        yield match.start(), match.group()


def _expression(item: str) -> str:
    """Take off the operator class, the order, and of an exclusion its operator; the collation stays."""
    if item.startswith("("):
        end = _closing(item, 0)
    else:
        name = _NAME.match(item)
        end = name.end() - 1 if name is not None else None
        if end is not None and item[end + 1 : end + 2] == "(":
            end = _closing(item, end + 1)
    if end is None:
        return item
    collation = _COLLATE.match(item, end + 1)
    return item[: end + 1] + (collation.group() if collation is not None else "")
