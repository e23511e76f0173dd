"""A project's settings as Alembic's."""

from __future__ import annotations

from web.config import AlembicSettings, Project, ToolSettings


def settings_of(project: Project) -> AlembicSettings:
    """The settings of a project whose tool is Alembic."""
    return as_ours(project.tool)


def as_ours(settings: ToolSettings) -> AlembicSettings:
    """The settings of a tool that is Alembic."""
    assert isinstance(settings, AlembicSettings), f"{settings.title} is not Alembic"
    return settings
