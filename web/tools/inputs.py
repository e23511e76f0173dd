"""What a run of a project's code stands on besides the database, as one digest: for all who keep what a run gave.

Covered are the interpreter and what is installed for it, every source file of the project and of what it refers to,
and its configuration: commands, form of the URL, prelude, variables. Files of installed packages are known by their
records; what somebody edits inside of them is not seen.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import stat
import sys
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, fields
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import Any

from web.config import Project, Secret
from web.errors import CleanStartError
from web.postgres.processes import SPOKEN, environment

#: Counted up when it is made in another way.
_FORMAT = 1
#: Files of a project that its code may be, or may read.
_SUFFIXES = (
    ".py", ".pyi", ".mako", ".toml", ".ini", ".cfg", ".json", ".yaml", ".yml", ".sql", ".csv", ".txt", ".env",
)  # fmt: skip
_NOT_SOURCE = ("__pycache__", "node_modules", "site-packages", "dist-packages")
#: A folder with more than this is no project's source; there is no digest then.
_MOST_FILES, _MOST_BYTES = 20_000, 256 << 20
#: What says nothing about a run: names, the environments, and how long it may take.
_ASIDE = frozenset(
    {"name", "title", "source", "keeps", "environments", "tool", "time_limit", "env", "hidden"}
)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What a tool's runs stand on beyond the project's own folder, its configuration and the program that is run."""

    #: Folders with source files, wherever the project's configuration puts them.
    folders: tuple[Path, ...] = ()
    #: Files that are named one by one, and may lie elsewhere.
    files: tuple[Path, ...] = ()
    #: The interpreter whose packages count; None: the program is no Python.
    python: Path | None = None


def digest(project: Project, inputs: Inputs, *, without: Collection[str] = ()) -> str | None:
    """The digest; None where it cannot be told, so that nothing may be kept. Reads files, up to a limit.

    `without` are migrations, by their paths as a history has them, that the caller knows by digests of their own.
    """
    tool, source = project.tool, project.source
    if not isinstance(source, Path):
        return None
    try:
        packages = _packages(inputs.python) if inputs.python is not None else ([], set[Path]())
        if packages is None:
            return None
        installed, referred = packages
        left_out = {str((source / path).resolve()) for path in without}
        files = _digests({source, *inputs.folders, *referred}, left_out)
        if files is None:
            return None
        content = {
            "format": _FORMAT,
            "project": _values(project),
            "tool": [tool.name, _values(tool)],
            "variables": {**environment(inherited=SPOKEN), **_variables(project)},
            "interpreter": _interpreter(tool.program),
            "packages": installed,
            "files": files,
            "named": [_digest(file) for file in _named(project, source, inputs)],
        }
    except (OSError, CleanStartError):
        return None  # the run itself will say so
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def imported_from_elsewhere(project: Project, python: Path, folders: Collection[Path]) -> tuple[Path, ...]:
    """Folders to import from that its code does not find behind its wall, of these and of what is installed."""
    source = project.source
    if not isinstance(source, Path):
        return ()
    named = set(folders)
    # Where it shares our environment, as the demo does, what refers to us is not the project's.
    with suppress(OSError):
        packages = _packages(python) if python.parent.parent != Path(sys.prefix) else None
        named |= packages[1] if packages is not None else set()
    shown = [path.resolve() for path in (source, python.parent.parent, *project.readable)]
    elsewhere = {
        path
        for path in named
        if path.is_dir() and not any(path.resolve().is_relative_to(each) for each in shown)
    }
    return tuple(sorted(elsewhere))


def _variables(project: Project) -> dict[str, str]:
    """The project's own variables as they are now; they only go into a digest."""
    return {name: value.read() if isinstance(value, Secret) else value for name, value in project.env.items()}


def _values(value: Any) -> dict[str, str]:
    """Every setting by its name, so that one that is new counts too."""
    return {each.name: repr(getattr(value, each.name)) for each in fields(value) if each.name not in _ASIDE}


def _named(project: Project, source: Path, inputs: Inputs) -> Iterator[Path]:
    """Files that are named one by one, and may lie elsewhere."""
    tool = project.tool
    yield from (*tool.files(source), *inputs.files)
    if inputs.python is None:
        yield tool.program
    if tool.prelude is not None and tool.prelude.sql is not None:
        yield source / tool.prelude.sql


def _digest(file: Path) -> str:
    try:
        state = file.stat()
    except OSError:
        return "none"
    if not stat.S_ISREG(state.st_mode):
        return "none"
    return _read(str(file), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=200_000)
