"""One text for lists whose order means nothing: columns of triggers, statistics and publications; options; settings.

The server writes them as they were given, or by the numbers of columns, which differ between databases that are equal
in all else. Objects of the model are made with them in one order, wherever they come from: read, renamed, or stored by
an earlier version.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

#: Settings of a function stand right before its body, each on a line of its own.
_SETTINGS = re.compile(r"(?:^ SET .+ TO .+\n){2,}(?=AS |BEGIN ATOMIC\n|RETURN )", re.MULTILINE)
_QUOTED = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*\"""")


def index(definition: str) -> str:
    """Sort the options of `USING btree (a) WITH (fillfactor='70', deduplicate_items=off)`."""
    return _in_order(definition, " WITH (", ())


def trigger(definition: str) -> str:
    """Sort the columns of `BEFORE UPDATE OF a, b ON t …`."""
    return _in_order(definition, " UPDATE OF ", (" OR ", " ON "))


def statistics(definition: str) -> str:
    """Sort columns and expressions of `(kinds) ON a, b, (c + 1) FROM t`."""
    return _in_order(definition, "ON ", (" FROM ",))


def published(table: str) -> str:
    """Sort the columns of `schema.table (a, b) WHERE (…)`."""
    columns, where, condition = table.partition(" WHERE (")
    return f"{_in_order(columns, ' (', ())}{where}{condition}"


def function(definition: str) -> str:
    """Sort what a function sets for its own length."""

    def in_order(match: re.Match[str]) -> str:
        lines = match.group().splitlines(keepends=True)
        # A value that goes on over lines is left where it is.
        whole = all(line.count("'") % 2 == 0 for line in lines)
        return "".join(sorted(lines) if whole else lines)

    return _SETTINGS.sub(in_order, definition, count=1) if "\n SET " in definition else definition


def put(item: object, field: str, value: object) -> None:
    """Give a frozen object another value for one of its fields, while it is being made."""
    if getattr(item, field) != value:
        object.__setattr__(item, field, value)


def _in_order(text: str, opening: str, ends: tuple[str, ...]) -> str:
    """Sort the list that follows the first `opening` outside of quotes and parentheses.

    It ends before one of `ends`, or where a parenthesis of the opening closes. What is no such list is left as it is.
    """
    if opening not in text:
        return text
    depths = dict(_outside(text))
    start = next((at for at, depth in depths.items() if not depth and text.startswith(opening, at)), None)
    if start is None:
        return text
    begin = start + len(opening)
    base, parts = opening.count("("), []
    at = begin
    for place in range(begin, len(text)):
        depth = depths.get(place)
        if depth is None:
            continue
        if depth < base or (depth == base and text.startswith(ends, place)):
            parts.append(text[at:place])
            return f"{text[:begin]}{', '.join(sorted(parts))}{text[place:]}"
        if depth == base and text.startswith(", ", place):
            parts.append(text[at:place])
            at = place + len(", ")
    return text


def _outside(text: str) -> Iterator[tuple[int, int]]:
    """Each place outside of quotes with how many parentheses are open there; a closing one is outside of its own."""
    quoted = {place for match in _QUOTED.finditer(text) for place in range(*match.span())}
    depth = 0
    for place, each in enumerate(text):
        if place in quoted:
            continue
        if each in ")]":
            depth -= 1
        yield place, depth
        if each in "([":
            depth += 1
