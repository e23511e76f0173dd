"""What one run of a project's code may open, as whom, behind which wall, with which limits and variables.

Every start of project code takes such a value, and there are three ways to get one: for a scratch database, for a
target, for no database at all. Project code connects where it likes, reads what its user can read and leaves
processes behind, so what is promised here stands on the wall; the runner's hooks only say it in better words.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from web.config import Project, Secret
from web.errors import CleanStartError, Refused, SourceInvalid
from web.postgres.identity import KnownDatabase
from web.postgres.scratch import ScratchDatabase
from web.postgres.urls import files_of, secrets_of, sockets_of
from web.walls.accounts import Account, project_account, reaches
from web.walls.layers import Layers, Wall, find_layers
from web.walls.reach import Limits, Reach, interpreter_places

#: Our code that runs in the project's interpreter: what of each tool's package is there for that.
OURS = tuple(sorted(Path(__file__).parent.glob("*/inside")))


class WallMissing(Refused):
    """There is no wall to run a project's code behind."""

    title = "There is no wall around the project's code"

    def __init__(self, project: str, reason: str) -> None:
        super().__init__(
            f"The code of {project} is not run: {reason}",
            hint=f"`cleanstart doctor` says which walls are to be had. To run it without one, set without_wall = true "
            f"under [projects.{project}].",
        )


@dataclass(frozen=True, slots=True)
class Confinement:
    """One run of a project's code: nothing in it has a usual value."""

    #: The one database that it may open; None: none at all.
    opens: KnownDatabase | None
    wall: Wall
    #: Variables that it finds beyond those of its interpreter and of the database.
    variables: Mapping[str, str]
    #: What is taken out of everything that it prints.
    secrets: tuple[str, ...]


async def in_scratch(
    project: Project, database: ScratchDatabase, *, source: Path | None = None
) -> Confinement:
    """For a run in a scratch database: it reaches that server, and no network. Raises WallMissing, SourceInvalid.

    Where the server has no wall, or there is none to be had, only a project that says so is run.
    """
    layers = await asyncio.to_thread(find_layers) if database.layers is None else database.layers
    walled = database.layers is not None and layers.kind != "none"
    if not walled and not project.without_wall:
        raise WallMissing(
            project.name,
            f"the scratch server is a configured one, around which there is no wall{_because(layers)}."
            if database.layers is None
            else f"no wall is to be had here{_because(layers)}.",
        )
    return await _confined(project, source, database, layers, network=not walled)


async def on_target(project: Project, database: KnownDatabase, *, source: Path | None = None) -> Confinement:
    """For a run on a target: the same wall, but for the network. Raises WallMissing, SourceInvalid."""
    layers = await _walls(project)
    return await _confined(project, source, database, layers, network=True)


async def without_database(project: Project, *, source: Path | None = None) -> Confinement:
    """For a run that has nothing to open. Raises WallMissing, SourceInvalid."""
    layers = await _walls(project)
    return await _confined(project, source, None, layers, network=False)


def writing(confinement: Confinement, folder: Path) -> Confinement:
    """The same run, which may also write into a folder; the folder is given to its account."""
    wall = confinement.wall
    give(folder, wall.reach.account)
    reach = replace(wall.reach, writes=(*wall.reach.writes, folder))
    return replace(confinement, wall=replace(wall, reach=reach))


def reading(confinement: Confinement, file: Path) -> Confinement:
    """The same run, which may also read a file."""
    wall = confinement.wall
    reach = replace(wall.reach, reads=(*wall.reach.reads, file))
    return replace(confinement, wall=replace(wall, reach=reach))


def give(folder: Path, account: Account | None) -> None:
    """Make a folder with all that is in it an account's own; links are left alone."""
    if account is None:
        return
    for place, folders, files in os.walk(folder):
        for name in (".", *folders, *files):
            os.chown(Path(place, name), account.uid, account.gid, follow_symlinks=False)


async def _walls(project: Project) -> Layers:
    layers = await asyncio.to_thread(find_layers)
    if layers.kind == "none" and not project.without_wall:
        raise WallMissing(project.name, f"no wall is to be had here{_because(layers)}.")
    return layers


