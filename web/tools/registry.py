"""The migration tools that there are. One more is a package here, its settings in `web.config.tool`, and an entry."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from web.config import Project, ToolSettings
from web.errors import Invalid
from web.tools.alembic_tool.tool import Alembic
from web.tools.history import History
from web.tools.protocol import MigrationTool

#: By the name of their settings' table.
TOOLS: dict[str, MigrationTool] = {tool.name: tool for tool in (Alembic(),)}


def tool_of(project: Project) -> MigrationTool:
    """The migration tool of a project."""
    return TOOLS[project.tool.name]


def settings_from(found: Mapping[str, Any], checkout: Path, *, config: str | None = None) -> ToolSettings:
    """The settings that an API or an archive tells, for a checkout. Raises `Invalid` for a tool that is not known."""
    tool = TOOLS.get(found["name"])
    if tool is None:
        raise Invalid(
            f"This version of Clean Start does not know the migration tool “{found['name']}”.",
            hint="Take the version that the dashboard runs.",
        )
    return tool.settings.from_json(found, checkout, config=config)


def read_checkout(settings: Mapping[str, Any], checkout: Path, *, config: str | None = None) -> History:
    """Read the history of a checkout with the settings that a dashboard's API tells; `config` goes before theirs.

    Raises `SourceInvalid`, and `Invalid` for a tool that this version does not know.
    """
    found = settings_from(settings, checkout, config=config)
    return TOOLS[found.name].read_history(found, checkout)
