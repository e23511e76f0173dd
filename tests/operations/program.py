"""A worker with the real kinds: `python -m tests.operations.program CONFIG STORE_URL SCRATCH_URL FOLDER`."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

from web.config import load
from web.jobs.resources import Resources
from web.jobs.worker import run_worker
from web.observation.witness import observe_again, witness
from web.operations import KINDS
from web.postgres.programs import find_programs
from web.postgres.scratch import ScratchServers


async def main(config: str, store_url: str, scratch_url: str, folder: str) -> None:
    """Work until told to stop."""
    await run_worker(
        load(Path(config)),
        KINDS,
        store_url=store_url,
        resources=Resources(find_programs(), ScratchServers(Path(folder), {17: scratch_url}, ())),
        witness=witness,
        observe_after=observe_again,
        concurrency=1,
        observers=1,
        grace=0.5,
        follow_parent=True,
    )


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(main(*sys.argv[1:]))
