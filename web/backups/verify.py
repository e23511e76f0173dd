"""Verify a backup: restore it into a scratch database of the same major and compare schema and rows.

"Verified" is said of nothing less. What is found is a value; only what keeps from looking is raised, and that says
nothing about the backup.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from web.backups.contents import count_rows
from web.backups.manifest import Manifest
from web.backups.places import Place
from web.backups.reporting import Watch
from web.backups.restore import checked_dump, read_backup_schema, restore
from web.errors import CommandFailed, OperationFailed, TargetUnavailable
from web.postgres.connections import connect
from web.postgres.programs import Programs
from web.postgres.scratch import ScratchServers
from web.schema.difference import difference, unknown_parts
from web.schema.finding import Difference
from web.schema.model import Schema
from web.schema.snapshot import read_schema

#: So many problems are named; the others are counted.
NAMED = 50
#: What pg_restore passes on that is the scratch server's trouble and not the dump's. It gives no SQLSTATE.
_NOT_THE_DUMPS = re.compile(
    r"(?:error|ERROR|FATAL|PANIC):.*(?:"
    r"No space left on device|Disk quota exceeded|File too large|Input/output error|Cannot allocate memory|"
    r"server closed the connection|terminating connection|the database system is|connection to server|"
    r"no connection to the server|could not (?:connect|send|receive)|SSL (?:error|SYSCALL)|"
    r"too many (?:clients|connections)|remaining connection slots|out of (?:shared )?memory|"
    r"canceling statement due to|could not (?:access file|load library|create locale)|"
    r"could not (?:extend|write|write to|create|open|fsync) (?:temporary )?(?:file|directory))"
)
#: The same where the role there is no superuser: it may not do what the dump asks for.
_NOT_ALLOWED = re.compile(r"(?:ERROR|FATAL):\s+(?:permission denied|must be |only superuser)")


class VerificationStopped(OperationFailed):
    """A verification that ended before it could tell anything about the backup."""

    title = "The verification did not come to its end"

    def __init__(self, reason: str, hint: str = "") -> None:
        super().__init__(
            f"Nothing was found out about the backup. {reason}",
            hint=hint or "Put that right in the scratch server, then verify again.",
        )


@dataclass(frozen=True, slots=True)
class Verification:
    """What restoring a backup and comparing it found."""

    #: What is not as it was; empty: verified.
    problems: tuple[str, ...]
    #: What could not be compared or is expected to differ.
    notes: tuple[str, ...]
    tables: int
    rows: int
    #: Major of the scratch server.
    server_major: int
    started_at: datetime
    finished_at: datetime

    @property
    def verified(self) -> bool:
        return not self.problems

    def to_json(self) -> dict[str, object]:
        """Return it as plain values, for the store."""
        return {
            **asdict(self),
            "verified": self.verified,
            "started_at": self.started_at.isoformat(),
            "finished_at": self.finished_at.isoformat(),
        }


async def verify(
    manifest: Manifest,
    place: Place,
    scratch: ScratchServers,
    programs: Sequence[Programs],
    folder: Path,
    watch: Watch,
) -> Verification:
    """Restore into a scratch database, compare, drop it.

    `folder` takes a dump that has to be brought here first. Raises BackupInvalid (torn, altered, missing)
    before the scratch server is touched; ScratchUnavailable, ExtensionsMissing, ProgramMissing, PlaceFull and
    VerificationStopped, which say nothing about the backup.
    """
    started = datetime.now(UTC)
    major = manifest.server_major
    expected = await read_backup_schema(place, manifest)
    async with checked_dump(place, manifest, folder) as file:
        await watch.report.log(f"The dump's size and digest are right: {manifest.dump.size} bytes")
        notes: list[str] = []
        rows = 0
        try:
            extensions = [extension.name for extension in manifest.extensions]
            async with scratch.database(
                major, roles=manifest.roles, extensions=extensions, with_rows=True
            ) as database:
                url = database.url
                try:
                    await restore(file, manifest, url, programs, watch, server_major=major)
                except CommandFailed as failure:
                    await _require_of_the_dump(failure, url)
                    problems = [f"It cannot be restored: {failure}"]
                else:
                    problems, rows = await _compare_rows(manifest, url, watch)
                    differing, notes = await _compare_schema(expected, url)
                    problems += differing
        except TargetUnavailable as error:
            # The only server that is asked here.
            raise VerificationStopped(f"The scratch server was lost: {error}", error.hint) from error
    return Verification(
        _shortened(problems), tuple(notes), len(manifest.tables), rows, major, started, datetime.now(UTC)
    )


async def _require_of_the_dump(failure: CommandFailed, url: str) -> None:
    """Raise VerificationStopped where pg_restore ended for another reason than what is in the dump."""
    if failure.exit_code < 0:
        raise VerificationStopped(f"{failure}", "Verify again.") from failure
    if _NOT_THE_DUMPS.search(failure.stderr_tail):
        raise VerificationStopped(f"{failure}") from failure
    if _NOT_ALLOWED.search(failure.stderr_tail):
        async with connect(url) as connection:
            query = "SELECT rolsuper FROM pg_catalog.pg_roles WHERE rolname = current_user"
            row = await (await connection.execute(query)).fetchone()
        if row is not None and not row[0]:
            raise VerificationStopped(
                f"{failure}", "Give the scratch server's URL a role that may restore this: a superuser."
            ) from failure


async def _compare_rows(manifest: Manifest, url: str, watch: Watch) -> tuple[list[str], int]:
    problems, rows = [], 0
    async with connect(url, application_name=watch.application_name) as connection:
        for done, table in enumerate(manifest.tables, start=1):
            try:
                found = (await count_rows(connection, table.schema_name, table.table)).rows
            except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
                problems.append(f"{table.schema_name}.{table.table} is missing, with {table.rows} rows.")
                continue
            rows += found
            if found != table.rows:
                problems.append(
                    f"{table.schema_name}.{table.table} has {found} rows, {table.rows} were backed up."
                )
            await watch.report.at(done, len(manifest.tables), "tables")
    return problems, rows


async def _compare_schema(expected: Schema, url: str) -> tuple[list[str], list[str]]:
    async with connect(url) as connection:
        actual = await read_schema(connection)
    found = difference(_portable(expected), _portable(actual))
    tolerated = [one for one in found if _is_version_of_an_extension(one)]
    notes = [_sentence(one) for one in tolerated]
    notes += [f"Not compared, the role may not read it: {part}." for part in unknown_parts(expected, actual)]
    return [_sentence(one) for one in found if one not in tolerated], notes


def _portable(schema: Schema) -> Schema:
    """Leave out what belongs to the database itself, which a restore into another database does not set."""
    return replace(schema, databases=(), settings=())


def _is_version_of_an_extension(one: Difference) -> bool:
    # A restore creates the version that the server has.
    return one.kind == "extension" and one.attribute == "version"


def _sentence(one: Difference) -> str:
    what = f"{one.kind} {one.object}" + (f", {one.attribute}" if one.attribute else "")
    if one.change == "added":
        return f"{what}: only in the restored database."
    if one.change == "removed":
        return f"{what}: missing in the restored database."
    return f"{what}: {one.a} was backed up, {one.b} was restored."


def _shortened(problems: list[str]) -> tuple[str, ...]:
    more = len(problems) - NAMED
    return (*problems[:NAMED], *([f"… and {more} more."] if more > 0 else []))
