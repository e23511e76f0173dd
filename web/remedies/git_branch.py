"""A change set as a commit on a branch of its own, in the repository that a project's source lies in.

Only git's plumbing is used, without the repository's hooks, filters and monitors: nothing of it is run as us. Files are
written by `source_files`; here are commit, branch, index and HEAD.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from web.errors import CommandFailed, Conflict, OperationFailed, ProgramMissing
from web.postgres.processes import run
from web.remedies.change_set import ChangeSet
from web.remedies.source_files import NAMED, require_before, standing, write
from web.walls.accounts import Account, account_of

#: Nothing of the repository's own settings may run a program, and nothing goes to the network.
_SETTINGS: Final = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.untrackedCache=false",
    "gc.auto=0",
    "protocol.allow=never",
    "safe.directory=*",
)
_ENVIRONMENT: Final[Mapping[str, str]] = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_TERMINAL_PROMPT": "0",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
#: Settings that name programs which git may run as it writes an index.
_FILTERS: Final = r"^filter\..*\.(clean|smudge|process|required)$"
#: Paths in one command line.
_BATCH = 500
_NOBODY = re.compile(r"[<>\n\0]")


@dataclass(frozen=True, slots=True)
class Written:
    """A commit that holds a change set, and the way back."""

    branch: str
    commit: str
    #: What HEAD was before: a branch's whole name, or a commit.
    previous: str


@dataclass(frozen=True, slots=True)
class _Entry:
    mode: str
    blob: str


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository with a working tree."""

    root: Path
    program: str
    #: Whom git runs as; None: as us.
    account: Account | None
    #: Filters of the repository's own, switched off: `filter.NAME.clean=`.
    without: tuple[str, ...] = ()

    async def git(
        self, *arguments: str, given: bytes | None = None, env: Mapping[str, str] | None = None
    ) -> bytes:
        """Run one command of git's. Raises CommandFailed."""
        settings = [part for each in (*_SETTINGS, *self.without) for part in ("-c", each)]
        done = await run(
            [self.program, "--literal-pathspecs", "-C", str(self.root), *settings, *arguments],
            env={**_ENVIRONMENT, **(env or {})},
            stdin=given,
            account=self.account,
        )
        return done.stdout

    async def head(self) -> str:
        """The whole name of the branch that is checked out, or the commit. Raises Conflict where there is none."""
        try:
            return (await self.git("symbolic-ref", "-q", "HEAD")).decode().strip()
        except CommandFailed:
            return await self.commit_of("HEAD")

    async def commit_of(self, name: str) -> str:
        """The commit behind a name. Raises Conflict where it has none."""
        try:
            return (await self.git("rev-parse", "--verify", "-q", f"{name}^{{commit}}")).decode().strip()
        except CommandFailed:
            raise Conflict(
                f"{self.root} has no commit at {name} yet.", hint="Commit what is there first."
            ) from None

    async def entries(self, paths: Sequence[str], tree: str | None = None) -> dict[str, _Entry]:
        """Mode and blob of files in a tree, or in the index."""
        found = {}
        listed = ("ls-tree", "-z", "--full-tree", tree) if tree is not None else ("ls-files", "-z", "--stage")
        for begin in range(0, len(paths), _BATCH):
            said = await self.git(*listed, "--", *paths[begin : begin + _BATCH])
            for line in filter(None, said.decode(errors="surrogateescape").split("\0")):
                what, _, path = line.partition("\t")
                parts = what.split()
                found[path] = _Entry(parts[0], parts[2] if tree is not None else parts[1])
        return found

    async def set_index(
        self, entries: Mapping[str, _Entry | None], env: Mapping[str, str] | None = None
    ) -> None:
        """Put files into the index, or take them out of it."""
        lines = (
            f"{each.mode} {each.blob}\t{path}\0" if each is not None else f"0 {'0' * 40}\t{path}\0"
            for path, each in entries.items()
        )
        given = "".join(lines).encode(errors="surrogateescape")
        await self.git("update-index", "-z", "--index-info", given=given, env=env)

    async def set_head(self, head: str) -> None:
        """Let HEAD be a branch, or a commit. Files and index stay as they are."""
        if head.startswith("refs/"):
            await self.git("symbolic-ref", "-m", "clean start", "HEAD", head)
        else:
            await self.git("update-ref", "--no-deref", "-m", "clean start", "HEAD", head)


