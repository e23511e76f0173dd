"""A peer of the drift matrix, run by the interpreter of an environment that has it: `python drift_peer.py NAME URL`.

Reads a word a line: `before` (remember the database as it is) or `after` (tell what differs from that); answers with a
JSON object a line. Every tool is given all the options that it has for seeing more.
"""

from __future__ import annotations

import json
import sys
import warnings
from importlib.metadata import version
from typing import Any, Protocol

import sqlalchemy as sa

warnings.simplefilter("ignore")
OWN = (
    "SELECT nspname FROM pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema' ORDER BY 1"
)


class Autogenerate:
    """Alembic's compare_metadata of a MetaData that was reflected before the change with the database after it."""

    libraries: tuple[str, ...] = ("alembic", "sqlalchemy")

    def remember(self, connection: sa.Connection) -> Any:
        metadata = sa.MetaData()
        for schema in connection.scalars(sa.text(OWN)).all():
            # As a project has it whose tables are in the default schema.
            metadata.reflect(connection, schema=None if schema == "public" else schema, resolve_fks=False)
        return metadata

    def compare(self, connection: sa.Connection, metadata: Any) -> list[str]:
        from alembic.autogenerate import compare_metadata
        from alembic.migration import MigrationContext

        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "compare_type": True,
                "compare_server_default": True,
                "target_metadata": metadata,
            },
        )
        return [repr(each) for each in compare_metadata(context, metadata)]


class Peer(Protocol):
    """A tool."""

    libraries: tuple[str, ...]

    def remember(self, connection: sa.Connection) -> Any: ...

    def compare(self, connection: sa.Connection, before: Any) -> list[str]: ...


class Schemainspect:
    """Whatever is not equal in what schemainspect reads."""

    libraries: tuple[str, ...] = ("schemainspect", "sqlalchemy")

    def remember(self, connection: sa.Connection) -> Any:
        from schemainspect import get_inspector

        return get_inspector(connection)

    def compare(self, connection: sa.Connection, before: Any) -> list[str]:
        from schemainspect.pg.obj import PROPS

        after = self.remember(connection)
        found = []
        for part in PROPS.split():
            old, new = getattr(before, part), getattr(after, part)
            # Its objects cannot be compared with nothing.
            one_sided = set(old) ^ set(new)
            found += [f"{part} {key}" for key in {*old, *new} if key in one_sided or old[key] != new[key]]
        return found


class Migra(Schemainspect):
    """The statements that migra writes to get back, privileges included."""

    libraries: tuple[str, ...] = ("migra", "schemainspect", "sqlalchemy")

    def compare(self, connection: sa.Connection, before: Any) -> list[str]:
        from migra import Migration

        migration = Migration(self.remember(connection), before)
        migration.set_safety(False)
        migration.add_all_changes(privileges=True)
        return [str(each) for each in migration.statements]


PEERS: dict[str, type[Peer]] = {"autogenerate": Autogenerate, "schemainspect": Schemainspect, "migra": Migra}


def main() -> None:
    """Answer until the other side closes."""
    name, url = sys.argv[1:]
    peer = PEERS[name]()
    say({"versions": {library: version(library) for library in peer.libraries}})
    engine = sa.create_engine(
        url.replace("postgresql://", "postgresql+psycopg2://"), poolclass=sa.pool.NullPool
    )
    before = None
    for line in sys.stdin:
        try:
            with engine.connect() as connection:
                if line.strip() == "before":
                    before = peer.remember(connection)
                    say({"found": peer.compare(connection, before)})
                else:
                    say({"found": peer.compare(connection, before)})
        except Exception as error:
            say({"error": f"{type(error).__name__}: {str(error).splitlines()[0]}"})


def say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
