"""Opens the store and makes sure that its schema is the one this version needs."""

from __future__ import annotations

from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from web.errors import StoreNotReady
from web.paths import MIGRATIONS

#: What to do about a store at a revision that is not in this version's history.
NEWER = "A newer Clean Start has upgraded this store: update this installation."
#: Seconds that a connection may take to be made.
CONNECT_TIMEOUT = 5


def store_url(url: str) -> URL:
    """The URL with the driver that the store uses (psycopg 3), whatever driver it names."""
    return make_url(url).set(drivername="postgresql+psycopg")


def open_store(url: str, *, pool_size: int = 10) -> AsyncEngine:
    """Open a pool on the store. Bound parameters never appear in errors (`hide_parameters`)."""
    return create_async_engine(
        store_url(url),
        pool_size=pool_size,
        max_overflow=10,
        pool_pre_ping=True,
        pool_recycle=1800,
        hide_parameters=True,
        connect_args={"application_name": "cleanstart/store", "connect_timeout": CONNECT_TIMEOUT},
    )


def alembic_config(migrations: Path = MIGRATIONS) -> Config:
    """Alembic's configuration for the store's own history."""
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    return config


def head() -> str:
    """The revision that this version of the product needs."""
    revision = ScriptDirectory.from_config(alembic_config()).get_current_head()
    assert revision is not None
    return revision


async def require_upgraded(engine: AsyncEngine) -> None:
    """Refuse a store at another revision.

    Raises:
        StoreNotReady: unreachable, empty, behind or ahead; the hint names the command.
    """
    try:
        async with engine.connect() as connection:
            exists = await connection.scalar(text("SELECT to_regclass('alembic_version') IS NOT NULL"))
            current = (
                await connection.scalar(text("SELECT version_num FROM alembic_version")) if exists else None
            )
    except DBAPIError as error:
        raise unreachable(error.orig) from error
    needed = head()
    if current == needed:
        return
    if current is None:
        raise StoreNotReady("The store's database is empty.")
    known = {script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()}
    if current not in known:
        raise StoreNotReady(
            f"The store is at revision {current}, which this version ({needed}) does not know.",
            hint=NEWER,
        )
    raise StoreNotReady(f"The store is at revision {current}; this version needs {needed}.")


def unreachable(error: BaseException | None) -> StoreNotReady:
    """What the driver's failure to connect becomes."""
    return StoreNotReady(
        f"The store cannot be reached: {first_line(error)}",
        hint="Start its PostgreSQL server or correct [store].url and owner_url, then try again.",
    )


def first_line(error: BaseException | None) -> str:
    """The driver's own words: its further lines quote statements, or are hints for programmers."""
    return (str(error or "").strip().splitlines() or ["no answer"])[0]
