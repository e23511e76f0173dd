"""Free names of indexes: a table that stays, or goes last, may hold one that something new is to have.

Names of indexes and of the constraints that they back are unique in their schema, not in their table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import count

from web.schema.ddl.statement import Ground, Statement
from web.schema.model import Schema, Table
from web.schema.names import qualified, quote

_BACKED = ("primary key", "unique", "exclude")
#: Bytes of a name that leave room for what is put behind it, of the 63 that PostgreSQL keeps.
_ROOM = 50


def free_names(tables: Iterable[Table], ground: Ground) -> Iterator[Statement]:
    """Rename what of these tables has a name that the expected schema has elsewhere."""
    wanted = {name for table in ground.expected.tables for name in _held(table)}
    taken = _relations(ground.expected) | _relations(ground.actual)
    for table in tables:
        for name in sorted(_held(table) & wanted):
            short = name[1].encode()[:_ROOM].decode(errors="ignore")
            other = next(
                made for number in count(1) if (table.schema, made := f"{short}_old{number}") not in taken
            )
            taken.add((table.schema, other))
            yield Statement(
                f"ALTER INDEX {qualified(*name)} RENAME TO {quote(other)}",
                note=f"What is made needs the name that {table.identity} holds.",
            )


def _held(table: Table) -> set[tuple[str, str]]:
    backed = (each.name for each in table.constraints if each.form in _BACKED)
    return {(table.schema, name) for name in (*backed, *(each.name for each in table.indexes))}


def _relations(schema: Schema) -> set[tuple[str, str]]:
    held = {name for table in schema.tables for name in (*_held(table), (table.schema, table.name))}
    held |= {(each.schema, each.name) for each in schema.views}
    held |= {(each.schema, each.name) for each in schema.materialized_views}
    return held | {(each.schema, each.name) for each in schema.sequences}
