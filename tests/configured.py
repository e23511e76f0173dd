"""A configuration of one or more projects on given databases, for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from web.config import (
    AlembicSettings,
    Backups,
    Configuration,
    Environment,
    Project,
    Secret,
)


def secret(folder: Path, name: str, url: str) -> Secret:
    """A secret in a file, because tests have no environment of their own."""
    file = folder / f"{name}.url"
    file.write_text(url)
    return Secret(f"file:{file}")


def environment(
    folder: Path, url: str, name: str = "dev", project: str = "clinic", **more: Any
) -> Environment:
    """An environment on this database; its tier is development unless said otherwise."""
    values: dict[str, Any] = {"tier": "development", **more}
    return Environment(project, name, secret(folder, f"{project}-{name}", url), **values)


def project(source: Path, tool: AlembicSettings, *environments: Environment, name: str = "clinic") -> Project:
    """A project with these environments, which may run on a scratch server that tests share."""
    return Project(
        name=name,
        title=name.title(),
        source=source,
        tool=tool,
        without_wall=True,
        environments={each.name: each for each in environments},
    )


def configuration(folder: Path, *projects: Project) -> Configuration:
    """A configuration of these projects with its data and backups below `folder`."""
    return Configuration(
        file=None,
        data_directory=folder / "data",
        backups=Backups(location=str(folder / "backups")),
        projects={each.name: each for each in projects},
    )
