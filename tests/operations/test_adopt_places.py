"""Look, migrate, adopt and stamp, in projects that keep their migrations in more than one place."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.operations.conftest import Site, outcome
from tests.operations.test_adopt import adopted
from tests.tools.test_stand_in import nested, put, two_locations
from web.config import AlembicSettings
from web.operations.migrate import MIGRATE
from web.operations.stamp import STAMP

ASYNC_ENV = """
    import asyncio
    import os
    from alembic import context
    from sqlalchemy import text
    from sqlalchemy.ext.asyncio import create_async_engine

    def migrate(connection):
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS meta"))
        connection.commit()
        context.configure(
            connection=connection, version_table="t_versions", version_table_schema="meta", include_schemas=True
        )
        with context.begin_transaction():
            context.run_migrations()

    async def run():
        engine = create_async_engine(os.environ["DATABASE_URL"])
        async with engine.connect() as connection:
            await connection.run_sync(migrate)
        await engine.dispose()

    asyncio.run(run())
    """


def with_own_version_table(folder: Path) -> AlembicSettings:
    """Two locations, an async env.py, its version rows in a schema of their own."""
    tool = two_locations(folder)
    put(folder, {"src/t/db/env.py": ASYNC_ENV})
    return replace(tool, version_table="t_versions", version_table_schema="meta")


def with_hooks(folder: Path) -> AlembicSettings:
    """Nested locations, and a hook whose program is not there."""
    tool = nested(folder)
    with (folder / tool.config).open("a") as ini:
        ini.write(
            "\n[post_write_hooks]\nhooks = black\nblack.type = console_scripts\nblack.entrypoint = not_there\n"
        )
    return tool


@pytest.mark.parametrize(
    ("make", "place"),
    [(with_own_version_table, "src/t/db/more/"), (with_hooks, "my app/plug 100% ins/versions/20")],
)
async def test_what_is_live_is_adopted(
    site: Site, make: Callable[[Path], AlembicSettings], place: str
) -> None:
    for each in site.folder.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()
    tool = make(site.folder)
    site.set_tool(
        config=tool.config, version_table=tool.version_table, version_table_schema=tool.version_table_schema
    )
    await site.observe()
    migrated = await site.run(MIGRATE)
    assert migrated.state == "succeeded", outcome(migrated)
    site.query("ALTER TABLE t ADD COLUMN by_hand text")
    assert (await site.observe()).drift.count == 1
    written = await adopted(site)
    assert written.proven, written.refusal
    assert written.no_downgrade is None
    assert written.path.startswith(place)
    assert "op.add_column('t', sa.Column('by_hand', sa.Text(), nullable=True))" in written.text
    assert len(written.remarks) == (make is with_hooks)

    path = site.folder / written.path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(written.text)
    stamped = await site.run(STAMP)
    assert stamped.state == "succeeded", outcome(stamped)
    assert (await site.observe()).drift.state == "none"
