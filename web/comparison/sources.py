"""The sources of a schema, as people write them, and how each is read.

`clinic/dev` is a live database, `clinic@head` what migrations give, `clinic:models` what the models say, `backup:ID`
and `snapshot:ID` what was kept, `env:NAME` the database behind a URL in the environment. Comparing them is for
comparison.py.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Literal
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.backups.catalog import require_same_manifest
from web.backups.places import open_place
from web.backups.restore import read_backup_schema
from web.comparison.expected import excluded_tables, expected_schema
from web.comparison.modelled import modelled_schema
from web.comparison.roles import read_roles
from web.comparison.second_connection import second_connection
from web.comparison.snapshots import load_schema
from web.config import Configuration, Project, Secret
from web.errors import CleanStartError, Invalid, NotFound
from web.postgres.connections import Connection, connect_to_observe
from web.postgres.identity import TargetIdentity, read_identity, require_identity
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.schema.model import Schema
from web.schema.narrow import without_tables
from web.schema.sharing import read_schema_beside
from web.store.tables import BackupRow, EnvironmentRow, SchemaSnapshotRow
from web.tools.history import History
from web.tools.registry import tool_of

Kind = Literal["live", "revision", "models", "backup", "snapshot", "url"]

_NAME = r"[a-z0-9][a-z0-9_-]{0,62}"
_LIVE = re.compile(rf"({_NAME})/({_NAME})")
_REVISION = re.compile(rf"({_NAME})@(?=.{{1,200}}$)([A-Za-z0-9_.-]+(?:,[A-Za-z0-9_.-]+)*)")
_MODELS = re.compile(rf"({_NAME}):models")
_HOW = (
    "Write PROJECT/ENVIRONMENT, PROJECT@head, PROJECT@REVISION, PROJECT:models, backup:ID, snapshot:ID or "
    "env:VARIABLE."
)


class CouldNotCompare(CleanStartError):
    """One side could not be had, or the two cannot be held side by side; that is no difference."""

    status = 503
    title = "Could not compare"


@dataclass(frozen=True, slots=True)
class Source:
    """Where a schema comes from."""

    #: As it was written.
    text: str
    kind: Kind
    project: str | None = None
    #: The environment, the revision, or the id.
    name: str = ""

    @property
    def is_replayed(self) -> bool:
        """Whether it is made in scratch, on a server of the other side's major."""
        return self.kind in ("revision", "models")


@dataclass(frozen=True, slots=True)
class Sourced:
    """A schema and what is known of the place it was read in."""

    source: Source
    schema: Schema
    #: The role that reads it, and so would repair it; None where nothing is connected to.
    role: str | None = None
    database: str = ""
    roles: tuple[str, ...] = ()
    url: str | None = field(default=None, repr=False)

    @property
    def extensions(self) -> list[tuple[str, str]]:
        """Name and version of what is installed there."""
        return [(each.name, each.version) for each in self.schema.extensions]


def parse_source(text: str) -> Source:
    """Read a source. Raises Invalid."""
    head, colon, rest = text.partition(":")
    if colon and head == "env" and re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", rest):
        return Source(text, "url", name=rest)
    if colon and head == "backup":
        try:
            return Source(text, "backup", name=str(UUID(rest)))
        except ValueError:
            raise Invalid(f"“{rest}” is no backup's id.", hint="`cleanstart backups` lists them.") from None
    if colon and head == "snapshot" and re.fullmatch(r"[0-9a-f]{8,64}", rest):
        return Source(text, "snapshot", name=rest)
    if match := _LIVE.fullmatch(text):
        return Source(text, "live", match[1], match[2])
    if match := _REVISION.fullmatch(text):
        return Source(text, "revision", match[1], match[2])
    if match := _MODELS.fullmatch(text):
        return Source(text, "models", match[1])
    raise Invalid(f"“{text}” is no source of a schema.", hint=_HOW)


