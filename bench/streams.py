"""Latency from a job's event written to the same event received, by 200 readers of the job's stream.

The clock starts before the transaction that writes an event (ten a second) and stops when a reader has its
number. Ours is `/jobs/N/stream` of `cleanstart serve`; the peer is a bare StreamingResponse that passes on what
its LISTEN connection hears, without reading or rendering anything. Both hear the same events; batches alternate,
and the readers (plain sockets) live in this process.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from urllib.parse import urlsplit

from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from bench.contest import say, tell_latencies
from bench.overview import configuration
from bench.servers import benching, web_process
from web.jobs.events import Event, append_events
from web.jobs.start import environment_row
from web.store.database import open_store
from web.store.tables import JobRow

READERS = 200
EVENTS = 60
EVERY = 0.1
BATCHES = 2


async def main() -> None:
    """Measure and print."""
    async with benching() as bench:
        place = await bench.store()
        (bench.folder / "store").write_text(place.runtime_url)
        file = bench.folder / "cleanstart.toml"
        file.write_text(configuration(bench.folder))
        store = open_store(place.runtime_url)
        job = await running_job(store)
        ours: list[float] = []
        peers: list[float] = []
        serve = ["web.cli", "serve", "--config", str(file), "--inherited"]
        async with (
            web_process(["bench.peer", str(bench.folder / "store")], ready="/readyz") as peer,
            web_process(serve, ready="/readyz") as address,
        ):
            writer = Writer(store, job)
            for _ in range(BATCHES):
                peers += await batch(writer, f"{peer}/stream")
                ours += await batch(writer, f"{address}/jobs/{job}/stream?after={writer.seq}")
        say(
            f"  {READERS} readers, {1 / EVERY:.0f} events a second, {BATCHES} batches of {EVENTS} events each"
        )
        tell_latencies([("bare StreamingResponse and LISTEN", peers), ("job stream", ours)])
        await store.dispose()


class Writer:
    """Writes events as a worker does, and remembers when it began with each."""

    def __init__(self, store: AsyncEngine, job: int) -> None:
        self.seq = 0
        self.began: dict[int, float] = {}
        self._store = store
        self._job = job

    async def write(self) -> None:
        """Write one event in a transaction of its own."""
        self.seq += 1
        self.began[self.seq] = time.perf_counter()
        line = Event(self.seq, datetime.now(UTC), "log", text=f"Line {self.seq} of what a migration says")
        async with self._store.begin() as connection:
            await append_events(connection, self._job, [line])


async def batch(writer: Writer, address: str) -> list[float]:
    """Open all streams, write events, and return the latency of each event at each reader."""
    first, last = writer.seq + 1, writer.seq + EVENTS
    opened = asyncio.Semaphore(0)
    readers = [asyncio.create_task(read(writer, address, first, last, opened)) for _ in range(READERS)]
    for _ in readers:
        await opened.acquire()
    for _ in range(EVENTS):
        await asyncio.gather(writer.write(), asyncio.sleep(EVERY))
    async with asyncio.timeout(60):
        received = await asyncio.gather(*readers)
    return [latency for each in received for latency in each]


async def read(writer: Writer, address: str, first: int, last: int, opened: asyncio.Semaphore) -> list[float]:
    """Read one stream up to the event `last`. A message's id is the number of the newest event in it."""
    parts = urlsplit(address)
    assert parts.hostname
    reader, sink = await asyncio.open_connection(parts.hostname, parts.port, limit=1 << 20)
    sink.write(f"GET {parts.path}?{parts.query} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
    await reader.readuntil(b": open\n")
    opened.release()
    latencies: list[float] = []
    upcoming = first
    while upcoming <= last:
        line = await reader.readline()
        assert line, "the stream has ended"
        if line.startswith(b"id: "):
            now, newest = time.perf_counter(), int(line[4:])
            latencies += [now - writer.began[seq] for seq in range(upcoming, newest + 1)]
            upcoming = max(upcoming, newest + 1)
    sink.close()
    return latencies


async def running_job(store: AsyncEngine) -> int:
    """A job that runs and has said nothing yet."""
    async with store.begin() as connection:
        environment_id, _ = await environment_row(connection, "service-00", "dev")
        job: int | None = await connection.scalar(
            insert(JobRow)
            .values(
                kind="migrate",
                project="service-00",
                environment_id=environment_id,
                parameters={},
                mutating=True,
                state="running",
                requested_by="bench",
                started_at=datetime.now(UTC),
            )
            .returning(JobRow.id)
        )
    assert job is not None
    return job
