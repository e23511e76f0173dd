"""Where the objects of a Schema are in the catalogs of the database that it was read in."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from web.schema.decode import TABLE_FORMS, without

#: A place is the oid of a relation, of a type, or of a function: these numbers tell which.
TYPE: Final = 1 << 32
FUNCTION: Final = 2 << 32


def places(
    rows: Mapping[str, list[tuple[Any, ...]]], exclude_tables: Collection[str]
) -> dict[str, tuple[int, ...]]:
    """Give the places of objects by field of Schema, in the order in which decode has them."""
    relations = without(rows["relations"], exclude_tables)
    excluded = {row[0] for row in rows["relations"]} - {row[0] for row in relations}
    sequences = [row for row in rows["sequences"] if row[11] not in excluded]
    made = {
        "tables": _placed((row for row in relations if row[3] in TABLE_FORMS), 0),
        "views": _placed((row for row in relations if row[3] == "v"), 0),
        "materialized_views": _placed((row for row in relations if row[3] == "m"), 0),
        "sequences": _placed(sequences, 0),
        "functions": _placed(rows["functions"], FUNCTION, 4),
    }
    for field, form in (("enums", "e"), ("domains", "d"), ("composite_types", "c"), ("range_types", "r")):
        made[field] = _placed((row for row in rows["types"] if row[3] == form), TYPE)
    return made


def _placed(rows: Iterable[tuple[Any, ...]], catalog: int, key_ends: int = 3) -> tuple[int, ...]:
    return tuple(row[0] + catalog for row in sorted(rows, key=lambda row: row[1:key_ends]))
