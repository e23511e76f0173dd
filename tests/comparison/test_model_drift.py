"""The models' schema: what it stands on, what is kept of it, and what models cannot say."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from tests.configured import configuration, environment, project
from tests.tools.written import execute, migration, write_project
from web.comparison.expected import Expected
from web.comparison.modelled import cache_key, modelled_schema
from web.comparison.side_by_side import Comparison, compare_sources
from web.comparison.sources import CouldNotCompare, Reader, parse_source
from web.comparison.unmodelled import can_be_modelled
from web.config import AlembicSettings, Prelude, Project
from web.postgres.embedded import EmbeddedServer
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.schema.model import Extension

MODELS = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("users", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text, index=True))
"""
HEAD = (
    "CREATE TABLE users (id serial PRIMARY KEY, name text)",
    "CREATE INDEX ix_users_name ON users (name)",
)
#: What a MetaData has no words for.
BEYOND = (
    "CREATE VIEW names AS SELECT name FROM users",
    "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE users ENABLE ROW LEVEL SECURITY, REPLICA IDENTITY FULL, ALTER name SET STORAGE external",
    "CREATE POLICY p ON users USING (true)",
    "GRANT SELECT ON users TO PUBLIC",
    "COMMENT ON INDEX ix_users_name IS 'why'",
    "CREATE STATISTICS s ON id, name FROM users",
)
#: What it could have said.
WITHIN = ("ALTER TABLE users ADD age int CHECK (age > 0)", "COMMENT ON TABLE users IS 'people'")

ReaderOf = Callable[[Project], Reader]


@pytest.fixture
def reader_of(store: AsyncEngine, scratch: ScratchServers, tmp_path: Path) -> ReaderOf:
    return lambda one: Reader(configuration(tmp_path, one), store, scratch, ())


def written(folder: Path, *statements: str, models: str = MODELS) -> AlembicSettings:
    tool = write_project(folder, {"a": migration("a", None, execute(*statements))})
    (folder / "shop_models.py").write_text(models)
    return replace(tool, models=("shop_models:metadata",))


async def model_drift(reader: Reader, other: str = "clinic@heads") -> Comparison:
    return await compare_sources(reader, parse_source("clinic:models"), parse_source(other))


def described(found: Comparison) -> tuple[list[str], list[str]]:
    """Kinds and objects: what a model can say, and what it cannot."""
    first, second = (
        [
            f"{each.kind} {each.object} {each.attribute or ''}".strip()
            for each in found.differences
            if can_be_modelled(each) is modelled
        ]
        for modelled in (True, False)
    )
    return first, second


async def test_models_that_say_what_migrations_say(reader_of: ReaderOf, tmp_path: Path) -> None:
    found = await model_drift(reader_of(project(tmp_path, written(tmp_path, *HEAD))))
    assert found.differences == ()


async def test_what_models_can_say_and_what_not(reader_of: ReaderOf, tmp_path: Path, database: str) -> None:
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in (*HEAD, *BEYOND, *WITHIN):
            connection.execute(statement.encode())
    expected = (
        ["column public.users.age", "constraint public.users.users_age_check", "table public.users comment"],
        [
            "column public.users.name storage",
            "index public.ix_users_name comment",
            "policy public.users.p",
            "statistics public.s",
            "grant public.users to PUBLIC",
            "table public.users replica identity",
            "table public.users row security",
            "view public.names",
            "function public.one()",
        ],
    )
    dev = environment(tmp_path, database)
    reader = reader_of(project(tmp_path, written(tmp_path, *HEAD, *BEYOND, *WITHIN), dev))
    for other in ("clinic@heads", "clinic/dev"):
        modelled, unmodelled = described(await model_drift(reader, other))
        assert (sorted(modelled), sorted(unmodelled)) == (sorted(expected[0]), sorted(expected[1]))


async def test_extensions_of_the_other_side_are_there(reader_of: ReaderOf, tmp_path: Path) -> None:
    models = """
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
metadata = sa.MetaData()
sa.Table("users", metadata, sa.Column("mail", postgresql.CITEXT))
"""
    tool = written(tmp_path, "CREATE EXTENSION citext", "CREATE TABLE users (mail citext)", models=models)
    assert (await model_drift(reader_of(project(tmp_path, tool)))).differences == ()


