"""Changes that people make by hand, drawn at random for whatever schema there is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import psycopg

from web.schema.model import Column, Schema, Table
from web.schema.names import qualified, quote
from web.schema.snapshot import read_schema

Connection = psycopg.AsyncConnection[Any]
#: Drawn again and again until enough were taken: what a table refuses (a column that a key needs) is no change.
TRIES = 200


def _named(table: Table) -> str:
    return qualified(table.schema, table.name)


def _other_type(column: Column) -> str:
    if column.type.startswith("character varying"):
        return "text"
    return {"integer": "bigint", "text": "character varying(4000)"}.get(column.type, column.type)


def _draw_column(random: Random, table: Table) -> Column:
    return random.choice(table.columns)


def _change_column(random: Random, table: Table, number: int) -> str:
    column = _draw_column(random, table)
    alter, name = f"ALTER TABLE {_named(table)}", quote(column.name)
    return random.choice(
        [
            f"{alter} DROP COLUMN {name}",
            f"{alter} RENAME COLUMN {name} TO {quote(f'{column.name[:40]}_{number}')}",
            f"{alter} ALTER COLUMN {name} TYPE {_other_type(column)}",
            f"{alter} ALTER COLUMN {name} {'DROP' if column.not_null else 'SET'} NOT NULL",
            f"{alter} ALTER COLUMN {name} {'DROP DEFAULT' if column.default else 'SET DEFAULT NULL'}",
            f"COMMENT ON COLUMN {_named(table)}.{name} IS 'by hand {number}'",
            f"CREATE INDEX ON {_named(table)} ({name})",
            f"{alter} ADD UNIQUE ({name})",
        ]
    )


def _change_part(random: Random, table: Table, number: int) -> str:
    alter = f"ALTER TABLE {_named(table)}"
    made = [
        f"{alter} ADD COLUMN added_{number} text",
        f"{alter} ADD COLUMN added_{number} int NOT NULL DEFAULT {number}",
        f"{alter} ADD CHECK ({quote(_draw_column(random, table).name)} IS NOT NULL)",
        f"GRANT SELECT ON {_named(table)} TO PUBLIC",
        f"{alter} ENABLE ROW LEVEL SECURITY",
        f"CREATE VIEW {qualified(table.schema, f'seen_{number}')} AS SELECT * FROM {_named(table)}",
    ]
    made += [f"{alter} DROP CONSTRAINT {quote(constraint.name)}" for constraint in table.constraints]
    indexes = [qualified(table.schema, index.name) for index in table.indexes]
    made += [f"DROP INDEX {index}" for index in indexes]
    made += [f"ALTER INDEX {index} RENAME TO renamed_{number}" for index in indexes]
    return random.choice(made)


def _change_whole(random: Random, table: Table, number: int) -> str:
    return random.choice(
        [
            f"DROP TABLE {_named(table)}",
            f"ALTER TABLE {_named(table)} RENAME TO {quote(f'{table.name[:40]}_{number}')}",
            f"CREATE TABLE {qualified(table.schema, f'made_{number}')} (LIKE {_named(table)} INCLUDING ALL)",
            f"CREATE FUNCTION {qualified(table.schema, f'made_{number}')}() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        ]
    )


_KINDS: tuple[Callable[[Random, Table, int], str], ...] = (
    _change_column,
    _change_part,
    _change_part,
    _change_whole,
)


async def change(connection: Connection, schema: Schema, random: Random, count: int) -> list[str]:
    """Make so many changes that the server takes, on an autocommit connection; gives their DDL."""
    done: list[str] = []
    for _ in range(TRIES):
        if len(done) == count:
            return done
        draw = random.choice(_KINDS)
        statement = draw(random, random.choice(schema.tables), len(done))
        try:
            await connection.execute(statement.encode())
        except psycopg.Error:
            continue
        changed = await read_schema(connection, exclude_tables=("alembic_version",))
        if changed != schema:
            done.append(statement)
            schema = changed
    raise AssertionError(f"Only {len(done)} changes were taken: {done}")
