"""Runs the store's own history. `web.store.upgrade` hands over a connection; `alembic` on its own takes
CLEANSTART_STORE_URL. One upgrade at a time: a transaction-level advisory lock is taken first.
"""

from __future__ import annotations

import os
from typing import Any

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.engine import make_url

from web.store.tables import Base

#: Any number will do as long as nothing else in the store's database uses it.
UPGRADE_LOCK = 7_303_014_480


def include_name(name: str | None, kind: str, parents: Any) -> bool:
    """Leave Procrastinate's tables out of comparisons: its schema is its own."""
    return not (kind == "table" and name is not None and name.startswith("procrastinate_"))


def run(connection: Connection) -> None:
    """Run the history on this connection in one transaction."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        include_name=include_name,
        compare_type=True,
        compare_server_default=True,
    )
    with context.begin_transaction():
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": UPGRADE_LOCK})
        connection.execute(text("SET LOCAL lock_timeout = '10s'"))
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    engine = create_engine(
        make_url(os.environ["CLEANSTART_STORE_URL"]).set(drivername="postgresql+psycopg"),
        hide_parameters=True,
    )
    with engine.connect() as connection:
        run(connection)
