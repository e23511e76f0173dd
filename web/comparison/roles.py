"""The roles that a target's definitions may mention: a replay of them needs those to exist."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files

from web.postgres.connections import Connection


async def read_roles(connection: Connection) -> Sequence[str]:
    """Names of the roles that the target's definitions may mention."""
    text = files("web.comparison").joinpath("queries", "roles.sql").read_bytes()
    return [row[0] for row in await (await connection.execute(text)).fetchall()]