class Reader:
    """Reads sources. Without a configuration it knows `env:` alone, without a store nothing that is kept."""

    def __init__(
        self,
        configuration: Configuration | None,
        store: AsyncEngine | None,
        scratch: ScratchServers,
        programs: Sequence[Programs],
    ) -> None:
        self._configuration = configuration
        self._store = store
        self.scratch = scratch
        self.programs = programs

    def project_of(self, *sources: Source) -> Project | None:
        """The project that a comparison is about: its version table is in no migration."""
        for source in sources:
            if source.project is not None:
                return self._project(source.project)
        return None

    async def read(self, source: Source, project: Project | None, beside: Sourced | None = None) -> Sourced:
        """Read one side; `beside` is the other, which decides on what server a replay is made.

        Raises what keeps from it: Invalid, NotFound, TargetUnavailable, BackupInvalid, CouldNotCompare.
        """
        exclude = excluded_tables(project) if project is not None else ()
        match source.kind:
            case "url":
                return await self._live(source, Secret(f"env:{source.name}").read(), exclude)
            case "live":
                environments = self._project(source.project or "").environments
                if source.name not in environments:
                    raise NotFound(f"The project {source.project} has no environment {source.name}.")
                return await self._live(source, environments[source.name].url.read(), exclude)
            case "revision":
                return await self._replayed(source, beside)
            case "models":
                return await self._modelled(source, beside)
            case "backup":
                return await self._backed_up(source, exclude)
            case "snapshot":
                return await self._stored(source, exclude)

    def _project(self, name: str) -> Project:
        if self._configuration is None:
            raise NotFound(
                f"There is no configuration to find {name} in.", hint="Name one with --config FILE."
            )
        if name not in self._configuration.projects:
            raise NotFound(f"The configuration has no project {name}.")
        return self._configuration.projects[name]

    def _kept(self, source: Source) -> AsyncEngine:
        if self._store is None:
            raise CouldNotCompare(f"{source.text} is in the dashboard's store, and none is configured here.")
        return self._store

    @asynccontextmanager
    async def connect(self, source: Source, url: str) -> AsyncIterator[Connection]:
        """Connect to a live source read-only; an environment's database is the one that is pinned for it."""
        async with connect_to_observe(url, application_name="cleanstart/diff") as connection:
            if (pinned := await self._pinned(source)) is not None:
                # The URL may lead elsewhere by now, and that is no difference.
                await require_identity(connection, pinned)
            yield connection

    async def _live(self, source: Source, url: str, exclude: Sequence[str]) -> Sourced:
        async with self.connect(source, url) as connection:
            target = await read_identity(connection)
            async with second_connection(connection, url, application_name="cleanstart/diff") as second:
                schema = await read_schema_beside(connection, second, exclude)
            roles = tuple(await read_roles(connection))
        return Sourced(source, schema, target.user, target.database, roles, url)

    async def _pinned(self, source: Source) -> TargetIdentity | None:
        """The identity that is pinned for an environment; None where that is not known."""
        if source.kind != "live" or self._store is None:
            return None
        query = select(EnvironmentRow.system_identifier, EnvironmentRow.database_oid).where(
            EnvironmentRow.project == source.project, EnvironmentRow.name == source.name
        )
        async with self._store.connect() as connection:
            row = (await connection.execute(query)).one_or_none()
        if row is None or row.system_identifier is None or row.database_oid is None:
            return None
        return TargetIdentity(row.system_identifier, row.database_oid)

    async def _replayed(self, source: Source, beside: Sourced | None) -> Sourced:
        project = self._project(source.project or "")
        history = await tool_of(project).history(project)
        if not history.complete:
            history = await tool_of(project).ask_history(project)
        if source.name in ("head", "heads"):
            found = history.followed(project.follow).goal
        else:
            named = [_revision(history, each) for each in source.name.split(",")]
            found = tuple(dict.fromkeys(row for each in named for row in history.rows_at(each)))
        if not found:
            raise CouldNotCompare(f"{project.name} has no migrations.")
        expected = await expected_schema(
            self._store,
            self.scratch,
            project,
            history,
            found,
            major=beside.schema.server_major if beside is not None else self._newest_major(),
            roles=beside.roles if beside is not None else (),
            extensions=beside.extensions if beside is not None else (),
        )
        if expected.schema is None:
            raise CouldNotCompare(expected.reason or f"{source.text} cannot be replayed.", hint=expected.hint)
        return Sourced(source, expected.schema)

    async def _modelled(self, source: Source, beside: Sourced | None) -> Sourced:
        expected = await modelled_schema(
            self._store,
            self.scratch,
            self._project(source.project or ""),
            major=beside.schema.server_major if beside is not None else self._newest_major(),
            roles=beside.roles if beside is not None else (),
            extensions=beside.schema.extensions if beside is not None else (),
        )
        if expected.schema is None:
            raise CouldNotCompare(expected.reason or f"{source.text} cannot be made.", hint=expected.hint)
        return Sourced(source, expected.schema)

    def _newest_major(self) -> int:
        majors = [major for major in range(14, 30) if self.scratch.available(major)]
        if not majors:
            raise CouldNotCompare("There is no PostgreSQL for scratch on this machine.")
        return majors[-1]

    async def _backed_up(self, source: Source, exclude: Sequence[str]) -> Sourced:
        query = select(BackupRow.manifest).where(
            BackupRow.id == UUID(source.name), BackupRow.state != "removed"
        )
        async with self._kept(source).connect() as connection:
            stored = await connection.scalar(query)
        if stored is None:
            raise NotFound(f"There is no backup {source.name}.", hint="`cleanstart backups` lists them.")
        assert self._configuration is not None
        place = open_place(self._configuration.backups.location)
        manifest = await require_same_manifest(place, stored)
        schema = await read_backup_schema(place, manifest)
        return Sourced(source, without_tables(schema, exclude), roles=tuple(manifest.roles))

    async def _stored(self, source: Source, exclude: Sequence[str]) -> Sourced:
        async with self._kept(source).connect() as connection:
            digest = await _whole_digest(connection, source.name)
            schema = await load_schema(connection, digest)
        if schema is None:
            raise CouldNotCompare(
                f"The snapshot {digest[:12]} was kept by a version that wrote it differently."
            )
        return Sourced(source, without_tables(schema, exclude))


def _revision(history: History, beginning: str) -> str:
    if history.get(beginning) is not None:
        return beginning
    found = [each.revision for each in history.migrations if each.revision.startswith(beginning)]
    if len(found) == 1:
        return found[0]
    several = ", ".join(found[:5])
    raise NotFound(
        f"Several revisions begin with {beginning}: {several}."
        if found
        else f"No migration is called “{beginning}”.",
        hint="Write a revision, or as much of one as no other begins with; “head” is the newest.",
    )


async def _whole_digest(connection: AsyncConnection, beginning: str) -> str:
    query = select(SchemaSnapshotRow.fingerprint).where(
        SchemaSnapshotRow.fingerprint.startswith(beginning, autoescape=True)
    )
    found = (await connection.scalars(query.limit(2))).all()
    if not found:
        raise NotFound(f"There is no snapshot {beginning}.")
    if len(found) > 1:
        raise Invalid(f"Several snapshots begin with {beginning}.", hint="Write more of it.")
    return found[0]
