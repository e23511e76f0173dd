"""How a project's migration tool is found and run: what every tool has, and what each one adds.

A tool's settings stand in a table of the project's that is named as the tool. How it is run is `web.tools`' business.
"""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class Prelude:
    """What runs in an empty database before the first migration: an SQL file or a command, never both."""

    sql: Path | None = None
    command: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSettings(ABC):
    """What is configured for every migration tool. Paths may be relative to the checkout that they are used with."""

    #: The name of the tool, and of its table in the configuration.
    name: ClassVar[str]
    #: As people write it.
    title: ClassVar[str]
    #: What its `program` is.
    program_is: ClassVar[str] = "program"

    prelude: Prelude | None = None
    #: What has the project's models, by names that the tool understands; empty: nothing is configured.
    models: tuple[str, ...] = ()
    #: How long one run may take before it is ended.
    time_limit: timedelta = timedelta(hours=1)

    @property
    @abstractmethod
    def program(self) -> Path:
        """What is started: an interpreter, or a program."""

    @abstractmethod
    def working_directory(self, source: Path) -> Path:
        """The folder in which it runs, for a checkout."""

    @property
    def own_upgrade(self) -> tuple[str, ...]:
        """The project's own command that upgrades; empty: it has none."""
        return ()

    def files(self, source: Path) -> tuple[Path, ...]:
        """Its own configuration files, which may lie outside of the checkout."""
        return ()

    def in_checkout(self, source: Path, checkout: Path) -> Self:
        """The same for another checkout than the one at `source`: paths below the one lead below the other."""
        return self

    def facts(self) -> Mapping[str, object]:
        """What people are shown of it, by the keys of its table."""
        return {"time_limit": self.time_limit}

    def to_json(self, source: Path | None) -> dict[str, Any]:
        """What somebody needs who reads a history from a checkout of their own; paths are relative to it."""
        return {"name": self.name}

    def how_to_run(self, source: Path | None) -> dict[str, Any]:
        """What somebody needs who runs it from a checkout of their own, with a program of theirs; no secrets."""
        return self.to_json(source)

    def run_by(self, program: Path) -> Self:
        """The same with another program."""
        return self

    @classmethod
    @abstractmethod
    def from_json(cls, found: Mapping[str, Any], checkout: Path, *, config: str | None = None) -> Self:
        """What `to_json` or `how_to_run` gave, for a checkout; `config` is another file than is said there.

        It is good for reading a history; for running anything it needs a program (`run_by`).
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class AlembicSettings(ToolSettings):
    """How a project's Alembic is found and run."""

    name: ClassVar[str] = "alembic"
    title: ClassVar[str] = "Alembic"
    program_is: ClassVar[str] = "interpreter"

    #: alembic.ini or pyproject.toml.
    config: Path
    #: The project's own interpreter; a path inside a virtual environment is never resolved through its link.
    python: Path
    section: str = "alembic"
    #: Working directory; None: the folder of `config`.
    cwd: Path | None = None
    version_table: str | None = None
    version_table_schema: str | None = None
    #: Environment variable through which env.py learns the URL.
    url_variable: str | None = None
    #: Dialect and driver that env.py expects, such as postgresql+asyncpg.
    url_driver: str | None = None
    #: The project's own commands, by what they do (`upgrade`).
    commands: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    #: Names of `-x` arguments that carry the URL.
    x_arguments: tuple[str, ...] = ()

    @property
    def program(self) -> Path:
        """The project's own interpreter."""
        return self.python

    @property
    def own_upgrade(self) -> tuple[str, ...]:
        """What `commands` says."""
        return self.commands.get("upgrade", ())

    def config_file(self, source: Path) -> Path:
        """The project's alembic.ini or pyproject.toml."""
        return source / self.config

    def working_directory(self, source: Path) -> Path:
        """The folder in which Alembic runs, against which it takes relative locations."""
        return source / self.cwd if self.cwd is not None else self.config_file(source).parent

    def files(self, source: Path) -> tuple[Path, ...]:
        """The one that is named as `config`."""
        return (self.config_file(source),)

    def in_checkout(self, source: Path, checkout: Path) -> Self:
        """Its configuration file and working directory in another checkout; the interpreter stays."""
        cwd = checkout / _within(source, self.cwd) if self.cwd is not None else None
        return replace(self, config=checkout / _within(source, self.config), cwd=cwd)

    def facts(self) -> Mapping[str, object]:
        """Which files, and how it learns the URL."""
        return {
            "config": self.config,
            "section": self.section,
            "python": self.python,
            "url_variable": self.url_variable,
            "url_driver": self.url_driver,
            "time_limit": self.time_limit,
        }

    def to_json(self, source: Path | None) -> dict[str, Any]:
        """Where its configuration is, and what of it counts."""
        return {
            "name": self.name,
            "config": str(_within(source, self.config)),
            "section": self.section,
            "cwd": str(_within(source, self.cwd)) if self.cwd else None,
        }

    def how_to_run(self, source: Path | None) -> dict[str, Any]:
        """Its version table, how it learns the URL, and the project's own commands as well."""
        return {
            **self.to_json(source),
            "version_table": self.version_table,
            "version_table_schema": self.version_table_schema,
            "url_variable": self.url_variable,
            "url_driver": self.url_driver,
            "x_arguments": list(self.x_arguments),
            "commands": {name: list(command) for name, command in self.commands.items()},
        }

    def run_by(self, program: Path) -> Self:
        """Another interpreter."""
        return replace(self, python=program)

    @classmethod
    def from_json(cls, found: Mapping[str, Any], checkout: Path, *, config: str | None = None) -> Self:
        """With nobody's interpreter: reading runs nothing."""
        return cls(
            config=checkout / (config or found["config"]),
            python=Path(sys.executable),
            section=found["section"],
            cwd=checkout / found["cwd"] if found["cwd"] else None,
            version_table=found.get("version_table"),
            version_table_schema=found.get("version_table_schema"),
            url_variable=found.get("url_variable"),
            url_driver=found.get("url_driver"),
            x_arguments=tuple(found.get("x_arguments", ())),
            commands={name: tuple(command) for name, command in found.get("commands", {}).items()},
        )


def _within(source: Path | None, path: Path) -> Path:
    """The path relative to a folder, where there is one and it is below it."""
    return path.relative_to(source) if source is not None and path.is_relative_to(source) else path
