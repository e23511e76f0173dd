"""A folder that looks like a project's own, in which a migration may be written and run: never the source itself.

What Alembic, or a project's code, would follow a link of to the real folder is copied; all else are links.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from web.config import AlembicSettings, Project, Secret
from web.errors import CleanStartError, SourceInvalid
from web.tools.alembic_tool.locations import read_import_paths, read_locations
from web.tools.alembic_tool.settings import settings_of
from web.tools.confinement import give
from web.tools.history import History
from web.walls.accounts import project_account

#: Files that say where migrations are. Alembic takes locations against the folder in which it finds them.
_SETTINGS = frozenset({".ini", ".toml", ".cfg"})
_PYTHON = frozenset({".py", ".pyc"})
#: What nobody writes a migration into, whatever it is below.
_ELSEWHERE = frozenset({"__pycache__", "node_modules", "site-packages", "dist-packages"})
#: What would stand in front of what Alembic itself imports.
_NOT_AHEAD = frozenset({"alembic", *sys.stdlib_module_names})


@asynccontextmanager
async def stand_in(
    project: Project, folder: Path, history: History, without: Collection[str] = ()
) -> AsyncIterator[Project]:
    """Give the project in a folder that looks like its own, with migration folders that may be written into.

    `without` are files that are not there, by their paths as the history has them: nothing is ever deleted.
    Raises SourceInvalid where the migrations are not in the project's folder.
    """
    made = tempfile.TemporaryDirectory(prefix="cleanstart-adopt-")
    try:
        yield await asyncio.to_thread(_make, project, folder, history, without, Path(made.name))
    finally:
        await asyncio.to_thread(made.cleanup)


def _make(project: Project, folder: Path, history: History, without: Collection[str], made: Path) -> Project:
    layout, packages = _find_layout(project, folder, history), made / "packages"
    layout = replace(layout, without=frozenset((folder / each).resolve() for each in without))
    place = made.joinpath("place", *["above"] * layout.climbs, layout.real.name)
    moved = _Moved.between(folder, place)
    try:
        _link_beside(layout, place)
        _mirror(layout, layout.real, place, moved, whole=False)
        imported = _link_packages(layout, place, packages)
        tool = _moved_settings(settings_of(project), folder, made, moved)
    except OSError as error:
        raise SourceInvalid(
            f"The project's folder cannot be copied: {error.filename}: {error.strerror}"
        ) from error
    # Whoever runs the project's code there is whoever runs it in its own folder.
    give(made, project_account(folder))
    return replace(
        project,
        source=place,
        tool=tool,
        env=_moved_variables(project.env, moved, packages if imported else None),
        # Most of it is links into the real one.
        readable=(*project.readable, folder, made),
    )


@dataclass(frozen=True, slots=True)
class _Layout:
    """What of a project's folder is copied."""

    #: The project's folder, without links.
    real: Path
    #: Folders with migrations, with env.py, and what else is copied as far as it is Python.
    whole: frozenset[Path]
    #: Every folder on the way to those, which so is a real one too.
    way: frozenset[Path]
    #: Packages that are to be imported from the stand-in, wherever they are installed.
    packages: frozenset[Path]
    #: Folders outside of the project's that its configuration names.
    outside: frozenset[Path]
    #: Whether compiled files may be migrations.
    sourceless: bool
    #: What project code is not to see.
    hidden: tuple[Path, ...]
    #: Files that are left out.
    without: frozenset[Path] = frozenset()

    @property
    def climbs(self) -> int:
        """How far above the project's folder what its configuration names may lead."""
        return max(
            (Path(os.path.relpath(each, self.real)).parts.count("..") for each in self.outside), default=0
        )


