"""What alembic.ini or pyproject.toml says about where a project's migrations are, read without Alembic.

Follows Alembic's own rules (an option of the ini goes before `[tool.alembic]`); values that only the
project's code sets are left to the runner.
"""

from __future__ import annotations

import configparser
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from web.config import AlembicSettings
from web.errors import SourceInvalid

_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}


@dataclass(frozen=True, slots=True)
class Locations:
    """Where the migration files lie, and what could not be found out from the files."""

    folders: tuple[Path, ...]
    #: The folder of env.py, where it is named and known.
    home: Path | None
    recursive: bool
    #: Whether compiled files count as migrations too.
    sourceless: bool
    #: Sentences; not empty: the runner has to be asked.
    unresolved: tuple[str, ...]


def read_locations(source: Path, tool: AlembicSettings) -> Locations:
    """Find the folders with migration files. Raises `SourceInvalid` where they cannot be known."""
    settings = _Settings.read(source, tool)
    unresolved: list[str] = []
    roots = _import_roots(source, tool, settings)

    def resolve(location: str, option: str) -> Path | None:
        if not Path(location).is_absolute() and ":" in location:
            found = _resource(location, roots)
            if found is None:
                unresolved.append(
                    f"The {option} “{location}” is in a Python package that was not found among the files."
                )
            return found
        return tool.working_directory(source) / location

    folders: list[Path | None] = []
    home: Path | None = None
    script_location = settings.text("script_location")
    version_locations = settings.version_locations()
    if version_locations:
        folders += [resolve(location, "version location") for location in version_locations]
    elif script_location is not None:
        home = resolve(script_location, "script_location")
        if home is not None and not home.is_dir():
            raise SourceInvalid(
                f"The folder {home}, which {settings.name} names as script_location, does not exist.",
                hint="Check script_location and the working directory (`cwd`) of the project.",
            )
        folders.append(home / "versions" if home is not None else None)
    elif tool.commands:
        unresolved.append(f"{settings.name} has no script_location; the project sets it by code.")
    else:
        raise SourceInvalid(
            f"{settings.name} has no script_location.",
            hint=f"Add `script_location` to [{tool.section}], or name the project's own `commands`.",
        )
    return Locations(
        folders=tuple(folder for folder in folders if folder is not None),
        home=home,
        recursive=settings.flag("recursive_version_locations"),
        sourceless=settings.flag("sourceless"),
        unresolved=tuple(unresolved),
    )


def read_import_paths(source: Path, tool: AlembicSettings) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """The folders that Alembic puts in front of the import path, and where else a project may be found."""
    directory = tool.working_directory(source)
    in_front = tuple(directory / entry for entry in _Settings.read(source, tool).prepend_sys_path())
    return in_front, (directory, source, source / "src")


