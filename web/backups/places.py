"""Where backups lie: a folder, or an object store. What is in them is for `manifest` and `catalog`.

A key can be read only once it was written whole and is durable; whatever ends a write earlier leaves nothing.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import re
import stat
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import ParamSpec, Protocol, TypeVar

import obstore
from obstore.exceptions import BaseError, NotFoundError
from obstore.store import ObjectStore, from_url

from web.errors import BackupInvalid, Invalid, PlaceFull, PlaceUnavailable

#: What keeps from opening or reading one file while the place as a whole is there; the rest is the place's trouble.
_OF_THE_PART = {
    errno.EACCES: "this user may not read it",
    errno.EPERM: "this user may not read it",
    errno.ELOOP: "it is a link, and a part of a backup is a file",
    errno.ENOTDIR: "what has to be its folder is none",
    errno.ENXIO: "it is not a file",
    errno.ENODEV: "it is not a file",
    errno.EIO: "reading it fails",
}
_NO_FILES = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}

P = ParamSpec("P")
T = TypeVar("T")

#: Keys are made of names and ids of ours: no key leads out of its place.
_KEY = re.compile(r"(?:[a-z0-9][a-z0-9_-]*/)*[a-z0-9][a-z0-9_-]*(?:\.[a-z0-9]+)*")
#: How much is read at once.
CHUNK = 1 << 20
#: An object store gets its parts in this size; S3 wants at least 5 MiB and takes 10,000 of them.
_PART = 32 << 20
_PARTIAL = ".part"


class Writer(Protocol):
    """What `Place.write` gives for the length of a block."""

    async def write(self, data: bytes) -> object:
        """Write the next bytes."""


class Place(Protocol):
    """A place for backups."""

    @property
    def shown(self) -> str:
        """The place as people may see it."""

    def write(self, key: str) -> AbstractAsyncContextManager[Writer]:
        """Write a new key. It appears when the block ends well; when it does not, nothing is left of it."""

    def read(self, key: str) -> AsyncGenerator[bytes, None]:
        """Read a key in chunks, within `aclosing`.

        Raises BackupInvalid where it is not there or cannot be read although the place is there, and
        PlaceUnavailable where the place itself is not, which says nothing about any backup.
        """

    async def keys(self, prefix: str) -> list[str]:
        """List the keys below a prefix, sorted."""

    async def remove(self, key: str) -> None:
        """Remove a key, durably; nothing happens where it is not there."""

    async def sweep(self, prefix: str) -> int:
        """Remove what dead writers left below a prefix, and say how much; running writes are left alone."""


def open_place(location: str) -> Place:
    """Give the place that `backups.location` names: a folder, or a URL of S3's, Google's or Azure's store.

    Credentials come from the environment, as the vendors' own tools take them. Raises Invalid.
    """
    if "://" not in location:
        return Folder(Path(location))
    try:
        # No password can be in it: the configuration refuses such URLs.
        return Objects(from_url(location), location)
    except (BaseError, ValueError) as error:
        raise Invalid(f"The place for backups is not understood: {location}") from error


@dataclass(frozen=True, slots=True)
class Folder:
    """A folder of this machine. Files are for this user only and never follow a link."""

    root: Path

    @property
    def shown(self) -> str:
        return str(self.root)

    @asynccontextmanager
    async def write(self, key: str) -> AsyncIterator[Writer]:
        file = self._file(key)
        part = file.with_name(f".{file.name}.{uuid.uuid4().hex}{_PARTIAL}")
        opened: list[int] = []
        try:
            with _translated(self.shown):
                await _to_the_end(_create, part, opened)
            yield _Descriptor(opened[0], self.shown)
            with _translated(self.shown):
                await _to_the_end(_publish, opened[0], part, file)
        except BaseException:
            # What went wrong is told, not that the rest of it cannot be removed either; `sweep` comes by again.
            with suppress(OSError):
                await _to_the_end(_unlink, part)
            raise
        finally:
            _close(opened)

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        opened: list[int] = []
        try:
            with _translated(self.shown, key):
                await _to_the_end(_open, self.root, self._file(key), opened)
                while chunk := await _to_the_end(os.read, opened[0], CHUNK):
                    yield chunk
        finally:
            _close(opened)

    def path(self, key: str) -> Path:
        """Return the file behind a key, for programs that read it themselves."""
        return self._file(key)

    async def keys(self, prefix: str) -> list[str]:
        folder = self._file(prefix)

        def found() -> list[str]:
            files = folder.rglob("*") if folder.is_dir() else ()
            keys = (file.relative_to(self.root).as_posix() for file in files if file.is_file())
            return sorted(key for key in keys if _KEY.fullmatch(key))

        with _translated(self.shown):
            return await _to_the_end(found)

    async def remove(self, key: str) -> None:
        with _translated(self.shown):
            await _to_the_end(_unlink, self._file(key))

    async def sweep(self, prefix: str) -> int:
        folder = self._file(prefix)

        def swept() -> int:
            parts = folder.rglob(f".*{_PARTIAL}") if folder.is_dir() else ()
            return sum(_remove_abandoned(part) for part in parts)

        with _translated(self.shown):
            return await _to_the_end(swept)

    def _file(self, key: str) -> Path:
        return self.root / _checked(key)


@dataclass(frozen=True, slots=True)
class Objects:
    """An object store, by obstore. An upload appears when it is completed; an aborted one never does."""

    store: ObjectStore = field(repr=False)
    shown: str

    @asynccontextmanager
    async def write(self, key: str) -> AsyncIterator[Writer]:
        with _translated(self.shown):
            async with obstore.open_writer_async(self.store, _checked(key), buffer_size=_PART) as writer:
                yield writer

    async def read(self, key: str) -> AsyncGenerator[bytes, None]:
        with _translated(self.shown, key):
            result = await obstore.get_async(self.store, _checked(key))
            async for chunk in result.stream(min_chunk_size=CHUNK):
                yield bytes(chunk)

    async def keys(self, prefix: str) -> list[str]:
        with _translated(self.shown):
            found = await obstore.list(self.store, _checked(prefix)).collect_async()
        return sorted(entry["path"] for entry in found if _KEY.fullmatch(entry["path"]))

    async def remove(self, key: str) -> None:
        with _translated(self.shown), suppress(FileNotFoundError, NotFoundError):
            await obstore.delete_async(self.store, _checked(key))

    async def sweep(self, prefix: str) -> int:
        # Unfinished uploads cannot be listed here; a life-cycle rule of the bucket ends them.
        return 0


async def read_whole(place: Place, key: str, limit: int) -> bytes:
    """Read a small key. Raises BackupInvalid where it is not there or larger than `limit` bytes."""
    content = bytearray()
    async with aclosing(place.read(key)) as chunks:
        async for chunk in chunks:
            content += chunk
            if len(content) > limit:
                raise BackupInvalid(f"{key} is larger than it can be.")
    return bytes(content)


class _Descriptor:
    """Writes to a file in threads: a full or slow disk must not stop the event loop."""

    def __init__(self, descriptor: int, place: str) -> None:
        self._descriptor, self._place = descriptor, place

    async def write(self, data: bytes) -> None:
        with _translated(self._place):
            await _to_the_end(_write_all, self._descriptor, data)


async def _to_the_end(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Run in a thread; a cancellation waits for the thread, so that no descriptor is closed under it."""
    task = asyncio.ensure_future(asyncio.to_thread(function, *args, **kwargs))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


