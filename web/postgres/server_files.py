"""The files of one embedded server: where each is, created with the owner and mode that they must have.

As an ordinary user everything is in one private folder. As root, what the server's own user must reach (data,
socket) goes below `ROOT_PLACE` when the folder is somewhere that user cannot pass (a checkout below /root).
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from web.errors import Conflict, DirectoryUnavailable
from web.walls.accounts import ROOT_PLACE, SERVERS, Account, account_of, reaches, system_account

#: `sockaddr_un` ends at 104 bytes on some systems; the server adds "/.s.PGSQL.5432.lock".
_LONGEST_SOCKET_FOLDER = 80
#: A file that names the folder whose server is kept in this private place.
_BELONGS_TO = "belongs-to"


@dataclass(frozen=True, slots=True)
class ServerFiles:
    """Paths of one embedded server, and the user that it runs as (None: ourselves)."""

    directory: Path
    data: Path
    socket: Path
    account: Account | None

    @property
    def lock(self) -> Path:
        return self.directory / "lock"

    @property
    def log(self) -> Path:
        return self.directory / "log"

    @property
    def owner(self) -> Path:
        return self.directory / "owner.json"

    @property
    def password(self) -> Path:
        """Beside the data, wherever they are: who deletes the folder must not be locked out of what is left."""
        return self.data.parent / "password"

    @property
    def major(self) -> int | None:
        """The major version of the data, None before there is any."""
        try:
            return int((self.data / "PG_VERSION").read_text().strip())
        except FileNotFoundError:
            return None


@dataclass(frozen=True, slots=True)
class Ownership:
    """Who holds the server: pids with their start times, so that a recycled pid is not taken for them."""

    owner: int
    postmaster: int | None
    postmaster_started: float | None

    def started(self, process: psutil.Process) -> bool:
        """Say whether the process is the postmaster that the owner started."""
        # Start times are computed from the boot time, which moves a little when the clock is set.
        since = self.postmaster_started
        return (
            process.pid == self.postmaster and since is not None and abs(process.create_time() - since) < 60
        )


def lay_out(directory: Path, *, user: str = SERVERS) -> ServerFiles:
    """Create the folders of a server and say where they are; the same answer for the same folder.

    As root the server runs as the system user of this name.

    Raises DirectoryUnavailable, and Conflict when one of them is somebody else's.
    """
    with usable(directory):
        return _lay_out(directory.resolve(), user)


@contextmanager
def usable(directory: Path) -> Iterator[None]:
    """Turn the system's refusal to make or use a folder into DirectoryUnavailable, for a block."""
    try:
        yield
    except OSError as error:
        raise DirectoryUnavailable(str(directory), why_unusable(directory, error)) from error


def why_unusable(directory: Path, error: OSError) -> str:
    """Say what is in the way of a folder: the system's own words do not name it."""
    nearest = nearest_existing(directory)
    if not nearest.is_dir():
        return f"{nearest} is not a folder"
    return f"nothing can be made in {nearest} ({error.strerror})"


def nearest_existing(path: Path) -> Path:
    """Return the path itself where it is there, else the nearest above it that is."""
    return next(each for each in (path, *path.parents) if os.path.lexists(each))


def _lay_out(directory: Path, user: str) -> ServerFiles:
    account = system_account(user)
    mode = 0o700 if account is None else 0o711
    directory.mkdir(mode=mode, parents=True, exist_ok=True)
    private = _private_place(directory, account)
    reached = account is None or reaches(account, directory)
    data = (directory if reached else private) / "data"
    if data.is_dir() and account is not None:
        account = account_of(data)
    socket = directory / "socket"
    # libpq takes a comma for the end of one host in a list of them.
    if not reached or len(os.fsencode(socket)) > _LONGEST_SOCKET_FOLDER or "," in str(socket):
        socket = private / "socket"
    if private in socket.parents:
        _make_private_place(private, account, directory)
    make_folder(socket, account)
    return ServerFiles(directory, data, socket, account)