def repository_root(source: Path) -> Path | None:
    """The folder of the repository that a source lies in; None: it lies in none."""
    real = source.resolve()
    return next((each for each in (real, *real.parents) if (each / ".git").exists()), None)


async def open_repository(root: Path) -> Repository:
    """Find git for a repository, whom it belongs to, and which filters it has. Raises ProgramMissing."""
    program = shutil.which("git")
    if program is None:
        raise ProgramMissing(
            f"{root} is a git repository, and there is no git on this machine.",
            hint="Install git where the worker runs, or apply the patch by hand.",
        )
    owner = account_of(root) if os.geteuid() == 0 else None
    found = Repository(root, program, owner if owner is not None and owner.uid != 0 else None)
    try:
        named = await found.git("config", "--includes", "--name-only", "-z", "--get-regexp", _FILTERS)
    except CommandFailed:
        return found
    names = {name for name in named.decode(errors="surrogateescape").split("\0") if name}
    return replace(
        found,
        without=tuple(f"{name}={'false' if name.endswith('.required') else ''}" for name in sorted(names)),
    )


async def commit_on_branch(
    root: Path, change: ChangeSet, *, branch: str, message: str, author: str
) -> Written:
    """Commit a change set on a new branch, and check that out. What else is in the working tree stays as it is.

    Raises Conflict where the repository holds something else, SourceInvalid, OperationFailed, ProgramMissing.
    """
    repository = await open_repository(root)
    try:
        return await _commit(repository, change, branch, message, author)
    except CommandFailed as error:
        raise _refused(error) from error


async def go_back(root: Path, change: ChangeSet, written: Written) -> None:
    """Check out what was there before the commit. The branch stays. Raises Conflict, SourceInvalid, OperationFailed."""
    repository = await open_repository(root)
    try:
        head = await repository.head()
        if head != f"refs/heads/{written.branch}" or await repository.commit_of("HEAD") != written.commit:
            raise Conflict(
                f"{root} is not at the commit that was written: it is at {head.removeprefix('refs/heads/')}.",
                hint=f"Go back by hand: `git switch {written.previous.removeprefix('refs/heads/')}`.",
            )
        paths = [each.path for each in change.files]
        before = await repository.entries(paths, await repository.commit_of(written.previous))
        back = change.reversed()
        entries = {path: before.get(path) for path in paths}
        await _exchange(repository, back, entries, written.previous, prune=True)
    except CommandFailed as error:
        raise _refused(error) from error


def _refused(error: CommandFailed) -> OperationFailed:
    lines = [each for each in error.stderr_tail.splitlines() if each.startswith(("fatal: ", "error: "))]
    return OperationFailed(f"git could not do it: {lines[0].partition(': ')[2] if lines else error}")


async def head_of(root: Path) -> str:
    """What is checked out: a branch's whole name, or a commit. Raises Conflict, ProgramMissing."""
    return await (await open_repository(root)).head()


async def free_branch(root: Path, stem: str) -> str:
    """A name that no branch has yet: the stem, or with a number. Raises ProgramMissing, OperationFailed."""
    said = await (await open_repository(root)).git(
        "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads"
    )
    taken = set(said.decode(errors="surrogateescape").split())
    return next(
        name for name in (stem, *(f"{stem}-{n}" for n in range(2, len(taken) + 3))) if name not in taken
    )


async def restore(root: Path, change: ChangeSet, head: str, branch: str | None) -> None:
    """Lead files, index and HEAD back to before a change set that was written half-way, and drop its new branch.

    Raises SourceInvalid, OperationFailed, ProgramMissing.
    """
    repository = await open_repository(root)
    paths = [each.path for each in change.files]
    try:
        parent = await repository.commit_of(head)
        # Files come before index and HEAD: where they are as they were, neither was touched.
        if (await asyncio.to_thread(standing, root, change)).state != "before":
            await asyncio.to_thread(write, root, change.reversed())
            committed = await repository.entries(paths, parent)
            await repository.set_index({path: committed.get(path) for path in paths})
            await repository.set_head(head)
        ref = f"refs/heads/{branch}"
        if branch is not None and ref != head and await repository.commit_of(f"{ref}^") == parent:
            await repository.git("update-ref", "-d", ref)
    except Conflict:
        # It had not come to its branch.
        return
    except CommandFailed as error:
        raise _refused(error) from error


