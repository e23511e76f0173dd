"""Histories of real projects from PyPI, their env.py untouched."""

from __future__ import annotations

import hashlib
from pathlib import Path

from tests.tools.foreign import Foreign
from tests.tools.runs import ALEMBIC, Told, ask, project_of, replay, upgrade
from web.config import AlembicSettings, Prelude
from web.postgres.connections import connect
from web.tools.alembic_tool.applied import read_applied
from web.tools.alembic_tool.history_files import read_history
from web.tools.events import RevisionFinished, StatementFinished

MLFLOW_PRELUDE = """
import os
from sqlalchemy import create_engine
from mlflow.store.tracking.dbmodels.initial_models import Base
Base.metadata.create_all(create_engine(os.environ["DATABASE_URL"]))
"""


def optuna_tool(environment: Foreign) -> AlembicSettings:
    """optuna as it comes: a relative script_location, `alembic/` beside the ini, the URL in the ini."""
    folder = environment.packages / "optuna" / "storages" / "_rdb"
    return AlembicSettings(
        config=folder / "alembic.ini", python=environment.python, url_driver="postgresql+psycopg2"
    )


def mlflow_tool(environment: Foreign) -> AlembicSettings:
    return AlembicSettings(
        config=environment.packages / "mlflow" / "store" / "db_migrations" / "alembic.ini",
        cwd=environment.packages,
        python=environment.python,
        url_variable="DATABASE_URL",
        url_driver="postgresql+psycopg2",
        prelude=Prelude(command=(str(environment.python), "-c", MLFLOW_PRELUDE)),
    )


def digests(folder: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.rglob("*.py")}


async def test_optuna_from_empty_to_head(optuna: Foreign, database: str) -> None:
    tool = optuna_tool(optuna)
    folder = tool.config.parent
    before = digests(folder)
    history = read_history(folder, tool)
    assert (history.problems, history.complete, len(history)) == ((), True, 10)
    assert (history.bases, history.heads) == (("v0.9.0.a",), ("v3.2.0.a",))
    told = Told()
    result = await upgrade(project_of(folder, tool), url=database, on_event=told)
    assert result.applied == history.heads
    assert [one.revision for one in told.of(RevisionFinished)] == [one.revision for one in history.migrations]
    assert sum(one.statement.revision is not None for one in told.of(StatementFinished)) > 40
    async with connect(database) as connection:
        assert history.pending((await read_applied(connection, tool)).revisions) == ()
    assert len(await ask(database, "SELECT 1 FROM pg_tables WHERE schemaname = 'public'")) > 10
    assert digests(folder) == before


async def test_optunas_interpreter_reads_the_same_history(optuna: Foreign) -> None:
    tool = optuna_tool(optuna)
    folder = tool.config.parent
    assert set((await ALEMBIC.ask_history(project_of(folder, tool))).migrations) == set(
        read_history(folder, tool).migrations
    )


async def test_mlflow_with_its_prelude(mlflow: Foreign, database: str) -> None:
    tool = mlflow_tool(mlflow)
    history = read_history(mlflow.packages, tool)
    assert (history.problems, history.complete, len(history.heads)) == ((), True, 1)
    assert len(history) > 50
    result = await replay(project_of(mlflow.packages, tool), url=database)
    assert result.applied == history.heads
    assert len(result.ran) == len(history)
    async with connect(database) as connection:
        assert history.is_at_head((await read_applied(connection, tool)).revisions)


async def test_mlflow_up_to_a_revision_on_the_way(mlflow: Foreign, database15: str) -> None:
    tool = mlflow_tool(mlflow)
    history = read_history(mlflow.packages, tool)
    middle = history.migrations[len(history) // 2].revision
    await replay(project_of(mlflow.packages, tool), url=database15, revisions=[middle])
    async with connect(database15) as connection:
        rows = (await read_applied(connection, tool)).revisions
    assert rows == (middle,)
    assert 0 < len(history.pending(rows)) < len(history)