def _find_layout(project: Project, folder: Path, history: History) -> _Layout:
    tool, real = settings_of(project), folder.resolve()
    locations = read_locations(folder, tool)
    found = [each.resolve() for each in locations.folders]
    in_front, usual = ([each.resolve() for each in paths] for paths in read_import_paths(folder, tool))
    if not found or locations.unresolved or "history" in tool.commands:
        # Their folders are set by the project's code, which has told where the migrations are.
        found += [(folder / each.path).resolve().parent for each in history.migrations]
    inside = {each for each in found if each.is_relative_to(real)}
    if not inside:
        where = ", ".join(map(str, dict.fromkeys(found))) or "unknown"
        raise SourceInvalid(
            f"The migrations ({where}) are not below {real}, so that none can be written for it.",
            hint="Write it by hand, from the statements that `cleanstart diff … --format sql` prints.",
        )
    if locations.home is not None and locations.home.resolve().is_relative_to(real):
        inside.add(locations.home.resolve())
    whole = {*inside, *_script_folders(inside, real)}
    packages = {top for each in whole if (top := _package(each)) is not None}
    if tool.commands and real.name not in _ELSEWHERE:
        # Code from anywhere may lead to the migrations, from where its own file is.
        whole.add(real)
        roots = {each for each in (*in_front, *usual) if each.is_relative_to(real)}
        packages |= {each.parent for root in roots for each in root.glob("*/__init__.py")}
    whole |= {each for each in packages if each.is_relative_to(real)}
    reached = (*whole, tool.config_file(folder).resolve().parent, tool.working_directory(folder).resolve())
    way = {above for each in reached for above in (each, *each.parents) if above.is_relative_to(real)}
    return _Layout(
        real,
        frozenset(whole),
        frozenset(way),
        frozenset(each for each in packages if each.name not in _NOT_AHEAD),
        frozenset(each for each in (*found, *in_front) if not each.is_relative_to(real)),
        locations.sourceless,
        tuple(each.resolve() for each in project.hidden),
    )


def _script_folders(folders: Iterable[Path], real: Path) -> Iterator[Path]:
    """The folders with env.py above folders of migrations."""
    for folder in folders:
        for each in (folder, *folder.parents):
            if (each / "env.py").is_file():
                yield each
                break
            if each == real:
                break


def _package(folder: Path) -> Path | None:
    """The outermost package that the folder lies in."""
    top = None
    for each in (folder, *folder.parents):
        if (each / "__init__.py").is_file():
            top = each
        elif top is not None or each.name in _ELSEWHERE:
            break
    return top


def _link_beside(layout: _Layout, place: Path) -> None:
    """What a path with `..` in it names is beside the stand-in as it is beside the project's folder."""
    place.parent.mkdir(parents=True, exist_ok=True)
    for each in layout.outside:
        there = Path(os.path.normpath(place / os.path.relpath(each, layout.real)))
        if not place.is_relative_to(there):
            there.parent.mkdir(parents=True, exist_ok=True)
            _link(there, each)
        elif each.is_dir():
            for beside in each.iterdir():
                if not layout.real.is_relative_to(beside):
                    _link(there / beside.name, beside)


def _link(link: Path, target: Path) -> None:
    if not os.path.lexists(link):
        link.symlink_to(target)


def _mirror(layout: _Layout, folder: Path, target: Path, moved: _Moved, *, whole: bool) -> None:
    """Make `target` like `folder`; `whole`: with its Python copied, all the way down."""
    target.mkdir()
    whole = whole or folder in layout.whole
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        path, copy = Path(entry.path), target / entry.name
        if layout.without and path.resolve() in layout.without:
            continue
        if entry.is_symlink():
            copy.symlink_to(moved.path(_led_to(path)))
        elif path in layout.hidden:
            copy.symlink_to(path)
        elif entry.is_dir():
            if path in layout.way or (whole and _may_hold_migrations(path)):
                _mirror(layout, path, copy, moved, whole=whole)
            elif entry.name == "__pycache__":
                # Python would write into it through a link. Where nothing else is left of a migration, it is one.
                if whole and layout.sourceless:
                    shutil.copytree(path, copy)
            else:
                copy.symlink_to(path)
        elif not entry.is_file():
            copy.symlink_to(path)
        elif copy.suffix in _SETTINGS:
            copy.write_bytes(moved.bytes(path.read_bytes()))
        elif whole and copy.suffix in _PYTHON:
            # With its time: what is compiled beside it says whose it is by that.
            shutil.copy2(path, copy)
        else:
            copy.symlink_to(path)


