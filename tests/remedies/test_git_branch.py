"""A change set in a repository whose writer was killed between two of its acts: everything is as it was."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from web.errors import Conflict
from web.remedies.change_set import ChangedFile, ChangeSet
from web.remedies.git_branch import Written, commit_on_branch, go_back, head_of, restore
from web.remedies.source_files import standing, write

ROOT = Path(__file__).parents[2]
CHANGE = ChangeSet(
    (
        ChangedFile("versions/b.py", b"second\r\n", None),
        ChangedFile("archive/b.py", None, b"second\r\n"),
        ChangedFile('versions/odd, \xfc "name".py', b"first", None),
        ChangedFile('archive/odd, \xfc "name".py', None, b"first"),
        ChangedFile("versions/fresh.py", None, b"fresh\n"),
    )
)
#: Exits the process when the method is called for the Nth time.
SCRIPT = """
import asyncio, os, sys
from pathlib import Path
from web.remedies import git_branch, source_files
from web.remedies.change_set import ChangeSet
root, packed, step, nth, back = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5:]
place = source_files if step == "_put" else git_branch.Repository
real, calls = getattr(place, step), []
def dying(*arguments, **more):
    calls.append(1)
    if len(calls) == nth:
        os._exit(9)
    return real(*arguments, **more)
setattr(place, step, dying)
change = ChangeSet.unpack(packed.read_bytes())
if back:
    asyncio.run(git_branch.go_back(root, change, git_branch.Written(*back)))
else:
    asyncio.run(git_branch.commit_on_branch(root, change, branch="fresh", message="m", author="ada"))
"""


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.decode().strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    root = tmp_path / "repository"
    write(_made(root), ChangeSet(tuple(each for each in CHANGE.files if each.before is not None)).reversed())
    (root / "other.txt").write_text("other")
    for arguments in (
        ("init", "-q", "-b", "main"),
        ("config", "user.name", "ada"),
        ("config", "user.email", "ada"),
        ("add", "-A"),
        ("commit", "-q", "-m", "all"),
    ):
        git(root, *arguments)
    return root


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def seen(root: Path) -> tuple[str, ...]:
    """What is checked out, what is staged, and what differs."""
    return (
        git(root, "symbolic-ref", "HEAD"),
        git(root, "rev-parse", "HEAD"),
        git(root, "ls-files", "--stage"),
        git(root, "status", "--porcelain"),
    )


#: Whether on the way back, which act, and the how many-th of its kind. A commit's own index is set first.
ENDS = [
    *(
        (back, *each)
        for back in (False, True)
        for each in (("_put", 1), ("_put", 3), ("_put", 5), ("set_head", 1))
    ),
    (False, "set_index", 1),
    (False, "set_index", 2),
    (True, "set_index", 1),
]


@pytest.mark.parametrize(("back", "step", "nth"), ENDS)
async def test_a_killed_writer_leaves_nothing(
    repository: Path, tmp_path: Path, back: bool, step: str, nth: int
) -> None:
    change, branch = CHANGE, "fresh"
    arguments: tuple[str, ...] = ()
    if back:
        written = await commit_on_branch(repository, CHANGE, branch="fresh", message="m", author="ada")
        change, arguments = CHANGE.reversed(), (written.branch, written.commit, written.previous)
    before, head = seen(repository), await head_of(repository)
    packed = tmp_path / "packed"
    packed.write_bytes(CHANGE.pack())
    script = [sys.executable, "-c", SCRIPT, str(repository), str(packed), step, str(nth), *arguments]
    done = await asyncio.to_thread(subprocess.run, script, cwd=ROOT, check=False)
    assert done.returncode == 9
    await restore(repository, change, head, None if back else branch)
    assert seen(repository) == before
    assert standing(repository, change).state == "before"
    # What was begun can be begun again.
    if back:
        await go_back(repository, CHANGE, Written(*arguments))
    else:
        await commit_on_branch(repository, CHANGE, branch=branch, message="m", author="ada")
    assert standing(repository, change).state == "after"
    assert git(repository, "status", "--porcelain") == ""


async def test_in_a_worktree_without_a_branch_and_with_converted_ends_of_lines(
    repository: Path, tmp_path: Path
) -> None:
    git(repository, "config", "core.autocrlf", "true")
    tree = tmp_path / "tree"
    git(repository, "worktree", "add", "-q", "--detach", str(tree))
    assert await head_of(tree) == git(repository, "rev-parse", "main")
    files = tuple(
        ChangedFile(
            each.path, (tree / each.path).read_bytes() if each.before is not None else None, each.after
        )
        for each in CHANGE.files
    )
    written = await commit_on_branch(tree, ChangeSet(files), branch="fresh", message="m", author="<\n>")
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "log", "-1", "--format=%an") == "Clean Start"
    await go_back(tree, ChangeSet(files), written)
    assert git(tree, "status", "--porcelain") == ""
    assert git(tree, "rev-parse", "HEAD") == written.previous


async def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    root = _made(tmp_path / "empty")
    git(root, "init", "-q")
    write(root, ChangeSet(tuple(each for each in CHANGE.files if each.before is not None)).reversed())
    with pytest.raises(Conflict, match="has no commit"):
        await commit_on_branch(root, CHANGE, branch="fresh", message="m", author="ada")
