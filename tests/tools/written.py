"""Writes small Alembic projects into a folder, for tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from textwrap import dedent

from tests.interpreter import project_python
from web.config import AlembicSettings

ENV = """
import os
from alembic import context
from sqlalchemy import create_engine, pool

def run():
    engine = create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool)
    with engine.connect() as connection:
        context.configure(connection=connection{options})
        with context.begin_transaction():
            context.run_migrations()

run()
"""

ASYNC_ENV = """
import asyncio
import os
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

def migrate(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def run():
    engine = create_async_engine(os.environ["DATABASE_URL"])
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()

asyncio.run(run())
"""

INI = """
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .
path_separator = os
"""


def env(**options: str) -> str:
    """An ordinary env.py with further options of `context.configure`, as Python source."""
    return ENV.replace("{options}", "".join(f", {name}={value}" for name, value in options.items()))


def migration(revision: str, down: object = None, upgrade: str = "pass", **more: object) -> str:
    """The text of a migration file; `more` are `depends_on` and `branch_labels`."""
    lines = [
        f'"""step {revision}\n\nRevision ID: {revision}\nCreate Date: 2026-01-02 03:04:05\n"""',
        "import sqlalchemy as sa",
        "from alembic import op",
        f"revision = {revision!r}",
        f"down_revision = {down!r}",
        *(f"{name} = {value!r}" for name, value in more.items()),
        "def upgrade():",
        *("    " + line for line in dedent(upgrade).strip().splitlines()),
        "def downgrade():",
        "    pass",
        "",
    ]
    return "\n".join(lines)


def execute(*statements: str) -> str:
    """The body of an upgrade that runs these statements."""
    return "\n".join(f"op.execute({statement!r})" for statement in statements)


def write_project(
    folder: Path, migrations: dict[str, str], *, env_py: str = env(), ini: str = INI, **files: str
) -> AlembicSettings:
    """Write a project and say how it is run; keys of `migrations` are file names without `.py`."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True, exist_ok=True)
    (folder / "alembic.ini").write_text(dedent(ini))
    (folder / "migrations" / "env.py").write_text(dedent(env_py))
    for name, text in migrations.items():
        (versions / f"{name}.py").write_text(text)
    for name, text in files.items():
        (folder / name).write_text(text)
    return tool_of(folder)


def tool_of(folder: Path, config: str = "alembic.ini") -> AlembicSettings:
    """The tool of a written project, run by the interpreter of such projects."""
    return AlembicSettings(
        config=folder / config,
        python=project_python(),
        url_variable="DATABASE_URL",
        url_driver="postgresql+psycopg",
    )


def linear(folder: Path, length: int) -> AlembicSettings:
    """A project of `length` migrations in one line, each making a table."""
    names = [f"r{number:04}" for number in range(length)]
    downs = [None, *names]
    return write_project(
        folder,
        {
            name: migration(name, down, execute(f"CREATE TABLE t_{name} (id int PRIMARY KEY)"))
            for name, down in zip(names, downs, strict=False)
        },
    )


__all__ = [
    "ASYNC_ENV",
    "ENV",
    "INI",
    "env",
    "execute",
    "linear",
    "migration",
    "replace",
    "tool_of",
    "write_project",
]
