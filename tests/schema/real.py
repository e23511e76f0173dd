"""Schemas that nobody here wrote: real projects from PyPI, and what is to hold for each of them.

Measured by `examine`, which the tests judge and `python -m bench real_schemas` writes into docs/real-schemas.md.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

from tests.configured import configuration, environment, project
from tests.schema.changes_by_hand import change
from tests.tools.foreign import Foreign, foreign
from tests.tools.runs import replay
from tests.tools.test_foreign import mlflow_tool, optuna_tool
from web.comparison.expected import excluded_tables
from web.comparison.side_by_side import Comparison, prove_repair, side_by_side
from web.comparison.sources import CouldNotCompare, Reader, Sourced, parse_source
from web.config import AlembicSettings, Project
from web.postgres.connections import connect
from web.postgres.dump import dump_database, restore_database
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.schema.difference import Difference, difference
from web.schema.model import Schema
from web.schema.proof import Proof, apply
from web.schema.snapshot import read_schema

CHANGES = 10


@dataclass(frozen=True, slots=True)
class Real:
    """A project with the environment of foreign.toml that it is installed in."""

    name: str
    environment: str
    package: str
    #: Gets the environment and a folder to write into.
    tool: Callable[[Foreign, Path], AlembicSettings]
    models: tuple[str, ...]
    seed: int = 1
    #: Examined for the table only: it takes half a minute.
    slow: bool = False


def _optuna(made: Foreign, folder: Path) -> AlembicSettings:
    return optuna_tool(made)


def _mlflow(made: Foreign, folder: Path) -> AlembicSettings:
    return mlflow_tool(made)


def _nova(part: str) -> Callable[[Foreign, Path], AlembicSettings]:
    return lambda made, folder: AlembicSettings(
        config=made.packages / "nova" / "db" / part / "alembic.ini",
        python=made.python,
        url_driver="postgresql+psycopg2",
    )


def _prefect(made: Foreign, folder: Path) -> AlembicSettings:
    """Its env.py sets where the versions are, so its own ini does not name them."""
    place = made.packages / "prefect" / "server" / "database" / "_migrations"
    ini = folder / "prefect.ini"
    ini.write_text(
        f"[alembic]\nscript_location = {place}\nversion_locations = {place / 'versions' / 'postgresql'}\n"
        "path_separator = newline\n"
    )
    return AlembicSettings(
        config=ini,
        python=made.python,
        url_variable="PREFECT_API_DATABASE_CONNECTION_URL",
        url_driver="postgresql+asyncpg",
        commands={"upgrade": ("prefect", "server", "database", "upgrade", "-y", "--revision", "{revision}")},
    )


def _keystone(made: Foreign, folder: Path) -> AlembicSettings:
    """Its own command configures it, and says where the versions are: a folder for each release and branch."""
    theirs = made.packages / "keystone" / "common" / "sql" / "migrations"
    folders = sorted({each.parent for each in (theirs / "versions").rglob("*.py")})
    place = folder / "keystone"
    place.mkdir()
    (place / "script.py.mako").write_text((theirs / "script.py.mako").read_text())
    (place / "env.py").write_text(
        "import runpy\n\nimport keystone.conf\n\nkeystone.conf.configure()\n"
        f"runpy.run_path({str(theirs / 'env.py')!r})\n"
    )
    places = "".join(f"    {each}\n" for each in folders)
    ini = folder / "keystone.ini"
    ini.write_text(
        # With its loggers, which its env.py reads.
        (theirs.parent / "alembic.ini")
        .read_text()
        .replace(
            "%(here)s/migrations", f"{place}\npath_separator = newline\nversion_locations =\n{places}", 1
        )
    )
    return AlembicSettings(config=ini, python=made.python, url_driver="postgresql+psycopg2")


#: Its history has two branches and two heads, which are meant.
KEYSTONE = Real("keystone", "keystone", "keystone", _keystone, ("keystone.common.sql.core:ModelBase",))

REAL = (
    Real("optuna", "optuna", "optuna", _optuna, ("optuna.storages._rdb.models:BaseModel",)),
    Real(
        "mlflow",
        "mlflow",
        "mlflow-skinny",
        _mlflow,
        (
            "mlflow.store.db.base_sql_model:Base",
            "mlflow.store.tracking.dbmodels.models",
            "mlflow.store.model_registry.dbmodels.models",
        ),
    ),
    Real("nova, main database", "nova", "nova", _nova("main"), ("nova.db.main.models:BASE",), slow=True),
    Real("nova, API database", "nova", "nova", _nova("api"), ("nova.db.api.models:BASE",)),
    Real("prefect", "prefect", "prefect", _prefect, ("prefect.server.database.orm_models:Base",)),
)


@dataclass(frozen=True, slots=True)
class Examined:
    """What was found of one project."""

    version: str
    revisions: int
    schema: Schema
    after_replay: tuple[Difference, ...]
    after_restore: tuple[Difference, ...]
    changes: Sequence[str]
    changed: Comparison
    proof: Proof
    #: After the proven statements were run on the database itself.
    after_repair: tuple[Difference, ...]
    #: Or why there is none.
    models: Comparison | str


async def examine(
    one: Real,
    folder: Path,
    url: str,
    restored_url: str,
    scratch: ScratchServers,
    programs: Sequence[Programs],
    *,
    with_models: bool = True,
) -> Examined:
    """Bring an empty database to head, compare, dump and restore, change by hand, repair and compare again."""
    made = await asyncio.to_thread(foreign, one.environment)
    tool = one.tool(made, folder)
    tool = replace(tool, models=one.models)
    clinic = project(tool.config.parent, tool, environment(folder, url))
    reader = Reader(configuration(folder, clinic), None, scratch, programs)
    exclude = excluded_tables(clinic)
    empty = await reader.read(parse_source("clinic/dev"), clinic)
    # Twice from nothing, side by side: what is expected, and what is there.
    expected, done = await asyncio.gather(
        reader.read(parse_source("clinic@heads"), clinic, empty), replay(clinic, url=url)
    )
    live = await reader.read(parse_source("clinic/dev"), clinic)
    major = live.schema.server_major
    dump = folder / "whole.dump"
    await dump_database(programs, url, dump, server_major=major)
    await restore_database(programs, restored_url, dump, server_major=major)
    async with connect(restored_url) as connection:
        restored = await read_schema(connection, exclude_tables=exclude)
    models = await _models(reader, clinic, live) if with_models else "not asked"
    async with connect(url) as connection:
        changes = await change(connection, live.schema, Random(one.seed), CHANGES)
    changed = side_by_side(expected, await reader.read(parse_source("clinic/dev"), clinic), exclude)
    proof = await prove_repair(reader, changed, destructive=True)
    if proof.holds:
        async with connect(url) as connection:
            await apply(connection, proof.statements)
    repaired = await reader.read(parse_source("clinic/dev"), clinic)
    return Examined(
        version=_version(made, one.package),
        revisions=len(done.ran),
        schema=live.schema,
        after_replay=side_by_side(expected, live, exclude).differences,
        after_restore=difference(live.schema, restored),
        changes=changes,
        changed=changed,
        proof=proof,
        after_repair=side_by_side(expected, repaired, exclude).differences,
        models=models,
    )


async def _models(reader: Reader, clinic: Project, live: Sourced) -> Comparison | str:
    try:
        models = await reader.read(parse_source("clinic:models"), clinic, live)
    except CouldNotCompare as error:
        return str(error)
    return side_by_side(models, live, excluded_tables(clinic))


def _version(made: Foreign, package: str) -> str:
    (found,) = made.packages.glob(f"{package.replace('-', '_')}-*.dist-info")
    return found.name.removesuffix(".dist-info").rpartition("-")[2]