@dataclass(frozen=True, slots=True)
class _Settings:
    """Options of the ini's section, then of `[tool.alembic]`."""

    #: The file to name in messages.
    name: str
    section: str
    ini: configparser.ConfigParser
    toml: Mapping[str, object]
    toml_here: str

    @staticmethod
    def read(source: Path, tool: AlembicSettings) -> _Settings:
        file = tool.config_file(source)
        if not file.is_file():
            raise SourceInvalid(
                f"There is no Alembic configuration {file}.",
                hint="Check `config` of the project's [alembic].",
            )
        directory = tool.working_directory(source)
        # Alembic looks for the other of the two files in the working directory.
        is_toml = file.name == "pyproject.toml"
        ini_file = directory / "alembic.ini" if is_toml else file
        toml_file = file if is_toml else directory / "pyproject.toml"
        # A ConfigParser takes % in a default for interpolation, so a folder's own % is doubled.
        here = ini_file.absolute().parent.as_posix().replace("%", "%%")
        ini = configparser.ConfigParser({"here": here})
        table: Mapping[str, object] = {}
        try:
            if ini_file.is_file():
                ini.read_string(ini_file.read_text(encoding="utf-8"), source=ini_file.name)
            if toml_file.is_file():
                table = _tool_alembic(tomllib.loads(toml_file.read_text(encoding="utf-8")))
        except (configparser.Error, tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise SourceInvalid(f"{file.name} cannot be read: {_first_line(error)}") from error
        if not is_toml and not ini.has_section(tool.section):
            there = ", ".join(f"[{name}]" for name in ini.sections()) or "none"
            raise SourceInvalid(
                f"{file.name} has no section [{tool.section}]; its sections are {there}.",
                hint="Name the right one as `section` of the project's [alembic].",
            )
        if is_toml and not table and not ini.has_section(tool.section):
            raise SourceInvalid(f"{file} has no table [tool.alembic].")
        return _Settings(file.name, tool.section, ini, table, toml_file.absolute().parent.as_posix())

    def text(self, option: str) -> str | None:
        """The option with `%(here)s` and its like filled in."""
        try:
            value: object = self.ini.get(self.section, option)
        except (configparser.NoSectionError, configparser.NoOptionError):
            value = self._expanded(self.toml.get(option))
        except configparser.InterpolationError as error:
            raise SourceInvalid(
                f"{self.name}: {option} uses a variable that only the project's own code sets: "
                f"{_first_line(error)}"
            ) from error
        return value if isinstance(value, str) else None

    def flag(self, option: str) -> bool:
        """The option as Alembic reads booleans: the word true in an ini, a boolean in TOML."""
        if self.ini.has_option(self.section, option):
            return self.text(option) == "true"
        return self.toml.get(option) is True

    def paths(self, option: str, legacy: str, *separator_options: str) -> list[str]:
        """A list of locations, split by the configured separator or by Alembic's older rule."""
        if not self.ini.has_option(self.section, option):
            listed = self.toml.get(option)
            if not isinstance(listed, Sequence) or isinstance(listed, str):
                return []
            return [text for item in listed if isinstance(text := self._expanded(item), str)]
        value = self.text(option) or ""
        named = next((name for key in separator_options if (name := self.text(key)) is not None), None)
        if named is None:
            return [part for part in re.split(legacy, value) if part]
        if named not in _SEPARATORS:
            raise SourceInvalid(f"{self.name}: “{named}” is not a path separator that Alembic knows.")
        return [part.strip() for part in value.split(_SEPARATORS[named]) if part.strip()]

    def version_locations(self) -> list[str]:
        """Folders of migrations that are named one by one."""
        return self.paths("version_locations", r", *|(?: +)", "path_separator", "version_path_separator")

    def prepend_sys_path(self) -> list[str]:
        """Folders that Alembic puts in front of the import path."""
        return self.paths("prepend_sys_path", r", *|(?: +)|\:", "path_separator")

    def _expanded(self, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return value % {"here": self.toml_here}
        except (KeyError, TypeError, ValueError) as error:
            raise SourceInvalid(f"pyproject.toml: “{value}” cannot be filled in: {error}") from error


def _tool_alembic(document: Mapping[str, object]) -> Mapping[str, object]:
    tool = document.get("tool")
    table = tool.get("alembic") if isinstance(tool, dict) else None
    return table if isinstance(table, dict) else {}


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _resource(location: str, roots: Sequence[Path]) -> Path | None:
    """`package.module:folder` as a folder under one of the places that packages are imported from."""
    package, *parts = location.split(":")
    inside = Path(*package.split("."))
    return next((folder for root in roots if (folder := (root / inside).joinpath(*parts)).is_dir()), None)


def _import_roots(source: Path, tool: AlembicSettings, settings: _Settings) -> list[Path]:
    """Where the project's interpreter would import from, as far as files tell."""
    directory = tool.working_directory(source)
    roots = [directory / entry for entry in settings.prepend_sys_path()]
    roots += [source, source / "src", directory]
    prefix = tool.python.parent.parent
    for packages in sorted(prefix.glob("lib*/python3*/*-packages")):
        roots.append(packages)
        # Editable installations of the simple kind: a .pth file with a folder per line.
        for link in sorted(packages.glob("*.pth")):
            lines = link.read_text(encoding="utf-8", errors="replace").splitlines()
            roots += [Path(line) for line in lines if line.startswith("/")]
    return roots
