"""`doctor`: what this machine, or the dashboard elsewhere, needs and has; each line with what to do about it.

Every examination stands alone: what fails is a finding, and the others are still made.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import typer

from web import words
from web.cli import exits
from web.cli.invocation import Invocation, add
from web.cli.transport import Json
from web.cli.writing import coloured
from web.config import Configuration, Project, Secret
from web.errors import CleanStartError, SecretUnavailable, SeveralHeads
from web.tools.history import History

State = Literal["ok", "warn", "fail"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at: how it is, and what to do where it is not well."""

    what: str
    state: State
    detail: str
    way: str = ""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    add(app, "doctor", panel="Questions")(doctor)


def doctor(call: Invocation) -> int:
    """Examine configuration, secrets, store, workers, programs and places. Exits 1 where something fails."""
    found = asyncio.run(_examined(call))
    if call.as_json:
        call.writer.document({"findings": [asdict(each) for each in found]})
    else:
        call.writer.table(
            ("", "", ""),
            [(coloured(each.state, each.state), each.what, _words(each)) for each in found],
            none="",
        )
    return exits.NO if any(each.state == "fail" for each in found) else exits.YES


def _words(finding: Finding) -> str:
    return f"{finding.detail} {finding.way}".strip()


async def _examined(call: Invocation) -> list[Finding]:
    if call.remote is not None:
        return [each async for each in _dashboard(call, "dashboard")]
    try:
        configuration = call.configuration()
    except CleanStartError as error:
        return [_failed("configuration", error)]
    found = [
        Finding(
            "configuration",
            "ok",
            f"{configuration.file} ({words.plural(len(configuration.projects), 'project')})",
        ),
        *_secrets(configuration),
        *_proxies(configuration),
    ]
    majors: set[int] = set()
    found += [each async for each in _dashboard(call, "store", majors)]
    found += await asyncio.to_thread(list, _programs(configuration, sorted(majors)))
    found += await asyncio.to_thread(list, _walls(configuration))
    found += await asyncio.to_thread(list, _folders(configuration))
    for project in configuration.projects.values():
        found += await asyncio.to_thread(list, _project(project))
    return found


async def _dashboard(call: Invocation, what: str, majors: set[int] | None = None) -> AsyncIterator[Finding]:
    """The store or the dashboard, and its workers; adds the servers' majors that were seen to `majors`."""
    try:
        async with call.api() as api:
            seen = await api.get("projects")
            place, live_workers, running = api.place, seen["live_workers"], _majors(seen)
    except CleanStartError as error:
        yield _failed(what, error)
        return
    yield Finding(what, "ok", "reachable and upgraded" if call.remote is None else f"{place} answers")
    if majors is not None:
        majors |= running
    if live_workers:
        yield Finding("workers", "ok", f"{words.plural(live_workers, 'worker')} alive")
    else:
        yield Finding("workers", "warn", "None is alive, so no job runs.", "Start one: `cleanstart worker`.")


def _majors(seen: Json) -> set[int]:
    return {
        each["observation"]["server_version"] // 10000
        for project in seen["projects"]
        for each in project["environments"]
        if each["observation"] and each["observation"]["server_version"]
    }


def _proxies(configuration: Configuration) -> Iterator[Finding]:
    """Whose word the sign-in limiter takes on where a request comes from."""
    if configuration.trusted_proxies:
        named = ", ".join(map(str, configuration.trusted_proxies))
        yield Finding("proxies", "ok", f"X-Forwarded-For of {named} is believed, and nobody else's")
    elif (configuration.public_url or "").startswith("https://"):
        # TLS ends at a proxy: there is one.
        yield Finding(
            "proxies",
            "warn",
            "No proxy is trusted, so that sign-ins of all unknown browsers count as from one address.",
            "Name the proxy's address under trusted_proxies.",
        )


def _secrets(configuration: Configuration) -> Iterator[Finding]:
    from web.postgres.urls import read_url

    places = {
        "store": configuration.store_url,
        **{f"scratch {major}": place for major, place in configuration.scratch.items()},
        **{
            environment.label: environment.url
            for project in configuration.projects.values()
            for environment in project.environments.values()
        },
    }
    read = 0
    for name, place in places.items():
        if isinstance(place, Secret):
            try:
                read_url(place)
                read += 1
            except CleanStartError as error:
                yield _failed(f"secret of {name}", error)
    if configuration.store_owner_url is not None:
        # Web server and workers do without it, and better so.
        try:
            read_url(configuration.store_owner_url)
            read += 1
        except SecretUnavailable:
            yield Finding(
                "owner of the store", "ok", "its secret is not here; only `cleanstart upgrade` needs it"
            )
        except CleanStartError as error:
            yield _failed("secret of owner of the store", error)
    if read:
        yield Finding("secrets", "ok", f"{words.plural(read, 'secret')} can be read")


