"""The State tab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from web.pages.views.marks import Column, Fact, Mark


@dataclass(frozen=True, slots=True)
class TableRow:
    """A table of the database."""

    schema: str
    name: str
    #: The planner's estimate; None: nobody has counted.
    rows: float | None
    bytes: int
    index_bytes: int
    #: Share of the largest table, for the bar.
    share: int
    #: Dead rows in percent of all.
    dead: float | None = None
    vacuumed_at: datetime | None = None
    note: Mark | None = None


@dataclass(frozen=True, slots=True)
class Extension:
    """An installed extension; `available` only where it is newer."""

    name: str
    version: str
    available: str | None = None


@dataclass(frozen=True, slots=True)
class StateTab:
    """What the database is and holds."""

    facts: tuple[Fact, ...]
    columns: tuple[Column, ...]
    tables: tuple[TableRow, ...]
    table_count: int
    extensions: tuple[Extension, ...]
    observed_at: datetime | None
    filter: str = ""
    #: Materialized views, which are listed with the tables and counted apart.
    materialized: int = 0
