"""One text for what PostgreSQL deparses in two ways: the cast of an array constructor.

`x IN ('a', 'b')` on a varchar is kept as `(ARRAY['a'::character varying, …])::text[]`. Reading that text back (a
dump's restore, a migration written from it) gives `ARRAY[('a'::character varying)::text, …]`: the parser pushes the
cast into the elements (transformArrayExpr). Both mean the same, so the second is written for the first.
"""

from __future__ import annotations

import re

#: Where such a cast may begin and end; most definitions hold neither and are given back as they are.
_OPENING = "(ARRAY["
_CAST = re.compile(r'\]\)::((?:"(?:[^"]|"")+"|[^"\[\]\'])+?)\[\]')
#: What a scan has to step over, and the brackets that nest.
_TOKEN = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|[()\[\],]""")


def canonical(text: str) -> str:
    """Write every cast of an array constructor as casts of its elements; strings and names are left alone."""
    if "])::" not in text or _OPENING not in text:
        return text
    made: list[str] = []
    position = 0
    for start in _openings(text):
        if start < position:
            continue
        read = _read(text, start)
        if read is None:
            continue
        items, kind, end = read
        elements = ", ".join(f"({canonical(item)})::{kind}" for item in items)
        made += [text[position:start], f"ARRAY[{elements}]"]
        position = end
    return "".join([*made, text[position:]])


def _openings(text: str) -> list[int]:
    """Where `(ARRAY[` stands outside of strings and quoted names."""
    return [
        token.start()
        for token in _TOKEN.finditer(text)
        if token.group() == "(" and text.startswith(_OPENING, token.start())
    ]


def _read(text: str, start: int) -> tuple[list[str], str, int] | None:
    """The elements, their type and the end of the cast that begins here; None where it is something else."""
    depth, items, begin = 0, [], start + len(_OPENING)
    for token in _TOKEN.finditer(text, begin):
        match token.group():
            case "(" | "[":
                depth += 1
            case ")" | "]" if depth:
                depth -= 1
            case ",":
                if not depth:
                    items.append(text[begin : token.start()].strip())
                    begin = token.end()
            case "]":
                items.append(text[begin : token.start()].strip())
                cast = _CAST.match(text, token.start())
                return (items, cast.group(1), cast.end()) if cast and items != [""] else None
            case ")":
                return None
            case _:
                continue
    return None