def _programs(configuration: Configuration, majors: list[int]) -> Iterator[Finding]:
    from web.postgres.programs import client_for, find_programs, server_for

    try:
        found = find_programs(configuration.programs)
    except CleanStartError as error:
        yield _failed("programs", error)
        return
    if not found:
        yield Finding(
            "programs",
            "fail",
            "No PostgreSQL programs are found.",
            "Install them, or name their folder under `programs`.",
        )
    for each in found:
        parts = [name for name, there in (("server", each.has_server), ("client", each.has_clients)) if there]
        yield Finding(
            f"PostgreSQL {each.version}", "ok", f"{' and '.join(parts) or 'parts'}: {each.directory}"
        )
    for major in majors:
        try:
            yield Finding(f"backups of {major}", "ok", f"by pg_dump {client_for(major, found).version}")
        except CleanStartError as error:
            yield _failed(f"backups of {major}", error)
        if configuration.scratch.get(major, "embedded") != "embedded":
            yield Finding(f"scratch {major}", "ok", "a configured server")
        elif server := server_for(major, found):
            yield Finding(f"scratch {major}", "ok", f"embedded, {server.version}")
        else:
            yield Finding(
                f"scratch {major}",
                "warn",
                f"No server programs of PostgreSQL {major}: no drift, no rehearsal, no verification there.",
                "Install them, or name a server under [scratch].",
            )


def _walls(configuration: Configuration) -> Iterator[Finding]:
    """What is around projects' code on this machine, and whose code runs without it."""
    from web.walls.accounts import PROJECTS, system_account
    from web.walls.layers import find_layers

    layers = find_layers()
    account = system_account(PROJECTS)
    who = f"as the user {account.name}" if account is not None else "as this user"
    if layers.kind == "none":
        yield Finding(
            "wall",
            "fail",
            f"There is none, so no project's code is run: {layers.reason}",
            "Run workers on Linux with bubblewrap, or with Landlock and seccomp (kernel 5.13 and later).",
        )
    else:
        by = f"by {layers.program}" if layers.program is not None else layers.reason.rstrip(".")
        reason = f": {by}" if by else ""
        yield Finding("wall", "ok", f"project code runs {who} behind {layers.words}{reason}")
    if account is None and layers.kind == "filters":
        yield Finding(
            "users",
            "warn",
            "Project code is this very user, and only filters stand between them.",
            "Run the worker where namespaces are to be had, or as root, so that project code is another user.",
        )
    for project in configuration.projects.values():
        if project.without_wall:
            yield Finding(
                f"{project.name}: wall",
                "warn",
                "Its code may run without one (without_wall = true).",
                "Remove the key where there is a wall and [scratch] names no server.",
            )


def _folders(configuration: Configuration) -> Iterator[Finding]:
    yield _folder(
        "data directory",
        configuration.data_directory,
        "Give this user the folder, or name another as data_directory.",
    )
    location = configuration.backups.location
    if "://" in location:
        yield Finding("backups", "ok", f"{location} (not tried)")
    else:
        yield _folder(
            "backups", Path(location), "Give this user the folder, or name another as backups.location."
        )


def _folder(what: str, folder: Path, way: str) -> Finding:
    from web.postgres.server_files import nearest_existing, why_unusable

    # One that is not there yet is made when it is needed.
    existing = nearest_existing(folder)
    try:
        with tempfile.TemporaryFile(dir=existing):
            free = shutil.disk_usage(existing).free
    except OSError as error:
        return Finding(what, "fail", f"{folder} cannot be written to: {why_unusable(folder, error)}.", way)
    return Finding(what, "ok", f"{folder} ({words.size(free)} free)")


def _project(project: Project) -> Iterator[Finding]:
    from web.tools.registry import tool_of

    for each in tool_of(project).misfits(project):
        yield Finding(
            f"{project.name}: {each.about}", "fail" if each.stops else "warn", each.message, each.hint
        )
    if isinstance(project.source, Path):
        yield _migrations(project, project.source)
    for key, file in _scripts(project):
        yield from _script(f"projects.{project.name}.{key}", file)


def _migrations(project: Project, source: Path) -> Finding:
    from web.tools.registry import tool_of

    what = f"{project.name}: migrations"
    try:
        history = tool_of(project).read_history(project.tool, source).followed(project.follow)
    except CleanStartError as error:
        return _failed(what, error)
    problems = " ".join(history.problems)
    if history.is_ambiguous:
        several = SeveralHeads(history.heads, separate=not history.share_a_base)
        problems = f"{problems} {several} {several.hint}".strip()
    return Finding(
        what,
        "warn" if problems else "ok",
        problems or f"{words.plural(len(history), 'migration')}, {_heads(history)}",
    )


def _heads(history: History) -> str:
    return f"{'heads' if len(history.heads) > 1 else 'head'} {', '.join(history.heads) or 'none'}"


def _scripts(project: Project) -> Iterator[tuple[str, Path]]:
    """The SQL files that operations run, by their keys."""
    tool = project.tool
    if tool.prelude is not None and tool.prelude.sql is not None:
        yield f"{tool.name}.prelude.sql", tool.prelude.sql
    for environment in project.environments.values():
        if environment.reset is not None:
            for name in ("script", "seed"):
                if (file := getattr(environment.reset, name)) is not None:
                    yield f"environments.{environment.name}.reset.{name}", file


def _script(key: str, file: Path) -> Iterator[Finding]:
    from web.postgres.scripts import read_script

    try:
        # As the operation would read it. This runs in a thread, which has no loop.
        asyncio.run(read_script(file))
    except CleanStartError as error:
        yield Finding(key, "fail", str(error), f"Put the file right, or correct {key}.")


def _failed(what: str, error: CleanStartError) -> Finding:
    return Finding(what, "fail", str(error), error.hint)
