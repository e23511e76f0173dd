"""Where old migrations are kept so that Alembic takes them for nobody's."""

from __future__ import annotations

from datetime import date

from web.config import Project
from web.errors import SourceInvalid
from web.tools.alembic_tool.locations import read_locations
from web.tools.alembic_tool.settings import settings_of
from web.tools.confinement import checkout


def archive_folder(project: Project, day: date) -> tuple[str, str]:
    """The folder for old migrations, and the one from which their paths count in it; both below the source.

    It is outside of every version location, because Alembic may look into folders of those, and it is not there yet.
    Raises SourceInvalid where there is no such place in the project's folder.
    """
    source = checkout(project, None).resolve()
    locations = [each.resolve() for each in read_locations(source, settings_of(project)).folders]
    home = locations[0].parent if locations else source
    while any(home.is_relative_to(each) for each in locations):
        home = home.parent
    if not home.is_relative_to(source):
        raise SourceInvalid(
            f"Every folder of {source} is a version location, so that old migrations cannot be kept in it.",
            hint="Have them deleted instead: the change set and the dashboard keep them.",
        )
    name = day.isoformat()
    tries = (home / "archive" / (name if number == 1 else f"{name}-{number}") for number in range(1, 1000))
    place = next(each for each in tries if not each.exists())
    return str(place.relative_to(source)), str(home.relative_to(source))
