"""Sequences, and the options that identity columns share with them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from web.schema.ddl.access import own
from web.schema.ddl.statement import Ground, Made, Statement, Unwritten
from web.schema.limits import limits_of
from web.schema.model import Sequence
from web.schema.names import holder_of


def sequence_options(item: Sequence, there: Sequence) -> str:
    """Write the options that differ from those of the sequence as it is there; each begins with a space."""
    words = {
        "start": f"START WITH {item.start}",
        "increment": f"INCREMENT BY {item.increment}",
        "minimum": "NO MINVALUE" if item.minimum is None else f"MINVALUE {item.minimum}",
        "maximum": "NO MAXVALUE" if item.maximum is None else f"MAXVALUE {item.maximum}",
        "cache": f"CACHE {item.cache}",
        "cycle": "CYCLE" if item.cycle else "NO CYCLE",
    }
    return "".join(f" {text}" for name, text in words.items() if getattr(item, name) != getattr(there, name))


def create_sequence(item: Sequence, ground: Ground) -> Made:
    """Write CREATE SEQUENCE; that of an identity column comes with it."""
    if item.identity_column:
        return [], item
    unlogged = item.persistence == "unlogged" and item.owned_by is None
    word = "UNLOGGED SEQUENCE" if unlogged else "SEQUENCE"
    type_ = f" AS {item.type}" if item.type != "bigint" else ""
    usual = replace(item, start=1, increment=1, minimum=None, maximum=None, cache=1, cycle=False)
    sql = f"CREATE {word} {item.identity}{type_}{sequence_options(item, usual)}"
    made = replace(item, owned_by=None, owner=None if item.owned_by else ground.role, grants=(), comment=None)
    return [Statement(sql)], made


def alter_sequence(a: Sequence, b: Sequence, what: set[str], ground: Ground) -> Iterator[Statement]:
    """Lead a sequence from b to a."""
    head = f"ALTER SEQUENCE {a.identity}"
    if what & {"type", "start", "increment", "minimum", "maximum", "cache", "cycle"}:
        type_ = f" AS {a.type}" if "type" in what else ""
        # With a new type or direction old limits may not do, so all is said again.
        again = "type" in what or (a.increment > 0) != (b.increment > 0)
        there = replace(b, minimum=_other_than(a.minimum), maximum=_other_than(a.maximum)) if again else b
        (lowest, highest), (old_lowest, old_highest) = limits_of(a), limits_of(b)
        # No value that it can have now is one that it may have then.
        restart = " RESTART" if old_highest < lowest or old_lowest > highest else ""
        yield Statement(f"{head}{type_}{sequence_options(a, there)}{restart}")
    if "persistence" in what:
        if ground.major < 15:
            raise Unwritten("PostgreSQL changes a sequence's persistence since version 15.")
        yield Statement(f"{head} SET {'UNLOGGED' if a.persistence == 'unlogged' else 'LOGGED'}")
    if "owned_by" in what:
        if a.owned_by is not None:
            # Both have to have one owner.
            table = ground.actual_tables.get(holder_of(a.owned_by))
            if table is not None and table.owner and table.owner != (b.owner or ground.role):
                yield own(a, table.owner, ground)
        yield Statement(f"{head} OWNED BY {a.owned_by or 'NONE'}")


def _other_than(limit: int | None) -> int | None:
    return 0 if limit is None else None
