"""Count on a target what refuses a repair, before its first statement: read-only, within a time limit."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import psycopg

from web.postgres.connections import Connection
from web.schema.demands.demand import Demand
from web.schema.proof import SESSION

#: For the session that counts: a policy must not hide rows from it, it says so instead.
COUNTING = {**SESSION, "row_security": "off"}
#: SQLSTATE classes of what the rows themselves refuse: values that do not convert, and violated constraints.
_REFUSED_BY_ROWS = ("22", "23")
#: So many are named.
NAMED = 3


@dataclass(frozen=True, slots=True)
class Counted:
    """What was found for one demand."""

    demand: Demand
    #: None: not known.
    count: int | None = None
    #: What the server said to it; why it is not known, where `refused` is not set.
    said: str | None = None
    refused: bool = False

    @property
    def words(self) -> str:
        """As a sentence without its full stop."""
        if self.count is None and not self.refused:
            return f"{self.demand.object}: it was not counted how many {self.demand.words}: {self.said}"
        number = "at least 1" if self.count is None else str(self.count)
        said = f" ({self.said})" if self.said else ""
        return f"{self.demand.object}: {number} of {self.demand.words}{said}"

    def to_json(self) -> dict[str, object]:
        """JSON of API and CLI."""
        return {
            "object": self.demand.object,
            "what": self.demand.words,
            "query": self.demand.query,
            "count": self.count,
            "refused": self.refused,
            "said": self.said,
        }


async def count(connection: Connection, demands: Iterable[Demand], seconds: float) -> tuple[Counted, ...]:
    """Ask every demand's query, in a transaction each, for so many seconds in all.

    The connection is read-only and autocommit, with the settings of COUNTING. Tables are locked as any SELECT does.
    """
    ends = time.monotonic() + seconds
    return tuple([await _count(connection, each, ends, seconds) for each in demands])


async def _count(connection: Connection, demand: Demand, ends: float, seconds: float) -> Counted:
    if demand.query is None:
        return Counted(demand, said="Clean Start does not know how to ask for that")
    left = ends - time.monotonic()
    over = f"the {seconds:g} s for counting were over"
    if left <= 0:
        return Counted(demand, said=over)
    try:
        await connection.execute(
            "SELECT pg_catalog.set_config('statement_timeout', %s, false)", [f"{max(1, int(left * 1000))}ms"]
        )
        query = f"SELECT pg_catalog.count(*) FROM (\n{demand.query}\n) AS refused"  # noqa: S608 - ours, see Demand
        row = await (await connection.execute(query.encode())).fetchone()
    except psycopg.errors.QueryCanceled:
        return Counted(demand, said=over)
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        message = error.diag.message_primary or str(error)
        return Counted(demand, said=message, refused=error.sqlstate.startswith(_REFUSED_BY_ROWS))
    assert row is not None
    return Counted(demand, count=row[0], refused=row[0] > 0)


def refused(found: Sequence[Counted]) -> str | None:
    """Name what rows refuse, with the queries that give them; None: nothing."""
    return _named([f"{each.words}. They are: {each.demand.query}" for each in found if each.refused])


def not_counted(found: Sequence[Counted]) -> str | None:
    """Name what is not known; None: all is."""
    return _named([each.words for each in found if each.count is None and not each.refused])


def _named(said: Sequence[str]) -> str | None:
    if not said:
        return None
    more = f" And {len(said) - NAMED} more." if len(said) > NAMED else ""
    return f"{'; '.join(said[:NAMED])}.{more}"