async def _commit(
    repository: Repository, change: ChangeSet, branch: str, message: str, author: str
) -> Written:
    previous, parent = await repository.head(), await repository.commit_of("HEAD")
    try:
        await repository.git("check-ref-format", "--branch", branch)
    except CommandFailed:
        raise Conflict(f"“{branch}” cannot be the name of a branch.") from None
    if (await repository.git("for-each-ref", "--format=%(refname)", f"refs/heads/{branch}")).strip():
        raise Conflict(f"There is a branch {branch} already.", hint="Name another one.")
    entries = await _entries_after(repository, change, parent)
    tree = await _tree(repository, entries, parent)
    who = _NOBODY.sub("", author).strip() or "Clean Start"
    names = {
        "GIT_AUTHOR_NAME": who,
        "GIT_AUTHOR_EMAIL": "",
        "GIT_COMMITTER_NAME": "Clean Start",
        "GIT_COMMITTER_EMAIL": "",
    }
    made = await repository.git("commit-tree", tree, "-p", parent, given=message.encode(), env=names)
    commit = made.decode().strip()
    # Refused where somebody made it in the meantime.
    await repository.git("update-ref", "-m", "clean start", f"refs/heads/{branch}", commit, "0" * len(commit))
    try:
        await _exchange(repository, change, entries, f"refs/heads/{branch}")
    except BaseException:
        await repository.git("update-ref", "-d", f"refs/heads/{branch}", commit)
        raise
    return Written(branch, commit, previous)


async def _entries_after(repository: Repository, change: ChangeSet, parent: str) -> dict[str, _Entry | None]:
    """What the index holds of every file afterwards. A file that is moved keeps the blob that is committed.

    Raises Conflict where index or working tree hold something that is not committed.
    """
    await asyncio.to_thread(require_before, repository.root, change)
    paths = [each.path for each in change.files]
    committed, staged = await repository.entries(paths, parent), await repository.entries(paths)
    known: dict[bytes, _Entry] = {}
    loose = [path for path in paths if committed.get(path) != staged.get(path)]
    for each in change.files:
        if each.before is None:
            continue
        entry = committed.get(each.path)
        if entry is None or not await _same(repository, entry, each.before):
            loose.append(each.path)
        else:
            known[each.before] = entry
    if loose:
        raise Conflict(
            f"Not everything is committed: {', '.join(loose[:NAMED])}"
            f"{f' and {len(loose) - NAMED} more' if len(loose) > NAMED else ''}.",
            hint="Commit it, then make the change set again.",
        )
    entries: dict[str, _Entry | None] = {}
    for each in change.files:
        if each.after is None:
            entries[each.path] = None
        elif each.after in known:
            entries[each.path] = known[each.after]
        else:
            blob = await repository.git("hash-object", "-w", "--stdin", "--no-filters", given=each.after)
            entries[each.path] = _Entry("100644", blob.decode().strip())
    return entries


async def _same(repository: Repository, entry: _Entry, content: bytes) -> bool:
    """Whether a file is what is committed, but for ends of lines, which git may change on the way out."""
    if not entry.mode.startswith("100"):
        return False
    blob = await repository.git("cat-file", "blob", entry.blob)
    return blob == content or blob.replace(b"\r\n", b"\n") == content.replace(b"\r\n", b"\n")


async def _tree(repository: Repository, entries: Mapping[str, _Entry | None], parent: str) -> str:
    """The tree of a commit with these entries, made in an index of its own."""
    with tempfile.TemporaryDirectory() as folder:
        if repository.account is not None:
            os.chown(folder, repository.account.uid, repository.account.gid)
        env = {"GIT_INDEX_FILE": str(Path(folder) / "index")}
        await repository.git("read-tree", parent, env=env)
        await repository.set_index(entries, env)
        return (await repository.git("write-tree", env=env)).decode().strip()


async def _exchange(
    repository: Repository,
    change: ChangeSet,
    entries: Mapping[str, _Entry | None],
    head: str,
    *,
    prune: bool = False,
) -> None:
    """Lead files, index and HEAD to one side of the change set; where that fails, all of them are as they were."""
    was = await repository.head()
    staged = await repository.entries(list(entries))
    await asyncio.to_thread(require_before, repository.root, change)
    await asyncio.to_thread(write, repository.root, change, prune=prune)
    try:
        await repository.set_index(entries)
        await repository.set_head(head)
    except BaseException:
        await asyncio.to_thread(write, repository.root, change.reversed())
        await repository.set_index({path: staged.get(path) for path in entries})
        await repository.set_head(was)
        raise
