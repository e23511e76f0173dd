"""What a kind's functions get: `Work` while a job runs, `Evidence` to find out how one ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal

import psutil
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from web.config import Configuration
from web.errors import Conflict
from web.jobs.attempt import Attempt
from web.jobs.failpoints import failpoint
from web.jobs.job import Intent, Job, Json, P
from web.jobs.progress import Progress
from web.jobs.resources import Resources
from web.postgres.advisory import target_lock
from web.postgres.connections import Connection, connect
from web.postgres.identity import KnownDatabase, TargetIdentity, require_identity

#: How long a statement of ours waits for a lock on a target before it gives up, unless a kind says otherwise.
LOCK_TIMEOUT = "10s"


@dataclass(frozen=True, slots=True)
class Work(Generic[P]):
    """One attempt at a job, as `run` sees it."""

    job: Job[P]
    attempt: Attempt
    progress: Progress
    configuration: Configuration
    resources: Resources
    #: For reading. Writes go through `writing()`, so that a replaced attempt cannot write.
    store: AsyncEngine
    #: The identity that was pinned for the environment; None before its first observation.
    identity: TargetIdentity | None

    @property
    def url(self) -> str:
        """The target's URL, secret and all, for programs that connect themselves; not to be told."""
        return self.job.environment.url.read()

    @property
    def database(self) -> KnownDatabase:
        """The target as it was pinned, for what must open no other. Raises Conflict where it was never checked."""
        if self.identity is None:
            raise Conflict(
                f"Which database {self.job.environment.label} is has never been seen.",
                hint="Look at it first: “Check” on its page, or `cleanstart observe`.",
            )
        return KnownDatabase(self.url, self.identity, self.job.environment.label)

    @property
    def application_name(self) -> str:
        """The name that every connection of this attempt bears on the target: `cleanstart/JOB/ATTEMPT`."""
        return self.attempt.application_name

    @asynccontextmanager
    async def target(
        self,
        *,
        lock: bool = True,
        lock_timeout: str | None = LOCK_TIMEOUT,
        statement_timeout: str | None = None,
        read_only: bool = False,
        settings: Mapping[str, str] | None = None,
    ) -> AsyncIterator[Connection]:
        """Connect to the target (autocommit), check its identity in this very session, hold its lock.

        The backend is recorded for the reaper. Without `lock` (for kinds that only read) nobody is kept out.

        Raises:
            IdentityMismatch: the URL leads elsewhere now.
            Conflict: somebody else holds the target's lock.
            FencedOff: this attempt was replaced.
            TargetUnavailable: no connection.
            TransactionPooled: the session would not be ours alone.
        """
        async with connect(
            self.url,
            application_name=self.application_name,
            lock_timeout=lock_timeout,
            statement_timeout=statement_timeout,
            read_only=read_only,
            settings=settings,
        ) as connection:
            if self.identity is not None:
                await require_identity(connection, self.identity)
            await self.record_connection(connection)
            if not lock:
                yield connection
                return
            async with target_lock(connection):
                # A worker that was frozen before this point gets the lock after it was replaced.
                await self.require_current()
                yield connection

    async def intend(self, step: str, what: Json) -> Intent:
        """Write down what a step is about to do, before it does; committed, with all log lines, on return."""
        failpoint("before-intent", step)
        await self.progress.flush()
        intent = await self.attempt.intend(step, what)
        failpoint("after-intent", step)
        return intent

    async def receive(self, intent: Intent, proof: Json) -> None:
        """Write down the proof that an intent was carried out; committed on return."""
        failpoint("before-receipt", intent.step)
        await self.attempt.receive(intent, proof)
        failpoint("after-receipt", intent.step)

    async def record_connection(self, connection: Connection) -> None:
        """Record an open connection's backend, so that a reaper can see it gone."""
        row = await (
            await connection.execute(
                "SELECT pid, backend_start FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()"
            )
        ).fetchone()
        assert row is not None
        await self.backend(row[0], row[1])

    async def backend(self, pid: int, backend_start: datetime | str) -> None:
        """Record a backend on the target's server by process id and `pg_stat_activity.backend_start`."""
        start = backend_start if isinstance(backend_start, str) else backend_start.isoformat()
        await self.attempt.record("backends", {"pid": pid, "backend_start": start})

    async def process_group(self, process_group: int) -> None:
        """Record a process group on this host, with its leader's start, so that a reaper can end it."""
        try:
            started: float | None = psutil.Process(process_group).create_time()
        except psutil.NoSuchProcess:
            started = None
        await self.attempt.record("processes", {"group": process_group, "started": started})

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a store transaction that commits only while this attempt may write. Raises FencedOff.

        Keep it short: a worker frozen inside it is thrown out by the store after ten seconds.
        """
        async with self.attempt.writing() as connection:
            yield connection

    async def require_current(self) -> None:
        """Raise FencedOff if this attempt was replaced: to be asked right before an act without an intent."""
        async with self.attempt.writing():
            pass


@dataclass(frozen=True, slots=True)
class Evidence(Generic[P]):
    """What is known about a job that did not come to its end; `reconcile` looks further and judges.

    When this is handed over, its process groups and backends were seen gone and its gate is still closed.
    """

    job: Job[P]
    #: Why the question comes up.
    reason: Literal["worker died", "cancelled", "failed"]
    #: All intents in the order written, with their receipts.
    intents: tuple[Intent, ...]
    configuration: Configuration
    resources: Resources
    store: AsyncEngine
    identity: TargetIdentity | None
    #: The attempt that reconciles; its writes are fenced like a run's.
    attempt: Attempt

    @property
    def open_intents(self) -> tuple[Intent, ...]:
        """Intents without a receipt: what may or may not have happened."""
        return tuple(intent for intent in self.intents if intent.proof is None)

    @property
    def url(self) -> str:
        """The target's URL, secret and all."""
        return self.job.environment.url.read()

    @asynccontextmanager
    async def target(self, *, check: bool = True, read_only: bool = True) -> AsyncIterator[Connection]:
        """Connect to the target to look; `check` compares the pinned identity (a swap has two)."""
        async with connect(
            self.url,
            application_name=self.attempt.application_name,
            lock_timeout=LOCK_TIMEOUT,
            statement_timeout="30s",
            read_only=read_only,
        ) as connection:
            if check and self.identity is not None:
                await require_identity(connection, self.identity)
            yield connection

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncConnection]:
        """Open a store transaction that commits only while this attempt may write. Raises FencedOff."""
        async with self.attempt.writing() as connection:
            yield connection
