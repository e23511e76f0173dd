"""The operating system's users that programs run as where we are root.

One for lasting servers, one for scratch servers, one for projects' code: none of them owns what another one has.
As anybody else there is one user for all, and walls have to do without this.
"""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

#: Root's place for programs, data and sockets.
ROOT_PLACE = Path("/var/lib/cleanstart")
_USERADD = (
    *("--system", "--user-group", "--no-create-home"),
    *("--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"),
)


@dataclass(frozen=True, slots=True)
class Account:
    """An operating system user."""

    name: str
    uid: int
    gid: int


#: Where no user can be made these numbers are taken, which nobody else has; nothing asks for a name.
_NUMBERS = {"cleanstart-postgres": 61_801, "cleanstart-scratch": 61_802, "cleanstart-project": 61_803}
SERVERS, SCRATCH, PROJECTS = _NUMBERS


def system_account(name: str) -> Account | None:
    """The system user of this name, made on first use; None where we are not root and have one user for all."""
    if os.geteuid() != 0:
        return None
    ROOT_PLACE.mkdir(mode=0o755, parents=True, exist_ok=True)
    with FileLock(ROOT_PLACE / "lock"):
        if (account := _account(name)) is not None:
            return account
        if useradd := shutil.which("useradd"):
            subprocess.run([useradd, *_USERADD, name], check=False, capture_output=True)
        return _account(name) or Account(name, _NUMBERS[name], _NUMBERS[name])


def project_account(checkout: Path) -> Account | None:
    """Whom a project's code runs as: the checkout's owner, or a system user where that is root or one of ours."""
    own = system_account(PROJECTS)
    if own is None:
        return None
    if not checkout.exists():
        return own
    owner = account_of(checkout)
    ours = {account.uid for name in (SERVERS, SCRATCH) if (account := system_account(name)) is not None}
    return own if owner.uid in {0, *ours} else owner


def account_of(path: Path) -> Account:
    """The owner of a path."""
    owner = path.stat()
    try:
        name = pwd.getpwuid(owner.st_uid).pw_name
    except KeyError:
        name = str(owner.st_uid)
    return Account(name, owner.st_uid, owner.st_gid)


def reaches(account: Account, path: Path) -> bool:
    """Say whether the user may pass through every existing folder on the way to the path, itself included."""
    real = path.resolve()
    for folder in (real, *real.parents):
        try:
            mode = folder.stat()
        except FileNotFoundError:
            continue
        if not stat.S_ISDIR(mode.st_mode):
            continue
        bit = (
            stat.S_IXUSR
            if mode.st_uid == account.uid
            else stat.S_IXGRP
            if mode.st_gid == account.gid
            else stat.S_IXOTH
        )
        if not mode.st_mode & bit:
            return False
    return True


def _account(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid) if entry.pw_uid != 0 else None