def _because(layers: Layers) -> str:
    return f" ({layers.reason.rstrip('.')})" if layers.reason else ""


async def _confined(
    project: Project, source: Path | None, opens: KnownDatabase | None, layers: Layers, *, network: bool
) -> Confinement:
    place = checkout(project, source)
    return await asyncio.to_thread(_confine, project, place, opens, layers, network=network)


def checkout(project: Project, source: Path | None) -> Path:
    """The checkout: as given, else the project's own folder. Raises SourceInvalid."""
    if source is not None:
        return source
    if isinstance(project.source, Path):
        return project.source
    raise SourceInvalid(f"The source of {project.name} is a git repository; it has to be checked out first.")


def _confine(
    project: Project, place: Path, opens: KnownDatabase | None, layers: Layers, *, network: bool
) -> Confinement:
    account = project_account(place)
    reads = tuple(dict.fromkeys(_reads(project, place)))
    files = files_of(opens.url) if opens is not None else ()
    reach = Reach(
        reads=(*reads, *files),
        sockets=sockets_of(opens.url) if opens is not None else (),
        hidden=tuple(path for path in project.hidden if path not in reads),
        network=network,
        account=account,
        limits=Limits(project.limits.memory, project.limits.processes),
    )
    _require_readable(project, place, reach, layers)
    _require_files(project, files, account)
    variables = {
        name: value.read() if isinstance(value, Secret) else value for name, value in project.env.items()
    }
    return Confinement(opens, Wall(layers, reach), variables, tuple(_secrets(project, opens, variables)))


def _reads(project: Project, place: Path) -> Iterator[Path]:
    tool = project.tool
    # Nothing because a file of the project says so: what else its code needs the configuration names.
    own = [place, tool.working_directory(place), *tool.files(place)]
    for path in (*own, *project.readable, *OURS, *interpreter_places(tool.program)):
        # A tree behind a link is known by both paths.
        yield from (path.absolute(), path.resolve())


def _require_readable(project: Project, place: Path, reach: Reach, layers: Layers) -> None:
    """Raise SourceInvalid where the account could not even begin, which its own errors would not tell."""
    account, tool = reach.account, project.tool
    if account is None:
        return
    for what, path in (("checkout", place), (tool.program_is, tool.program)):
        real = path.resolve()
        if not real.exists():
            continue
        there = real if real.is_dir() else real.parent
        # Behind namespaces the folders above are not those outside.
        passes = _may(account, there, 0o5) if layers.kind == "namespaces" else reaches(account, there)
        if not passes:
            raise SourceInvalid(
                f"The {what} of {project.name}, {path}, cannot be reached by the user {account.name}, who runs the "
                "project's code.",
                hint=f"Move it to where that user may read (`chmod -R o+rX {there}`), or give it an owner of its own.",
            )


def _require_files(project: Project, files: Sequence[Path], account: Account | None) -> None:
    """Raise SourceInvalid where the account may not read a certificate or key that the URL names."""
    if account is None:
        return
    for file in files:
        if file.is_file() and not _may(account, file, 0o4):
            raise SourceInvalid(
                f"{file}, which the database URL names, cannot be read by the user {account.name}, who runs the code "
                f"of {project.name}.",
                hint=f"Give it to that user's group: `chgrp {account.gid} {file}` and `chmod 640 {file}`.",
            )


def _may(account: Account, path: Path, bits: int) -> bool:
    mode = path.stat()
    shift = 6 if mode.st_uid == account.uid else 3 if mode.st_gid == account.gid else 0
    return (mode.st_mode >> shift) & bits == bits


def _secrets(project: Project, opens: KnownDatabase | None, variables: Mapping[str, str]) -> Iterator[str]:
    if opens is not None:
        yield from secrets_of(opens.url)
    yield from (variables[name] for name, value in project.env.items() if isinstance(value, Secret))
    for environment in project.environments.values():
        with suppress(CleanStartError):  # who needs it will say so
            yield from secrets_of(environment.url.read())