def _may_hold_migrations(folder: Path) -> bool:
    return not (folder.name in _ELSEWHERE or folder.name.startswith(".") or (folder / "pyvenv.cfg").is_file())


def _led_to(link: Path) -> Path:
    """Where a link leads, however many there are behind it."""
    try:
        return link.resolve()
    except (OSError, RuntimeError):  # round and round
        return link


def _link_packages(layout: _Layout, place: Path, packages: Path) -> bool:
    """Make the project's packages importable from the stand-in, wherever they are installed."""
    packages.mkdir()
    for package in layout.packages:
        if not os.path.lexists(packages / package.name):
            _link_package(layout.real, place, package, packages / package.name)
    return bool(layout.packages)


def _link_package(real: Path, place: Path, folder: Path, target: Path) -> None:
    """A link into the stand-in; a package around the project's folder is made of links to what is beside that."""
    if folder.is_relative_to(real):
        target.symlink_to(place / folder.relative_to(real))
        return
    target.mkdir()
    for entry in folder.iterdir():
        if real.is_relative_to(entry):
            _link_package(real, place, entry, target / entry.name)
        elif entry.name != "__pycache__":
            (target / entry.name).symlink_to(entry)


@dataclass(frozen=True, slots=True)
class _Moved:
    """What names the project's folder in full names the stand-in instead."""

    folders: tuple[Path, ...]
    place: Path

    @classmethod
    def between(cls, folder: Path, place: Path) -> _Moved:
        """Both of the folder's names: as it is configured, and without links."""
        return cls(tuple(dict.fromkeys((folder.absolute(), folder.resolve()))), place)

    def path(self, path: Path) -> Path:
        for folder in self.folders:
            if path.is_relative_to(folder):
                return self.place / path.relative_to(folder)
        return path

    def text(self, text: str) -> str:
        return os.fsdecode(self.bytes(os.fsencode(text)))

    def bytes(self, content: bytes) -> bytes:
        for folder in self.folders:
            # In an ini a % is doubled.
            for name in {str(folder), str(folder).replace("%", "%%")}:
                whole = rb"(?<![\w.%)~-])" + re.escape(name.encode()) + rb"(?![^/\s\"',;:])"
                content = re.sub(whole, lambda _: str(self.place).encode(), content)
        return content


def _moved_settings(tool: AlembicSettings, folder: Path, made: Path, moved: _Moved) -> AlembicSettings:
    """The tool's settings for the stand-in; a configuration file from elsewhere lies beside it."""
    config = Path(os.path.normpath(tool.config_file(folder).absolute()))
    there = moved.path(config)
    if there == config or moved.path(config.resolve()) == config.resolve():
        there = made / config.name
        here = str(config.parent).replace("%", "%%").encode()
        there.write_bytes(moved.bytes(config.read_bytes().replace(b"%(here)s", here)))
    commands = {name: tuple(moved.text(part) for part in command) for name, command in tool.commands.items()}
    directory = moved.path(tool.working_directory(folder).resolve())
    return replace(tool, config=there, cwd=directory, commands=commands)


def _moved_variables(
    variables: Mapping[str, str | Secret], moved: _Moved, packages: Path | None
) -> dict[str, str | Secret]:
    """The project's variables for the stand-in; what is in `packages` is imported before anything else."""
    found = {
        name: moved.text(value) if isinstance(value, str) else value for name, value in variables.items()
    }
    if packages is not None:
        own = found.get("PYTHONPATH")
        with suppress(CleanStartError):
            own = own.read() if isinstance(own, Secret) else own
        found["PYTHONPATH"] = os.pathsep.join(
            filter(None, [str(packages), own if isinstance(own, str) else None])
        )
    return found
