"""`up`, `serve`, `worker`, `upgrade`, `demo`: thin commands over `machine`, `serving`, `working` and `demo`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from web.cli import exits
from web.cli.invocation import Invocation, add

PANEL = "Running"
HOST = "127.0.0.1"
PORT = 8321

Host = Annotated[str, typer.Option(help="The address to listen on.")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on; 0 takes a free one.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    add(app, "demo", acts=True, panel=PANEL)(demo)
    add(app, "up", acts=True, panel=PANEL)(up)
    add(app, "serve", acts=True, panel=PANEL)(serve)
    add(app, "worker", acts=True, panel=PANEL)(worker)
    add(app, "upgrade", acts=True, panel=PANEL)(upgrade)


def demo(
    call: Invocation,
    host: Host = HOST,
    port: Port = PORT,
    directory: Annotated[
        Path, typer.Option("--directory", metavar="FOLDER", help="Where it keeps everything.")
    ] = Path(".cleanstart"),
    clean: Annotated[bool, typer.Option("--clean", help="Forget everything instead of starting.")] = False,
) -> int:
    """Run everything on this machine with a sample project."""
    from web.cli.demo import clean_demo, run_demo

    if clean:
        asyncio.run(clean_demo(directory))
        return exits.YES
    return asyncio.run(run_demo(directory, host, port))


def up(call: Invocation, host: Host = HOST, port: Port = PORT) -> int:
    """Run web server, worker and, where none is configured, an embedded store."""
    from web.cli.machine import up as run

    return asyncio.run(run(call.configuration(), host, port))


def serve(
    call: Invocation,
    host: Host = HOST,
    port: Port = PORT,
    inherited: Annotated[int | None, typer.Option(hidden=True, help="A bound socket, from `up`.")] = None,
) -> None:
    """Run the web server."""
    from web.cli.serving import serve as run

    asyncio.run(run(call.configuration(), host, port, inherited=inherited))


def worker(call: Invocation) -> None:
    """Run a worker."""
    from web.cli.working import work

    asyncio.run(work(call.configuration()))


def upgrade(call: Invocation) -> None:
    """Bring the store to the schema that this version needs."""
    from web.cli.machine import upgrade_store

    revision = asyncio.run(upgrade_store(call.configuration()))
    if call.as_json:
        call.writer.document({"revision": revision})
    else:
        call.writer.say(f"The store is at revision {revision}.")
