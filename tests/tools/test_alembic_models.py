"""Models made by the project's own interpreter: every form that they are named in, and what is said of failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from tests.tools.foreign import foreign
from tests.tools.runs import Told, ask, create_models, project_of
from tests.tools.written import linear, write_project
from web.config import AlembicSettings, Prelude
from web.errors import CleanStartError, ModelsFailed, ProgramMissing
from web.tools.events import Connected, Log

MODELS = """
import sqlalchemy as sa
from sqlalchemy.orm import declarative_base

print("noise on stdout")
Base = declarative_base()
other = sa.MetaData()
sa.Table("b", other, sa.Column("id", sa.Integer, primary_key=True))
empty = sa.MetaData()
several = [Base, other]
named = {"one": Base.metadata, "two": other}
number = 3

def both():
    return Base.metadata, other

class A(Base):
    __tablename__ = "a"
    id = sa.Column(sa.Integer, primary_key=True)
    kind = sa.Column(sa.Enum("x", "y", name="kind"))
"""
TABLES = (
    "SELECT format('%s.%s', schemaname, tablename) FROM pg_tables WHERE schemaname !~ '^(pg_|inf)' ORDER BY 1"
)


async def made(
    folder: Path, url: str, *models: str, text: str = MODELS, tool: AlembicSettings | None = None
) -> list[object]:
    """The tables that the models of a written project give."""
    tool = tool or write_project(folder, {})
    (folder / "shop_models.py").write_text(text)
    await create_models(project_of(folder, replace(tool, models=models)), url=url)
    return await ask(url, TABLES)


@pytest.mark.parametrize(
    ("models", "tables"),
    [
        (["shop_models:Base.metadata"], ["public.a"]),
        (["shop_models:Base"], ["public.a"]),
        (["shop_models:A"], ["public.a"]),
        (["shop_models:other"], ["public.b"]),
        (["shop_models:several"], ["public.a", "public.b"]),
        (["shop_models:named"], ["public.a", "public.b"]),
        (["shop_models:both"], ["public.a", "public.b"]),
        (["shop_models:Base", "shop_models:other", "shop_models:Base.metadata"], ["public.a", "public.b"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) and ":" in value[0] else None,
)
async def test_forms(models: Sequence[str], tables: list[str], tmp_path: Path, database: str) -> None:
    assert await made(tmp_path, database, *models) == tables


async def test_modules_that_are_only_imported(tmp_path: Path, database: str) -> None:
    (tmp_path / "shop_more.py").write_text(
        "import shop_models as m, sqlalchemy as sa\n"
        "class C(m.Base):\n    __tablename__ = 'c'\n    id = sa.Column(sa.Integer, primary_key=True)\n"
    )
    assert await made(tmp_path, database, "shop_models:Base", "shop_more") == ["public.a", "public.c"]


async def test_a_package_in_src_that_is_not_installed(tmp_path: Path, database: str) -> None:
    (tmp_path / "src" / "inner").mkdir(parents=True)
    (tmp_path / "src" / "inner" / "__init__.py").write_text("")
    (tmp_path / "src" / "inner" / "models.py").write_text(MODELS)
    tool = replace(write_project(tmp_path, {}), models=("inner.models:Base",))
    told = Told()
    await create_models(
        project_of(tmp_path, tool), url=database, on_event=told, application_name="cleanstart/models"
    )
    assert await ask(database, TABLES) == ["public.a"]
    assert [one.text for one in told.of(Log)] == ["noise on stdout"]
    assert len(told.of(Connected)) == 1


async def test_a_folder_named_alembic_beside_the_models(tmp_path: Path, database: str) -> None:
    tool = write_project(tmp_path, {})
    (tmp_path / "alembic").mkdir()
    (tmp_path / "alembic" / "__init__.py").write_text("raise RuntimeError('the wrong alembic')")
    text = "import alembic.op\n" + MODELS
    assert await made(tmp_path, database, "shop_models:Base", text=text, tool=tool) == ["public.a"]


async def test_schemas_that_only_the_models_name(tmp_path: Path, database: str) -> None:
    text = """
import sqlalchemy as sa
metadata = sa.MetaData(schema='first of "all"')
sa.Table("a", metadata, sa.Column("k", sa.Enum("x", name="k", schema="types")))
sa.Sequence("s", metadata=metadata, schema="numbers")
"""
    assert await made(tmp_path, database, "shop_models:metadata", text=text) == ['first of "all".a']
    schemas = await ask(database, "SELECT nspname FROM pg_namespace WHERE nspname !~ '^(pg_|inf)' ORDER BY 1")
    assert schemas == ['first of "all"', "numbers", "public", "types"]


async def test_models_that_make_their_schemas_themselves(tmp_path: Path, database: str) -> None:
    text = """
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("a", metadata, sa.Column("id", sa.Integer), schema="own")
sa.event.listen(metadata, "before_create", sa.DDL("CREATE SCHEMA own"))
"""
    assert await made(tmp_path, database, "shop_models:metadata", text=text) == ["own.a"]


async def test_an_index_that_is_built_outside_of_a_transaction(tmp_path: Path, database: str) -> None:
    text = """
import sqlalchemy as sa
metadata = sa.MetaData()
a = sa.Table("a", metadata, sa.Column("id", sa.Integer), schema="own")
sa.Index("a_id", a.c.id, postgresql_concurrently=True)
"""
    assert await made(tmp_path, database, "shop_models:metadata", text=text) == ["own.a"]
    assert await ask(database, "SELECT indexname FROM pg_indexes WHERE schemaname = 'own'") == ["a_id"]


async def test_the_prelude_runs_first(tmp_path: Path, database: str) -> None:
    text = """