def _open(root: Path, file: Path, opened: list[int]) -> None:
    """Open into a list: a cancelled caller gets no result, and still has to close."""
    try:
        # A pipe in a file's place would be waited for without end, in a thread that nothing can cancel.
        opened.append(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK))
    except OSError:
        _require_place(root)
        raise
    if not stat.S_ISREG(mode := os.fstat(opened[0]).st_mode):
        what = _NO_FILES.get(stat.S_IFMT(mode), "something else")
        raise BackupInvalid(f"{file} is not a file but {what}, and a part of a backup is a file.")


def _require_place(root: Path) -> None:
    """Tell a place that is not there from a backup that is not. An empty folder is what a mount leaves."""
    try:
        with os.scandir(root) as entries:
            if next(entries, None) is not None:
                return
    except OSError as error:
        raise PlaceUnavailable(
            f"The place for backups cannot be opened: {root}: {error.strerror}."
        ) from error
    raise PlaceUnavailable(
        f"Nothing at all is in the place for backups, {root}.",
        hint="See whether it is the right one and is mounted, then start again.",
    )


def _create(part: Path, opened: list[int]) -> None:
    _make_folder(part.parent)
    opened.append(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))
    # Held until the descriptor is closed, by the kernel if need be: who finds it free may remove the file.
    fcntl.flock(opened[0], fcntl.LOCK_EX | fcntl.LOCK_NB)


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError) as error:
        # The system names the folder that was to be made; what is in its way may lie above it.
        above = (each for each in (*reversed(folder.parents), folder) if os.path.lexists(each))
        in_the_way = next((each for each in above if not each.is_dir()), folder)
        raise PlaceUnavailable(
            f"{in_the_way} is not a folder, and the backups have to go into it or below.",
            hint="Move it away, or give the backups another place, then start again.",
        ) from error


def _close(opened: list[int]) -> None:
    for descriptor in opened:
        os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _publish(descriptor: int, part: Path, file: Path) -> None:
    if file.exists():
        raise FileExistsError(errno.EEXIST, "exists", str(file))
    os.fsync(descriptor)
    part.rename(file)
    _sync_folder(file.parent)


def _unlink(file: Path) -> None:
    with suppress(FileNotFoundError, NotADirectoryError):
        file.unlink()
        _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _remove_abandoned(part: Path) -> bool:
    try:
        descriptor = os.open(part, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False  # gone meanwhile, or a link, which no writer of ours makes
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        _unlink(part)
        return True
    finally:
        os.close(descriptor)


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise Invalid("This is not a key of a backup.")
    return key


@contextmanager
def _translated(place: str, key: str | None = None) -> Iterator[None]:
    """Turn errors of the disk and of object stores into ours, for a block."""
    try:
        yield
    except (FileNotFoundError, NotFoundError) as error:
        if key is None:
            raise PlaceUnavailable(f"The place for backups is not there: {place}") from error
        raise BackupInvalid(
            f"A part of the backup is missing: {key} is not in {place}.",
            hint="See whether the place for backups is the right one and is mounted. If it is, do not rely on this "
            "backup, and back up again.",
        ) from error
    except OSError as error:
        if key is not None and error.errno in _OF_THE_PART:
            raise BackupInvalid(
                f"A part of the backup cannot be opened: {key} in {place}: {_OF_THE_PART[error.errno]}.",
                hint="Put that right and verify the backup again, or back up again.",
            ) from error
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise PlaceFull(f"There is no space left in {place} ({os.strerror(error.errno)}).") from error
        where = error.filename or place
        raise PlaceUnavailable(f"{where}: {error.strerror or type(error).__name__}") from error
    except BaseError as error:
        # Their texts go on with a dump of the error's insides after the first line.
        raise PlaceUnavailable(f"{place}: {str(error).partition(chr(10))[0][:300]}") from error
