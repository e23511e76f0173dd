"""Ending what an attempt left alive, backends on the target and process groups here, and seeing it gone.

Only what was recorded is ended, or what bears the attempt's own application name; a recycled pid never is.
"""

from __future__ import annotations

import asyncio
import os
import signal
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, LiteralString

import psutil
import psycopg

from web.errors import IdentityMismatch, TargetUnavailable
from web.jobs.host import this_host
from web.jobs.job import Json
from web.postgres.connections import Connection, connect, with_database
from web.postgres.identity import TargetIdentity, read_identity
from web.postgres.processes import members

#: Two starts of one process may be read this far apart (the boot time is rounded), in seconds.
_START_TOLERANCE = 2.0
#: Clocks of this host and a target's server may differ by this much.
_CLOCKS = "1 minute"

# Backends of the given attempts: recorded ones by process id and start, others by name, role and time.
# Any role may read it; PostgreSQL 9.6 and later.
_BACKENDS = """
SELECT a.pid, a.backend_start, a.application_name, a.state
  FROM pg_catalog.pg_stat_activity a
 WHERE a.pid <> pg_catalog.pg_backend_pid()
   AND ( EXISTS (SELECT FROM unnest(%(pids)s::int[], %(starts)s::timestamptz[]) AS r (pid, backend_start)
                  WHERE r.pid = a.pid AND r.backend_start = a.backend_start)
      OR ( a.application_name = ANY (%(names)s::text[])
           AND a.usename = current_user
           AND a.backend_start >= %(since)s::timestamptz - %(clocks)s::interval ) )
"""


@dataclass(frozen=True, slots=True)
class Remains:
    """What attempts of a job may have left alive."""

    names: tuple[str, ...]
    since: datetime
    backends: tuple[Json, ...] = ()
    #: Process groups by the host (`this_host`) they run on.
    groups: tuple[tuple[str, Json], ...] = ()


@dataclass(slots=True)
class Ended:
    """What was found alive and ended, in words, and what is still alive."""

    ended: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


async def end_backends(
    url: str,
    pinned: TargetIdentity | None,
    remains: Remains,
    *,
    cancel_for: float = 0.0,
    within: float = 8.0,
) -> Ended:
    """End the backends, see them gone twice in a row; `left` names who is still there after `within` seconds.

    Their statements are cancelled first; who is still there `cancel_for` seconds later is terminated.

    Raises:
        TargetUnavailable: the server cannot be asked, so nothing is known.
        IdentityMismatch: the URL leads to another server.
    """
    done = Ended()
    started = time.monotonic()
    async with AsyncExitStack() as stack:
        connection = await _connect(stack, url)
        if pinned is not None:
            found = (await read_identity(connection)).identity
            if found.system_identifier != pinned.system_identifier:
                raise IdentityMismatch(
                    f"The URL leads to another server ({found.as_text}) than the job's ({pinned.as_text}).",
                    found.as_text,
                )
        absent = 0
        cancelled_at: dict[int, float] = {}
        while absent < 2:
            alive = await _backends(connection, remains)
            absent = 0 if alive else absent + 1
            elapsed = time.monotonic() - started
            for pid, name in alive.items():
                if pid not in cancelled_at:
                    done.ended.append(f"backend {pid} ({name})")
                if elapsed >= cancel_for:
                    await _end(connection, pid, "SELECT pg_catalog.pg_terminate_backend(%s)")
                elif elapsed - cancelled_at.get(pid, -1.0) >= 1.0:
                    # Not all the time: what it does next may be its own clearing up.
                    await _end(connection, pid, "SELECT pg_catalog.pg_cancel_backend(%s)")
                    cancelled_at[pid] = elapsed
                cancelled_at.setdefault(pid, elapsed)
            if alive and elapsed > within:
                done.left = [f"backend {pid} ({name})" for pid, name in alive.items()]
                return done
            if absent < 2:
                await asyncio.sleep(0.1)
    return done


async def end_process_groups(remains: Remains, *, within: float = 8.0) -> Ended:
    """End the recorded process groups of this host: SIGTERM, a second later SIGKILL, until they are gone."""
    done = Ended()
    groups = [int(entry["group"]) for host, entry in remains.groups if host == this_host() and _ours(entry)]
    started = time.monotonic()
    for group in groups:
        if await asyncio.to_thread(members, group):
            done.ended.append(f"process group {group}")
            _kill(group, signal.SIGTERM)
            _kill(group, signal.SIGCONT)
    while groups:
        groups = [group for group in groups if await asyncio.to_thread(members, group)]
        elapsed = time.monotonic() - started
        if elapsed > within:
            done.left = [f"process group {group}" for group in groups]
            break
        if groups and elapsed > 1.0:
            for group in groups:
                _kill(group, signal.SIGKILL)
        if groups:
            await asyncio.sleep(0.05)
    return done


async def _connect(stack: AsyncExitStack, url: str) -> Connection:
    """Connect to the database, or where it is closed or gone (a swap half way) to the server's other ones."""
    first: TargetUnavailable | None = None
    for candidate in (url, with_database(url, "postgres"), with_database(url, "template1")):
        try:
            return await stack.enter_async_context(
                connect(candidate, application_name="cleanstart/reaper", statement_timeout="10s")
            )
        except TargetUnavailable as error:
            first = first or error
            if error.sqlstate not in {"3D000", "55000", "42501"}:
                break
    assert first is not None
    raise first


async def _backends(connection: Connection, remains: Remains) -> dict[int, str]:
    rows = await (
        await connection.execute(
            _BACKENDS,
            {
                "pids": [int(entry["pid"]) for entry in remains.backends],
                "starts": [str(entry["backend_start"]) for entry in remains.backends],
                "names": list(remains.names),
                "since": remains.since,
                "clocks": _CLOCKS,
            },
        )
    ).fetchall()
    return {row[0]: row[2] or "a session" for row in rows}


async def _end(connection: Connection, pid: int, statement: LiteralString) -> None:
    # Without the privilege (another role's backend) it stays alive, and the caller says so.
    with suppress(psycopg.errors.InsufficientPrivilege):
        await connection.execute(statement, (pid,))


def _ours(entry: Json) -> bool:
    """Whether the group of this number is still the recorded one.

    A group's number is not given away while a member lives. If its leader lives, its start must be the
    recorded one; if it does not, the members left over must be younger than it.
    """
    group, started = int(entry["group"]), entry.get("started")
    if group <= 1 or group == os.getpgrp() or not isinstance(started, int | float):
        return False
    try:
        return abs(psutil.Process(group).create_time() - started) <= _START_TOLERANCE
    except psutil.NoSuchProcess:
        return all(_start(pid) >= started - _START_TOLERANCE for pid in members(group))
    except psutil.Error:
        return False


def _start(pid: int) -> float:
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return float("inf")


def _kill(group: int, number: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def as_json(ended: Ended) -> dict[str, Any]:
    """For the evidence of an outcome."""
    return {"ended": ended.ended, "left": ended.left}
