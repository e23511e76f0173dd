"""Finds what migrates a database in a project's source, and when it runs. Nothing of the source is run or imported."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from threading import Event

from web.cutover import csharp_code, python_code
from web.cutover.commands import Migrates, Shell, started, started_by
from web.cutover.configured import Place, Unreadable, is_shell, places
from web.cutover.findings import WHENS, Finding, Scan, When, cut
from web.cutover.source_tree import SourceFile, SourceTree

#: Findings that are kept; the others are counted.
MOST_FINDINGS = 500
#: Places that are kept until it is known when they run.
MOST_PLACES = 5_000
#: Words of one command that may be files it starts, words of all, and files of one name among them.
MOST_STARTED, MOST_WORDS, MOST_OF_A_NAME = 300, 300_000, 100
#: Scripts that start scripts.
LONGEST_CHAIN = 20

#: What has to be in a Python file for it to be parsed.
_IN_PYTHON = ("upgrade", "create_all")
_TESTS = re.compile(
    r"(tests?|testing|.*[._-]tests?|fixtures|testdata|.*\.(Unit|Integration)Tests)", re.IGNORECASE
)
_TEST_FILE = re.compile(r"(test_.*|.*_tests?|conftest|.*Tests?)\.\w+")
_SCRIPT_FOLDERS = frozenset({"scripts", "script", "bin", "tools", "tasks", "ops", "dev", "hack", "contrib"})
_SCRIPT_FILES = frozenset({"manage.py", "tasks.py", "noxfile.py", "fabfile.py", "dodo.py", "cli.py"})
#: What a program that serves imports.
_SERVES = re.compile(
    r"^[ \t]*(?:import|from)[ \t]+(?:uvicorn|hypercorn|gunicorn|waitress|flask|fastapi|aiohttp|quart|sanic)\b",
    re.MULTILINE,
)


def scan_source(
    source: Path, own_commands: Iterable[tuple[str, ...]] = (), stopped: Event | None = None
) -> Scan:
    """Read every file below a folder. `own_commands` are the project's own that upgrade, as words.

    Blocking: meant for `asyncio.to_thread`; it ends soon after `stopped` is set. Raises OSError where the folder
    cannot be read.
    """
    tree = SourceTree(source, stopped or Event())
    reading = _Reading(Shell(tuple(each for each in own_commands if each)), tree)
    for file in tree.read():
        reading.take(file)
    found = sorted(
        dict.fromkeys(reading.findings()),
        key=lambda each: (WHENS.index(each.when), not each.certain, each.path, each.line),
    )
    return Scan(
        tuple(found[:MOST_FINDINGS]),
        tree.files,
        tuple(tree.skipped),
        tree.further + reading.further + max(0, len(found) - MOST_FINDINGS),
    )


class _Reading:
    """What was read so far. When a script runs is only known once everything that starts it is."""

    def __init__(self, shell: Shell, tree: SourceTree) -> None:
        self._shell, self._tree = shell, tree
        #: Places beyond those that are kept.
        self.further = 0
        #: Places that migrate: with the file's lines as they are shown.
        self._places: list[tuple[str, Place, str, int, str]] = []
        self._python: list[tuple[str, python_code.Call, str, bool]] = []
        self._csharp: list[Finding] = []
        #: Scripts by path: what they start themselves.
        self._scripts: dict[str, tuple[str, ...]] = {}
        #: What is started when, by the words of commands.
        self._started: dict[When, _Words] = {"start-up": _Words(), "deployment": _Words()}

    def take(self, file: SourceFile) -> None:
        """Read one file."""
        if any(_TESTS.fullmatch(each) for each in file.folders) or _TEST_FILE.fullmatch(file.name):
            return
        if file.name.endswith((".py", ".pyw")):
            self._take_python(file)
        elif file.name.endswith(".cs"):
            self._take_csharp(file)
        else:
            self._take_configured(file)

    def _take_python(self, file: SourceFile) -> None:
        if not any(each in file.text for each in _IN_PYTHON) and not self._shell.own:
            return
        tree = python_code.parse(file.text)
        if tree is None:
            self._tree.skip(file.path, "not valid Python")
            return
        lines = file.text.splitlines()
        serves = _SERVES.search(file.text) is not None or file.name in (
            "main.py",
            "app.py",
            "wsgi.py",
            "asgi.py",
        )
        for call in python_code.migrating_calls(tree, self._shell):
            if self._has_room():
                self._python.append((file.path, call, _line(lines, call.line), serves))

    def _take_csharp(self, file: SourceFile) -> None:
        if "Migrat" not in file.text and "EnsureCreated" not in file.text:
            return
        if csharp_code.is_migration(file.text) or file.name.endswith(".Designer.cs"):
            return
        lines = file.text.splitlines()
        certain = file.name in ("Program.cs", "Startup.cs")
        for line, what in csharp_code.migrating_calls(file.text):
            if self._has_room():
                text = _line(lines, line)
                self._csharp.append(
                    Finding(file.path, line, text, what, "start-up", "the application", certain)
                )

    def _has_room(self) -> bool:
        """Whether one more place is kept; else it is counted."""
        if len(self._places) + len(self._python) + len(self._csharp) < MOST_PLACES:
            return True
        self.further += 1
        return False

    def _take_configured(self, file: SourceFile) -> None:
        try:
            found = [*places(file)]
        except Unreadable as error:
            self._tree.skip(file.path, str(error))
            return
        lines = file.text.splitlines()
        for place in found:
            words = started(place.command) if isinstance(place.command, str) else started_by(place.command)
            starts = tuple(islice(dict.fromkeys(words), MOST_STARTED))
            if is_shell(file):
                self._scripts[file.path] = starts
            if place.when != "by hand":
                self._started[place.when].add(starts)
            for found_there in self._migrating(place):
                if not self._has_room():
                    continue
                line = place.line + found_there.line
                self._places.append((file.path, place, found_there.what, line, _line(lines, line)))

    def _migrating(self, place: Place) -> Iterator[Migrates]:
        if isinstance(place.command, str):
            yield from self._shell.migrating(place.command)
        elif (what := self._shell.what(place.command)) is not None:
            yield Migrates(what, 0)

    def findings(self) -> Iterator[Finding]:
        """Everything, now that it is known what starts what."""
        self._follow()
        yield from self._csharp
        for path, place, what, line, text in self._places:
            if path in self._scripts and (when := self._when(path)) is not None:
                yield Finding(path, line, text, what, when, place.by, certain=True)
            else:
                yield Finding(path, line, text, what, place.when, place.by, place.certain)
        for path, call, text, serves in self._python:
            yield self._of_python(path, call, text, serves)

    def _of_python(self, path: str, call: python_code.Call, text: str, serves: bool) -> Finding:
        started_when = self._when(path)
        when: When = "start-up"
        certain = call.reach == "start"
        if started_when is not None and call.reach in ("program", "start"):
            when, certain = started_when, True
        elif call.reach == "program":
            when, certain = ("start-up", True) if serves else ("by hand", False)
        elif call.reach == "command" or _is_script(path):
            when, certain = "by hand", False
        by = "a script" if started_when or when == "by hand" else "the application"
        return Finding(path, call.line, text, call.what, when, by, certain)

    def _follow(self) -> None:
        """Scripts that are started start others."""
        for words in self._started.values():
            left = set(self._scripts)
            for _ in range(LONGEST_CHAIN):
                begun = [path for path in left if words.name(path)]
                left.difference_update(begun)
                for path in begun:
                    words.add(self._scripts[path])

    def _when(self, path: str) -> When | None:
        """When something that was read starts the file; None: nothing does."""
        return next((when for when, words in self._started.items() if words.name(path)), None)


class _Words:
    """Words of commands, by their last part as paths."""

    def __init__(self) -> None:
        self._by_name: dict[str, set[str]] = {}
        self._number = 0

    def add(self, words: Iterable[str]) -> None:
        """Keep what may be a file."""
        for each in words:
            known = self._by_name.setdefault(each.rpartition("/")[2], set())
            if self._number < MOST_WORDS and len(known) < MOST_OF_A_NAME:
                known.add(each.lstrip("/"))
                self._number += 1

    def name(self, path: str) -> bool:
        """Whether one of them is the file: `/app/scripts/start.sh`, `scripts/start.sh`, `start.sh`."""
        name = path.rpartition("/")[2]
        found = self._by_name.get(name, ())
        # Where an image puts its files is not known: of a script the name is enough.
        if found and (name.endswith((".sh", ".bash")) or "." not in name or "/" not in path):
            return True
        return any(path == each or path.endswith(f"/{each}") or each.endswith(f"/{path}") for each in found)


def _is_script(path: str) -> bool:
    parts = path.split("/")
    return parts[-1] in _SCRIPT_FILES or any(each in _SCRIPT_FOLDERS for each in parts[:-1])


def _line(lines: list[str], number: int) -> str:
    return cut(lines[number - 1]) if 0 < number <= len(lines) else ""
