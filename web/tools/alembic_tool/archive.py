"""Where old migrations are kept so that Alembic takes them for nobody's, and what is found there."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Final

from web.config import Project
from web.errors import SourceInvalid
from web.tools.alembic_tool.locations import Locations, read_locations
from web.tools.alembic_tool.settings import settings_of
from web.tools.archives import read_archives
from web.tools.confinement import checkout
from web.tools.history import Archive

_ARCHIVE: Final = "archive"


def archive_folder(project: Project, day: date) -> tuple[str, str]:
    """The folder for old migrations, and the one from which their paths count in it; both below the source.

    It is outside of every version location, because Alembic may look into folders of those, and it is not there yet.
    Raises SourceInvalid where there is no such place in the project's folder.
    """
    source = checkout(project, None).resolve()
    home = _home(source, read_locations(source, settings_of(project)))
    if not home.is_relative_to(source):
        raise SourceInvalid(
            f"Every folder of {source} is a version location, so that old migrations cannot be kept in it.",
            hint="Have them deleted instead: the change set and the dashboard keep them.",
        )
    name = day.isoformat()
    tries = (home / _ARCHIVE / (name if number == 1 else f"{name}-{number}") for number in range(1, 1000))
    place = next(each for each in tries if not each.exists())
    return str(place.relative_to(source)), str(home.relative_to(source))


def archives(source: Path, locations: Locations) -> tuple[Archive, ...]:
    """The archives beside the version locations, the newest first. Blocking."""
    return read_archives(_home(source.resolve(), locations) / _ARCHIVE, source.resolve())


def _home(source: Path, locations: Locations) -> Path:
    """The innermost folder above the first version location that is in none of them."""
    folders = [each.resolve() for each in locations.folders]
    home = folders[0].parent if folders else source
    while any(home.is_relative_to(each) for each in folders) and home != home.parent:
        home = home.parent
    return home
