"""The clinic's source as the demo has it: a copy of its own, in a git repository where there is a git."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

#: Nothing of this user's own settings decides what is in the demo.
_ENVIRONMENT = {
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_AUTHOR_NAME": "Joy Okafor",
    "GIT_AUTHOR_EMAIL": "joy@clinic.example",
    "GIT_COMMITTER_NAME": "Joy Okafor",
    "GIT_COMMITTER_EMAIL": "joy@clinic.example",
    "GIT_AUTHOR_DATE": "2026-11-20T18:07:00Z",
    "GIT_COMMITTER_DATE": "2026-11-20T18:07:00Z",
}


def own_source(origin: Path, place: Path) -> None:
    """Copy the clinic to `place` unless it is there: what a visitor has changed stays. Blocking."""
    if place.exists():
        return
    unfinished = place.with_name(f"{place.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(origin, unfinished, ignore=shutil.ignore_patterns("__pycache__"))
    for each in (unfinished, *unfinished.rglob("*")):
        # Project code runs as another user where we are root.
        each.chmod(0o755 if each.is_dir() else 0o644)
    (unfinished / ".gitignore").write_text("__pycache__/\n")
    if (git := shutil.which("git")) is not None:
        for arguments in (
            ("init", "--quiet", "--initial-branch=main"),
            ("add", "--all"),
            ("commit", "--quiet", "--message", "Tenant-based sign-in"),
        ):
            subprocess.run(
                [git, *arguments],
                cwd=unfinished,
                env={**os.environ, **_ENVIRONMENT},
                check=True,
                capture_output=True,
            )
    unfinished.rename(place)
