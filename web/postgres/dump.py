"""pg_dump and pg_restore as commands: fixed argv, secrets in the environment, no error missed.

What is done with a dump (digest, manifest, verification) is for the backups.
"""

from __future__ import annotations

import signal
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from web.errors import ProgramMissing
from web.postgres import processes
from web.postgres.processes import Completed, RunningProgram
from web.postgres.programs import Programs, client_for
from web.postgres.urls import database_argument, libpq_environment, secrets_of

OnLine = Callable[[str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run: argv for everybody to see, environment and secrets for nobody."""

    argv: tuple[str, ...]
    env: Mapping[str, str] = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def dump_command(
    programs: Sequence[Programs],
    url: str,
    *,
    server_major: int,
    file: Path | None = None,
    application_name: str = "cleanstart",
    schema_only: bool = False,
    snapshot: str | None = None,
    compress: str | None = None,
    lock_wait_timeout: str = "30s",
    exclude_table_data: Sequence[str] = (),
    verbose: bool = True,
) -> Command:
    """Build a pg_dump in the custom format, into a file or to stdout.

    `compress` is pg_dump's ("zstd:3", "gzip:6", "0"; methods by name from client 16 on). `exclude_table_data`
    are patterns of pg_dump. Raises ProgramMissing when the server is newer than every client.
    """
    client = client_for(server_major, programs)
    options = ["--format=custom", "--no-password", f"--lock-wait-timeout={lock_wait_timeout}"]
    options += [f"--file={file}"] if file is not None else []
    options += ["--schema-only"] if schema_only else []
    options += [f"--snapshot={snapshot}"] if snapshot is not None else []
    options += [f"--compress={compress}"] if compress is not None else []
    options += [f"--exclude-table-data={pattern}" for pattern in exclude_table_data]
    options += ["--verbose"] if verbose else []
    return _command(client.path("pg_dump"), options, url, application_name)


def restore_command(
    programs: Sequence[Programs],
    url: str,
    *,
    server_major: int,
    file: Path | None = None,
    application_name: str = "cleanstart",
    schema_only: bool = False,
    jobs: int | None = None,
    no_owner: bool = False,
    no_privileges: bool = False,
    single_transaction: bool = False,
    use_list: Path | None = None,
    dumped_with: int = 0,
    verbose: bool = True,
) -> Command:
    """Build a pg_restore that stops at the first error, from a file or from stdin, into the URL's database.

    The database must be new: restoring over rows doubles them. `jobs` needs a file. Raises ProgramMissing
    when the server is newer than every client. `dumped_with` is the major of the dump's pg_dump: an older
    pg_restore cannot read it. (17 and newer set `transaction_timeout`, which servers before 17 refuse.)
    """
    client = client_for(max(server_major, dumped_with), programs)
    options = ["--exit-on-error", "--no-password"]
    options += ["--schema-only"] if schema_only else []
    options += [f"--jobs={jobs}"] if jobs is not None and file is not None else []
    options += ["--no-owner"] if no_owner else []
    options += ["--no-privileges"] if no_privileges else []
    options += ["--single-transaction"] if single_transaction else []
    options += [f"--use-list={use_list}"] if use_list is not None else []
    options += ["--verbose"] if verbose else []
    command = _command(client.path("pg_restore"), options, url, application_name)
    return Command((*command.argv, *((str(file),) if file else ())), command.env, command.secrets)


async def start_command(
    command: Command, *, on_line: OnLine | None = None, stdin: bool = False, stdout: bool = False
) -> RunningProgram:
    """Start a command and give its handle; `on_line` gets its messages. Use the handle with `async with`.

    When we die, the program is told to end (SIGTERM), on which it cancels its query at the server.
    """
    return await processes.start(
        command.argv,
        env=command.env,
        stdin=PIPE if stdin else DEVNULL,
        stdout=PIPE if stdout else DEVNULL,
        on_stderr_line=on_line,
        redact=command.secrets,
        death_signal=signal.SIGTERM,
    )


async def run_command(
    command: Command, *, on_line: OnLine | None = None, stdin: bytes | None = None
) -> Completed:
    """Run a command to its end; cancelling ends its whole group. Raises CommandFailed."""
    return await processes.run(
        command.argv,
        env=command.env,
        stdin=stdin,
        on_stderr_line=on_line,
        redact=command.secrets,
        death_signal=signal.SIGTERM,
    )


async def dump_database(
    programs: Sequence[Programs],
    url: str,
    file: Path,
    *,
    server_major: int,
    application_name: str = "cleanstart",
    schema_only: bool = False,
    snapshot: str | None = None,
    compress: str | None = None,
    on_line: OnLine | None = None,
) -> Completed:
    """Dump a database into a file. Raises ProgramMissing, CommandFailed (the file is then torn)."""
    command = dump_command(
        programs,
        url,
        server_major=server_major,
        file=file,
        application_name=application_name,
        schema_only=schema_only,
        snapshot=snapshot,
        compress=compress,
    )
    return await run_command(command, on_line=on_line)


async def restore_database(
    programs: Sequence[Programs],
    url: str,
    file: Path,
    *,
    server_major: int,
    application_name: str = "cleanstart",
    schema_only: bool = False,
    no_owner: bool = False,
    no_privileges: bool = False,
    on_line: OnLine | None = None,
) -> Completed:
    """Restore a dump into the new, empty database of the URL. Raises ProgramMissing, CommandFailed."""
    command = restore_command(
        programs,
        url,
        server_major=server_major,
        file=file,
        application_name=application_name,
        schema_only=schema_only,
        no_owner=no_owner,
        no_privileges=no_privileges,
    )
    return await run_command(command, on_line=on_line)


def _command(program: Path, options: Sequence[str], url: str, application_name: str) -> Command:
    if not program.is_absolute():
        raise ProgramMissing(f"{program} is not an absolute path.")
    return Command(
        argv=(str(program), *options, f"--dbname={database_argument(url)}"),
        env={
            **libpq_environment(url),
            "PGAPPNAME": application_name,
            "PGCONNECT_TIMEOUT": "10",
            "LC_MESSAGES": "C",
        },
        secrets=secrets_of(url),
    )
