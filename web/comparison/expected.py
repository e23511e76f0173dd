"""The schema that migrations give up to a set of revisions: replayed in scratch, cached by content."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from web.comparison.alike import as_expected
from web.comparison.reached import require_reached
from web.comparison.snapshots import load_schema, store_schema
from web.config import Project
from web.errors import CleanStartError, ExtensionsMissing, MigrationFailed, ModelsFailed, ScratchUnavailable
from web.postgres.identity import read_identity
from web.postgres.scratch import ScratchDatabase, ScratchServers
from web.schema.fingerprint import fingerprint
from web.schema.model import Schema
from web.schema.snapshot import read_schema
from web.store.tables import ExpectedSchemaRow
from web.tools.confinement import in_scratch
from web.tools.history import History
from web.tools.registry import tool_of

#: Counted up when expected schemas are made in another way, so that old ones are not taken for new ones.
_FORMAT = 2
_ROLE_THERE = re.compile(r'role "(?:[^"]|"")+" already exists')
_MISSING_ROLE = re.compile(r'role "((?:[^"]|"")+)" does not exist')


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected schema, or why there is none."""

    fingerprint: str | None = None
    schema: Schema | None = None
    reason: str | None = None
    #: What to do about the reason.
    hint: str = ""


def excluded_tables(project: Project) -> tuple[str, ...]:
    """The tool's own version table: in every database, in no migration."""
    return tool_of(project).version_tables(project)


async def expected_schema(
    store: AsyncEngine | None,
    scratch: ScratchServers,
    project: Project,
    history: History,
    revisions: Collection[str],
    *,
    major: int,
    roles: Sequence[str] = (),
    extensions: Sequence[tuple[str, str]] = (),
) -> Expected:
    """The schema at these version rows on a server of this major; never raises for what a project does wrong.

    `roles` and `extensions` (name, version) are the target's: roles are created NOLOGIN, missing extensions
    are named. The revisions must be known to the history. Without a store nothing is cached.
    """
    key = await asyncio.to_thread(_cache_key, project, history, revisions, major, extensions)
    if store is not None and key is not None and (known := await cached(store, key)) is not None:
        return known

    async def replay(database: ScratchDatabase) -> None:
        result = await tool_of(project).replay(
            project,
            confinement=await in_scratch(project, database),
            revisions=sorted(revisions),
            application_name="cleanstart/replay",
        )
        require_reached(history, revisions, result)

    try:
        schema = await build(scratch, project, replay, major, roles, [name for name, _ in extensions])
    except (ScratchUnavailable, ExtensionsMissing) as error:
        return Expected(reason=str(error), hint=error.hint)
    except MigrationFailed as error:
        return Expected(
            reason=f"Could not compare: in an empty database, {_lowered(str(error))}", hint=error.hint
        )
    except CleanStartError as error:
        return Expected(reason=f"Could not compare: {_lowered(str(error))}", hint=error.hint)
    return await keep(store, key, schema)


async def cached(store: AsyncEngine, key: str) -> Expected | None:
    """What was kept under this key, where this version can still read it."""
    async with store.connect() as connection:
        digest = await connection.scalar(
            select(ExpectedSchemaRow.fingerprint).where(ExpectedSchemaRow.cache_key == key)
        )
        schema = await load_schema(connection, digest) if digest is not None else None
    return Expected(digest, schema) if schema is not None else None


async def keep(store: AsyncEngine | None, key: str | None, schema: Schema) -> Expected:
    """Keep a schema under its key, where there is a store and a key to go by."""
    if store is None or key is None:
        return Expected(fingerprint(schema), schema)
    async with store.begin() as connection:
        digest = await store_schema(connection, schema)
        await connection.execute(
            insert(ExpectedSchemaRow)
            .values(cache_key=key, fingerprint=digest)
            .on_conflict_do_update(index_elements=["cache_key"], set_={"fingerprint": digest})
        )
    return Expected(digest, schema)


async def build(
    scratch: ScratchServers,
    project: Project,
    make: Callable[[ScratchDatabase], Awaitable[None]],
    major: int,
    roles: Sequence[str],
    extensions: Sequence[str],
) -> Schema:
    """The schema that `make` leaves in an empty scratch database.

    It is called again where it missed a role, which then exists. Raises what it raises, ScratchUnavailable and
    ExtensionsMissing.
    """
    created = set(roles)
    again = True
    while True:
        async with scratch.database(major, roles=sorted(created), extensions=extensions) as database:
            try:
                await make(database)
            except (MigrationFailed, ModelsFailed) as error:
                if error.sqlstate == "42710" and _ROLE_THERE.search(str(error)) and again:
                    # Another replay on this server created the same role between the question and the answer.
                    again = False
                    continue
                missing = _MISSING_ROLE.search(str(error)) if error.sqlstate == "42704" else None
                role = missing.group(1).replace('""', '"') if missing else None
                if role is None or role in created:
                    raise
                # A role that only the project's code names: definitions need it to exist, nothing more.
                created.add(role)
                continue
            async with database.connect(application_name="cleanstart/replay") as connection:
                role = (await read_identity(connection)).user
                schema = await read_schema(connection, exclude_tables=excluded_tables(project))
            return as_expected(schema, role)


def _cache_key(
    project: Project,
    history: History,
    revisions: Collection[str],
    major: int,
    extensions: Sequence[tuple[str, str]],
) -> str | None:
    """Hash of everything that the replay stands on; None where that cannot be told. Reads files."""
    # Migrations that come later change nothing about what these give.
    inputs = tool_of(project).digest_of_inputs(project, without=[step.path for step in history.migrations])
    if inputs is None:
        return None
    implied = history.implied(revisions)
    content = {
        "format": _FORMAT,
        "inputs": inputs,
        "files": [[step.revision, step.digest] for step in history.migrations if step.revision in implied],
        "revisions": sorted(revisions),
        "major": major,
        "extensions": sorted(extensions),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _lowered(text: str) -> str:
    return text[:1].lower() + text[1:]