def _read(file: str, *state: int) -> str:
    """The digest of a file as its inode says it is: a look at every environment asks for thousands of them."""
    return hashlib.sha256(Path(file).read_bytes()).hexdigest()


def _digests(roots: Iterable[Path], left_out: Collection[str]) -> list[list[str]] | None:
    """Every source file below the folders with its digest; None where there are too many."""
    found: dict[str, str] = {}
    size = 0
    for file in chain.from_iterable(_files(root) for root in sorted({root.resolve() for root in roots})):
        name = str(file)
        if name in found or name in left_out:
            continue
        if not file.is_file():
            continue  # a dangling link, a pipe
        size += file.stat().st_size
        if len(found) >= _MOST_FILES or size > _MOST_BYTES:
            return None
        found[name] = _digest(file)
    return [[name, digest] for name, digest in sorted(found.items())]


def _files(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        # Hidden folders and environments are no source; packages are known by their records.
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".")
            and name not in _NOT_SOURCE
            and not Path(folder, name, "pyvenv.cfg").is_file()
        ]
        yield from (Path(folder, name) for name in names if name.endswith(_SUFFIXES))


def _interpreter(python: Path) -> list[object]:
    """Which interpreter it is; no times, which differ between workers that have the same one."""
    settings = python.parent.parent / "pyvenv.cfg"
    real = python.resolve()
    state = real.stat() if real.is_file() else None
    version = settings.read_text(encoding="utf-8") if settings.is_file() else ""
    return [str(python), str(real), state.st_size if state else None, version]


def _packages(python: Path) -> tuple[list[list[str]], set[Path]] | None:
    """What is installed for an interpreter, and the folders that it imports from by reference.

    None where it cannot be told: no packages of its own, or an import hook.
    """
    entries: list[list[str]] = []
    referred: set[Path] = set()
    for packages in _package_folders(python):
        owned: set[str] = set()
        names = sorted(packages.iterdir())
        for entry in names:
            record = entry / "RECORD"
            if entry.suffix == ".dist-info" and record.is_file():
                entries.append([str(entry), _digest(record)])
                owned |= _owned(str(record), _digest(record))
            elif entry.is_file():
                entries.append([str(entry), _digest(entry)])
            elif entry.name != "__pycache__":
                entries.append([str(entry), ""])
        for entry in names:
            if entry.suffix == ".pth":
                lines = entry.read_text(encoding="utf-8", errors="replace").splitlines()
                referred |= {packages / line for line in lines if line and (packages / line).is_dir()}
            elif entry.name.startswith("__editable__") and entry.name.endswith("_finder.py"):
                mapped = _mapped(entry)
                if mapped is None:
                    return None
                referred |= mapped
            elif entry.is_dir() and entry.name not in owned and entry.name != "__pycache__":
                # Copied there by hand, or by a distribution that keeps other records.
                referred.add(entry)
    return (entries, referred) if entries else None


@lru_cache(maxsize=20_000)
def _owned(record: str, digest: str) -> frozenset[str]:
    """The first folder of everything that a distribution's record, of this digest, lists."""
    text = Path(record).read_text(encoding="utf-8", errors="replace")
    return frozenset(line.split("/", 1)[0] for line in text.splitlines())


def _package_folders(python: Path) -> list[Path]:
    """Where the interpreter's packages lie, the system's too where it uses them."""
    prefix = python.parent.parent
    prefixes = [prefix]
    settings = prefix / "pyvenv.cfg"
    if settings.is_file():
        given = dict(
            line.replace(" ", "").split("=", 1)
            for line in settings.read_text(encoding="utf-8").splitlines()
            if "=" in line
        )
        if given.get("include-system-site-packages", "").lower() == "true":
            prefixes.append(Path(given.get("home", "/usr/bin")).parent)
    if Path("/usr") in prefixes:
        prefixes.append(Path("/usr/local"))
    return [folder for each in prefixes for folder in sorted(each.glob("lib*/python3*/*-packages"))]


def _mapped(finder: Path) -> set[Path] | None:
    """The folders of setuptools' editable installation; None where it is another import hook."""
    for node in ast.parse(finder.read_text(encoding="utf-8")).body:
        if (
            isinstance(node, ast.AnnAssign)
            and isinstance(node.target, ast.Name)
            and node.target.id == "MAPPING"
        ):
            with suppress(ValueError):
                found = ast.literal_eval(node.value) if node.value is not None else None
                if isinstance(found, dict):
                    places = [Path(str(place)) for place in found.values()]
                    return {place if place.is_dir() else place.parent for place in places}
    return None
