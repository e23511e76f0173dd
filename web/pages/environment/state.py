"""The State tab: what the database is and holds, as of the last look that reached it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from web import addresses, words
from web.answers.environment import View
from web.observation.facts import Facts, Table
from web.pages.views.environment.state import Extension, StateTab, TableRow
from web.pages.views.marks import Column, Fact, Mark

#: Tables that one page lists; the search finds the others.
TABLES = 200
SORTS: Mapping[str, tuple[str, Any]] = {
    "name": ("Table", lambda table: (table.schema, table.name)),
    "rows": ("Rows", lambda table: table.rows or -1),
    "size": ("Size", lambda table: table.size or -1),
    "indexes": ("Indexes", lambda table: table.index_size or -1),
    "dead": ("Dead rows", lambda table: _dead(table) or -1),
    "vacuum": ("Last vacuum", lambda table: table.last_vacuum.timestamp() if table.last_vacuum else 0),
}
#: A table with more dead rows than this, in percent, and enough of them, is pointed at.
BLOATED = 20.0


def state(seen: View, *, text: str, sort: str) -> StateTab:
    """What the database is and holds, as of the last look that reached it."""
    facts = seen.facts
    key, descending = (sort.removeprefix("-"), sort.startswith("-")) if sort else ("size", True)
    if key not in SORTS:
        key, descending = "size", True
    wanted = text.strip().lower()
    every = facts.tables if facts else ()
    found = [table for table in every if wanted in f"{table.schema}.{table.name}".lower()]
    found.sort(key=SORTS[key][1], reverse=descending)
    largest = max((table.size or 0 for table in every), default=0) or 1
    return StateTab(
        facts=_state_facts(facts),
        columns=tuple(_column(seen, name, key, descending, text) for name in SORTS),
        tables=tuple(_table(table, largest) for table in found[:TABLES]),
        table_count=len(facts.stored) if facts else 0,
        materialized=len(every) - len(facts.stored) if facts else 0,
        extensions=tuple(Extension(each.name, each.version) for each in (facts.extensions if facts else ())),
        observed_at=facts.at if facts else None,
        filter=text,
    )


def _state_facts(facts: Facts | None) -> tuple[Fact, ...]:
    if facts is None:
        return ()
    found = []
    if facts.version:
        found.append(Fact("Server", facts.version))
    if facts.started_at:
        found.append(Fact("Up since", moment=facts.started_at))
    found.append(Fact("Size", words.size(facts.size)))
    states = ", ".join(f"{count} {name}" for name, count in sorted(facts.sessions.by_state.items()))
    limit = f" of {facts.sessions.limit}" if facts.sessions.limit else ""
    found.append(Fact("Sessions", f"{facts.sessions.total}{limit}" + (f": {states}" if states else "")))
    if facts.last_write:
        found.append(Fact("Last write", moment=facts.last_write))
    if facts.encoding:
        found.append(
            Fact("Encoding", f"{facts.encoding}, {facts.collation}" if facts.collation else facts.encoding)
        )
    if facts.owner:
        found.append(Fact("Owner", facts.owner, mono=True))
    if facts.in_recovery:
        found.append(Fact("Standby", mark=Mark("warn", "read-only")))
    if facts.missing:
        found.append(Fact("Not seen", mark=Mark("unknown", "; ".join(facts.missing))))
    return tuple(found)


def _column(seen: View, name: str, key: str, descending: bool, text: str) -> Column:
    here = name == key
    value = name if here and descending else f"-{name}"
    path = addresses.environment(seen.environment.project, seen.environment.name)
    return Column(
        SORTS[name][0],
        path + addresses.query(sort=value, table=text),
        sorted=("descending" if descending else "ascending") if here else None,
        numeric=name in ("rows", "indexes", "dead"),
    )


def _dead(table: Table) -> float | None:
    if table.dead_rows is None or table.rows is None:
        return None
    total = table.rows + table.dead_rows
    return 100 * table.dead_rows / total if total else 0.0


def _table(table: Table, largest: int) -> TableRow:
    dead = _dead(table)
    bloated = dead is not None and dead > BLOATED and (table.dead_rows or 0) > 1000
    return TableRow(
        schema=table.schema,
        name=table.name,
        rows=table.rows,
        bytes=table.size or 0,
        index_bytes=table.index_size or 0,
        share=words.percent(table.size or 0, largest),
        dead=dead,
        vacuumed_at=table.last_vacuum,
        note=Mark("warn", "needs a vacuum")
        if bloated
        else None
        if table.kind == "table"
        else Mark("queued", table.kind),
    )
