"""Places: one contract for folders and object stores, and what a disk does to a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.small_disk import small_disk
from web.backups.places import CHUNK, Folder, Place, open_place, read_whole
from web.errors import BackupInvalid, Invalid, PlaceFull, PlaceUnavailable

KEY = "clinic/dev/one.dump"


@pytest.fixture(params=["folder", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """The folder, and obstore over its two stores that need no server."""
    (tmp_path / "place").mkdir()
    locations = {
        "folder": str(tmp_path / "place"),
        "file": f"file://{tmp_path}/place",
        "memory": "memory:///",
    }
    return open_place(locations[request.param])


def files_in(folder: Path) -> list[str]:
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


async def put(place: Place, key: str, *pieces: bytes) -> None:
    async with place.write(key) as writer:
        for piece in pieces:
            await writer.write(piece)


async def test_what_was_written_is_read(place: Place) -> None:
    pieces = [os.urandom(CHUNK + 17), b"", b"end"]
    await put(place, KEY, *pieces)
    chunks = [chunk async for chunk in place.read(KEY)]
    assert b"".join(chunks) == b"".join(pieces)
    assert await place.keys("clinic/dev") == [KEY]
    assert await place.keys("clinic/other") == []
    assert await read_whole(place, KEY, 2 * CHUNK) == b"".join(pieces)
    with pytest.raises(BackupInvalid, match="larger"):
        await read_whole(place, KEY, 100)


async def test_nothing_is_there_before_the_end(place: Place) -> None:
    async with place.write(KEY) as writer:
        await writer.write(b"x" * CHUNK)
        assert await place.keys("clinic") == []
        assert await place.sweep("clinic") == 0
    assert await place.keys("clinic") == [KEY]


async def test_a_write_that_fails_leaves_nothing(place: Place, tmp_path: Path) -> None:
    async def fail() -> None:
        async with place.write(KEY) as writer:
            await writer.write(os.urandom(3 * CHUNK))
            raise ValueError("stopped")

    with pytest.raises(ValueError, match="stopped"):
        await fail()
    assert await place.keys("clinic") == []
    assert files_in(tmp_path) == []


async def test_a_cancelled_write_leaves_nothing(place: Place, tmp_path: Path) -> None:
    begun = asyncio.Event()

    async def write() -> None:
        async with place.write(KEY) as writer:
            while True:
                await writer.write(os.urandom(CHUNK))
                begun.set()

    task = asyncio.create_task(write())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await place.keys("clinic") == []
    assert files_in(tmp_path) == []


async def test_a_write_cancelled_at_any_moment_leaves_nothing(tmp_path: Path) -> None:
    """Also while the file is being made, when nobody knows of it yet."""
    folder = Folder(tmp_path)
    before = psutil.Process().num_fds()
    for turns in range(40):
        task = asyncio.create_task(put(folder, KEY, *[b"x"] * 8))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await folder.remove(KEY)
        assert files_in(tmp_path) == []
    assert psutil.Process().num_fds() == before


async def test_remove(place: Place) -> None:
    await put(place, KEY, b"x")
    await place.remove(KEY)
    await place.remove(KEY)
    assert await place.keys("clinic") == []
    with pytest.raises(BackupInvalid, match="missing"):
        await read_whole(place, KEY, 100)


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/.hidden", "a\0b", "A", "a/b/", "a b", "a/b.", "ä"]
)
async def test_no_key_leads_out(place: Place, key: str) -> None:
    for act in (put(place, key, b"x"), place.remove(key), place.keys(key), read_whole(place, key, 10)):
        with pytest.raises(Invalid):
            await act


def test_an_unknown_place() -> None:
    with pytest.raises(Invalid):
        open_place("gopher://somewhere/x")


async def test_files_are_for_this_user_only(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "new" / "place")
    await put(folder, KEY, b"x")
    assert stat.S_IMODE(folder.path(KEY).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.path(KEY).parent.stat().st_mode) == 0o700


async def test_a_key_is_written_once(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    await put(folder, KEY, b"first")
    with pytest.raises(PlaceUnavailable):
        await put(folder, KEY, b"second")
    assert await read_whole(folder, KEY, 100) == b"first"
    assert files_in(tmp_path) == [KEY]


async def test_a_link_is_not_followed(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "place")
    (tmp_path / "secret").write_text("secret")
    await put(folder, "clinic/dev/other.dump", b"x")
    folder.path(KEY).symlink_to(tmp_path / "secret")
    with pytest.raises(BackupInvalid, match="it is a link, and a part of a backup is a file"):
        await read_whole(folder, KEY, 100)
    await folder.remove(KEY)
    assert (tmp_path / "secret").read_text() == "secret"


async def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "place")
    await put(folder, "clinic/dev/other.dump", b"x")
    os.mkfifo(folder.path(KEY))
    with pytest.raises(BackupInvalid, match=f"{KEY} is not a file but a pipe"):
        async with asyncio.timeout(10):
            await read_whole(folder, KEY, 100)
    folder.path(KEY).unlink()
    folder.path(KEY).mkdir()
    with pytest.raises(BackupInvalid, match=f"{KEY} is not a file but a folder"):
        await read_whole(folder, KEY, 100)


async def test_a_place_that_is_not_there_says_nothing_about_a_backup(tmp_path: Path) -> None:
    folder = Folder(tmp_path / "place")
    with pytest.raises(PlaceUnavailable, match="cannot be opened"):
        await read_whole(folder, KEY, 100)
    # What a mount leaves that is gone.
    folder.root.mkdir()
    with pytest.raises(PlaceUnavailable, match="Nothing at all is in the place"):
        await read_whole(folder, KEY, 100)
    await put(folder, "clinic/dev/other.dump", b"x")
    with pytest.raises(BackupInvalid, match="missing"):
        await read_whole(folder, KEY, 100)


async def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk") as disk:
        folder = Folder(disk)
        await put(folder, "clinic/dev/earlier.dump", b"e" * CHUNK)
        with pytest.raises(PlaceFull, match="no space left"):
            await put(folder, KEY, *[b"x" * CHUNK] * 9)
        assert await folder.keys("clinic") == ["clinic/dev/earlier.dump"]
        assert files_in(disk) == ["clinic/dev/earlier.dump"]
        await put(folder, KEY, *[b"x" * CHUNK] * 5)


@pytest.mark.parametrize("where", ["place", "place/clinic", "place/clinic/dev"])
@pytest.mark.parametrize("what", ["a file", "a dangling link", "a link to a file"])
async def test_what_is_where_a_folder_should_be(tmp_path: Path, where: str, what: str) -> None:
    in_the_way = tmp_path / where
    in_the_way.parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "file").write_text("a file")
    if what == "a file":
        in_the_way.write_text("in the way")
    else:
        in_the_way.symlink_to(tmp_path / ("nowhere" if what == "a dangling link" else "file"))
    with pytest.raises(PlaceUnavailable) as caught:
        await put(Folder(tmp_path / "place"), KEY, b"x")
    assert str(caught.value) == f"{in_the_way} is not a folder, and the backups have to go into it or below."
    assert "Move it away" in caught.value.hint
    assert in_the_way.is_symlink() or in_the_way.read_text() == "in the way"


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """What the disk refuses is named, and there is something to look at."""
    place = tmp_path / ("x" * 300)
    with pytest.raises(PlaceUnavailable, match="File name too long") as caught:
        await put(Folder(place), KEY, b"x")
    assert str(caught.value).startswith(f"{place}/clinic/dev: ")
    assert "may write" in caught.value.hint


WRITER = """
import asyncio, sys
from pathlib import Path
from web.backups.places import Folder
async def main():
    async with Folder(Path(sys.argv[1])).write("clinic/dev/one.dump") as writer:
        while True:
            await writer.write(b"x" * 100_000)
            print("written", flush=True)
asyncio.run(main())
"""


async def test_what_a_killed_writer_left_is_swept(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    argv = (sys.executable, "-c", WRITER, str(tmp_path))
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:  # noqa: ASYNC220
        assert process.stdout is not None
        assert process.stdout.readline() == "written\n"
        assert await folder.sweep("clinic") == 0, "a running writer is left alone"
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert await folder.keys("clinic") == []
    assert len(files_in(tmp_path)) == 1
    assert await folder.sweep("clinic") == 1
    assert files_in(tmp_path) == []
