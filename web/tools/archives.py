"""What lies in a folder of archives: old histories with their manifests, whatever tool they were of.

The manifest is written by `web.remedies.archiving`; here it is read, from a source that anybody may have changed.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Final

from web.tools.history import Archive, Migration, make_history, storable

#: Beside the files of an archive.
MANIFEST: Final = "manifest.json"
#: The version of it that is written and read here.
VERSION: Final = 1
#: Bytes; 800 migrations take 300 KB.
_LARGEST: Final = 16 * 2**20


def read_archives(folder: Path, source: Path) -> tuple[Archive, ...]:
    """The archives in a folder of the source, the newest first. Blocking.

    What is no manifest of ours, or cannot be read, is somebody else's and left out.
    """
    found = []
    for manifest in sorted(folder.glob(f"*/{MANIFEST}")) if folder.is_relative_to(source) else ():
        with suppress(OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            if manifest.stat().st_size <= _LARGEST:
                content = json.loads(manifest.read_bytes())
                found.append(read_manifest(content, str(manifest.parent.relative_to(source))))
    return tuple(sorted(found, key=lambda each: each.made_at, reverse=True))


def read_manifest(content: dict[str, object], folder: str) -> Archive:
    """What a manifest says. Raises ValueError, TypeError, KeyError or AttributeError where it is none."""
    if content["archive"] != VERSION:
        raise ValueError("a manifest of another version")
    baseline, rows = content["baseline"], content["migrations"]
    if not isinstance(baseline, dict) or not isinstance(rows, list):
        raise TypeError("no manifest")
    history = make_history(_migration(each) for each in rows)
    made_at, revision = storable(str(content["made_at"])), storable(str(baseline["revision"]))
    return Archive(storable(folder), made_at, revision, history)


def _migration(row: dict[str, object]) -> Migration:
    def texts(name: str) -> tuple[str, ...]:
        listed = row[name]
        if not isinstance(listed, list):
            raise TypeError(name)
        return tuple(map(str, listed))

    return Migration(
        revision=str(row["revision"]),
        down=texts("down"),
        depends_on=texts("depends_on"),
        labels=texts("labels"),
        message=str(row["message"]),
        path=str(row["kept"] or ""),
        digest=str(row["digest"]),
    )
