"""A change set: what a job would have changed in a repository, as files, as a patch for `git apply`, and as a zip file.

Nothing here touches the repository. A patch holds whole contents and no renames: it fails where a file is another one.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: What git writes as it is in the name of a file.
_PLAIN = frozenset(range(0x20, 0x7F)) - frozenset(b'"\\')
#: Times of files in a zip file: the same content gives the same file.
_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class ChangedFile:
    """One file, with its content before and after; None: it is not there then."""

    #: From the repository's root, with slashes.
    path: str
    before: bytes | None
    after: bytes | None


@dataclass(frozen=True, slots=True)
class ChangeSet:
    """Files that go and files that come."""

    files: tuple[ChangedFile, ...]

    def reversed(self) -> ChangeSet:
        """The way back."""
        return ChangeSet(tuple(ChangedFile(each.path, each.after, each.before) for each in self.files))

    def patch(self) -> bytes:
        """What `git apply` takes, at the repository's root."""
        return b"".join(part for each in self.files for part in _difference(each))

    def pack(self) -> bytes:
        """All of it for the store, compressed."""
        rows = [[each.path, _text(each.before), _text(each.after)] for each in self.files]
        return zlib.compress(json.dumps(rows).encode())

    @staticmethod
    def unpack(packed: bytes) -> ChangeSet:
        """Read `pack` back."""
        rows = json.loads(zlib.decompress(packed))
        return ChangeSet(
            tuple(ChangedFile(path, _content(before), _content(after)) for path, before, after in rows)
        )

    def zip(self) -> bytes:
        """The files that are there afterwards, and a list of those that go."""
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
            for each in self.files:
                if each.after is not None:
                    archive.writestr(zipfile.ZipInfo(each.path, _NO_TIME), each.after, zipfile.ZIP_DEFLATED)
            gone = [each.path for each in self.files if each.after is None]
            if gone:
                listed = "".join(f"{path}\n" for path in gone)
                archive.writestr(zipfile.ZipInfo("REMOVED.txt", _NO_TIME), listed, zipfile.ZIP_DEFLATED)
        return made.getvalue()


def moved(files: Iterable[tuple[str, str, bytes]]) -> Iterator[ChangedFile]:
    """Files by their old path, their new path and what they hold: gone here, there now."""
    for old, new, content in files:
        yield ChangedFile(old, content, None)
        yield ChangedFile(new, None, content)


def _text(content: bytes | None) -> str | None:
    # Each byte is a character of the same number: any file comes back as it was.
    return None if content is None else content.decode("latin-1")


def _content(text: str | None) -> bytes | None:
    return None if text is None else text.encode("latin-1")


def _difference(file: ChangedFile) -> Iterator[bytes]:
    a, b = _quoted(b"a/", file.path), _quoted(b"b/", file.path)
    yield b"diff --git " + a + b" " + b + b"\n"
    if file.before is None:
        yield b"new file mode 100644\n"
    elif file.after is None:
        yield b"deleted file mode 100644\n"
    before, after = _lines(file.before), _lines(file.after)
    if not before and not after:
        # An empty file that comes or goes has no hunk.
        return
    yield b"--- " + (_named(a) if file.before is not None else b"/dev/null") + b"\n"
    yield b"+++ " + (_named(b) if file.after is not None else b"/dev/null") + b"\n"
    yield b"@@ -%s +%s @@\n" % (_range(before), _range(after))
    for sign, lines in ((b"-", before), (b"+", after)):
        for line in lines:
            yield sign + line
        if lines and not lines[-1].endswith(b"\n"):
            yield b"\n\\ No newline at end of file\n"


def _lines(content: bytes | None) -> list[bytes]:
    if not content:
        return []
    parts = content.split(b"\n")
    return [each + b"\n" for each in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _range(lines: list[bytes]) -> bytes:
    if not lines:
        return b"0,0"
    return b"1" if len(lines) == 1 else b"1,%d" % len(lines)


def _named(quoted: bytes) -> bytes:
    # As git does, so that a name with a blank ends where it ends.
    return quoted + b"\t" if b" " in quoted and not quoted.startswith(b'"') else quoted


def _quoted(side: bytes, path: str) -> bytes:
    """A path as git writes it: quoted as in C where it holds anything out of the ordinary."""
    raw = side + path.encode("utf-8", "surrogateescape")
    if all(each in _PLAIN for each in raw):
        return raw
    escapes = {0x22: b'\\"', 0x5C: b"\\\\", 0x0A: b"\\n", 0x09: b"\\t", 0x0D: b"\\r"}
    inner = b"".join(
        escapes.get(each) or (bytes([each]) if each in _PLAIN else b"\\%03o" % each) for each in raw
    )
    return b'"' + inner + b'"'
