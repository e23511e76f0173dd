"""`cleanstart demo`: everything on this machine with a sample project, kept between starts."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
from contextlib import suppress
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import httpx
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from web.access.users import any_users, create_user, set_password
from web.answers.builds import newest_number, record_deployment, register_build
from web.cli.listening import AddressNotSafe, listen
from web.cli.long_running import say
from web.cli.machine import kept_running, run_processes
from web.cli.store_place import StorePlace, prepare_embedded
from web.cli.supervisor import stop_on_signals, unless_stopped
from web.config import Configuration, is_loopback, load
from web.errors import CommandFailed, Conflict
from web.jobs.reading import list_jobs
from web.jobs.start import start
from web.operations.survey import SURVEY
from web.paths import DEMO
from web.postgres.embedded import EmbeddedServer
from web.postgres.scratch import reap
from web.postgres.server_files import usable
from web.store.database import open_store
from web.store.tables import EnvironmentStateRow
from web.store.upgrade import upgrade
from web.tools.registry import tool_of
from web.walls.layers import hide_process

PROJECT = "clinic"
#: Seconds that the first looks may take before the address is told all the same.
FIRST_LOOKS = 20.0
#: Says that a folder is a demo's, and may be deleted with all that is in it.
MARK = ".cleanstart-demo"
#: Name, what the person is called, role and project.
USERS = (
    ("ana", "Ana Ruiz", "admin", "*"),
    ("omar", "Omar Haddad", "operator", PROJECT),
    ("vera", "Vera Lindqvist", "viewer", PROJECT),
)


async def run_demo(directory: Path, host: str, port: int) -> int:
    """Set up what is missing, then run everything until Ctrl-C; returns the exit code.

    Raises:
        AddressNotSafe: others would reach it, whose passwords anybody may read.
        AddressUnavailable: the port is taken.
        DirectoryUnavailable: the directory cannot be made.
        Conflict: another demo runs on this directory.
    """
    if not is_loopback(host):
        raise AddressNotSafe(host)
    hide_process()
    stopping = asyncio.Event()
    stop_on_signals(stopping)
    directory = directory.absolute()
    with listen(host, port) as sock:
        with usable(directory):
            # The clinic's source is in it, and its code runs as another user where we are root.
            directory.mkdir(mode=0o711, parents=True, exist_ok=True)
            _require_demo(directory)
            (directory / MARK).touch()
        return await _run(directory, sock, host, stopping)


async def _run(directory: Path, sock: socket.socket, host: str, stopping: asyncio.Event) -> int:
    server = EmbeddedServer(directory / "postgresql")
    say("Starting PostgreSQL")
    try:
        # The server and the store are not cut short by Ctrl-C, the sample is: the next start goes on with it.
        if (holder := server.held_by()) is not None:
            raise Conflict(
                f"The demo runs already: process {holder} holds {directory}.",
                hint="Use it, or stop it with Ctrl-C.",
            )
        try:
            await server.start()
        except CommandFailed:
            # Ctrl-C in a terminal reaches initdb as well, and maybe sooner than us: then all is as it was asked for.
            with suppress(TimeoutError):
                async with asyncio.timeout(0.5):
                    await stopping.wait()
            if stopping.is_set():
                return 0
            raise
        place = await prepare_embedded(server)
        await upgrade(place.owner_url, place.runtime_role)
        furnished = await unless_stopped(_furnish(server, place, directory), stopping)
        if furnished is None:
            return 0
        configuration, password = furnished
        address = f"http://{host}:{sock.getsockname()[1]}"
        said = {"address": address, "name": USERS[0][0], "password": password}
        _write_secret(directory / "secrets" / "demo.json", json.dumps(said))
        announcing = asyncio.create_task(_announce(address, place.runtime_url, password, directory))
        try:
            async with kept_running(server):
                return await run_processes(configuration, sock, host, stopping)
        finally:
            announcing.cancel()
    finally:
        await server.stop()
        say("Stopped. `make demo` goes on where this was; `make demo-clean` forgets it.")


def _require_demo(directory: Path) -> None:
    """Refuse a folder that holds something else: cleaning deletes all of it. Raises Conflict."""
    marks = (directory / MARK, directory / "secrets" / "demo.json")
    if directory.is_dir() and any(directory.iterdir()) and not any(each.exists() for each in marks):
        raise Conflict(
            f"{directory} holds something that is no demo.",
            hint="Name a folder that is empty or not there yet.",
        )


async def clean_demo(directory: Path) -> None:
    """Forget the demo. Raises Conflict while it runs."""
    directory = directory.absolute()
    if directory.exists():
        _require_demo(directory)
        await EmbeddedServer(directory / "postgresql").remove()
        # Scratch servers of killed workers keep their files elsewhere, and nobody would find them any more.
        await reap(directory / "scratch")
        await asyncio.to_thread(shutil.rmtree, directory)
    say(f"{directory} is gone.")


async def _furnish(server: EmbeddedServer, place: StorePlace, directory: Path) -> tuple[Configuration, str]:
    """The sample databases, configuration, users and builds; what is there stays."""

    async def report(line: str) -> None:
        say(line)

    source = directory / "clinic"
    await asyncio.to_thread(_module("source").own_source, DEMO / "clinic", source)
    made = await _module("build").create(
        server.url(), directory, Path(sys.executable), source=source, writable=True, report=report
    )
    configuration = load(made.configuration)
    file = directory / "secrets" / "sign_in"
    forgotten = not file.exists()
    password = _password(file)
    store = open_store(place.runtime_url)
    try:
        await _ensure_users(store, password, forgotten=forgotten)
        await _ensure_builds(store, configuration)
    finally:
        await store.dispose()
    return configuration, password


async def _ensure_users(store: AsyncEngine, password: str, *, forgotten: bool) -> None:
    """Make the demo's users; where the file with their password was deleted, they get the new one."""
    there = await any_users(store)
    if there and not forgotten:
        return
    async with store.begin() as connection:
        if there:
            for name, *_ in USERS:
                await set_password(connection, actor="local:demo", name=name, password=password)
            return
        for name, display_name, role, project in USERS:
            await create_user(
                connection,
                actor="local:demo",
                name=name,
                password=password,
                display_name=display_name,
                grants={project: role},  # type: ignore[dict-item]
            )


