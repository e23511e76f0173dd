"""Files that commands write for people: never over one that is there."""

from __future__ import annotations

from pathlib import Path

from web.cli.writing import Writer
from web.errors import Invalid


def write_new(writer: Writer, place: Path, content: bytes) -> None:
    """Write a new file, with its folders, and say so. Raises Invalid."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as file:
            file.write(content)
    except OSError as error:
        raise Invalid(f"{place} cannot be written: {error.strerror}.") from error
    writer.say(f"Wrote {place}.")