def make_folder(path: Path, account: Account | None) -> None:
    """Create a folder that only the server's user may enter. Raises Conflict when it is somebody else's."""
    path.mkdir(mode=0o700, parents=False, exist_ok=True)
    found = path.lstat()
    uid = os.geteuid() if account is None else account.uid
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (uid, os.geteuid()):
        raise Conflict(f"{path} belongs to somebody else.")
    path.chmod(0o700)
    if account is not None and found.st_uid != account.uid:
        os.chown(path, account.uid, account.gid)


def read_password(files: ServerFiles) -> str:
    """Return the superuser's password, generated at the first call. Raises Conflict when it was lost."""
    try:
        return files.password.read_text()
    except FileNotFoundError:
        if files.major is not None:
            raise Conflict(
                f"{files.password} is missing; without it nobody can sign in to the data in {files.data}.",
                hint="Put the file back, or move the folder away to start anew.",
            ) from None
    descriptor = os.open(files.password, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_urlsafe(24))
    return files.password.read_text()


def read_ownership(files: ServerFiles) -> Ownership | None:
    """Return who last held the server; None where nobody did or the note is torn."""
    try:
        noted = json.loads(files.owner.read_text())
        return Ownership(noted["owner"], noted["postmaster"], noted["postmaster_started"])
    except (FileNotFoundError, ValueError, KeyError):
        return None


def write_ownership(files: ServerFiles, postmaster: int | None) -> None:
    """Note that this process holds the server, and which postmaster it started."""
    started = psutil.Process(postmaster).create_time() if postmaster is not None else None
    note = {"owner": os.getpid(), "postmaster": postmaster, "postmaster_started": started}
    fresh = files.owner.with_suffix(".new")
    fresh.write_text(json.dumps(note))
    fresh.replace(files.owner)


def processes_in(data: Path) -> list[psutil.Process]:
    """Return the server processes of a data directory: each has it as its working directory."""
    real = data.resolve()
    return [process for process, folder in _working_directories() if folder == real]


def processes_in_folders(folders: Sequence[Path]) -> list[psutil.Process]:
    """Return the processes of all servers that belong to these folders, wherever their data are."""
    wanted = [folder.resolve() for folder in folders]
    found = []
    for process, place in _working_directories():
        note = place.parent / _BELONGS_TO
        belongs_to = Path(note.read_text()) if note.is_file() else place
        if (place / "PG_VERSION").is_file() and any(belongs_to.is_relative_to(folder) for folder in wanted):
            found.append(process)
    return found


def remove_files(files: ServerFiles) -> None:
    """Delete the server's data, socket and notes; the caller holds the lock and has stopped the server."""
    private = _private_place(files.directory, files.account)
    for path in (files.data, files.socket, private):
        shutil.rmtree(path, ignore_errors=True)
    shutil.rmtree(files.directory, ignore_errors=True)


def _working_directories() -> Iterator[tuple[psutil.Process, Path]]:
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process, Path(process.cwd())
        except (psutil.Error, OSError):
            continue


def _private_place(directory: Path, account: Account | None) -> Path:
    name = hashlib.sha256(os.fsencode(directory)).hexdigest()[:12]
    if account is not None:
        return ROOT_PLACE / "servers" / name
    return Path(tempfile.gettempdir()) / f"cleanstart-{os.geteuid()}" / name


def _make_private_place(private: Path, account: Account | None, directory: Path) -> None:
    if account is None:
        # In a folder that everybody may write to: ours alone, and checked to be ours.
        make_folder(private.parent, None)
        make_folder(private, None)
    else:
        private.mkdir(mode=0o711, parents=True, exist_ok=True)
        for folder in (private.parent, private):
            folder.chmod(0o711)
    (private / _BELONGS_TO).write_text(str(directory))