async def _ensure_builds(store: AsyncEngine, configuration: Configuration) -> None:
    async with store.connect() as connection:
        if await newest_number(connection, PROJECT) is not None:
            return
    checkouts = _module("checkouts")
    project = configuration.project(PROJECT)
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "clinic"
        async with store.begin() as connection:
            for build in checkouts.BUILDS:
                checkouts.check_out(build.number, checkout)
                settings = project.tool.in_checkout(Path(str(project.source)), checkout)
                history = tool_of(project).read_history(settings, checkout)
                await register_build(
                    connection, project, build.number, history, by=build.author, commit=build.commit
                )
            for deployment in checkouts.DEPLOYMENTS:
                await record_deployment(
                    connection, project.environments[deployment.environment], deployment.build, by="CI"
                )


async def _announce(address: str, store_url: str, password: str, directory: Path) -> None:
    """Say where it is as soon as it answers and there is something to see."""
    await _until_ready(address)
    with suppress(TimeoutError):
        async with asyncio.timeout(FIRST_LOOKS):
            await _until_looked_at(store_url)
    await _ensure_survey(store_url)
    others = " and ".join(f"{name} ({role})" for name, _, role, _ in USERS[1:])
    say(
        f"\n  Clean Start is at  {address}\n"
        f"  Sign in as         {USERS[0][0]}\n"
        f"  Password           {password}\n\n"
        f"  The same password opens {others}. Data are kept in {directory}. Ctrl-C stops everything.\n"
    )


async def _ensure_survey(store_url: str) -> None:
    """Have the clinic surveyed once, so that the overview says why it is a candidate for a clean start."""
    store = open_store(store_url, pool_size=1)
    try:
        async with store.begin() as connection:
            if not await list_jobs(connection, project=PROJECT, kinds=[SURVEY.name], limit=1):
                parameters = SURVEY.parameters()
                await start(connection, SURVEY, project=PROJECT, parameters=parameters, requested_by="demo")
    finally:
        await store.dispose()


async def _until_ready(address: str) -> None:
    async with httpx.AsyncClient() as client:
        while True:
            try:
                if (await client.get(f"{address}/readyz")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.1)


async def _until_looked_at(store_url: str) -> None:
    """Wait until every environment was looked at once: an overview of question marks is no first impression."""
    store = open_store(store_url, pool_size=1)
    try:
        while True:
            async with store.connect() as connection:
                if await connection.scalar(select(func.count()).select_from(EnvironmentStateRow)) == 3:
                    return
            await asyncio.sleep(0.2)
    finally:
        await store.dispose()


def _password(file: Path) -> str:
    if not file.exists():
        _write_secret(file, "-".join(secrets.token_hex(2) for _ in range(4)))
    return file.read_text()


def _write_secret(file: Path, text: str) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)


def _module(name: str) -> ModuleType:
    """A module of the demo, which is data of the package: from its file, whatever else is named `demo`."""
    full_name = f"cleanstart_demo_{name}"
    if full_name not in sys.modules:
        spec = spec_from_file_location(full_name, DEMO / f"{name}.py")
        assert spec is not None
        assert spec.loader is not None
        # Its dataclasses look their module up while they are made.
        sys.modules[full_name] = module = module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[full_name]
