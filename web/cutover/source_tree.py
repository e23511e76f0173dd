"""The files of a source that is not trusted: bounded in number, size and depth, and no link is ever followed."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from web.cutover.findings import Skipped
from web.tools.history import storable

#: Files that are read at most; bytes of one of them, and of all together.
MOST_FILES = 20_000
LARGEST = 1 << 20
MOST_BYTES = 256 << 20
#: Files that are kept by name as skipped.
MOST_NAMED = 100
#: Folders within folders.
DEEPEST = 40
#: Entries of all folders together.
MOST_ENTRIES = 200_000
#: Seconds after which nothing more is read.
LONGEST = 120.0

#: Folders of other people's code, of what was built, and of history. A virtual environment is known by its file.
_LEFT_OUT = frozenset({
    ".git", ".hg", ".svn", "node_modules", "bower_components", "vendor", "site-packages", "__pycache__",
    "__pypackages__", ".tox", ".nox", ".eggs", ".mypy_cache", ".pytest_cache", ".ruff_cache", ".cache",
    ".terraform", ".gradle", ".next", ".nuxt", ".idea", ".vs", "dist", "target", "obj", "htmlcov", "coverage",
})  # fmt: skip
#: Files that can have something run; so can one without a suffix. Everything else is not opened.
_READ = (
    ".py", ".pyw", ".cs", ".sh", ".bash", ".yml", ".yaml", ".json", ".toml", ".conf", ".service", ".mk", ".dockerfile",
)  # fmt: skip
_READ_BY_BEGINNING = ("dockerfile.", "containerfile.", "procfile.")


@dataclass(slots=True)
class SourceFile:
    """One text file."""

    #: From the source's folder, with slashes; as the store can keep it.
    path: str
    text: str

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def folders(self) -> tuple[str, ...]:
        """The parts of the path before the last."""
        return tuple(self.path.split("/")[:-1])


@dataclass(slots=True)
class SourceTree:
    """Reads the files below a folder; afterwards it knows how many there were, and what it left."""

    root: Path
    #: Set by who does not wait for it any longer.
    stopped: Event = field(default_factory=Event)
    files: int = 0
    skipped: list[Skipped] = field(default_factory=list)
    #: Skipped beyond those that are named.
    further: int = 0
    _bytes: int = 0
    _entries: int = 0
    _begun: float = field(default_factory=time.monotonic)

    def read(self) -> Iterator[SourceFile]:
        """Every text file, by folder, in the order of names. Raises OSError where the folder itself cannot be read."""
        folder = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            yield from self._folder(folder, "", 0)
        finally:
            os.close(folder)

    def skip(self, path: str, reason: str) -> None:
        """Name what is not read."""
        if len(self.skipped) < MOST_NAMED:
            self.skipped.append(Skipped(storable(path), reason))
        else:
            self.further += 1

    def _folder(self, folder: int, path: str, depth: int) -> Iterator[SourceFile]:
        try:
            with os.scandir(folder) as found:
                names = []
                for entry in found:
                    self._entries += 1
                    if self._entries > MOST_ENTRIES:
                        break
                    names.append(entry.name)
        except OSError as error:
            self.skip(path, f"the folder cannot be read: {error.strerror}")
            return
        for name in sorted(names):
            inner = f"{path}{name}"
            try:
                mode = os.lstat(name, dir_fd=folder).st_mode
            except OSError:
                # It is gone by now.
                continue
            if stat.S_ISDIR(mode):
                if name not in _LEFT_OUT:
                    yield from self._inner(folder, name, f"{inner}/", depth + 1)
            elif stat.S_ISREG(mode) and _is_read(name.lower()):
                text = self._text(folder, name, inner)
                if text is not None:
                    yield SourceFile(storable(inner), text)

    def _inner(self, folder: int, name: str, path: str, depth: int) -> Iterator[SourceFile]:
        if depth > DEEPEST:
            self.skip(path, f"deeper than {DEEPEST} folders")
            return
        try:
            inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        except OSError as error:
            self.skip(path, f"the folder cannot be read: {error.strerror}")
            return
        try:
            # A virtual environment, whatever it is called.
            if not _holds(inner, "pyvenv.cfg"):
                yield from self._folder(inner, path, depth)
        finally:
            os.close(inner)

    def _text(self, folder: int, name: str, path: str) -> str | None:
        """What a file holds; None: it is named as skipped, or is no text at all."""
        if self.files >= MOST_FILES or self._entries > MOST_ENTRIES:
            self.skip(path, f"more than {MOST_FILES:,} files")
            return None
        if self.stopped.is_set() or time.monotonic() - self._begun > LONGEST:
            self.skip(path, f"reading took longer than {LONGEST:.0f} seconds")
            return None
        if self._bytes >= MOST_BYTES:
            self.skip(path, f"more than {MOST_BYTES >> 20} MiB in all")
            return None
        try:
            # It may have become something else since it was listed: a pipe would wait for ever.
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
            with os.fdopen(file, "rb") as opened:
                if not stat.S_ISREG(os.fstat(file).st_mode):
                    return None
                content = opened.read(LARGEST + 1)
        except OSError as error:
            self.skip(path, f"cannot be read: {error.strerror}")
            return None
        if b"\0" in content:
            return None
        if len(content) > LARGEST:
            self.skip(path, f"larger than {LARGEST >> 20} MiB")
            return None
        try:
            text = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.skip(path, "not UTF-8 text")
            return None
        self.files += 1
        self._bytes += len(content)
        return text


def _is_read(name: str) -> bool:
    return "." not in name or name.endswith(_READ) or name.startswith(_READ_BY_BEGINNING)


def _holds(folder: int, name: str) -> bool:
    try:
        os.lstat(name, dir_fd=folder)
    except OSError:
        return False
    return True
