"""Real projects from PyPI, their whole history replaced by one baseline each: proven against the old chain."""

from __future__ import annotations

import asyncio
import compileall
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from tests.configured import environment, project
from tests.schema.real import KEYSTONE, REAL, Real
from tests.tools.foreign import foreign
from web.comparison.expected import expected_schema
from web.postgres.scratch import ScratchServers
from web.remedies.archiving import change_set, plan_archive
from web.remedies.baseline import NO_PLACE, Baseline, Ground, make_baseline, run_old_chain
from web.tools.registry import tool_of

#: What cannot be carried, because PostgreSQL moves no column of a table that the project makes before its migrations.
LEFT = {"mlflow": {("public.metrics", "column order")}}


async def squash(one: Real, scratch: ScratchServers, folder: Path) -> Baseline:
    made = await asyncio.to_thread(foreign, one.environment)
    tool = replace(one.tool(made, folder), models=one.models)
    # Read from where it is installed, and never written to.
    source = project(made.packages, tool, environment(folder, "postgresql:///nowhere"))
    history = await tool_of(source).history(source)
    if not history.complete:
        history = await tool_of(source).ask_history(source)
    ground = Ground(scratch, 17)
    expected = await expected_schema(None, scratch, source, history, history.goal, major=17)
    assert expected.schema is not None, expected.reason
    old = await run_old_chain(ground, source, history, expected.schema)
    assert old.seconds > 0
    archive = await asyncio.to_thread(plan_archive, source, history, date(2026, 11, 30), keep=True)
    kept = {new: content for _, new, content in archive.files}
    found = await make_baseline(ground, source, history, expected.schema, "baseline", kept=kept)
    change, manifest = await asyncio.to_thread(change_set, source, history, found, archive)
    assert len(change.files) == 2 * len(history) + 3
    assert [each["revision"] for each in manifest["migrations"]] == [
        each.revision for each in history.migrations
    ]
    return found


@pytest.mark.parametrize(
    "one", [KEYSTONE, *(each for each in REAL if not each.slow)], ids=lambda one: one.name
)
async def test_one_migration_gives_what_all_of_them_gave(
    one: Real, scratch: ScratchServers, tmp_path: Path
) -> None:
    found = await squash(one, scratch, tmp_path)
    assert found.proven, found.refusal or found.remaining
    assert {(each.object, each.attribute) for each, _ in found.left} == LEFT.get(one.name, set())
    assert found.no_downgrade == (NO_PLACE if one.environment in ("nova", "keystone") else None)
    (tmp_path / "baseline.py").write_text(found.text)
    assert compileall.compile_file(tmp_path / "baseline.py", quiet=1)
    # As somebody would write it: tables by calls, numbers by their keys, and down again by dropping tables.
    assert "op.create_table(" in found.text
    if one is not KEYSTONE:  # It has a sequence that is no column's own name.
        assert "CREATE SEQUENCE" not in found.text
        assert "OWNED BY" not in found.text
    if one.name in ("optuna", "prefect"):
        assert "CREATE TABLE" not in found.text
        down = found.text[found.text.index("def downgrade") :]
        assert "op.drop_table(" in down
    if one.name == "optuna":
        assert "op.drop_constraint(" not in found.text
        assert "sa.Column('study_id', sa.Integer(), autoincrement=True, nullable=False)" in found.text
