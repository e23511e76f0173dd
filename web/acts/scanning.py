"""Reads a project's source for what migrates besides this dashboard."""

from __future__ import annotations

import asyncio
from threading import Event
from typing import Any

from web.cutover.findings import Scan
from web.cutover.scan import scan_source
from web.errors import SourceInvalid
from web.jobs.work import Work
from web.tools.confinement import checkout


async def scan(work: Work[Any]) -> Scan:
    """Read it. Raises SourceInvalid where the folder cannot be read."""
    project = work.job.project
    source, stopped = checkout(project, None), Event()
    try:
        return await asyncio.to_thread(scan_source, source, (project.tool.own_upgrade,), stopped)
    except OSError as error:
        raise SourceInvalid(f"{source} cannot be read: {error.strerror}.") from error
    finally:
        # A thread cannot be cancelled: it ends by itself at the next file.
        stopped.set()
