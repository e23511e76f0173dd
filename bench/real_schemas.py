"""Real projects from PyPI: drift at head after replay, after dump and restore, after a repair of ten changes by hand,
and what their models say. Writes docs/real-schemas.md.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from bench.contest import say
from bench.servers import benching, programs
from tests.schema.real import CHANGES, REAL, Examined, Real, examine
from web.comparison.side_by_side import Comparison
from web.comparison.unmodelled import can_be_modelled
from web.postgres.scratch import ScratchServers
from web.schema.difference import Difference
from web.schema.model import Schema

PAGE = Path(__file__).parent.parent / "docs" / "real-schemas.md"
HEAD = """\
# Real schemas

Written by `make bench ARGS=real_schemas`; `tests/schema/test_real.py` demands the same of all but the largest. The
migrations of projects from PyPI, their env.py untouched, run by an interpreter of their own; PostgreSQL {server}.

1. Two empty databases are brought to head, one as the expected schema is made, one as an environment is migrated.
2. The second is dumped and restored.
3. {changes} changes are drawn at random (the seed is fixed) and made in it by hand: columns, types, keys, indexes,
   tables, views, functions, grants and row security.
4. The repair is proven on a copy, destructive statements selected, then run on the database itself.

| project | revisions | tables | objects | after replay | after restore | changed by hand | statements | after repair |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
"""
BETWEEN = """
After replay, after restore, changed by hand and after repair are differences. What remains after a repair is the order
of columns: PostgreSQL cannot put one that was dropped back into its place.

## Their models

`create_all` of the models against the same database at head: what Clean Start calls model drift. (80 of the differences
of nova's main database are its shadow tables, which no model has and its own check leaves out.)

| project | what models can say | of that, not cosmetic | what they cannot say |
|---|---:|---:|---:|
"""


async def main() -> None:
    """Examine all and write the page."""
    found: list[tuple[Real, Examined]] = []
    async with benching() as bench:
        scratch = ScratchServers(bench.folder / "scratch", {}, programs())
        for number, one in enumerate(REAL):
            live, restored = bench.database(f"live_{number}"), bench.database(f"restored_{number}")
            with tempfile.TemporaryDirectory(prefix="cleanstart-real-") as folder:
                made = await examine(one, Path(folder), live, restored, scratch, programs())
            found.append((one, made))
            say(
                f"  {one.name}: {len(made.after_replay)}, {len(made.after_restore)}, {_left(made.after_repair)}"
            )
        await scratch.stop()
    await asyncio.to_thread(PAGE.write_text, _page(found), "utf-8")
    say(f"  written to {PAGE.name}")


def _page(found: Sequence[tuple[Real, Examined]]) -> str:
    lines = [HEAD.format(server=programs()[0].version, changes=CHANGES).rstrip("\n")]
    for one, made in found:
        cells = (
            f"{one.name} ({one.package} {made.version})",
            made.revisions,
            len(made.schema.tables),
            _objects(made.schema),
            len(made.after_replay),
            len(made.after_restore),
            len(made.changed.differences),
            len(made.proof.statements) if made.proof.holds else "no proven repair",
            _left(made.after_repair),
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    lines.append(BETWEEN.rstrip("\n"))
    refused = []
    for one, made in found:
        if isinstance(made.models, Comparison):
            can = [each for each in made.models.differences if can_be_modelled(each)]
            telling = sum(each.severity != "cosmetic" for each in can)
            lines.append(
                f"| {one.name} | {len(can)} | {telling} | {len(made.models.differences) - len(can)} |"
            )
        else:
            refused.append(f"- {one.name}: {made.models.partition(': ')[2]}")
    if refused:
        lines += ["", "PostgreSQL does not take all models:", "", *refused]
    return "\n".join([*lines, ""])


def _objects(schema: Schema) -> int:
    """Tables with all that they hold, and everything beside them."""
    whole = [getattr(schema, each.name) for each in fields(schema)]
    count = sum(len(each) for each in whole if isinstance(each, tuple))
    for table in schema.tables:
        count += len(table.columns) + len(table.constraints) + len(table.indexes) + len(table.triggers)
    return count


def _left(differences: Sequence[Difference]) -> str:
    order = sum(each.attribute == "column order" for each in differences)
    return f"{len(differences) - order}" + (f", order of columns in {order}" if order else "")
