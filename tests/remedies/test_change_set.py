"""A change set is what git makes of it: applied to a repository, its patch gives exactly its files."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from web.remedies.change_set import ChangedFile, ChangeSet, moved


def git(folder: Path, *arguments: str, given: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["git", "-c", "core.autocrlf=false", *arguments],
        cwd=folder,
        input=given,
        capture_output=True,
        check=False,
    )


def repository(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    assert git(folder, "init", "-q").returncode == 0
    for path, content in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(each.relative_to(folder)): each.read_bytes()
        for each in folder.rglob("*")
        if each.is_file() and ".git" not in each.relative_to(folder).parts
    }


NAMES = (
    "versions/a.py",
    "my app/db scripts/b 1.py",
    "ümlaut/ñ.py",
    'quo"te/back\\slash.py',
    "tab\there.py",
    "100%.py",
)
CONTENTS = (
    b"one\ntwo\n",
    b"no end of line",
    b"",
    b"\r\nwindows\r\n",
    b"caf\xe9 in latin-1\n",
    b"\n\n\n",
    b"--- a/x\n+++ b/x\n@@ -1 +1 @@\n",
)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("content", CONTENTS)
def test_a_file_that_moves(tmp_path: Path, name: str, content: bytes) -> None:
    folder = repository(tmp_path / "r", {name: content, "other.py": b"stays\n"})
    change = ChangeSet((*moved([(name, f"archive/{name}", content)]), ChangedFile("new.py", None, b"new\n")))
    applied = git(folder, "apply", given=change.patch())
    assert applied.returncode == 0, applied.stderr
    assert contents(folder) == {f"archive/{name}": content, "other.py": b"stays\n", "new.py": b"new\n"}


def test_a_file_that_is_another_one_refuses_all_of_it(tmp_path: Path) -> None:
    folder = repository(tmp_path / "r", {"a.py": b"edited\n", "b.py": b"b\n"})
    before = contents(folder)
    change = ChangeSet(tuple(moved([("a.py", "archive/a.py", b"a\n"), ("b.py", "archive/b.py", b"b\n")])))
    applied = git(folder, "apply", given=change.patch())
    assert applied.returncode != 0
    assert b"a.py" in applied.stderr
    assert contents(folder) == before


@settings(max_examples=40, deadline=None)
@given(before=st.binary(max_size=60), after=st.binary(max_size=60))
def test_any_text_becomes_any_other(
    tmp_path_factory: pytest.TempPathFactory, before: bytes, after: bytes
) -> None:
    # What git takes for binary it does not take as lines.
    before, after = before.replace(b"\0", b""), after.replace(b"\0", b"")
    if before == after:
        return
    folder = repository(tmp_path_factory.mktemp("r") / "r", {"f": before})
    change = ChangeSet((ChangedFile("f", before, after),))
    applied = git(folder, "apply", given=change.patch())
    assert applied.returncode == 0, applied.stderr
    assert contents(folder) == {"f": after}


def test_a_zip_file_holds_what_is_there_afterwards() -> None:
    change = ChangeSet(
        (*moved([("old.py", "archive/old.py", b"old\n")]), ChangedFile("new.py", None, b"new\n"))
    )
    packed = change.zip()
    assert packed == change.zip()
    assert ChangeSet.unpack(change.pack()) == change
    with zipfile.ZipFile(io.BytesIO(packed)) as read:
        assert {name: read.read(name) for name in read.namelist()} == {
            "archive/old.py": b"old\n",
            "new.py": b"new\n",
            "REMOVED.txt": b"old.py\n",
        }