import sqlalchemy as sa
from sqlalchemy.types import UserDefinedType
class Mood(UserDefinedType):
    cache_ok = True
    def get_col_spec(self): return "mood"
metadata = sa.MetaData()
sa.Table("a", metadata, sa.Column("mood", Mood()))
"""
    tool = write_project(tmp_path, {})
    with pytest.raises(ModelsFailed, match=r'was refused: .*type "mood" does not exist') as failed:
        await made(tmp_path, database, "shop_models:metadata", text=text, tool=tool)
    assert failed.value.sqlstate == "42704"
    assert "`prelude`" in failed.value.hint
    (tmp_path / "prelude.sql").write_text("CREATE TYPE mood AS ENUM ('good', 'bad')")
    tool = replace(tool, prelude=Prelude(sql=tmp_path / "prelude.sql"))
    assert await made(tmp_path, database, "shop_models:metadata", text=text, tool=tool) == ["public.a"]


async def test_where_prelude_and_models_make_the_same_table(tmp_path: Path, database: str) -> None:
    (tmp_path / "prelude.sql").write_text(
        "CREATE TYPE kind AS ENUM ('old'); CREATE TABLE a (old kind); CREATE TABLE kept ()"
    )
    tool = replace(write_project(tmp_path, {}), prelude=Prelude(sql=tmp_path / "prelude.sql"))
    assert await made(tmp_path, database, "shop_models:Base", tool=tool) == ["public.a", "public.kept"]
    columns = "SELECT column_name FROM information_schema.columns WHERE table_name = 'a' ORDER BY 1"
    assert await ask(database, columns) == ["id", "kind"]
    assert await ask(database, "SELECT enumlabel FROM pg_enum ORDER BY 1") == ["x", "y"]


@pytest.mark.parametrize(
    ("environment", "driver"),
    [
        ("oldest", "postgresql+psycopg2"),
        ("oldest", "postgresql+asyncpg"),
        ("asyncpg", "postgresql+asyncpg"),
    ],
)
async def test_other_libraries(environment: str, driver: str, tmp_path: Path, database: str) -> None:
    tool = replace(write_project(tmp_path, {}), python=foreign(environment).python, url_driver=driver)
    assert await made(tmp_path, database, "shop_models:several", tool=tool) == ["public.a", "public.b"]


@pytest.mark.parametrize(
    ("models", "text", "said", "hint"),
    [
        ("nowhere.models:Base", "", r"There is no module nowhere\.", "prepend_sys_path"),
        ("shop_models.inner:Base", "", r"There is no module shop_models\.inner\.", "prepend_sys_path"),
        ("shop_models:Bass", MODELS, r"shop_models has no Bass: there is no Bass\.", "Check `models`"),
        ("shop_models:Base.x.y", MODELS, r"shop_models has no Base\.x\.y: there is no x\.", "Check `models`"),
        ("shop_models:number", MODELS, r"shop_models:number is no MetaData: its type is int\.", "Name a MetaData"),
        ("shop_models:empty", MODELS, r"shop_models:empty has no tables\.", "name those too"),
        ("shop_models:Base", "import flask_of_old", r"No module named 'flask_of_old' \(.*shop_models", "scratch"),
        ("shop_models:Base", "1/0", r"cannot be imported: ZeroDivisionError.*shop_models\.py:1", "scratch"),
        ("shop_models:Base", "raise SystemExit('no settings')", "SystemExit: no settings", "scratch"),
        ("shop_models:Base", "import os; os._exit(3)", "ended with exit code 3", ""),
        (
            "shop_models:m",
            ("import sqlalchemy as sa\nm = sa.MetaData()\n"
            "sa.Table('a', m, sa.Column('b', sa.ForeignKey('gone.id')))"),
            "create_all of shop_models:m was refused: NoReferencedTableError",
            "",
        ),
    ],
)  # fmt: skip
async def test_what_is_said_of_failures(
    models: str, text: str, said: str, hint: str, tmp_path: Path, database: str
) -> None:
    with pytest.raises(ModelsFailed, match=said) as failed:
        await made(tmp_path, database, models, text=text)
    assert hint in failed.value.hint
    assert await ask(database, TABLES) == []


async def test_models_that_do_not_come_to_an_end(tmp_path: Path, database: str) -> None:
    tool = replace(write_project(tmp_path, {}), time_limit=timedelta(seconds=2))
    text = "import threading; threading.Event().wait()"
    with pytest.raises(ModelsFailed, match="did not come to its end within 0:00:02"):
        await made(tmp_path, database, "shop_models:Base", text=text, tool=tool)


@pytest.mark.parametrize(
    ("environment", "driver", "error", "said"),
    [
        ("empty", "postgresql", ProgramMissing, "has no SQLAlchemy"),
        ("asyncpg", "postgresql+psycopg2", ModelsFailed, "No module named 'psycopg2'"),
    ],
)
async def test_an_interpreter_that_lacks_something(
    environment: str, driver: str, error: type[CleanStartError], said: str, tmp_path: Path, database: str
) -> None:
    tool = replace(write_project(tmp_path, {}), python=foreign(environment).python, url_driver=driver)
    with pytest.raises(error, match=said):
        await made(tmp_path, database, "shop_models:Base", tool=tool)


async def test_a_project_without_models(tmp_path: Path, database: str) -> None:
    with pytest.raises(ModelsFailed, match="It is not configured where the models of shop are") as failed:
        await create_models(project_of(tmp_path, linear(tmp_path, 1)), url=database)
    assert failed.value.hint.startswith('Add models = "MODULE:ATTRIBUTE"')
