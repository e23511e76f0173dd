"""`worker`: runs the jobs of the projects that this host is configured for."""

from __future__ import annotations

import asyncio

from web.cli.long_running import following_parent, set_up_logging
from web.cli.store_place import running_url
from web.config import Configuration
from web.jobs.resources import Resources
from web.jobs.worker import run_worker
from web.observation.witness import observe_again, witness
from web.operations import KINDS
from web.postgres.programs import find_programs
from web.postgres.scratch import ScratchServers
from web.upkeep.schedule import scheduled
from web.walls.layers import find_layers, hide_process

#: Seconds between two calls of a worker's schedule: so long a look that is owed may wait.
SCHEDULE_EVERY = 2.0


async def work(configuration: Configuration) -> None:
    """Run a worker until SIGINT or SIGTERM, or until its supervisor is gone. Raises StoreNotReady."""
    set_up_logging()
    stop = asyncio.Event()
    hide_process()
    layers = await asyncio.to_thread(find_layers)
    programs = await asyncio.to_thread(find_programs, configuration.programs)
    scratch = ScratchServers(
        configuration.data_directory / "scratch",
        {
            major: place if place == "embedded" else place.read()
            for major, place in configuration.scratch.items()
        },
        programs,
        layers=layers,
        shared=any(project.without_wall for project in configuration.projects.values()),
    )
    try:
        async with following_parent(stop.set):
            await run_worker(
                configuration,
                KINDS,
                store_url=running_url(configuration),
                resources=Resources(programs, scratch, layers.words),
                witness=witness,
                observe_after=observe_again,
                schedule=scheduled(configuration),
                schedule_every=SCHEDULE_EVERY,
                stop=stop,
            )
    finally:
        await scratch.stop()
