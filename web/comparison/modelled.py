"""The schema that a project's models give: made with `create_all` in scratch, cached by content.

What a MetaData can say and what it cannot is left to `unmodelled.py`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable, Sequence

from psycopg import sql
from sqlalchemy.ext.asyncio import AsyncEngine

from web.comparison.expected import Expected, build, cached, keep
from web.config import Project
from web.errors import CleanStartError, ExtensionsMissing, ScratchUnavailable
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.schema.model import Extension
from web.tools.confinement import in_scratch
from web.tools.registry import tool_of

#: Counted up when they are made in another way.
_FORMAT = 2


async def modelled_schema(
    store: AsyncEngine | None,
    scratch: ScratchServers,
    project: Project,
    *,
    major: int,
    roles: Sequence[str] = (),
    extensions: Sequence[Extension] = (),
) -> Expected:
    """The schema that the models give on a server of this major; never raises for what a project does wrong.

    `roles` and `extensions` are the other side's. A MetaData cannot name extensions, and its types and indexes may
    need them: they are there before it. Without a store nothing is cached.
    """
    key = await asyncio.to_thread(cache_key, project, major, extensions) if store is not None else None
    if store is not None and key is not None and (known := await cached(store, key)) is not None:
        return known

    async def make(database: ScratchDatabase) -> None:
        await _install(database, extensions)
        await tool_of(project).create_models(
            project,
            confinement=await in_scratch(project, database),
            application_name="cleanstart/models",
        )

    try:
        schema = await build(scratch, project, make, major, roles, [each.name for each in extensions])
    except (ScratchUnavailable, ExtensionsMissing) as error:
        return Expected(reason=str(error), hint=error.hint)
    except CleanStartError as error:
        return Expected(
            reason=f"Could not compare with the models of {project.name}: {error}", hint=error.hint
        )
    return await keep(store, key, schema)


async def _install(database: ScratchDatabase, extensions: Iterable[Extension]) -> None:
    async with database.connect(application_name="cleanstart/models") as connection:
        for each in extensions:
            schema, name = sql.Identifier(each.schema), sql.Identifier(each.name)
            if each.schema != "pg_catalog":
                await connection.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(schema))
            await connection.execute(
                sql.SQL("CREATE EXTENSION IF NOT EXISTS {} SCHEMA {} CASCADE").format(name, schema)
            )


def cache_key(project: Project, major: int, extensions: Sequence[Extension]) -> str | None:
    """Hash of what models can be made of, as far as files tell; None where they do not. Reads files."""
    inputs = tool_of(project).digest_of_inputs(project)
    if inputs is None:
        return None
    content = {
        "format": _FORMAT,
        "inputs": inputs,
        "major": major,
        "extensions": sorted([each.name, each.schema, each.version] for each in extensions),
    }
    return "models " + hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
