"""What a program finds on its side of a wall: folders, sockets, network, account, limits. All else is not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from web.walls.accounts import Account

#: What programs of the system need. Of /etc only what names no secret: how to load, resolve, trust and tell the time.
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/nix/store", "/gnu/store")
SETTINGS = (
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/alternatives",
    "/etc/localtime",
    "/etc/timezone",
    "/etc/passwd",
    "/etc/group",
    "/etc/nsswitch.conf",
    # Names the own loopback, over which PostgreSQL 14 counts.
    "/etc/hosts",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/ca-certificates",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
)
#: Beside those, for a program that may use the network.
NETWORK_SETTINGS = ("/etc/resolv.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services")
#: What an interpreter's prefix holds; the rest of a prefix (which may be a home folder) is not bound.
_OF_A_PREFIX = ("bin", "lib", "lib64", "libexec", "share", "ssl", "pyvenv.cfg")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use up; None: no limit of that sort."""

    #: Bytes of memory that each of its processes may write to (RLIMIT_DATA).
    memory: int | None = None
    #: Processes and threads of its account.
    processes: int | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """Everything that a program behind a wall can get at, beside what every program of the system needs."""

    #: Files and folders that it may read and run.
    reads: tuple[Path, ...] = ()
    #: Folders that it may also write into.
    writes: tuple[Path, ...] = ()
    #: Unix sockets that it may connect to, by the path through which it knows them.
    sockets: tuple[Path, ...] = ()
    #: What is not there although it lies below one of the above.
    hidden: tuple[Path, ...] = ()
    #: Whether it may use the network and any abstract socket.
    network: bool = False
    #: As whom it runs; None: as we do.
    account: Account | None = None
    limits: Limits = Limits()

    @property
    def settings(self) -> tuple[str, ...]:
        """The files of /etc that it finds."""
        return (*SETTINGS, *(NETWORK_SETTINGS if self.network else ()))


def interpreter_places(python: Path) -> tuple[Path, ...]:
    """What a Python interpreter needs to run: its prefixes, without what its packages refer to.

    A virtual environment has two prefixes or more: its own, and wherever its interpreter's links lead. What a file of
    packages names besides (an editable installation elsewhere) is the project's word, and no permission.
    """
    found: list[Path] = []
    for prefix in _prefixes(python.absolute()):
        if prefix == prefix.parent or _is_system(prefix):
            continue
        found += [place for name in _OF_A_PREFIX if os.path.lexists(place := prefix / name)]
    return tuple(dict.fromkeys(found))


def launcher_places() -> tuple[Path, ...]:
    """What our own interpreter needs to run `launch.py`."""
    return interpreter_places(Path(sys.executable))


def outermost(paths: Iterable[Path]) -> list[Path]:
    """The paths without those that lie below another of them, from the root on."""
    kept: list[Path] = []
    for path in sorted(set(paths), key=lambda path: path.parts):
        if not any(path.is_relative_to(above) for above in kept):
            kept.append(path)
    return kept


def _prefixes(python: Path) -> Iterator[Path]:
    hop, seen = python, set[Path]()
    while hop not in seen:
        seen.add(hop)
        yield hop.parent.parent
        settings = hop.parent.parent / "pyvenv.cfg"
        if settings.is_file():
            yield from (Path(home).parent for home in _homes(settings))
        if hop.is_symlink():
            hop = Path(os.path.normpath(hop.parent / hop.readlink()))
    yield python.resolve().parent.parent


def _homes(settings: Path) -> Iterator[str]:
    for line in settings.read_text(encoding="utf-8", errors="replace").splitlines():
        name, _, value = line.partition("=")
        if name.strip() == "home" and value.strip():
            yield value.strip()


def _is_system(path: Path) -> bool:
    return any(path.is_relative_to(place) for place in SYSTEM)
