"""The clinic's three corners: models, migrations and a live database."""

from __future__ import annotations

import asyncio
import json

import pytest

from demo.build import Demo
from web.cli.exits import NO
from web.cli.program import run
from web.comparison.side_by_side import compare_sources, prove_repair
from web.comparison.sources import Reader, parse_source
from web.comparison.unmodelled import can_be_modelled
from web.config import load
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers

#: What the clinic keeps in its migrations alone.
ONLY_IN_MIGRATIONS = {"function", "materialized view", "policy", "table", "trigger", "view"}


@pytest.fixture
def reader(demo: Demo, scratch: ScratchServers, programs: tuple[Programs, ...]) -> Reader:
    return Reader(load(demo.configuration), None, scratch, programs)


async def test_models_and_migrations(reader: Reader) -> None:
    found = await compare_sources(reader, parse_source("clinic:models"), parse_source("clinic@heads"))
    modelled = [each for each in found.differences if can_be_modelled(each)]
    unmodelled = [each for each in found.differences if not can_be_modelled(each)]
    # `alembic check` is silent about these: the convention was applied to names that had it already.
    assert {(each.kind, each.change) for each in modelled if each.severity != "cosmetic"} == {
        ("constraint", "renamed")
    }
    assert all("ck_" in each.object for each in modelled if each.change == "renamed")
    assert {each.kind for each in unmodelled} == ONLY_IN_MIGRATIONS
    assert {each.attribute for each in unmodelled if each.kind == "table"} == {"row security"}
    assert (await prove_repair(reader, found, destructive=True)).holds


async def test_models_and_a_live_database(reader: Reader) -> None:
    found = await compare_sources(reader, parse_source("clinic:models"), parse_source("clinic/staging"))
    modelled = [each for each in found.differences if can_be_modelled(each)]
    unmodelled = [each for each in found.differences if not can_be_modelled(each)]
    structure = {(each.kind, each.object): each.change for each in modelled}
    assert structure["column", "public.appointments.checked_in_at"] == "added"
    assert structure["table", "public.sessions"] == "added"
    assert {each.kind for each in unmodelled} == ONLY_IN_MIGRATIONS
    assert (await prove_repair(reader, found)).holds


async def test_the_command_says_what_no_model_can(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--config", str(demo.configuration)]
    for other in ("clinic@head", "clinic/dev"):
        assert await asyncio.to_thread(run, ["diff", "clinic:models", other, *arguments]) == NO
        said = capsys.readouterr()
        assert "these no model can say; `--without unmodelled` leaves them out." in said.err
        assert "function public.touch_updated_at() added" in said.out
        more = ["--without", "unmodelled", "--without", "cosmetic"]
        assert await asyncio.to_thread(run, ["diff", "clinic:models", other, *more, *arguments]) == NO
        said = capsys.readouterr()
        assert said.err == ""
        assert "touch_updated_at" not in said.out
        assert f"left out between clinic:models and {other}." in said.out


async def test_for_programs_and_for_psql(demo: Demo, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["diff", "clinic:models", "clinic@head", "--config", str(demo.configuration), "--format"]
    assert await asyncio.to_thread(run, [*arguments, "json"]) == NO
    answer = json.loads(capsys.readouterr().out)
    assert (answer["a"], answer["b"], answer["unknown"]) == ("clinic:models", "clinic@head", [])
    assert {"table", "constraint", "function"} <= {each["kind"] for each in answer["differences"]}
    assert await asyncio.to_thread(run, [*arguments, "sql"]) == NO
    script = capsys.readouterr().out
    assert script.startswith("-- Makes clinic@head like clinic:models. Run on a scratch copy of it")
    assert "DROP FUNCTION public.touch_updated_at()" in script