async def test_a_role_that_the_models_name(reader_of: ReaderOf, tmp_path: Path) -> None:
    models = MODELS + (
        "sa.event.listen(metadata, 'after_create', sa.DDL('GRANT SELECT ON users TO models_reader'))\n"
    )
    tool = written(tmp_path, *HEAD, "GRANT SELECT ON users TO models_reader", models=models)
    assert (await model_drift(reader_of(project(tmp_path, tool)))).differences == ()


async def test_why_it_could_not_be_compared(reader_of: ReaderOf, tmp_path: Path) -> None:
    tool = replace(written(tmp_path, *HEAD), models=("shop_models:meta",))
    with pytest.raises(CouldNotCompare, match="models of clinic: shop_models has no meta") as failed:
        await model_drift(reader_of(project(tmp_path, tool)))
    assert failed.value.hint.startswith("Check `models`")
    with pytest.raises(CouldNotCompare, match="not configured where the models of clinic are"):
        await model_drift(reader_of(project(tmp_path, replace(tool, models=()))))


class CountingServers(ScratchServers):
    """How many databases were made: the models' code is run in each of them, and nowhere else."""

    made = 0

    @asynccontextmanager
    async def database(self, major: int, **wanted: Any) -> AsyncIterator[ScratchDatabase]:
        self.made += 1
        async with super().database(major, **wanted) as database:
            yield database


async def test_what_is_kept_and_for_how_long(
    store: AsyncEngine, server: EmbeddedServer, tmp_path: Path
) -> None:
    scratch = CountingServers(tmp_path / "scratch", {17: server.url()}, ())
    source = tmp_path / "source"
    source.mkdir()
    tool = written(source)

    async def made(tool: AlembicSettings = tool, extensions: tuple[Extension, ...] = ()) -> Expected:
        return await modelled_schema(store, scratch, project(source, tool), major=17, extensions=extensions)

    first = await made()
    assert first.schema is not None
    assert scratch.made == 1
    assert await made() == first
    assert scratch.made == 1
    (source / "new_module.py").write_text("")
    await made()
    assert scratch.made == 2
    (source / "shop_models.py").write_text(MODELS.replace('"name"', '"title"'))
    changed = await made()
    assert changed.fingerprint != first.fingerprint
    assert await made(replace(tool, prelude=Prelude(command=("true",)))) == changed
    assert scratch.made == 4
    await made(extensions=(Extension("citext", "public", "1.6"),))
    assert scratch.made == 5
    assert await made() == changed
    assert scratch.made == 5


def test_what_an_environment_holds_is_part_of_the_key(tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    packages = prefix / "lib" / "python3.11" / "site-packages"
    (packages / "library-1.0.dist-info").mkdir(parents=True)
    source = tmp_path / "source"
    (tmp_path / "elsewhere").mkdir()
    source.mkdir()
    one = project(source, replace(written(source), python=prefix / "bin" / "python"))
    keys = [cache_key(one, 17, ())]
    (packages / "library-1.0.dist-info").rename(packages / "library-1.1.dist-info")
    keys.append(cache_key(one, 17, ()))
    (packages / "library-1.1.dist-info" / "RECORD").write_text("installed again")
    keys.append(cache_key(one, 17, ()))
    (packages / "elsewhere.pth").write_text(str(tmp_path / "elsewhere"))
    keys.append(cache_key(one, 17, ()))
    (tmp_path / "elsewhere" / "shared.py").write_text("a = 1")
    keys.append(cache_key(one, 17, ()))
    assert None not in keys
    assert len(set(keys)) == len(keys)
    (packages / "library" / "__pycache__").mkdir(parents=True)
    (source / "__pycache__").mkdir()
    (source / "__pycache__" / "x.py").write_text("")
    keys.append(cache_key(one, 17, ()))
    (packages / "library" / "compiled").mkdir()
    assert cache_key(one, 17, ()) == keys[-1]


@pytest.mark.parametrize("reason", ["an import hook", "no packages"])
def test_where_nothing_is_kept(reason: str, tmp_path: Path) -> None:
    prefix = tmp_path / "env"
    packages = prefix / "lib" / "python3.11" / "site-packages"
    (packages / "library-1.0.dist-info").mkdir(parents=True)
    (tmp_path / "source").mkdir()
    one = project(
        tmp_path / "source", replace(written(tmp_path / "source"), python=prefix / "bin" / "python")
    )
    assert cache_key(one, 17, ()) is not None
    match reason:
        case "an import hook":
            (packages / "__editable___shop_1_0_finder.py").write_text("")
        case "no packages":
            (packages / "library-1.0.dist-info").rmdir()
    assert cache_key(one, 17, ()) is None
